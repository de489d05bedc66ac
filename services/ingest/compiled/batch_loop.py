"""The two loops over a batch of events: judge each, then hash those that are as usual.

In a form that numba compiles; `services.ingest.compiled.batch_validator` calls them. An event is
judged by the rules of its series alone, which the full validator's verdict on another event of it
has made known. Where anything speaks against it, the full validator says what.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from services.core.events.facts import COUNT, LARGEST, SAMPLE
from services.ingest.compiled.blake2b import BLOCK_BYTES, blake2b
from services.ingest.compiled.event_scan import (
    FIELDS,
    GOOD,
    ID,
    METRIC,
    MOST_DIGITS,
    SOURCE,
    SUBJECT,
    TIME,
    TOTAL,
    UNIT,
    UNUSUAL,
    UP,
    VALUE,
    WIDE,
    decimal,
    kind_of,
    scan,
    time_of,
    whole_number,
)

IDENTITY_BYTES, PAYLOAD_BYTES = 16, 16
MOST_KEY = 256
"""Bytes of the texts that a series has in common. With more, the full validator judges it."""
MOST_ID = 200
MOST_TEXT = 512
"""Bytes of the longest text that is hashed: a key, and an id or the numbers of an event."""
MOST_LOOKS = 16
"""Places at which a series is looked for."""

SERIES = np.dtype(
    [
        ("kind", np.int64), ("sender", np.int64), ("from_us", np.int64),
        ("decimals", np.int64), ("lowest", np.int64), ("highest", np.int64),
        ("key_at", np.int64), ("source_end", np.int64), ("metric_end", np.int64),
        ("key_end", np.int64), ("unit_end", np.int64),
    ]
)  # fmt: skip
"""What holds for the events of a series. Its texts lie one after another: source, NUL, metric, NUL,
subject, NUL, unit; ``key_end`` is behind the last NUL."""
ROW = np.dtype(
    [
        ("series", np.int64), ("id_at", np.int64), ("id_end", np.int64), ("at_us", np.int64),
        ("value", np.int64), ("scale_or_total", np.int64),
        ("identity_0", np.uint64), ("identity_1", np.uint64),
        ("payload_0", np.uint64), ("payload_1", np.uint64),
    ]
)  # fmt: skip
"""What becomes of an event: the number of its series, or UNUSUAL; where its id lies in the batch;
its numbers; its hashes as words of their digests, little-endian."""

_NUL, _MINUS, _ZERO = 0, 45, 48
_WEIGHTS = np.array([pow(5, 20 + place, 2**46 - 21) for place in range(MOST_KEY)], np.int64)
"""Any numbers do that look random; sums of these, each times a byte, stay below 2**63."""
_TENS = np.array([10**each for each in range(MOST_DIGITS + 1)], np.int64)


def key_hash(kind: int, letters: Any, starts: Any, ends: Any) -> int:
    """Where to look first for a series: its source, metric and subject, each letter times a weight.

    Sums have no order, so a processor adds several at once.
    """
    found, place = WIDE(kind), 0
    for field in (SOURCE, METRIC, SUBJECT):
        for letter in letters[starts[field] : ends[field]]:
            found += letter * _WEIGHTS[place % MOST_KEY]
            place += 1
        place += 1
    return found >> 20  # type: ignore[no-any-return]


def judge_batch(
    raw: Any,
    stops: Any,
    senders: Any,
    until_us: int,
    most_bytes: int,
    series: Any,
    letters: Any,
    table: Any,
    rows: Any,
) -> None:
    """Judge the events that end at ``stops`` in ``raw``, each with a NUL there, into ``rows``.

    ``senders``: who sends each, by number. ``until_us``: the last instant that may be stated.
    ``series``, with their texts in ``letters``, and the ``table`` in which they are looked up by
    their hash: as `services.ingest.compiled.known_series.KnownSeries` has them.
    """
    starts, ends = np.zeros(FIELDS, np.int64), np.zeros(FIELDS, np.int64)
    at = 0
    for place in range(len(stops)):
        row, stop = rows[place], stops[place]
        row["series"] = UNUSUAL
        starts[SUBJECT] = ends[SUBJECT] = 0
        seen = UNUSUAL if stop - at > most_bytes else scan(raw, at, stop, starts, ends)
        at = stop + 1
        kind = UNUSUAL if seen < 0 else kind_of(raw, seen, starts, ends)
        if kind < 0 or not _is_id(raw, starts[ID], ends[ID]):
            continue
        number = _series_of(raw, kind, starts, ends, series, letters, table)
        if number < 0 or series[number]["sender"] != senders[place]:
            continue
        rule, at_us = series[number], time_of(raw, starts[TIME], ends[TIME])
        if at_us < 0 or not rule["from_us"] <= at_us <= until_us:
            continue
        if not _numbers(raw, kind, starts, ends, rule, letters, row):
            continue
        row["series"], row["at_us"] = number, at_us
        row["id_at"], row["id_end"] = starts[ID], ends[ID]


def _is_id(raw: Any, at: int, end: int) -> bool:
    if not 0 < end - at <= MOST_ID:
        return False
    for place in range(at, end):  # noqa: SIM110 (compiled, a generator would be one)
        if raw[place] <= 32:
            return False
    return True


def _series_of(
    raw: Any, kind: int, starts: Any, ends: Any, series: Any, letters: Any, table: Any
) -> int:
    """The number of the series that an event belongs to; UNUSUAL where none is known."""
    slot = key_hash(kind, raw, starts, ends)
    for _ in range(MOST_LOOKS):
        number = table[slot & (len(table) - 1)]
        if number < 0:
            return UNUSUAL
        rule = series[number]
        at, end = rule["key_at"], rule["source_end"]
        if (
            rule["kind"] == kind
            and _same(raw, starts[SOURCE], ends[SOURCE], letters, at, end)
            and _same(raw, starts[METRIC], ends[METRIC], letters, end + 1, rule["metric_end"])
            and _same(
                raw, starts[SUBJECT], ends[SUBJECT],
                letters, rule["metric_end"] + 1, rule["key_end"] - 1,
            )
        ):  # fmt: skip
            return number  # type: ignore[no-any-return]
        slot += 1
    return UNUSUAL


def _same(raw: Any, at: int, end: int, letters: Any, first: int, last: int) -> bool:
    """Whether two texts are the same; most are, so all of it is looked at."""
    if end - at != last - first:
        return False
    one, other, differs = raw[at:end], letters[first:last], 0
    for place in range(len(one)):
        differs |= one[place] ^ other[place]
    return differs == 0


def _numbers(
    raw: Any, kind: int, starts: Any, ends: Any, rule: Any, letters: Any, row: Any
) -> bool:
    """Whether an event's numbers are possible here; then they are in its row."""
    if kind == SAMPLE:
        row["value"], row["scale_or_total"] = starts[UP], 1
        return True
    if kind == COUNT:
        is_good, good = whole_number(raw, starts[GOOD], ends[GOOD])
        is_total, total = whole_number(raw, starts[TOTAL], ends[TOTAL])
        row["value"], row["scale_or_total"] = good, total
        return is_good and is_total and 0 <= good <= total < LARGEST
    if not _same(raw, starts[UNIT], ends[UNIT], letters, rule["key_end"], rule["unit_end"]):
        return False
    decimals = 0
    if ends[VALUE] < 0:
        is_number, value, decimals = decimal(raw, starts[VALUE], -ends[VALUE])
    else:
        is_number, value = whole_number(raw, starts[VALUE], ends[VALUE])
    row["value"], row["scale_or_total"] = value, decimals
    more = rule["decimals"] - decimals
    if not is_number or not 0 <= more <= MOST_DIGITS or abs(value) > LARGEST // _TENS[more]:
        return False
    return rule["lowest"] <= value * _TENS[more] <= rule["highest"]  # type: ignore[no-any-return]


