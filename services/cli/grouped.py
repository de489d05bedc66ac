"""Many equal lines as few: how often, where first, what is wrong, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ALONE = 20
"""So many lines with different places are printed as they are; more are grouped."""


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """What is wrong at a place of a file. ``about``: what differs from event to event."""

    place: str
    about: str
    text: str

    def __str__(self) -> str:
        head = f"{self.about}: " if self.about else ""
        return f"{self.place}: {head}{self.text}" if self.place else f"{head}{self.text}"


def grouped(lines: Iterable[PlacedLine]) -> Iterator[str]:
    """The lines, as they are where they are few; else those of equal text as one.

    A group names its first place and how many more there are: ``(first of 86400)``.
    """
    found = list(lines)
    if len(found) <= ALONE:
        yield from map(str, found)
        return
    groups: dict[str, list[PlacedLine]] = {}
    for line in found:
        groups.setdefault(line.text, []).append(line)
    for same in groups.values():
        yield f"{same[0]} (first of {len(same)})" if len(same) > 1 else str(same[0])
