"""Runs ingest: the HTTP API and the reader of the vendors' own topics, in one process.

    python -m services.ingest

Beside the settings that all services share: EARNBACK_INGEST_PARTS, ``http``, ``intake`` or
``http,intake`` (the default): which of the two this process runs.
"""

from __future__ import annotations

import os
import sys

from services.ingest.service import PARTS, parts_of, run
from services.shell import settings

if __name__ == "__main__":
    try:
        told = settings.read("ingest")
        parts = parts_of(os.environ.get("EARNBACK_INGEST_PARTS", ",".join(PARTS)))
    except settings.BadSettings as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(78)
    run(told, parts)
