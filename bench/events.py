"""The events of the bench, and an independent count of what must come of them.

64 probes of one vendor watch 16 sites; each reports on 4 of 16 metrics every ten seconds, with a
clock of milliseconds and some jitter. A part of the events is sent again within the next twenty
thousand, byte for byte. Everything follows from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from schemas.programme import AvailabilityBySamples, Metric, Programme, Source, Vendor
from schemas.whose_word import SAID, WhoseWord

VENDOR = "bench-vendor"
PROGRAMME = "bench"
SOURCES = tuple(f"https://probe.example/p-{number:02d}" for number in range(64))
METRICS = tuple(f"availability-{number:02d}" for number in range(16))
EVERY_MS = 10_000
REMEMBERED = 20_000
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
EPOCH_MS = int(FIRST_DAY.timestamp()) * 1000
MINUTE_US = 60_000_000

Window = tuple[str, int]
"""Metric, and the minute's start in microseconds since 1970."""


def programme() -> Programme:
    """One buyer, one vendor, the probes and what they may report."""
    measure = AvailabilityBySamples(kind="availability_by_samples")
    return Programme(
        kind="programme",
        language=2,
        programme=PROGRAMME,
        version=1,
        effective_from=date(2025, 1, 1),
        buyer="bench-buyer",
        name="Bench",
        time_zone="Europe/Berlin",
        restated_for_days=3660,
        whose_word=WhoseWord.model_validate(dict.fromkeys(SAID, "either")),
        vendors=(Vendor(vendor=VENDOR, name="Bench vendor"),),
        sources=tuple(
            Source(source=source, reports_for=VENDOR, metrics=METRICS) for source in SOURCES
        ),
        metrics=tuple(
            Metric(
                metric=name,
                name=name,
                unit="percent",
                better="higher",
                measure=measure,
                several_sources="added",
            )
            for name in METRICS
        ),
    )


@dataclass(slots=True)
class Expected:
    """What must come of the events so far: each identity once, repetitions told apart."""

    accepted: int = 0
    duplicates: int = 0
    windows: dict[Window, list[int]] = field(default_factory=dict)
    """Events and good ones among them."""

    @property
    def total(self) -> int:
        return self.accepted + self.duplicates


class Probes:
    """Makes events in order of time, part after part, and counts them on the way."""

    def __init__(self, *, seed: int, duplicates: float, prefix: str, first_tick: int = 0) -> None:
        """``duplicates``: the part of the events that repeat one. ``prefix``: of all ids."""
        self.expected = Expected()
        self._random = random.Random(seed)
        self._duplicates = duplicates
        self._prefix = prefix
        self._number = first_tick * len(_STREAMS)

    def make(self, count: int) -> Iterator[tuple[str, bytes]]:
        """The next events: source and JSON."""
        chance, choice = self._random.random, self._random.randrange
        remembered: list[tuple[str, bytes]] = []
        for _ in range(count):
            if remembered and chance() < self._duplicates:
                self.expected.duplicates += 1
                yield remembered[choice(len(remembered))]
                continue
            event = self._next()
            if len(remembered) < REMEMBERED:
                remembered.append(event)
            else:
                remembered[choice(REMEMBERED)] = event
            yield event

    def _next(self) -> tuple[str, bytes]:
        number, self._number = self._number, self._number + 1
        tick, stream = divmod(number, len(_STREAMS))
        source, metric, site = _STREAMS[stream]
        chance = self._random.random()
        at_ms = EPOCH_MS + tick * EVERY_MS + int(chance * 997)
        up = chance < 0.995
        minute, rest = divmod(at_ms, 60_000)
        window = self.expected.windows.setdefault((metric, minute * MINUTE_US), [0, 0])
        window[0] += 1
        window[1] += up
        self.expected.accepted += 1
        text = (
            f'{{"specversion":"1.0","id":"{self._prefix}-{number:010d}","source":"{source}",'
            f'"type":"earnback.sample.v1","time":"{_minute(minute)}:{rest // 1000:02d}.'
            f'{rest % 1000:03d}Z","data":{{"metric":"{metric}","subject":"{site}",'
            f'"up":{"true" if up else "false"}}}}}'
        )
        return source, text.encode()


_STREAMS = tuple(
    (source, METRICS[(place + 4 * each) % len(METRICS)], f"site-{place % 16:02d}")
    for each in range(4)
    for place, source in enumerate(SOURCES)
)
_last_minute = (-1, "")


def _minute(minute: int) -> str:
    global _last_minute
    if _last_minute[0] != minute:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
        _last_minute = (minute, moment.strftime("%Y-%m-%dT%H:%M"))
    return _last_minute[1]
