"""The classes of the broker, loaded and linked once for all brokers of a run.

Dozens are started, and each would spend half of its start on the same classes. The JVM keeps them
in a file (its AOT cache); where the file is missing or does not fit, it starts as without one.

    python -m tests.broker_archive FILE     start a broker, stop it, and leave its classes in FILE
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infra.embedded.kafka import EmbeddedKafka

QUICK = "-XX:TieredStopAtLevel=1"
"""Brokers of tests live for too short a time for what the second compiler costs."""
EXIT_SECONDS = 120.0


def options(archive: Path | None) -> str:
    """JAVA_TOOL_OPTIONS for the brokers of a run; what the JVM says of the archive is left out."""
    return QUICK if archive is None else f"{QUICK} -Xlog:disable -XX:AOTCache={archive}"


def make(archive: Path) -> subprocess.Popen[bytes]:
    """Start to make the archive, in a process of its own; it appears at once when it is whole."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.broker_archive", str(archive)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> int:
    """Make the archive; nothing is left where that fails."""
    archive = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        unfinished = Path(folder) / "broker.aot"
        os.environ["JAVA_TOOL_OPTIONS"] = f"{QUICK} -XX:AOTCacheOutput={unfinished}"
        with EmbeddedKafka(Path(folder) / "kafka") as broker:
            broker.send(signal.SIGTERM)  # `stop` would cut short what it writes as it ends
            deadline = time.monotonic() + EXIT_SECONDS
            while broker.returncode is None and time.monotonic() < deadline:
                time.sleep(0.1)
            ended = broker.returncode is not None
        if ended and unfinished.exists():
            unfinished.rename(archive)
    return 0


if __name__ == "__main__":
    sys.exit(main())
