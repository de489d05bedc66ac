"""What is taken quickly is what the door would take, to the last byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.events.facts import Row
from services.core.events.roles import Sender
from services.ingest.event_validator import EventValidator
from services.ingest.fast_validator import FastValidator
from services.ingest.rejection import EventRejection
from services.shell.frames import partition_of
from tests.catalogue.builders import DESK, TOWN
from tests.ingest.builders import NOW_US, TIME, a_catalogue, a_door, an_event, at, text
from tests.ingest.test_frames import rows_of

PARTITIONS = 3
STRANGERS = (Sender("desk", "vendor"), Sender("north", "probe"), Sender("north", "finance"))
NORTH = Sender("north", "vendor")
SAMPLE = {"metric": "net.availability", "up": True, "subject": "site-1"}
COUNT = {"metric": "net.delivered", "good": 7, "total": 9}
RTT = {"metric": "net.rtt", "value": "20.5", "unit": "milliseconds"}
VOLUME = {"metric": "net.volume", "value": 3, "unit": "count"}
KINDS = [("sample", SAMPLE), ("count", COUNT), ("response", RTT), ("volume", VOLUME)]


def taken(
    raws: Sequence[bytes], sender: Sender | None
) -> tuple[list[list[Row]], list[EventRejection]]:
    """Rows by partition and refusals, by the quick way."""
    fast = FastValidator(a_door(), PARTITIONS)
    refusals = [fast.take(raw, sender, NOW_US) for raw in raws]
    builders = fast.take_builders()
    rows = [rows_of(builder.facts(fast.series)) if len(builder) else [] for builder in builders]
    return rows, [each for each in refusals if each is not None]


def judged(
    raws: Sequence[bytes], sender: Sender | None
) -> tuple[list[list[Row]], list[EventRejection]]:
    """The same by the door alone."""
    validator = a_door()
    verdicts = [validator.admit(raw, sender, NOW_US) for raw in raws]
    rows: list[list[Row]] = [[] for _ in range(PARTITIONS)]
    for verdict in verdicts:
        if isinstance(verdict, Row):
            rows[partition_of(verdict.source, PARTITIONS)].append(verdict)
    return rows, [each for each in verdicts if isinstance(each, EventRejection)]


@st.composite
def _event(draw: st.DrawFn) -> Any:
    kind, data = draw(st.sampled_from(KINDS))
    data = dict(data)
    odd: Any = st.sampled_from(
        [None, "", "site-2", "a b", "é", True, 0, -1, "-0.001", 10, 2**62, 2**70, 1.5, "1.50",
         "007.250", "1.23456789012", "NaN", "milliseconds", "net.rtt", "nobody", [], {}]
    )  # fmt: skip
    for field in draw(st.lists(st.sampled_from([*data, "subject", "more"]), max_size=1)):
        data[field] = draw(odd)
    if draw(st.integers(0, 9)) == 0:
        del data[draw(st.sampled_from(sorted(data)))]
    attributes = draw(
        st.sampled_from(
            [{}, {}, {}, {"time": at(seconds=1)}, {"time": at(hours=-2)}, {"time": at(days=900)},
             {"time": "2025-01-31T12:00:00.123Z"}, {"time": "2025-01-31T13:00:00+01:00"},
             {"time": "2025-01-31T12:00:60Z"}, {"time": "2025-02-30T12:00:00Z"}, {"time": 5},
             {"time": "1990-01-01T00:00:00Z"}, {"id": ""}, {"id": "a b"}, {"id": "é"},
             {"id": "x" * 201}, {"id": "x" * 200}, {"source": DESK}, {"source": TOWN},
             {"source": "nobody"}, {"datacontenttype": "application/json"},
             {"datacontenttype": "text/plain"}, {"subject": "s"}, {"subject": 1},
             {"traceparent": "00-1"}, {"deep": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]},
             {"specversion": "0.3"}, {"data_base64": None}, {"padding": "x" * 70_000}]
        )
    )  # fmt: skip
    return an_event(kind, data, **attributes)


@settings(max_examples=300, deadline=None)
@given(st.lists(_event(), max_size=6), st.sampled_from([NORTH, NORTH, None, *STRANGERS]))
def test_the_quick_way_and_the_door_agree_on_every_event(
    events: Any, sender: Sender | None
) -> None:
    usual_ones = [an_event(kind, data, id="first") for kind, data in KINDS]
    raws = [text(each) for each in (*usual_ones, *events, *usual_ones)]
    assert taken(raws, sender) == judged(raws, sender)
    full, fast = a_door(), FastValidator(a_door(), PARTITIONS)
    for raw in raws:
        assert fast.admit(raw, sender, NOW_US) == full.admit(raw, sender, NOW_US)


class _Counting(EventValidator):
    """A door that knows how often it was asked."""

    asked = 0

    def admit(self, raw: bytes, sender: Sender | None, now_us: int) -> Row | EventRejection:
        self.asked += 1
        return super().admit(raw, sender, now_us)


@pytest.mark.parametrize(("kind", "data"), KINDS)
def test_the_door_is_asked_once_about_events_of_one_kind(kind: str, data: Any) -> None:
    validator = _Counting(a_catalogue())
    fast = FastValidator(validator, PARTITIONS)
    for place, time in enumerate((TIME, TIME, at(days=1), at(minutes=-4))):
        event = text(an_event(kind, data, id=f"e-{place}", time=time))
        assert fast.take(event, NORTH, NOW_US) is None
        assert isinstance(fast.admit(event, NORTH, NOW_US), Row)
    assert sum(map(len, fast.take_builders())) == 4
    assert validator.asked == 1


def test_a_reader_starts_anew_when_it_knows_too_many_kinds_of_event() -> None:
    validator = _Counting(a_catalogue())
    fast = FastValidator(validator, PARTITIONS, most_known=2)
    for subject in ("a", "b", "b", "c", "c"):
        event = an_event(data={**SAMPLE, "subject": subject})
        assert fast.take(text(event), NORTH, NOW_US) is None
        assert sum(map(len, fast.take_builders())) == 1
        fast.forget()
    assert validator.asked == 4


TWICE = [
    (b'"id":', b'"id":"other","id":'),
    (b'"up":', b'"up":false,"up":'),
    (b'"up":', b'"\\u0075p":false, "up":'),
    (b'"subject":', b'"subject" : "site-2","subject":'),
    (b'"data":', b'"data":{"metric":"net.volume"},"data":'),
    (b'"specversion":', b'"more":{"a":[{"b":1,"b":2}]},"specversion":'),
]


@pytest.mark.parametrize(("once", "twice"), TWICE)
def test_a_key_that_is_there_twice_is_refused_by_both(once: bytes, twice: bytes) -> None:
    usual = text(an_event("sample", SAMPLE, id="first"))
    raw = usual.replace(b'": ', b'":').replace(once, twice, 1)
    assert raw != usual
    rows, refusals = taken([usual, raw, usual], NORTH)
    assert (rows, refusals) == judged([usual, raw, usual], NORTH)
    (refusal,) = refusals
    assert refusal.reason.code == "not-json"
    assert "more than once" in refusal.detail
    assert refusal.remedy == "give each key once"


def test_a_mark_inside_a_text_is_no_key() -> None:
    usual = text(an_event("sample", SAMPLE, id="first"))
    odd = text(an_event("sample", {**SAMPLE, "subject": 'the"inner"one'}))
    assert taken([usual, odd], NORTH) == judged([usual, odd], NORTH)
    assert taken([usual, odd], NORTH)[1] == []
