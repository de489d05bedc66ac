"""Named points at which a test may kill the process. Off unless EARNBACK_FAULTPOINT is set.

The points are compiled in because the moments that matter (between an effect and its commit,
between a commit and what follows) cannot be hit reliably from outside.
"""

import os
import threading
from functools import cache

KILLED = 137

_VARIABLE = "EARNBACK_FAULTPOINT"
_lock = threading.Lock()


def _armed(text: str | None) -> tuple[str, int] | None:
    """Read `name` or `name:count`. None when no point is armed."""
    if not text:
        return None
    name, _, count = text.partition(":")
    if count and not count.isdigit():
        raise ValueError(f"{_VARIABLE}={text!r}: the part after the colon is a count; write name:3")
    return name, int(count or 1)


@cache
def _target() -> tuple[str, int] | None:
    """The armed point, read when the first one is passed: the settings are complete by then."""
    return _armed(os.environ.get(_VARIABLE))


_passed = 0


def faultpoint(name: str) -> None:
    """Die here, without any clean-up, when this is the armed point and its count is reached."""
    global _passed
    target = _target()
    if target is None or target[0] != name:
        return
    with _lock:
        _passed += 1
        if _passed >= target[1]:
            os._exit(KILLED)
