"""Python imports this as it starts where this folder is on its path: in workers of a chaos run.

Every second process then goes by a clock that a file sets forward or back, so that workers also
disagree. The file holds seconds. What reads the clock past `services.shell.clock` is left alone:
the clients of the broker, and the database, which has a clock of its own.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from services.shell import clock

_file = os.environ.get("EARNBACK_CHAOS_CLOCK")
_true = clock.now


def _now() -> datetime:
    assert _file
    return _true() + timedelta(seconds=int(Path(_file).read_text() or 0))


if _file and os.getpid() % 2:
    clock.now = _now
