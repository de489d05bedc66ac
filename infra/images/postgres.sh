#!/bin/sh
# Makes the database the first time, from POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and
# POSTGRES_INITDB_ARGS; then runs what it was given, as an ordinary user.
set -eu

if [ "$(id -u)" = 0 ]; then
    install -d -o postgres "$(dirname "$PGDATA")"
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi

# Made beside its place and moved there whole: a start that was cut short is begun again.
if [ ! -e "$PGDATA" ]; then
    user=${POSTGRES_USER:-postgres}
    making=$PGDATA.making
    rm -rf "$making"
    printf '%s\n' "${POSTGRES_PASSWORD:?set a password for the database}" > "$PGDATA.password"
    # shellcheck disable=SC2086  # several options in one variable
    initdb --pgdata "$making" --username "$user" --pwfile "$PGDATA.password" \
        --auth-host scram-sha-256 --auth-local trust --encoding UTF8 ${POSTGRES_INITDB_ARGS:-}
    rm "$PGDATA.password"
    echo 'host all all all scram-sha-256' >> "$making/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$making/postgresql.conf"
    if [ "${POSTGRES_DB:=$user}" != postgres ]; then
        echo "create database \"$POSTGRES_DB\"" | postgres --single -D "$making" postgres
    fi
    mv "$making" "$PGDATA"
fi
exec "$@"
