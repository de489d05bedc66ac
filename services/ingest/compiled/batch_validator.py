"""A batch of events judged at once: the usual ones by the loops, all others one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.frame import Facts
from services.core.events.facts import Row
from services.core.events.roles import Sender
from services.ingest.column_builder import SeriesKey, SeriesTable
from services.ingest.compiled.batch_loop import MOST_TEXT, PAYLOAD_BYTES, ROW
from services.ingest.compiled.known_series import KnownSeries
from services.ingest.compiled.loops import Loops
from services.ingest.event_validator import MAX_EVENT
from services.ingest.fast_validator import FastValidator
from services.shell.frames import partition_of

Places = npt.NDArray[np.intp]
_NEVER = -(2**62)
_HASHES = ("identity_0", "identity_1", "payload_0", "payload_1")
_HASH_BYTES, _PAYLOAD_END = 8 * len(_HASHES), 16 + PAYLOAD_BYTES
_SOURCE, _KIND, _METRIC, _SUBJECT = map(itemgetter, range(4))


class BatchValidator:
    """Judges batches by what a fast validator has learned, under one catalogue revision.

    What it hands over is for the fast validator, which then knows more for the next batch.
    """

    def __init__(self, fast: FastValidator, loops: Loops, partitions: int) -> None:
        self.fast, self._loops = fast, loops
        self._partitions = partitions
        self._start_anew()

    def _start_anew(self) -> None:
        self._known = KnownSeries()
        self._columns = _SeriesColumns(self.fast.series, self._partitions)

    def judged(
        self, events: Sequence[bytes], senders: Sequence[tuple[Sender | None, int]], now_us: int
    ) -> JudgedBatch:
        """Judge the events. ``senders``: who sends, and how many of them in a row."""
        if self._columns.table is not self.fast.series:
            self._start_anew()
        known = self._known
        for learned in self.fast.news.values():
            known.learn(learned)
        self.fast.news.clear()
        raw = np.frombuffer(b"\0".join((*events, b"")), np.uint8)
        stops = np.cumsum(np.fromiter(map(len, events), np.int64, len(events)) + 1) - 1
        numbers, counts = zip(
            *((known.sender(each), count) for each, count in senders), strict=True
        )
        who = np.repeat(np.array(numbers, np.int64), counts)
        rows = np.zeros(len(events), ROW)
        until_us = now_us + self.fast.validator.ahead_us
        texts = (known.rules, known.letters)
        self._loops.judge_batch(raw, stops, who, until_us, MAX_EVENT, *texts, known.table, rows)
        self._hand_over_old(rows)
        words = np.zeros(MOST_TEXT // 8, np.uint64)
        self._loops.hash_batch(raw, *texts, rows, words, words.view(np.uint8))
        return JudgedBatch(raw, rows, self._columns, self._loops)

    def _hand_over_old(self, rows: Any) -> None:
        """Leave to the full validator what may be too old for what its source has come to."""
        series = rows["series"]
        used = np.unique(series)
        oldest = np.full(len(self._known.rules) + 1, _NEVER, np.int64)
        for number in used[used >= 0].tolist():
            latest = self.fast.latest_of(self.fast.series.keys[number].source)
            if latest is not None:
                oldest[number] = latest - self._known.horizons[number]
        series[rows["at_us"] < oldest[series]] = -1


class JudgedBatch:
    """What became of each event; those that were handed over are put in one by one."""

    def __init__(self, raw: Any, rows: Any, columns: _SeriesColumns, loops: Loops) -> None:
        self._raw, self._rows, self._columns, self._loops = raw, rows, columns, loops
        self._more: list[bytes] = []
        self._end = len(raw)
        self._data: dict[int, str] = {}

    @property
    def handed_over(self) -> list[int]:
        """The places of the events that are to be judged one by one, in order."""
        return np.flatnonzero(self._rows["series"] < 0).tolist()

    def put(self, place: int, row: Row) -> None:
        """Take in the row of an event that was judged by itself."""
        key = SeriesKey(row.source, row.kind, row.metric, row.subject)
        event_id = row.id.encode()
        self._more.append(event_id)
        start, self._end = self._end, self._end + len(event_id)
        hashes = np.frombuffer(row.identity + row.payload, "<u8")
        self._rows[place] = (
            self._columns.table.number(key), start, self._end,
            row.at_us, row.value, row.scale_or_total, *hashes,
        )  # fmt: skip
        if row.data:
            self._data[place] = row.data

    def usual_rows(self) -> list[Row | None]:
        """The row of each event; None where it was handed over."""
        usual = self._rows["series"] >= 0
        if usual.all():
            return list(self._made(self._rows))
        made = self._made(self._rows[usual])
        return [next(made) if each else None for each in usual.tolist()]

    def _made(self, rows: Any) -> Iterator[Row]:
        """The rows as named tuples; column by column, so that no step of it is Python's for each.

        A named tuple is made of a plain one in half of the time that its own constructor takes.
        """
        hashes = np.stack([rows[name] for name in _HASHES], axis=1).tobytes()
        texts = self._raw.tobytes().decode("latin-1")  # ids are ASCII, and so is what is cut out
        ids = map(slice, rows["id_at"].tolist(), rows["id_end"].tolist())
        firsts = range(0, _HASH_BYTES * len(rows), _HASH_BYTES)
        keys = list(map(self._columns.table.keys.__getitem__, rows["series"].tolist()))
        columns = zip(
            map(_SOURCE, keys),
            map(texts.__getitem__, ids),
            [hashes[first : first + 16] for first in firsts],
            [hashes[first + 16 : first + _PAYLOAD_END] for first in firsts],
            map(_KIND, keys),
            map(_METRIC, keys),
            *(rows[name].tolist() for name in ("at_us", "value", "scale_or_total")),
            map(_SUBJECT, keys),
            repeat(""),
            strict=False,
        )
        return map(tuple.__new__, repeat(Row), columns)

    def by_partition(self) -> Iterator[tuple[int, Facts]]:
        """What counts, in order of arrival, for each partition that gets something."""
        series = self._rows["series"]
        self._columns.follow()
        taken = np.flatnonzero(series >= 0)
        partitions = self._columns.partition[series[taken]]
        ordered = np.argsort(partitions, kind="stable")
        taken, partitions = taken[ordered], partitions[ordered]
        raw = self._raw
        if self._more:
            raw = np.concatenate([raw, np.frombuffer(b"".join(self._more), np.uint8)])
        starts = np.flatnonzero(np.diff(partitions, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(taken)], strict=False):
            yield int(partitions[start]), self._facts(raw, taken[start:end])

    def _facts(self, raw: Any, places: Places) -> Facts:
        rows, size = self._rows[places], len(places)
        series = rows["series"]
        source, sources = self._named(self._columns.source[series], self._columns.sources)
        subject, subjects = self._named(self._columns.subject[series], self._columns.subjects)
        data = (
            [self._data.get(place, "") for place in places.tolist()] if self._data else [""] * size
        )
        return Facts(
            ids=self._ids(raw, rows),
            id_high=rows["identity_0"].byteswap(),
            id_low=rows["identity_1"].byteswap(),
            payload_high=rows["payload_0"].byteswap(),
            payload_low=rows["payload_1"].byteswap(),
            kind=self._columns.kind[series],
            metric=self._columns.metric[series],
            at_us=np.ascontiguousarray(rows["at_us"]),
            value=np.ascontiguousarray(rows["value"]),
            scale_or_total=np.ascontiguousarray(rows["scale_or_total"]),
            source=source,
            subject=subject,
            data=data,
            sources=sources,
            subjects=subjects,
        )

    def _ids(self, raw: Any, rows: Any) -> Any:
        """The ids as Arrow has them: where each ends, and all letters one after another."""
        ends = np.zeros(len(rows) + 1, np.int32)
        letters = np.empty(int((rows["id_end"] - rows["id_at"]).sum()), np.uint8)
        self._loops.gather_texts(raw, rows, ends, letters)
        return pa.StringArray.from_buffers(len(rows), pa.py_buffer(ends), pa.py_buffer(letters))

    def _named(self, codes: Any, names: Sequence[str]) -> tuple[Any, list[str]]:
        """Codes and names of only those names that are there."""
        places, used = np.full(len(names), -1, np.int32), np.zeros(len(names), np.int32)
        count = self._loops.number_anew(codes, places, used)
        return codes, [names[code] for code in used[:count].tolist()]


class _SeriesColumns:
    """What the events of each series have in common, as arrays by its number."""

    def __init__(self, table: SeriesTable, partitions: int) -> None:
        self.table, self._partitions = table, partitions
        self.sources: list[str] = []
        self.subjects: list[str] = []
        self._source_of: dict[str, int] = {}
        self._subject_of: dict[str, int] = {}
        self._count = 0
        self.partition, self.kind = np.empty(0, np.int64), np.empty(0, np.int8)
        self.metric = np.empty(0, np.int32)
        self.source, self.subject = np.empty(0, np.int32), np.empty(0, np.int32)

    def follow(self) -> None:
        """Take in the series that the table has got meanwhile."""
        new = self.table.keys[self._count :]
        if not new:
            return
        self._count += len(new)
        parts = zip(
            *(
                (
                    partition_of(key.source, self._partitions),
                    key.kind,
                    key.metric,
                    _place(key.source, self._source_of, self.sources),
                    -1 if key.subject is None
                    else _place(key.subject, self._subject_of, self.subjects),
                )
                for key in new
            ),
            strict=True,
        )  # fmt: skip
        for name, added in zip(
            ("partition", "kind", "metric", "source", "subject"), parts, strict=True
        ):
            held = getattr(self, name)
            setattr(self, name, np.concatenate([held, np.array(added, held.dtype)]))


def _place(name: str, places: dict[str, int], names: list[str]) -> int:
    place = places.setdefault(name, len(names))
    if place == len(names):
        names.append(name)
    return place
