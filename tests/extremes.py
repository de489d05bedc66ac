"""Legal events with values at the ends of what is accepted, made from the worked cases' stories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import cycle
from typing import Any

from tests.core.golden.given import TELLERS
from tests.core.golden.production import Event
from tests.core.golden.test_golden import CASES

NUMBERS = ("0", "1", "1/3", "99999999999999999999.999", "46116860184273879.03", "1/99999999999999")
WHOLE = (0, 1, 2**31, 2**62 - 1)
DAYS = ("1990-01-01", "2199-12-31", "9999-12-31", "2024-02-29")


def stories() -> Iterator[tuple[str, str, Sequence[Event]]]:
    """A story of each contract file: the file, the last period, and the events of all runs."""
    seen: set[str] = set()
    for name, case in CASES.items():
        if name in TELLERS and not case["expect"].get("refused"):
            story = TELLERS[name](case["given"]["facts"])
            if story.contract not in seen:
                seen.add(story.contract)
                yield story.contract, story.through, [one for run in story.runs for one in run]


def altered(events: Sequence[Event], first: int) -> Iterator[tuple[int, Event]]:
    """One event after the other with one value at an extreme, and its place.

    ``first``: which of the extremes comes first.
    """
    numbers, whole, days = cycle(NUMBERS), cycle(WHOLE), cycle(DAYS)
    for _ in range(first):
        next(numbers), next(whole), next(days)
    for place, event in enumerate(events):
        for path, value in _leaves(event["data"]):
            if isinstance(value, bool):
                continue
            if isinstance(value, int):
                extreme: Any = next(whole)
            elif isinstance(value, str) and _is_day(value):
                extreme = next(days)
            elif isinstance(value, str) and value.replace(".", "").replace("/", "").isdigit():
                extreme = next(numbers)
            else:
                continue
            changed = deepcopy(dict(event))
            _put(changed["data"], path, extreme)
            yield place, changed


def _leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _leaves(value, (*path, key))
    elif path and path[-1] != "period":
        yield path, data


def _is_day(text: str) -> bool:
    return len(text) == len("2025-01-01") and text[4] == text[7] == "-"


def _put(data: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value
