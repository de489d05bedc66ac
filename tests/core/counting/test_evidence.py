"""The events that explain a figure are those that its evidence was made of."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import chain

import pytest

from schemas.evaluation import MetricFigure
from services.core.counting.evidence import EvidenceEvent, evidence_of
from services.core.counting.measures.question import Need
from services.core.events.facts import identity_of
from tests.core import counted_told
from tests.core.said import (
    MEASURES,
    NUMBERS,
    PROBE,
    PROGRAMME,
    Said,
    agreement,
    evaluation_of,
    facts,
    moment,
)

NAMES = {number: name for (_, name), number in NUMBERS.items()}
STORIES = (
    counted_told.plain,
    counted_told.figures,
    counted_told.outages,
    counted_told.tickets,
    counted_told.deliveries,
)
OUTAGE = {"metric": "merged", "outage": "o"}
EVENTS = list(chain.from_iterable(story() for story in STORIES))


def explained(
    events: Sequence[Said], metric: str, subject: str | None = None, period: str = "2025-01"
) -> tuple[list[EvidenceEvent], str]:
    """All events behind a figure, page by page, and the digest that comes with them."""
    found = evidence_of(
        [PROGRAMME],
        [agreement([{"metric": metric}])],
        Need(metric, subject, period),
        facts(events),
        NUMBERS,
    )
    shown, after = found.page(None, 3, NAMES)
    while after is not None:
        more, after = found.page(after, 3, NAMES)
        assert more, "a page that is not the last has something"
        shown += more
    return shown, found.digest


def digest_of(shown: Sequence[EvidenceEvent]) -> str:
    """SHA-256 over the sorted identities and payload hashes of what was counted."""
    rows = sorted(
        (identity_of(one.event.source, one.event.id), bytes.fromhex(one.payload))
        for one in shown
        if one.corrects is None
    )
    return sha256(b"".join(chain.from_iterable(rows))).hexdigest()


def figures(events: Sequence[Said], metric: str) -> list[MetricFigure]:
    """The figures of a metric in January, of all subjects together and of each."""
    found = evaluation_of(events, [{"metric": metric, "each_subject": True}], "2025-01")
    return [one for one in found.figures if one.metric == metric]


@pytest.mark.parametrize("metric", sorted(MEASURES))
def test_what_is_listed_is_what_the_evidence_was_made_of(metric: str) -> None:
    for figure in figures(EVENTS, metric):
        shown, digest = explained(EVENTS, metric, figure.subject)
        assert digest_of(shown) == digest == figure.evidence.digest
        assert len(shown) == figure.evidence.facts
        assert [one.time for one in shown] == sorted(one.time for one in shown)


def sample(name: str, at: str, up: bool, metric: str = "samples") -> Said:
    return Said(PROBE, name, "sample", moment(at), {"metric": metric, "up": up})


def correction(name: str, of: str, **data: object) -> Said:
    about = {"corrects": of, "reason": "wrong", **data}
    return Said(PROBE, name, "correction", moment("2025-02-02 12:00"), about)


THREE = [
    sample("a", "2025-01-02 12:00", True),
    sample("b", "2025-01-03 12:00", False),
    sample("c", "2025-01-04 12:00", True),
]


def named(shown: Sequence[EvidenceEvent]) -> list[tuple[str, str | None]]:
    return [(one.event.id, one.corrects) for one in shown]


def test_a_correction_that_takes_an_event_back_is_listed_and_the_event_is_not() -> None:
    events = [*THREE, correction("x", "b")]
    shown, digest = explained(events, "samples")
    assert named(shown) == [("a", None), ("c", None), ("x", "b")]
    assert digest_of(shown) == digest == figures(events, "samples")[0].evidence.digest


def test_a_corrected_event_is_listed_with_what_it_says_now() -> None:
    changed = [*THREE, correction("x", "b", data={"metric": "samples", "up": True})]
    before, _ = explained(THREE, "samples")
    after, digest = explained(changed, "samples")
    assert named(after) == [("a", None), ("b", None), ("c", None), ("x", "b")]
    assert before[1].payload != after[1].payload
    assert digest_of(after) == digest


def test_a_correction_of_a_correction_is_listed_too() -> None:
    events = [*THREE, correction("x", "b"), correction("y", "x")]
    shown, _ = explained(events, "samples")
    assert set(named(shown)) == {("a", None), ("b", None), ("c", None), ("x", "b"), ("y", "x")}


def test_a_correction_of_another_figure_is_not_listed() -> None:
    elsewhere = sample("s", "2025-01-03 12:00", True, "status")
    shown, _ = explained([*THREE, elsewhere, correction("x", "s")], "samples")
    assert named(shown) == [("a", None), ("b", None), ("c", None)]


def test_the_state_before_the_window_is_listed() -> None:
    before = sample("was", "2024-12-01 12:00", True, "status")
    within = sample("is", "2025-01-05 12:00", False, "status")
    assert named(explained([before, within], "status")[0]) == [("was", None), ("is", None)]


def test_an_outage_that_began_before_the_window_is_listed() -> None:
    phases = [
        Said(PROBE, phase, "outage", moment(at), OUTAGE | {"phase": phase})
        for phase, at in (("open", "2024-12-30 12:00"), ("close", "2025-01-05 12:00"))
    ]
    assert named(explained(phases, "merged")[0]) == [("open", None), ("close", None)]


def test_the_parts_of_a_composite_are_listed_with_their_metrics() -> None:
    (composite, *_) = [name for name, (measure, *_) in MEASURES.items() if "parts" in measure]
    shown, _ = explained(EVENTS, composite)
    assert {one.metric for one in shown} <= set(MEASURES[composite][0]["parts"])
    assert len({one.metric for one in shown}) > 1
