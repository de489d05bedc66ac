"""A batch that is judged at once is judged as the full validator judges each of its events.

Both forms of the loops: as Python, and compiled with each access to an array checked.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.frame import Facts
from services.core.events.facts import Row, scaled
from services.core.events.roles import Sender
from services.ingest.compiled import event_scan
from services.ingest.compiled.batch_validator import BatchValidator
from services.ingest.compiled.blake2b import blake2b
from services.ingest.compiled.lazy_loops import LEAST, WORTH, LazyLoops, check
from services.ingest.compiled.loops import IN_PYTHON, Loops, cache_folder, compiled
from services.ingest.events import microseconds_of
from services.ingest.fast_validator import FastValidator
from services.ingest.record_judge import RecordJudge
from services.ingest.rejection import EventRejection
from services.shell import metrics
from tests.ingest.builders import NOW_US, a_door, an_event, at, text
from tests.ingest.test_fast_validator import COUNT, KINDS, NORTH, PARTITIONS, STRANGERS, judged
from tests.ingest.test_frames import rows_of

DATA: dict[str, dict[str, Any]] = {
    "count": COUNT,
    **{kind: {**data, "subject": "site-1"} for kind, data in KINDS if kind != "count"},
}
USUAL = [text(an_event(kind, data, id="first")) for kind, data in DATA.items()]
OUTAGE = text(an_event("outage", {"metric": "net.outages", "outage": "o-1", "phase": "open"}))


@pytest.fixture(autouse=True)
def _numbers_may_wrap() -> Iterator[None]:
    """Hashes are computed with numbers that wrap; of arrays numpy never says so."""
    with np.errstate(over="ignore"):
        yield


@pytest.fixture(scope="session")
def checked_loops() -> Loops:
    return compiled(boundscheck=True)


class _Judged:
    """One reader's verdicts, batch after batch."""

    def __init__(self, loops: Loops, partitions: int = PARTITIONS) -> None:
        self.fast = FastValidator(a_door(), partitions)
        self.batches = BatchValidator(self.fast, loops, partitions)
        self.handed_over: list[int] = []

    def judge(
        self, raws: Sequence[bytes], sender: Sender | None
    ) -> tuple[list[list[Row]], list[EventRejection]]:
        """Rows by partition, and refusals."""
        batch, refusals = self.batches.judged(raws, [(sender, len(raws))], NOW_US), []
        self.handed_over = batch.handed_over
        usual = batch.usual_rows()
        assert [place for place, row in enumerate(usual) if row is None] == self.handed_over
        for place in self.handed_over:
            found = self.fast.admit(raws[place], sender, NOW_US)
            if isinstance(found, Row):
                batch.put(place, found)
            else:
                refusals.append(found)
        for raw, row in zip(raws, usual, strict=True):
            assert row is None or row == self.fast.admit(raw, sender, NOW_US)
        rows: list[list[Row]] = [[] for _ in range(PARTITIONS)]
        for partition, facts in batch.by_partition():
            rows[partition] = _rows(facts)
        return rows, refusals


def _rows(facts: Facts) -> list[Row]:
    """Columns back into rows; the ids are Arrow's."""
    return [row._replace(id=str(row.id)) for row in rows_of(facts)]


