"""What a long step says about itself, so that a screen can draw a bar for it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the step's name, the units done and the units in all (0 when not known)."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


def silent(step: str, done: int, total: int) -> None:
    """Say nothing."""
