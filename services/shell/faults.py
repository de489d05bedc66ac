"""Named points at which a test may kill the process. Off unless EARNBACK_FAULTPOINT is set.

The points are compiled in because the moments that matter (between an effect and its commit,
between a commit and what follows) cannot be hit reliably from outside.
"""

import os
import signal
import threading
from functools import cache
from pathlib import Path

KILLED = 137

_VARIABLE = "EARNBACK_FAULTPOINT"
_lock = threading.Lock()


def _armed(text: str | None) -> tuple[str, int] | Path | None:
    """Read `name`, `name:count`, or the path of a folder. None when no point is armed."""
    if not text:
        return None
    if os.sep in text:
        return Path(text)
    name, _, count = text.partition(":")
    if count and not count.isdigit():
        raise ValueError(f"{_VARIABLE}={text!r}: the part after the colon is a count; write name:3")
    return name, int(count or 1)


@cache
def _target() -> tuple[str, int] | Path | None:
    """What is armed, read when the first point is passed: the settings are complete by then."""
    return _armed(os.environ.get(_VARIABLE))


_passed = 0


def faultpoint(name: str) -> None:
    """Die here, without any clean-up, when this is the armed point and its count is reached.

    Where a folder is armed: when it holds a file of this name. The first process that passes takes
    the file away. One that holds a number has the process of that number killed instead.
    """
    target = _target()
    if target is None:
        return
    if isinstance(target, Path):
        _die_if_left(target / name)
    elif target[0] == name:
        _die_if_counted(target[1])


def _die_if_counted(count: int) -> None:
    global _passed
    with _lock:
        _passed += 1
        if _passed >= count:
            os._exit(KILLED)


def _die_if_left(file: Path) -> None:
    try:
        victim = file.read_text()
        file.unlink()
    except FileNotFoundError:
        return
    if not victim:
        os._exit(KILLED)
    os.kill(int(victim), signal.SIGKILL)
