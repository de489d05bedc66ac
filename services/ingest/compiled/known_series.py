"""The series whose rules are known, as arrays that a compiled loop reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.core.events.facts import LARGEST
from services.core.events.roles import Sender
from services.ingest.compiled.batch_loop import MOST_KEY, MOST_LOOKS, SERIES, key_hash
from services.ingest.compiled.event_scan import FIELDS, METRIC, SOURCE, SUBJECT, UNUSUAL
from services.ingest.fast_validator import LearnedSeries


class KnownSeries:
    """A hash table of series: no more than half full, and no place is looked at after a few.

    A series for which there is no room, or whose texts are longer than most, is not in it: its
    events are judged one by one.
    """

    def __init__(self) -> None:
        self.rules = np.zeros(64, SERIES)
        self.letters = np.zeros(4096, np.uint8)
        self.horizons: dict[int, int] = {}
        """Microseconds by which an event may lie behind its source's latest one, by series."""
        self.table = np.full(128, UNUSUAL, np.int64)
        self._used, self._filled = 0, 0
        self._senders: dict[Sender | None, int] = {}

    def sender(self, sender: Sender | None) -> int:
        """The number that stands for a sender here."""
        return self._senders.setdefault(sender, len(self._senders))

    def learn(self, known: LearnedSeries) -> None:
        """Take in what holds for a series, or what holds for it now."""
        source, metric, subject = known.source, known.metric, known.subject or ""
        key = f"{source}\0{metric}\0{subject}\0".encode()
        text = key + known.unit.encode()
        if len(text) > MOST_KEY or not text.isascii():
            return
        self._make_room(known.series + 1, len(text))
        rule, is_new = self.rules[known.series], not self.rules[known.series]["key_end"]
        if is_new:
            at = self._used
            self._used += len(text)
            self.letters[at : self._used] = np.frombuffer(text, np.uint8)
            rule["key_at"], rule["source_end"] = at, at + len(source)
            rule["metric_end"] = at + len(source) + 1 + len(metric)
            rule["key_end"], rule["unit_end"] = at + len(key), self._used
        self.horizons[known.series] = known.horizon_us
        rule["kind"], rule["sender"] = known.kind, self.sender(known.sender)
        rule["from_us"], rule["decimals"] = known.from_us, known.decimals
        rule["lowest"] = max(known.lowest, 1 - LARGEST)
        rule["highest"] = min(known.highest, LARGEST - 1)
        if is_new:
            self._enter(known.series)

    def _make_room(self, series: int, letters: int) -> None:
        if series > len(self.rules):
            self.rules = _longer(self.rules, series)
        if self._used + letters > len(self.letters):
            self.letters = _longer(self.letters, self._used + letters)
        if 2 * (self._filled + 1) > len(self.table):
            self.table = np.full(2 * len(self.table), UNUSUAL, np.int64)
            self._filled = 0
            for number in np.flatnonzero(self.rules["key_end"]).tolist():
                self._enter(number)

    def _enter(self, number: int) -> None:
        """Put a series at the first free place from its hash on, where there is one."""
        rule = self.rules[number]
        starts, ends = np.zeros(FIELDS, np.int64), np.zeros(FIELDS, np.int64)
        starts[SOURCE], ends[SOURCE] = rule["key_at"], rule["source_end"]
        starts[METRIC], ends[METRIC] = rule["source_end"] + 1, rule["metric_end"]
        starts[SUBJECT], ends[SUBJECT] = rule["metric_end"] + 1, rule["key_end"] - 1
        slot = int(key_hash(int(rule["kind"]), self.letters, starts, ends))
        for place in range(slot, slot + MOST_LOOKS):
            if self.table[place % len(self.table)] < 0:
                self.table[place % len(self.table)] = number
                self._filled += 1
                return


def _longer(array: Any, least: int) -> Any:
    """A copy with room for at least so many, and for as many again as it had."""
    longer = np.zeros(max(least, 2 * len(array)), array.dtype)
    longer[: len(array)] = array
    return longer
