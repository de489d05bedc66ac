"""Where things fetched or made once are kept for the next start."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """`EARNBACK_CACHE`, else `earnback` in the user's cache folder; made when missing."""
    given = os.environ.get("EARNBACK_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    if given:
        path = Path(given).expanduser()
    else:
        path = (Path(base) if base else Path.home() / ".cache") / "earnback"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()
