"""Pages of approved text: how they are put together, and written anew after a change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path


def in_lines(said: Iterable[str]) -> str:
    """A page of these lines."""
    return "".join(f"{line}\n" for line in said)


def write_anew(folder: Path, pages: Mapping[str, Callable[[], str]]) -> None:
    """Write each page into the folder; others that are there stay."""
    folder.mkdir(exist_ok=True)
    for name, page in pages.items():
        (folder / f"{name}.txt").write_text(page(), encoding="utf-8")