_ODD_VALUES: list[Any] = [
    *(None, "", "site-2", "a b", "é", "\u0075p", 'a"b', "a\\b", "\x7f", "\n", True, False, [], {}),
    *(0, -1, 10, 10**17, 10**18, 2**62 - 1, 2**62, 2**63, 2**70, 1.5, 1e3, 0.0, -0.0, 1e400),
    *("0", "-0", "+3", "-0.001", "1.50", "007.250", "1.", ".5", "1e2", "NaN", "1.23456789012"),
    *("9" * 18, "9" * 19, "0." + "0" * 17, "1." + "0" * 18, "1." + "0" * 19, "٣", "1.5 ", "20.50"),
    *("milliseconds", "count", "net.rtt", "nobody", {"up": True}, [[[[]]]], {"metric": "x"}),
]
_TIMES: list[Any] = [
    *(at(seconds=1), at(hours=-2), at(days=900), 5, None, "", "1970-01-01T00:00:00Z"),
    *("2025-01-31T12:00:00.1Z", "2025-01-31T12:00:00.123456Z", "2025-01-31T12:00:00.123456789Z"),
    *("2025-01-31T12:00:00.Z", "2025-01-31T13:00:00+01:00", "2025-01-31T12:00:00.5-00:30"),
    *("2025-01-31t12:00:00z", "2025-01-31 12:00:00Z", "2025-01-31T12:00:60Z"),
    *("2024-02-29T00:00:00Z", "2025-02-29T12:00:00Z", "2025-04-31T12:00:00Z"),
    *("2025-00-10T12:00:00Z", "2025-13-01T12:00:00Z", "2025-01-31T24:00:00Z"),
    *("2025-01-31T12:60:00Z", "1990-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2025-1-31T12:00:00Z", "2025-01-31T12:00Z"),
]  # fmt: skip
_ATTRIBUTES: list[dict[str, Any]] = [
    *({}, {}, {}, {}, *({"time": time} for time in _TIMES)),
    *({"id": each} for each in ("", "a b", "é", "x" * 200, "x" * 201, "~", "\x7f", "\\", '"', 7)),
    *({"source": each} for each in ("nobody", "", None, "é")),
    *({"datacontenttype": each} for each in ("application/json", "text/json", "text/plain", None)),
    *({"subject": "s"}, {"subject": None}, {"subject": 1}, {"dataschema": "urn:x"}, {"type": "x"}),
    *({"specversion": "0.3"}, {"data_base64": None}, {"traceparent": "00-1"}, {"data": None}),
    *({"deep": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}, {"padding": "x" * 70_000}),
]


@st.composite
def _raw(draw: st.DrawFn) -> bytes:
    """An event that is usual, odd or broken: what it says, and how it is written."""
    kind = draw(st.sampled_from(sorted(DATA)))
    data = dict(DATA[kind])
    for field in draw(st.lists(st.sampled_from([*data, "subject", "more"]), max_size=1)):
        data[field] = draw(st.sampled_from(_ODD_VALUES))
    if draw(st.integers(0, 11)) == 0:
        del data[draw(st.sampled_from(sorted(data)))]
    event = {**an_event(kind, data), **draw(st.sampled_from(_ATTRIBUTES))}
    names = draw(st.permutations(sorted(event)))
    return _written(draw, {name: event[name] for name in names})


def _written(draw: st.DrawFn, event: Any) -> bytes:
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", "\t: ")]))
    indent = draw(st.sampled_from([None, None, 1]))
    ascii_only = draw(st.booleans())
    raw = json.dumps(event, separators=separators, indent=indent, ensure_ascii=ascii_only).encode()
    change = draw(st.integers(0, 8))
    if change == 0:  # a byte is another one
        place = draw(st.integers(0, len(raw) - 1))
        raw = raw[:place] + draw(st.sampled_from(_BYTES)) + raw[place + 1 :]
    elif change == 1:  # some of it is missing
        start = draw(st.integers(0, len(raw)))
        raw = raw[:start] + raw[draw(st.integers(start, len(raw))) :]
    elif change == 2:  # something is there twice, or more
        once, twice = draw(st.sampled_from(_MORE))
        raw = raw.replace(once, twice, 1)
    elif change == 3:
        raw = draw(st.sampled_from(_BYTES)) * draw(st.integers(0, 2)) + raw
    elif change == 4:
        raw += draw(st.sampled_from([*_BYTES, b"{}", b"\0{}", raw]))
    return raw


