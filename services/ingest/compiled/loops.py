"""The loops over batches, compiled when there is so much to do that it pays.

numba is imported and its code loaded or compiled in a thread, while the events are judged one by
one as before; so they are for good where it can't be compiled. What was compiled is kept in a
folder of the user's for the next process. Small installations never load any of it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from services.ingest.compiled import batch_loop, blake2b, event_scan
from services.shell import metrics
from services.shell.logs import log, stack_of

LEAST = 50
"""Events that are a batch: with fewer, the call costs more than it saves."""
WORTH = 100_000
"""Events in batches after which the loops are compiled: it takes as long as judging a million."""

_MODULES = (blake2b, event_scan, batch_loop)


class Loops(NamedTuple):
    """The functions of `batch_loop` that are called from outside, in Python or compiled."""

    judge_batch: Callable[..., None]
    hash_batch: Callable[..., None]
    gather_texts: Callable[..., None]
    number_anew: Callable[..., int]


IN_PYTHON = Loops(
    batch_loop.judge_batch, batch_loop.hash_batch, batch_loop.gather_texts, batch_loop.number_anew
)


class LazyLoops:
    """The compiled loops of a process, once they are wanted and there."""

    def __init__(self) -> None:
        self.ready: Loops | None = None
        self._seen = 0
        self._asked = False

    def of(self, events: int) -> Loops | None:
        """The loops for a batch of so many events; None where each is to be judged by itself."""
        if events < LEAST:
            return None
        if not self._asked:
            self._seen += events
            if self._seen >= WORTH:
                self._asked = True
                threading.Thread(target=self.load, name="compile-loops", daemon=True).start()
        return self.ready

    def load(self) -> None:
        """Load or compile them. Where that fails it is said, and nothing else changes."""
        self._asked = True
        try:
            self.ready = compiled()
        except Exception as error:  # whatever stands against it, events go on as before
            metrics.INGEST_COMPILED.set(-1)
            log(__name__).warning(
                "loops_not_compiled", error=repr(error), traceback=stack_of(error)
            )
        else:
            metrics.INGEST_COMPILED.set(1)
            log(__name__).info("loops_compiled")


def compiled(*, boundscheck: bool = False) -> Loops:
    """The loops as machine code. ``boundscheck``: each access to an array is checked, for tests.

    Raises whatever numba raises where it can't be imported or compile.
    """
    if sys.byteorder != "little":
        raise RuntimeError("the loops hash words of a machine that is little-endian")
    import numba
    from numba import extending

    logging.getLogger("numba").setLevel(logging.WARNING)  # it tells each step of compiling
    folder = None if boundscheck else cache_folder()
    numba.config.CACHE_DIR = str(folder or "")
    for module in _MODULES:
        for part in vars(module).values():
            if callable(part) and getattr(part, "__module__", "") == module.__name__:
                extending.register_jitable(part)
    jit = numba.njit(nogil=True, cache=folder is not None, boundscheck=boundscheck)
    return Loops(*(jit(each) for each in IN_PYTHON))


def cache_folder() -> Path | None:
    """The user's folder for what was compiled from exactly these sources; None where none can be.

    What is in it is run, so nobody else may write into it.
    """
    digest = hashlib.blake2b(digest_size=8)
    for module in _MODULES:
        digest.update(Path(str(module.__file__)).read_bytes())
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "earnback" / "compiled"
        folder /= digest.hexdigest()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # read-only, or a user without a home
        return None
    held = folder.stat()
    is_private = held.st_uid == os.getuid() and not held.st_mode & 0o022
    return folder if is_private and os.access(folder, os.W_OK) else None
