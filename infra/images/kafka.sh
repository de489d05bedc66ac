#!/bin/sh
# A broker that takes its settings from the environment: KAFKA_LOG_DIRS is log.dirs, and so on.
#
#   kafka.sh serve              write the settings, format the disk the first time, run
#   kafka.sh configure|launch   the first and the last of these alone
#   kafka.sh java CLASS …       any of Kafka's commands
set -eu

settings=/etc/kafka/kafka.properties

configure() {
    env | awk '/^KAFKA_/ && !/^KAFKA_HEAP_OPTS=/ {
        split($0, part, "=")
        key = tolower(substr(part[1], 7))
        gsub("_", ".", key)
        print key "=" substr($0, length(part[1]) + 2)
    }' > $settings
}

java() {
    exec /opt/kafka/java/bin/java "$@"
}

launch() {
    # shellcheck disable=SC2086  # several options in one variable
    java ${KAFKA_HEAP_OPTS:--Xmx512m} $options \
        -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info kafka.Kafka $settings
}

options="-XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError --sun-misc-unsafe-memory-access=allow
    --enable-native-access=ALL-UNNAMED -Djava.awt.headless=true
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
export CLASSPATH="/opt/kafka/jars/*"

case ${1:?serve, configure, launch or java} in
    configure) configure ;;
    launch) launch ;;
    java)
        shift
        # shellcheck disable=SC2086
        java -Xmx128m $options "$@"
        ;;
    serve)
        configure
        "$0" java kafka.tools.StorageTool format --ignore-formatted \
            --cluster-id "${CLUSTER_ID:?set CLUSTER_ID: 22 characters of base64url}" \
            --config $settings
        launch
        ;;
esac
