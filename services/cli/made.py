"""What a command makes of several documents: the text, what is lost in it, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.core.contracts.interchange.carried import Exported


@dataclass(frozen=True, slots=True)
class Made:
    """The text of what was made, what is lost in it, and a line for each document refused."""

    text: str
    lost: Sequence[str]
    refused: Sequence[str]


def lost_in(made: Iterable[Exported]) -> list[str]:
    """A line for each thing that is lost in what was made, each once."""
    return list(dict.fromkeys(f"lost: {one.text()}" for each in made for one in each.lost))