_BYTES = [
    b"\0",
    b"\n",
    b" ",
    b'"',
    b"\\",
    b"{",
    b"}",
    b",",
    b":",
    b"-",
    b"0",
    b"e",
    b"\xff",
    b"\xc3\xa9",
]
_MORE = [
    (b'"up"', b'"\\u0075p"'),
    (b'"up"', b'"up": false, "up"'),
    (b'"id"', b'"id": "other", "id"'),
    (b'"subject"', b'"subject": "site-2", "subject"'),
    (b'"data"', b'"data": {"metric": "net.volume"}, "data"'),
    (b'"specversion"', b'"more": {"a": [{"b": 1}]}, "specversion"'),
    (b"7", b"07"), (b"7", b"-7"), (b"7", b"7.0"), (b"7", b"7e0"), (b"7", b"-0"), (b"3", b"+3"),
    (b"true", b"truE"), (b"true", b"false"), (b"true", b"1"), (b"site-1", b"\\u0073ite-1"),
    (b"site-1", b"site-\\/1"), (b"}", b",}"), (b"{", b"{,"), (b",", b",,"),
]  # fmt: skip
_BATCHES = st.lists(_raw(), max_size=8)


def _same(loops: Loops, raws: Sequence[bytes], sender: Sender | None) -> None:
    reader = _Judged(loops)
    # The second time the usual events are known, and so are the odd ones that were accepted.
    for batch in ([*USUAL, *raws], [*raws, *USUAL, OUTAGE, *raws]):
        assert reader.judge(batch, sender) == judged(batch, sender)


@settings(max_examples=60, deadline=None)
@given(_BATCHES, st.sampled_from([NORTH, NORTH, NORTH, None, *STRANGERS]))
@example([b"", b"\0", b"{", b"null", b"[]", b'"', b"{}"], NORTH)
def test_compiled_loops_and_the_validator_agree_on_every_event(
    checked_loops: Loops, raws: list[bytes], sender: Sender | None
) -> None:
    _same(checked_loops, raws, sender)


@settings(max_examples=12, deadline=None)
@given(_BATCHES, st.sampled_from([NORTH, NORTH, None]))
def test_the_loops_in_python_and_the_validator_agree(
    raws: list[bytes], sender: Sender | None
) -> None:
    _same(IN_PYTHON, raws, sender)


def test_usual_events_are_not_handed_over(checked_loops: Loops) -> None:
    reader = _Judged(checked_loops)
    reader.judge(USUAL, NORTH)
    assert reader.handed_over == [0, 1, 2, 3]
    written = [
        *(json.dumps(json.loads(raw), indent=1).encode() for raw in USUAL),
        text(an_event("response", {**DATA["response"], "value": 12})),
        text(an_event("sample", DATA["sample"], time="2025-01-31T12:00:00.123Z", subject="s")),
        text(an_event("count", {**COUNT, "good": 0}, datacontenttype="application/json")),
    ]
    reader.judge(written, NORTH)
    assert reader.handed_over == []
    reader.judge(written, None)
    assert len(reader.handed_over) == len(written)


def test_without_numba_events_go_on_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    loops = LazyLoops()
    assert loops.of(WORTH - LEAST) is None
    assert metrics.INGEST_COMPILED._value.get() == 0
    loops.load()
    assert loops.of(WORTH) is None
    assert metrics.INGEST_COMPILED._value.get() == -1


def test_series_that_share_a_hash_are_judged_by_themselves() -> None:
    """With no place left to look at, a series is not found, and its events are handed over."""
    reader = _Judged(IN_PYTHON)
    reader.judge(USUAL, NORTH)
    reader.judge(USUAL, NORTH)
    assert reader.handed_over == []
    known = reader.batches._known
    known.table[:] = known.table.max()  # every place is another's
    assert reader.judge(USUAL, NORTH) == judged(USUAL, NORTH)
    assert len(reader.handed_over) == len(USUAL) - 1


def test_loops_that_hash_otherwise_are_not_taken() -> None:
    def hash_batch(raw: Any, series: Any, letters: Any, rows: Any, *_: Any) -> None:
        rows["identity_0"] = rows["payload_0"] = 1

    check(IN_PYTHON)
    with pytest.raises(RuntimeError, match="do not say what they should"):
        check(IN_PYTHON._replace(hash_batch=hash_batch))


