"""The loops over batches, in Python and compiled.

What was compiled is kept in a folder of the user's for the next process.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import numpy as np

from services.ingest.compiled import batch_loop, blake2b, event_scan

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
    """The user's folder for what was compiled from exactly these functions; None where none can be.

    What is in it is run, so nobody else may write into it.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "earnback" / "compiled"
        folder /= _digest()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # read-only, or a user without a home
        return None
    held = folder.stat()
    is_private = held.st_uid == os.getuid() and not held.st_mode & 0o022
    return folder if is_private and os.access(folder, os.W_OK) else None


def _digest() -> str:
    """Stands for the functions and constants of this process. Their files may be newer by now."""
    digest = hashlib.blake2b(digest_size=16)
    for module in _MODULES:
        for name, part in sorted(vars(module).items()):
            if isinstance(part, FunctionType):
                code = part.__code__
                told = repr((code.co_code, code.co_consts, code.co_names, code.co_varnames))
            elif isinstance(part, np.ndarray):
                told = repr((part.dtype, part.shape, part.tobytes()))
            else:
                told = repr(part) if isinstance(part, int | str | tuple | np.dtype) else ""
            digest.update(f"{module.__name__} {name} {told}\n".encode())
    return digest.hexdigest()
