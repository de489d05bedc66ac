#!/usr/bin/python3
"""Whether a broker answers: kafka-broker-api-versions.sh --bootstrap-server HOST:PORT."""

import socket
import struct
import sys

API_VERSIONS, VERSION, CORRELATION, NO_CLIENT_ID = 18, 0, 1, -1

host, _, port = sys.argv[-1].rpartition(":")
request = struct.pack(">hhih", API_VERSIONS, VERSION, CORRELATION, NO_CLIENT_ID)
with socket.create_connection((host, int(port)), timeout=4) as broker:
    broker.sendall(struct.pack(">i", len(request)) + request)
    answer = broker.makefile("rb").read(10)
sys.exit(answer[4:] != struct.pack(">ih", CORRELATION, 0))