def test_what_is_compiled_is_kept_where_the_user_alone_may_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder()
    assert folder is not None
    assert tmp_path in folder.parents
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert cache_folder() is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_folder() is None


def test_a_reader_that_knows_too_much_starts_anew(checked_loops: Loops) -> None:
    reader = _Judged(checked_loops)
    reader.fast._most_known = 2
    for _ in range(2):
        assert reader.judge(USUAL, NORTH) == judged(USUAL, NORTH)
        assert len(reader.handed_over) == len(USUAL)
        reader.fast.forget()


def _record(place: int) -> Message:
    """One of sixty records: usual, in binary mode, or broken."""
    event = an_event("sample", DATA["sample"], id=f"e-{place}")
    value, headers = text(event), [("traceparent", b"00-1")] if place % 3 == 0 else None
    if place % 5 == 0:
        names = ("specversion", "id", "source", "type", "time")
        headers = [(f"ce_{name}", event[name].encode()) for name in names]
        value = text(event["data"])
    if place % 11 == 0:
        value = value[:-1]
    return Message(
        topic=f"intake.{place // 30}",
        partition=place % 2,
        offset=place,
        value=value,
        key=None,
        headers=headers,
        error=None,
    )


def test_records_are_judged_at_once_as_one_by_one() -> None:
    loops = LazyLoops()
    loops.ready = IN_PYTHON
    records = [_record(place) for place in range(60)]
    found = []
    for each in (loops, LazyLoops()):
        judge = RecordJudge(a_door(), PARTITIONS, each, lambda topic: "north")
        judge.judge(records, NOW_US)  # nothing is known yet, so one by one
        judged = judge.judge(records, NOW_US)
        rows = {partition: _rows(facts) for partition, facts in judged.facts}
        assert len(judged.refused) == 6
        assert sum(map(len, rows.values())) == 54
        found.append((rows, judged.refused))
    assert found[0] == found[1]


def test_hashes_are_those_of_the_library(checked_loops: Loops) -> None:
    words, h = np.zeros(64, np.uint64), np.zeros(8, np.uint64)
    content = np.random.default_rng(1).integers(0, 256, 512, np.uint8).tobytes()
    for length in (1, 2, 127, 128, 129, 255, 256, 257, 511, 512):
        for size in (8, 16):
            words.view(np.uint8)[:] = np.frombuffer(content[:length].ljust(512, b"\0"), np.uint8)
            blake2b(words, length, size, h)
            own = hashlib.blake2b(content[:length], digest_size=size).digest()
            assert h.astype("<u8").tobytes()[:size] == own


@settings(max_examples=100, deadline=None)
@given(
    st.from_regex(
        r"(19[67]\d|20\d\d|2400)-[01]\d-[0-3]\d[T ][0-2]\d:[0-6]\d:[0-6]\d(\.\d{0,9})?Z?",
        fullmatch=True,
    )
)
def test_a_time_that_is_read_is_the_validators(time: str) -> None:
    raw = np.frombuffer(f"{time}\0".encode(), np.uint8)
    found = event_scan.time_of(raw, 0, len(time))
    if found != event_scan.NO_TIME:
        assert found == microseconds_of(time)
    elif time >= "1970" and len(time) <= 30:
        assert microseconds_of(time) is None


@settings(max_examples=100, deadline=None)
@given(st.from_regex(r"[+-]?[0-9]{0,10}(\.[0-9]{0,10})?", fullmatch=True))
def test_a_decimal_that_is_read_is_the_validators(value: str) -> None:
    raw = np.frombuffer(f"{value}\0".encode(), np.uint8)
    is_number, number, decimals = event_scan.decimal(raw, 0, len(value))
    told = scaled(value)
    if is_number:
        assert (number, decimals) == told
    elif len(value) < 18:
        assert told is None
