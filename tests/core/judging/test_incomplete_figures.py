"""Halves, unknown time and nothing to count, as a level's result tells them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from schemas.evaluation import EventRef, IncompleteOccurrence, PeriodEvaluation
from schemas.statement import SettlementStatement
from services.core.settling.one_period import Unsettled
from tests.core.told import HEAD, LEVEL, agreement, evaluation, outcomes, settled

CLOSE = EventRef(source="urn:probe", id="inc-7-close")


def counted(value: object, **counted: Any) -> PeriodEvaluation:
    """January with what the figure of ``uptime`` says of itself."""
    known = evaluation("2025-01", value)
    (uptime,) = known.figures
    return known.model_copy(update={"figures": (uptime.model_copy(update=counted),)})


def half(counts: str, missing: str = "open") -> IncompleteOccurrence:
    said = {"part": "inc-7", "missing": missing, "counts": counts, "events": (CLOSE,)}
    return IncompleteOccurrence.model_validate(said)


@pytest.mark.parametrize(
    ("missing", "words"),
    [("open", "closes and was never opened"), ("end_after_start", "ends before it starts"),
     ("opened", "was never opened")],
)  # fmt: skip
def test_a_half_that_is_awaited_names_the_occurrence_and_its_events(
    missing: str, words: str
) -> None:
    (found,) = outcomes(
        agreement(HEAD + LEVEL), [counted(98, incomplete=(half("waits", missing),))]
    )
    assert isinstance(found, Unsettled)
    assert found.reasons == (
        f"inc-7 of the metric uptime {words} (events inc-7-close); send what is missing, or "
        "correct them",
    )


@pytest.mark.parametrize(
    ("counts", "words"),
    [("left_out", "left out"), ("from_window_start", "from window start"),
     ("from_first_change", "from first change")],
)  # fmt: skip
def test_a_half_that_counts_as_stated_is_a_step_of_the_result(counts: str, words: str) -> None:
    (found,) = settled(agreement(HEAD + LEVEL), [counted(98, incomplete=(half(counts),))])
    (step,) = (one for one in found.results[0].steps if one.rule == "incomplete")
    assert (step.term, step.text) == (
        "levels[0].metric",
        f"inc-7 closes and was never opened: {words}",
    )
    assert found.total_minor == 10000


@pytest.mark.parametrize(
    ("value", "text"),
    [(98, "90 minutes are unknown and left out"),
     (None, "90 minutes are unknown, so there is no figure")],
)  # fmt: skip
def test_unknown_time_is_a_step_of_the_result(value: int | None, text: str) -> None:
    (found,) = settled(agreement(HEAD + LEVEL), [counted(value, unknown_seconds=Fraction(5400))])
    (step,) = (one for one in found.results[0].steps if one.rule == "unknown-time")
    assert (step.value, step.text) == (5400, text)


def test_a_half_in_a_figure_that_a_price_reads_is_a_step_of_its_line() -> None:
    level = LEVEL.replace("{kind: one}", "{kind: figure, metric: other}")
    known = evaluation("2025-01", 98, figures={"other": 1})
    uptime, other = known.figures
    other = other.model_copy(update={"incomplete": (half("left_out"),)})
    (found,) = settled(
        agreement(HEAD + level), [known.model_copy(update={"figures": (uptime, other)})]
    )
    (step,) = (one for one in found.lines[0].steps if one.rule == "incomplete")
    assert step.text == "other: inc-7 closes and was never opened: left out"


@pytest.mark.parametrize(
    ("nothing", "value", "standing", "total"),
    [
        ("no_data", None, "below_expected", 10000),
        ("no_result", None, "no_result", 0),
        ("counts_as", 100, "met", 0),
        (None, None, "below_expected", 10000),
    ],
)
def test_nothing_to_count_is_no_miss_although_a_period_without_data_is_one(
    nothing: str | None, value: int | None, standing: str, total: int
) -> None:
    level = LEVEL.replace("no_data: no_result", "no_data: miss")
    known = counted(value, nothing_to_count=nothing)
    (found,) = settled(agreement(HEAD + level), [known])
    assert (found.results[0].standing, found.total_minor) == (standing, total)
    told = [one.text for one in found.results[0].steps if one.rule == "nothing-to-count"]
    assert told == {
        "no_result": ["there was nothing to count in 2025-01"],
        "counts_as": ["there was nothing to count in 2025-01, which counts as 100"],
    }.get(str(nothing), [])


def test_what_a_period_without_data_counts_as_is_not_asked_where_nothing_was_to_count() -> None:
    level = LEVEL.replace("no_data: no_result", "no_data: {counts_as: 0}")
    (found,) = settled(agreement(HEAD + level), [counted(None, nothing_to_count="no_result")])
    assert (found.results[0].standing, found.results[0].result) == ("no_result", None)


@pytest.mark.parametrize(
    ("left", "standing", "result"),
    [("no_data", "below_expected", None), ("no_result", "no_result", None),
     ("{counts_as: 100}", "met", 100)],
)  # fmt: skip
def test_a_period_of_which_every_one_is_left_out_is_what_the_level_states(
    left: str, standing: str, result: int | None
) -> None:
    level = LEVEL.replace("no_data: no_result", "no_data: miss").replace(
        "    judged",
        f"    low_volume: {{below_total: 10, left_out: 1, nothing_left: {left}}}\n    judged",
    )
    known = counted(0, good=Fraction(0), total=Fraction(1))
    (found,) = settled(agreement(HEAD + level), [known])
    assert (found.results[0].standing, found.results[0].result) == (standing, result)


def test_an_evaluation_of_an_earlier_release_is_read_as_it_was() -> None:
    known = counted(None)
    body = known.model_dump(mode="json")
    for figure in body["figures"]:
        for name in ("nothing_to_count", "unknown_seconds", "incomplete"):
            del figure[name]
    assert PeriodEvaluation.model_validate(body) == known
    (found,) = settled(agreement(HEAD + LEVEL), [PeriodEvaluation.model_validate(body)])
    assert isinstance(found, SettlementStatement)
    assert found.results[0].standing == "no_result"