def hash_batch(raw: Any, series: Any, letters: Any, rows: Any, words: Any, text: Any) -> None:
    """Hash identity and payload of the rows that have a series.

    The texts are those of `services.core.events.facts`. ``words``: `MOST_TEXT` bytes to write them
    in, as uint64; ``text``: the same memory as uint8.
    """
    h = np.zeros(8, np.uint64)
    for place in range(len(rows)):
        row = rows[place]
        if row["series"] < 0:
            continue
        rule = series[row["series"]]
        end = _copied(letters, rule["key_at"], rule["source_end"] + 1, text, 0)
        end = _copied(raw, row["id_at"], row["id_end"], text, end)
        _hash(words, text, end, IDENTITY_BYTES, h)
        row["identity_0"], row["identity_1"] = h[0], h[1]
        end = _written(rule["kind"], text, 0)
        end = _written(row["at_us"], text, _ended(text, end))
        end = _copied(letters, rule["source_end"], rule["key_end"], text, end)
        end = _written(row["value"], text, end)
        end = _written(row["scale_or_total"], text, _ended(text, end))
        _hash(words, text, _ended(text, end), PAYLOAD_BYTES, h)
        row["payload_0"], row["payload_1"] = h[0], h[1]


def _hash(words: Any, text: Any, length: int, size: int, h: Any) -> None:
    for place in range(length, (length + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES):
        text[place] = _NUL
    blake2b(words, length, size, h)


def _ended(text: Any, at: int) -> int:
    """End a part of the text with a NUL; where the next part begins."""
    text[at] = _NUL
    return at + 1


def _copied(source: Any, at: int, end: int, text: Any, to: int) -> int:
    """Copy some bytes into the text; where they end there."""
    part, into = source[at:end], text[to:]
    for place in range(len(part)):
        into[place] = part[place]
    return to + end - at


def _written(number: int, text: Any, to: int) -> int:
    """Write a number into the text, in decimal digits; where it ends there."""
    if number < 0:
        text[to] = _MINUS
        to, number = to + 1, -number
    end = to + 1
    while end - to <= MOST_DIGITS and number >= _TENS[end - to]:
        end += 1
    for place in range(end - 1, to - 1, -1):
        text[place] = _ZERO + number % 10
        number //= 10
    return end


def gather_texts(raw: Any, rows: Any, ends: Any, text: Any) -> None:
    """Copy the ids of these rows one after another into ``text``; where each ends, from a 0 on."""
    end = ends[0] = 0
    for place in range(len(rows)):
        row = rows[place]
        end = _copied(raw, row["id_at"], row["id_end"], text, end)
        ends[place + 1] = end


def number_anew(codes: Any, places: Any, used: Any) -> int:
    """Number names in the order in which rows name them, instead of their ``codes``.

    A code of -1 stays. ``places``: -1 for each name, and so again afterwards. ``used``: the code of
    each new number. Gives how many there are.
    """
    count = 0
    for row in range(len(codes)):
        code = codes[row]
        if code >= 0:
            if places[code] < 0:
                places[code], used[count] = count, code
                count += 1
            codes[row] = places[code]
    for place in range(count):
        places[used[place]] = -1
    return count
