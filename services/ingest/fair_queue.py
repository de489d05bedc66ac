"""What was read of many topics and waits to be judged: each topic gets an equal part of a batch.

The client keeps what it fetches in one queue, in which a topic with many records stands before all
others. So everything is taken out of it at once. A topic that has more waiting than its part of the
room is not read on until most of that is done: then others come through at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

ROOM = 64 * 1024 * 1024
"""Bytes that may wait altogether."""
_BESIDE = 500
"""What a record takes beside its value."""
_GOES_ON_BELOW = 4
"""A topic that is held is read on when it has a part of its room as small as one in so many."""


class Message(Protocol):
    """The part of a record that this looks at."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def value(self) -> bytes | None: ...


def _any_number(_: str) -> float:
    return inf


def _at_most(count: int, number: float) -> int:
    return count if number >= count else max(0, int(number))


@dataclass(slots=True)
class _TopicRecords:
    """The records of one topic, in the order in which they were read, and their bytes."""

    records: deque[Any] = field(default_factory=deque)
    size: int = 0


@dataclass(slots=True)
class FairQueue:
    """Records by topic. ``room``: bytes that may wait; the topics that wait share it equally."""

    room: int = ROOM
    _topics: dict[str, _TopicRecords] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return sum(len(one.records) for one in self._topics.values())

    @property
    def is_full(self) -> bool:
        """Whether no more may be read for now."""
        return sum(one.size for one in self._topics.values()) >= self.room

    def put(self, message: Message) -> None:
        """Let a record wait."""
        waiting = self._topics.setdefault(message.topic(), _TopicRecords())
        waiting.records.append(message)
        waiting.size += _size(message)

    def take(self, most: int, may: Callable[[str], float] = _any_number) -> list[Any]:
        """So many records at most: of each topic as many as of any other that has more waiting.

        ``may``: how many of a topic may be taken now.
        """
        able = {t: _at_most(len(w.records), may(t)) for t, w in self._topics.items()}
        taken: list[Any] = []
        for topic, count in _shares(able, most):
            waiting = self._topics[topic]
            for _ in range(count):
                message = waiting.records.popleft()
                waiting.size -= _size(message)
                taken.append(message)
            if not waiting.records:
                del self._topics[topic]
        return taken

    def forget(self, places: Collection[tuple[str, int]]) -> None:
        """Drop what waits of partitions that another one reads now, from where nothing is done."""
        for topic in {topic for topic, _ in places} & self._topics.keys():
            own = self._topics.pop(topic).records
            for message in own:
                if (topic, message.partition()) not in places:
                    self.put(message)

    def hold(self) -> frozenset[str]:
        """The topics that are not to be read on for now, as they stand after `put` and `take`."""
        part = self.room // max(len(self._topics), 1)
        sizes = {topic: waiting.size for topic, waiting in self._topics.items()}
        self._held = {one for one in self._held if sizes.get(one, 0) > part // _GOES_ON_BELOW}
        self._held |= {topic for topic, size in sizes.items() if size >= part}
        return frozenset(self._held)


def _size(message: Message) -> int:
    return len(message.value() or b"") + _BESIDE


def _shares(waiting: Mapping[str, int], most: int) -> Iterator[tuple[str, int]]:
    """How many of each, in order of how few there are; what one leaves is shared by the others."""
    left = most
    ordered = sorted(waiting.items(), key=lambda one: one[1])
    for place, (topic, count) in enumerate(ordered):
        share = min(count, -(-left // (len(ordered) - place)))
        left -= share
        if share:
            yield topic, share
