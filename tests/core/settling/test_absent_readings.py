"""Every term that reads a figure or a number: what is absent waits, or is what the term states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from schemas.agreement import Agreement
from schemas.statement import SettlementStatement
from services.core.settling.one_period import Unsettled
from tests.core.told import HEAD, LEVEL, agreement, evaluation, outcomes

SECTIONS = {
    "Base": "bases",
    "SingleEvent": "single_event",
    "CriticalFailure": "critical_failure",
    "Bank": "banks",
    "Cap": "caps",
    "Invoicing": "invoicing",
}
PAGE = Path(__file__).parents[3] / "docs/terms/absence.md"


def credit(quantity: str = "{kind: one}", rate: str = "{kind: amount, amount: 10}") -> str:
    """The usual level with another price."""
    return LEVEL.replace("{kind: one}", quantity).replace(
        "{kind: percent_of, percent: 10, base: fee}", rate
    )


def factor(text: str) -> str:
    return credit() + f"        factors: [{text}]\n"


def two_way(quantity: str) -> str:
    return credit(quantity, "{kind: by_direction, vendor_owes: 1, buyer_owes: 1}").replace(
        "service_credit", "two_way"
    )


def relief(text: str) -> str:
    return LEVEL.replace("    judged", f"    relief: [{text}]\n    judged")


SAME = "levels:" + LEVEL.split("levels:")[1]
TWO_LEVELS = LEVEL + SAME.removeprefix("levels:\n").replace("level: uptime", "level: second")
ONE_EVENT = [("cause", {"values": {"event": "x"}})]
OF_RESULT = (
    "{kind: by_band, of: result, gives: amount, bands: [{below: 50, gives: 40}, "
    "{at_least: 50, gives: 5}]%s}"
)


@dataclass(frozen=True)
class Reading:
    """A term whose fact is absent.

    ``text``: the agreement below its head; ``%s`` is where if_absent stands. ``comes_to``: by what
    is stated there, the total in cents. ``waits_for``: part of the reason. ``uptime``: the level's
    own figure.
    """

    term: str
    text: str
    waits_for: str
    comes_to: Mapping[str, int]
    uptime: object = 98
    known: Mapping[str, Any] = field(default_factory=dict)
    head: str = HEAD


NO_FIGURE = {"figures": {"other": None, "low": 5}}
READINGS = (
    Reading("FigureQuantity", credit("{kind: figure, metric: other%s}"),
            "the metric other has no figure of 2025-01",
            {"nothing": 0, "{counts_as: 0}": 0, "{counts_as: 3}": 3000}, known=NO_FIGURE),
    Reading("CircumstanceQuantity", credit("{kind: circumstance, circumstance: kilos%s}"),
            "the circumstance kilos of 2025-01 is not stated",
            {"nothing": 0, "{counts_as: 2}": 2000}),
    Reading("CircumstanceQuantity", credit("{kind: circumstance, circumstance: kilos%s}"),
            "the circumstance kilos of 2025-01 states no value (event kilos-2025-01",
            {"nothing": 0, "{counts_as: 2}": 2000}, known={"circumstances": [("kilos", {})]}),
    Reading("Shortfall",
            credit("{kind: shortfall, metric: other, counted_from: 5, step: 1, "
                   "part_step: in_proportion%s}"),
            "the metric other has no figure of 2025-01",
            {"nothing": 0, "{counts_as: 3}": 2000}, known=NO_FIGURE),
    Reading("Excess",
            credit("{kind: excess, metric: other, counted_from: 5, in_percent_of_start: false, "
                   "step: 1, part_step: in_proportion%s}"),
            "the metric other has no figure of 2025-01",
            {"nothing": 0, "{counts_as: 9}": 4000}, known=NO_FIGURE),
    Reading("OutsideRange",
            credit("{kind: outside_range, highest: other, lowest: low, at_least: 2, at_most: 8%s}"),
            "the metric other has no figure of 2025-01",
            {"nothing": 0, "{counts_as: 9}": 1000}, known=NO_FIGURE),
    Reading("Duration",
            credit("{kind: duration, metric: other, of: each, counted: elapsed, unit: 1, "
                   "part_unit: in_proportion%s}"),
            "the metric other has no figure of 2025-01", {"nothing": 0}, known=NO_FIGURE),
    Reading("AgainstBenchmark",
            two_way("{kind: against_benchmark, benchmark: 2, per: 1, metric: other%s}"),
            "the metric other has no figure of 2025-01",
            {"nothing": 0, "{counts_as: 10}": 7800}, known=NO_FIGURE),
    Reading("ByBand",
            credit(rate=OF_RESULT).replace("no_data: no_result", "no_data: met").replace(
                "on_default", "every_period"),
            "the level uptime has no result of 2025-01",
            {"nothing": 0, "{counts_as: 10}": 4000}, uptime=None),
    Reading("FactorByBand",
            factor("{kind: by_figure, metric: other, bands: [{below: 5, gives: 1}, "
                   "{at_least: 5, gives: 2}]%s}"),
            "the metric other has no figure of 2025-01",
            {"{counts_as: 0}": 1000, "{counts_as: 7}": 2000}, known=NO_FIGURE),
    Reading("FactorOfFigure", factor("{kind: figure, metric: other%s}"),
            "the metric other has no figure of 2025-01",
            {"{counts_as: 0}": 0, "{counts_as: 4}": 4000}, known=NO_FIGURE),
    Reading("ReliefByVolume",
            relief("{kind: volume, metric: other, times_normal: {above: 2}, normal: 10%s}"),
            "the metric other has no figure of 2025-01",
            {"does_not_hold": 10000, "holds": 0}, known=NO_FIGURE),
    Reading("ReliefByVolume",
            relief("{kind: volume, metric: low, times_normal: {above: 2}, normal_from: usual%s}"),
            "the circumstance usual of 2025-01 states no normal volume",
            {"does_not_hold": 10000, "holds": 0}, known=NO_FIGURE),
    Reading("Base", LEVEL, "the circumstance service_in_use of 2025-01 is not stated",
            {"{counts_as: 1}": 10000, "{counts_as: 1/2}": 5000},
            head=HEAD.replace("full_charge", "by_days_in_use%s")),
    Reading("SingleEvent",
            TWO_LEVELS + "single_event: {circumstance: cause, keep: chosen, choice: choice%s}\n",
            "the choice choice of 2025-01 names none of second, uptime",
            {"largest_credit": 10000}, known={"circumstances": ONE_EVENT}),
    Reading("CriticalFailure",
            LEVEL + "critical_failure: {circumstance: fire, decision: withhold, "
            "withheld_at_most: {kind: amount, amount: 50}%s}\n",
            "the decision withhold of 2025-01 states no amount",
            {"{counts_as: 0}": 0, "{counts_as: 30}": 3000, "{counts_as: 90}": 5000},
            known={"circumstances": [("fire", {})]}),
    Reading("Invoicing",
            LEVEL + "invoicing: {invoice: bill, deducted_from: same_period, "
            "rest: {kind: lapses}%s}\n",
            "the invoice bill of 2025-01 is not stated", {"carried": 10000}),
    Reading("ByOccurrence",
            LEVEL + "terminations: [{kind: occurrence, term: long, metric: other, "
            "across_periods: as_counted, region: {above: 5}%s}]\n",
            "the metric other has no figure of 2025-01",
            {"does_not_hold": 10000}, known=NO_FIGURE),
)  # fmt: skip

YES_OR_NO = (
    Reading("When", factor("{kind: when, circumstance: peak, factor: 3, otherwise: 1%s}"),
            "the circumstance peak of 2025-01 is not stated",
            {"does_not_hold": 1000, "holds": 3000}),
    Reading("ReliefByCircumstance", relief("{kind: circumstance, circumstance: flood%s}"),
            "the circumstance flood of 2025-01 is not stated",
            {"does_not_hold": 10000, "holds": 0}),
)  # fmt: skip


def outcome(reading: Reading, if_absent: str | None) -> SettlementStatement | Unsettled:
    stated = "" if if_absent is None else f", if_absent: {if_absent}"
    text = reading.head + reading.text
    (found,) = outcomes(
        agreement(text.replace("%s", stated)),
        [evaluation("2025-01", reading.uptime, **reading.known)],
    )
    return found


def _name(reading: Reading) -> str:
    return reading.term


@pytest.mark.parametrize("reading", READINGS, ids=_name)
@pytest.mark.parametrize("if_absent", [None, "wait"])
def test_a_number_that_is_not_there_is_waited_for(reading: Reading, if_absent: str | None) -> None:
    found = outcome(reading, if_absent)
    assert isinstance(found, Unsettled), found
    (reason,) = found.reasons
    assert reason.startswith(reading.waits_for)
    assert reason.endswith("or state if_absent there")


@pytest.mark.parametrize("reading", [*READINGS, *YES_OR_NO], ids=_name)
def test_what_the_term_states_for_it_is_what_counts(reading: Reading) -> None:
    for if_absent, total in reading.comes_to.items():
        found = outcome(reading, if_absent)
        assert isinstance(found, SettlementStatement), found
        assert found.total_minor == total, if_absent


@pytest.mark.parametrize("reading", YES_OR_NO, ids=_name)
def test_what_nobody_states_did_not_happen_unless_the_term_waits_for_it(reading: Reading) -> None:
    found = outcome(reading, None)
    assert isinstance(found, SettlementStatement)
    assert found.total_minor == reading.comes_to["does_not_hold"]
    waiting = outcome(reading, "wait")
    assert isinstance(waiting, Unsettled)
    assert waiting.reasons[0].startswith(reading.waits_for)


def nouns(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Every noun of the contract language below one."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for info in model.model_fields.values():
        for inner in _models(info.annotation):
            yield from nouns(inner, seen)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


OPENINGS = {"Bank", "Cap"}
"""What these read is tried by the tests of openings; the page has rows for them."""


def test_every_term_with_if_absent_is_tried_and_stands_in_the_table() -> None:
    terms = {one.__name__ for one in nouns(Agreement, set()) if "if_absent" in one.model_fields}
    assert {one.term for one in (*READINGS, *YES_OR_NO)} | OPENINGS == terms
    page = PAGE.read_text(encoding="utf-8")
    for model in nouns(Agreement, set()):
        if "if_absent" in model.model_fields:
            kind = model.model_fields.get("kind")
            name = str(get_args(kind.annotation)[0]) if kind else SECTIONS[model.__name__]
            assert f"`{name}`" in page, f"{name} has no row in docs/terms/absence.md"


def test_a_relief_that_holds_does_not_wait_for_another_one() -> None:
    both = relief(
        "{kind: volume, metric: other, times_normal: {above: 2}, normal: 10}, "
        "{kind: circumstance, circumstance: flood}"
    )
    known = evaluation("2025-01", 98, figures={"other": None}, circumstances=[("flood", {})])
    (found,) = outcomes(agreement(HEAD + both), [known])
    assert isinstance(found, SettlementStatement)
    assert found.results[0].standing == "excused"
