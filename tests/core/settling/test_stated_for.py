"""Each term that reads a circumstance reads it for the time, level and subject that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel

from schemas.agreement import Agreement
from schemas.evaluation import Part
from schemas.statement import SettlementStatement
from services.core.calendar.windows import parts_of
from services.core.settling.one_period import Unsettled
from tests.core.told import HEAD, LEVEL, Circumstances, evaluation, outcomes, terms

MONTH, DAY, QUARTER, NEXT = "2025-01", "2025-01-15", "2025-Q1", "2025-02"
OUTAGES = [
    Part(
        part="o1",
        start=datetime(2025, 1, 5, tzinfo=UTC),
        end=datetime(2025, 1, 6, tzinfo=UTC),
        amount="30",
    )
]
REPAIR = LEVEL.split("levels:\n")[1].replace("uptime", "repair").replace("Uptime", "Repair")
CRITICAL = (
    "critical_failure: {circumstance: fire, decision: withhold, if_absent: {counts_as: 0}, "
    "withheld_at_most: {kind: amount, amount: 500}}\n"
)
FIRE = ("fire", {"period": MONTH})
ONE_EVENT = "single_event: {circumstance: by, keep: %s}\n"
BY = [("by", {"level": name, "values": {"event": "x"}}) for name in ("uptime", "repair")]


def relieved(relief: str) -> Agreement:
    return terms(level=LEVEL.replace("    judged", f"    relief: [{relief}]\n    judged"))


def credited(*changes: tuple[str, str], more: str = "") -> Agreement:
    text = LEVEL + more
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return terms(level=text)


def conditioned(holds: str, reads: str) -> Agreement:
    return credited(more=f"        when: {{holds: {holds}, reads: [{reads}], unknown: not_due}}\n")


Narrowed = Literal["both", "none", "told_apart"]


@dataclass(frozen=True)
class Reader:
    """A term, what it reads, and what else it needs.

    ``data``: of a statement that has an effect. ``amount``: it states one. ``narrowed``: to a
    level and a subject, to none, or these tell several statements apart. ``beside``: what else is
    stated. ``shown``: the figure that tells the effect, where it is not the total.
    """

    reads: str
    agreement: Agreement
    circumstance: str
    data: Mapping[str, Any]
    amount: bool = False
    narrowed: Narrowed = "both"
    beside: Circumstances = ()
    shown: str | None = None


VOLUME = "{kind: volume, metric: volume, times_normal: {above: 2}, %s}"
EACH = (
    "{kind: duration, metric: outages, of: each, unit: 60, part_unit: does_not_count, "
    "counted: elapsed, shorter_than_a_unit: only_if_asked, asked: please}"
)
INVOICE = "invoicing: {invoice: invoice, deducted_from: same_period, rest: {kind: lapses}}\n"
DISPUTES = (
    "disputes: {circumstance: dispute, working_days: 5, holidays: [], effect: {above: 1}, "
    "needs_error: false, disputed_amount: stays_due}\n"
)
READERS = (
    Reader("ReliefByCircumstance.circumstance",
           relieved("{kind: circumstance, circumstance: storm}"), "storm", {}),
    Reader("ReliefByVolume.notice", relieved(VOLUME % "normal: 10, notice: told"), "told", {}),
    Reader("ReliefByVolume.normal_from", relieved(VOLUME % "normal_from: usual"), "usual",
           {"value": 10}, amount=True),
    Reader("ReliefByProof.circumstance",
           relieved("{kind: proofs, circumstance: excuse, proofs: [notice], within_days: 20}"),
           "excuse", {"values": {"failed_on": DAY, "notice": True}}),
    Reader("When.circumstance",
           credited(more="        factors: [{kind: when, circumstance: used, factor: 2, "
                    "otherwise: 1}]\n"), "used", {}),
    Reader("StatedRead.circumstance",
           conditioned("strike", "{kind: stated, name: strike, circumstance: strike}"),
           "strike", {}),
    Reader("CircumstanceRead.circumstance",
           conditioned("alarm > 1", "{kind: circumstance, name: alarm, circumstance: alarm}"),
           "alarm", {"value": 2}, amount=True),
    Reader("TextRead.circumstance",
           conditioned("cause == 'x'",
                       "{kind: text, name: cause, circumstance: alarm, value: cause}"),
           "alarm", {"values": {"cause": "x"}}),
    Reader("CircumstanceQuantity.circumstance",
           credited(("{kind: one}", "{kind: circumstance, circumstance: kilos}")),
           "kilos", {"value": 3}, amount=True),
    Reader("Duration.asked", credited(("{kind: one}", EACH)), "please", {"subject": "o1"}),
    Reader("SingleEvent.circumstance",
           terms(ONE_EVENT % "largest_credit", level=LEVEL + REPAIR), "by",
           {"level": "uptime", "values": {"event": "x"}}, beside=BY[1:]),
    Reader("SingleEvent.choice",
           terms(ONE_EVENT % "chosen, choice: pick",
                 level=LEVEL.replace("percent: 10", "percent: 20") + REPAIR),
           "pick", {"level": "repair"}, beside=BY),
    Reader("CriticalFailure.circumstance", terms(CRITICAL), "fire", {}),
    Reader("CriticalFailure.decision", terms(CRITICAL), "withhold", {"value": 70}, amount=True,
           narrowed="none", beside=[FIRE]),
    Reader("Agreement.claim", terms("claim: {within_days: 40}\n"), "claim", {}),
    Reader("Invoicing.invoice", terms(INVOICE), "invoice",
           {"values": {"charges": 50, "date": "2025-01-28"}}, amount=True, narrowed="none",
           shown="lapsed"),
    Reader("DisputeTerms.circumstance", terms(DISPUTES), "dispute",
           {"values": {"run_on": "2025-02-03", "raised_on": "2025-02-04", "effect": 3}},
           narrowed="told_apart", shown="dispute-admitted"),
    Reader("Base.part_of_period", terms(head=HEAD.replace("full_charge", "by_days_in_use")),
           "service_in_use", {"values": {"days_in_use": 10, "days_in_period": 31}}, amount=True,
           narrowed="none"),
)  # fmt: skip


def january(reader: Reader, *stated: Mapping[str, Any]) -> object:
    """What January comes to with these statements: its total, lines and figures, or why not."""
    data: dict[str | tuple[str, str], object] = {"repair": 98, "volume": 30, "outages": 30}
    told: Circumstances = [
        *reader.beside,
        *((reader.circumstance, {**reader.data, **one}) for one in stated),
    ]
    known = evaluation(MONTH, 98, figures=data, parts={"outages": OUTAGES}, circumstances=told)
    (found,) = outcomes(reader.agreement, [known])
    if isinstance(found, Unsettled):
        return found.reasons
    shown = None if reader.shown is None else found.figures.get(reader.shown)
    return found.total_minor, shown


def why(found: object) -> str:
    """The one reason of what waits."""
    assert isinstance(found, tuple)
    (reason,) = found
    assert isinstance(reason, str), found
    return reason


readers = pytest.mark.parametrize("reader", READERS, ids=lambda one: one.reads)


@readers
def test_a_statement_for_the_month_counts(reader: Reader) -> None:
    assert january(reader, {"period": MONTH}) != january(reader)
    assert january(reader, {"period": MONTH}, {"period": NEXT}) == january(
        reader, {"period": MONTH}
    )


@readers
def test_one_for_another_month_does_not(reader: Reader) -> None:
    assert january(reader, {"period": NEXT}) == january(reader)


@readers
def test_one_for_a_day_of_the_month_makes_it_wait(reader: Reader) -> None:
    reason = why(january(reader, {"period": DAY}))
    assert f"{reader.circumstance} of {DAY}" in reason
    assert f"speaks of a part of {MONTH} only" in reason
    assert f"state it for {MONTH}" in reason


@readers
def test_one_for_the_quarter_counts_unless_it_states_an_amount(reader: Reader) -> None:
    found = january(reader, {"period": QUARTER})
    if not reader.amount:
        assert found == january(reader, {"period": MONTH})
        return
    reason = why(found)
    assert f"{reader.circumstance} of {QUARTER}" in reason
    assert f"states an amount of more than {MONTH}" in reason


@readers
@pytest.mark.parametrize(("field", "value"), [("level", "another"), ("subject", "north")])
def test_one_of_a_level_or_subject_that_is_not_there_makes_it_wait(
    reader: Reader, field: str, value: str
) -> None:
    found = january(reader, {"period": MONTH, field: value})
    if reader.narrowed == "told_apart" or (field in reader.data and field == "subject"):
        assert found == january(reader)
        return
    assert isinstance(found, tuple)
    reason = str(found[0])
    assert f"names the {field} {value}" in reason
    remedy = "correct it without" if reader.narrowed == "none" else "or leave"
    assert f"{remedy} '{field}'" in reason


@pytest.mark.parametrize(
    "reader",
    [one for one in READERS if one.narrowed == "both" and "subject" not in one.data],
    ids=lambda one: one.reads,
)
def test_one_of_the_level_itself_counts(reader: Reader) -> None:
    level = {"level": reader.data.get("level", "uptime")}
    assert january(reader, {"period": MONTH} | level) == january(reader, {"period": MONTH})


def test_disputes_of_levels_and_subjects_are_told_apart() -> None:
    reader = next(one for one in READERS if one.reads == "DisputeTerms.circumstance")
    told = [{**reader.data, "level": "uptime"}, {**reader.data, "subject": "north"}]
    known = evaluation(MONTH, 98, circumstances=[(reader.circumstance, one) for one in told])
    (found,) = outcomes(reader.agreement, [known])
    assert isinstance(found, SettlementStatement)
    assert {"dispute-admitted/uptime", "dispute-admitted/north"} <= set(found.figures)


NAMING = {
    "circumstance", "asked", "notice", "normal_from", "choice", "decision", "invoice", "opening",
}  # fmt: skip
ELSEWHERE = {
    "Attribution.circumstance", "RateOfDay.circumstance", "RateOfPeriod.circumstance",
    "Cap.opening", "Bank.opening",
}  # fmt: skip
"""What they read has rules of its own; see the tests below."""


def models(found: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """A noun and all that its fields hold."""
    if found not in seen:
        seen.add(found)
        for field in found.model_fields.values():
            for inner in held(field.annotation):
                models(inner, seen)
    return seen


def held(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from held(inner)


def test_every_term_that_reads_a_circumstance_is_here() -> None:
    reading = {
        f"{model.__name__}.{name}"
        for model in models(Agreement, set())
        for name in model.model_fields
        if name in NAMING
    }
    told = {one.reads for one in READERS} | ELSEWHERE
    assert reading <= told, "say what it reads where nothing, or something else, is stated"


# --- attributions and rates --------------------------------------------------------------

BLAME = (
    "attributed: {circumstance: blame, shares: [{attributed_to: vendor, percent: 100}], "
    "unattributed: counts_nothing}"
)
ATTRIBUTED = terms(
    level=LEVEL.replace("metric: uptime", f"metric: outages\n    {BLAME}").replace(
        "{at_least: 99}", "{at_most: 10}"
    )
)
OUTAGE = {"subject": "o1", "values": {"to": "vendor"}}


def attributed(**more: object) -> object:
    reader = Reader("", ATTRIBUTED, "blame", OUTAGE)
    return january(reader, {"period": MONTH} | more)


def test_an_attribution_is_of_its_occurrence_in_its_time_and_level() -> None:
    assert attributed() == (10000, None)
    assert attributed(period=QUARTER) == (10000, None)
    assert attributed(period=NEXT) == (0, None)
    assert attributed(level="uptime") == (10000, None)
    assert "names the level repair, which the agreement" in why(attributed(level="repair"))
    assert attributed(subject="o2") == (0, None)
    reason = why(attributed(period=DAY))
    assert f"speaks of a part of {MONTH} only" in reason


def test_an_attribution_that_names_no_occurrence_waits() -> None:
    reason = why(attributed(subject=None))
    assert "names no occurrence; correct it with the outage, ticket or delivery" in reason


@pytest.mark.parametrize(
    "kind", ["kind: of_period", "kind: of_day, day: period_end, no_rate: wait"]
)
@pytest.mark.parametrize(("field", "value"), [("level", "uptime"), ("subject", "north")])
def test_a_rate_is_of_no_level_or_subject(kind: str, field: str, value: str) -> None:
    text = (
        f"conversions: [{{currency: USD, {kind}, circumstance: usd, quoted: own_for_foreign, "
        "source: Bank, rounded: exact}]\n"
    )
    level = LEVEL.replace(
        "{kind: percent_of, percent: 10, base: fee}", "{kind: amount, amount: 30, currency: USD}"
    )
    stated = {"value": 2} | ({"values": {"on": "2025-01-31"}} if "of_day" in kind else {})
    reader = Reader("", terms(text, level=level), "usd", stated)
    assert january(reader, {"period": MONTH}) == (6000, None)
    reason = why(january(reader, {"period": MONTH, field: value}))
    assert f"names the {field} {value}" in reason


# --- several statements -------------------------------------------------------------------------

STORM = READERS[0]
NOT = {"values": {"holds": False}}


@pytest.mark.parametrize(
    ("stated", "excused"),
    [
        (({"period": MONTH}, {"period": MONTH} | NOT), False),
        (({"period": MONTH} | NOT, {"period": MONTH}), True),
        (({"period": MONTH} | NOT, {"period": QUARTER}), False),
        (({"period": MONTH}, {"period": QUARTER} | NOT), True),
        (({"period": QUARTER} | NOT, {"period": "2025"}), False),
        (({"period": QUARTER, "level": "uptime"}, {"period": MONTH} | NOT), True),
        (({"period": DAY}, {"period": MONTH} | NOT), False),
        (({"period": MONTH}, {"period": DAY} | NOT), True),
        (({"period": DAY} | NOT, {"period": QUARTER}), True),
    ],
)
def test_the_most_exact_statement_goes_first_then_the_latest(
    stated: tuple[dict[str, Any], ...], excused: bool
) -> None:
    assert january(STORM, *stated) == (0 if excused else 10000, None)


@pytest.mark.parametrize(
    "stated",
    [
        ({"period": QUARTER}, {"period": DAY} | NOT),
        ({"period": MONTH}, {"period": DAY, "level": "uptime"} | NOT),
    ],
)
def test_a_later_or_more_exact_one_of_a_day_makes_it_wait(
    stated: tuple[dict[str, Any], ...],
) -> None:
    reason = why(january(STORM, *stated))
    assert f"storm of {DAY}" in reason


# --- levels measured by day ---------------------------------------------------------------------

FAILED = ("2025-01-03", "2025-01-20")


def by_day(more: str, told: Circumstances, level: str = LEVEL) -> object:
    """January of a level measured by day that fails on two of them: total and amounts by line."""
    level = level.replace("    judged", "    measured: day\n    judged", 1)
    known = evaluation(MONTH, figures={"repair": 98}, circumstances=told)
    days = [evaluation(day, 98 if day in FAILED else 100) for day in parts_of(MONTH, "day")]
    figures = [figure for one in (known, *days) for figure in one.figures]
    known = known.model_copy(update={"figures": tuple(figures)})
    (found,) = outcomes(terms(more, level=level), [known])
    if isinstance(found, Unsettled):
        return found.reasons
    return found.total_minor, {line.line: line.minor_units for line in found.lines}


THIRD, TWENTIETH = (f"uptime/{day}" for day in FAILED)


def test_a_claim_of_a_day_claims_that_days_credit() -> None:
    claim = "claim: {within_days: 40}\n"
    assert by_day(claim, []) == (0, {THIRD: 0, TWENTIETH: 0})
    told: Circumstances = [("claim", {"period": FAILED[0]})]
    assert by_day(claim, told) == (10000, {THIRD: 10000, TWENTIETH: 0})
    assert by_day(claim, [("claim", {})]) == (20000, {THIRD: 10000, TWENTIETH: 10000})


def test_a_claim_of_the_month_settles_what_a_day_of_it_was_claimed_for() -> None:
    reader = next(one for one in READERS if one.reads == "Agreement.claim")
    assert january(reader, {"period": DAY}, {"period": MONTH}) == (10000, None)


def test_a_proof_stated_for_the_month_excuses_the_day_that_failed() -> None:
    relief = "{kind: proofs, circumstance: excuse, proofs: [notice], within_days: 30}"
    level = LEVEL.replace("    judged", f"    relief: [{relief}]\n    judged")
    told: Circumstances = [("excuse", {"values": {"failed_on": FAILED[0], "notice": True}})]
    assert by_day("", told, level) == (10000, {TWENTIETH: 10000})
    of_day: Circumstances = [("excuse", {**told[0][1], "period": FAILED[0]})]
    assert by_day("", of_day, level) == (10000, {TWENTIETH: 10000})


def test_an_event_of_a_day_is_of_that_days_failure() -> None:
    told: Circumstances = [
        ("by", {"period": FAILED[0], "level": "uptime", "values": {"event": "x"}}),
        ("by", {"level": "repair", "values": {"event": "x"}}),
    ]
    found = by_day(ONE_EVENT % "largest_credit", told, LEVEL + REPAIR)
    assert found == (20000, {THIRD: 0, TWENTIETH: 10000, "repair": 10000})


def test_a_choice_for_a_day_is_not_one_for_all_of_an_event() -> None:
    told: Circumstances = [
        ("by", {"level": "uptime", "values": {"event": "x"}}),
        ("pick", {"level": "uptime", "period": FAILED[0]}),
    ]
    reason = why(by_day(ONE_EVENT % "chosen, choice: pick", told))
    assert "names a subject or a time of some credits of an event only" in reason


def test_each_event_has_its_own_choice() -> None:
    third = REPAIR.replace("repair", "third")
    level = LEVEL.replace("percent: 10", "percent: 20") + REPAIR + third
    told: Circumstances = [
        *BY,
        ("by", {"level": "third", "values": {"event": "y"}}),
        ("pick", {"level": "repair"}),
        ("pick", {"level": "third"}),
    ]
    known = evaluation(MONTH, 98, figures={"repair": 98, "third": 98}, circumstances=told)
    (found,) = outcomes(terms(ONE_EVENT % "chosen, choice: pick", level=level), [known])
    assert isinstance(found, SettlementStatement)
    assert {line.line: line.minor_units for line in found.lines} == {
        "uptime": 0,
        "repair": 10000,
        "third": 10000,
    }


def test_a_choice_without_a_level_waits() -> None:
    reader = next(one for one in READERS if one.reads == "SingleEvent.choice")
    reason = why(january(reader, {"period": MONTH, "level": None}))
    assert "states nothing as 'level'" in reason


# --- points -------------------------------------------------------------------------------------

POINTS = (
    "{kind: percent_of, percent: 10, base: fee}",
    "{kind: points, points: 2}",
)
IN_POINTS = (LEVEL + REPAIR).replace(*POINTS)
PER_POINT = "points: {kind: percent_per_point, percent: 1, base: fee}\n"


@pytest.mark.parametrize(
    ("term", "name"), [("claim: {within_days: 40}\n", "claim"), (CRITICAL, "fire")]
)
def test_points_of_several_levels_are_one_amount(term: str, name: str) -> None:
    reader = Reader("", terms(PER_POINT, term, level=IN_POINTS), name, {})
    whole = january(reader, {"period": MONTH})
    assert whole == ((4000, None) if name == "claim" else (0, None))
    assert january(reader, {"level": "uptime"}, {"level": "repair"}) == whole
    reason = why(january(reader, {"level": "another"}))
    assert "names the level another, which the agreement does not have" in reason
    reason = why(january(reader, {"level": "uptime"}))
    assert f"the circumstance {name} does not speak of all of repair, uptime" in reason


def test_a_critical_failure_of_a_level_replaces_that_levels_credits() -> None:
    reader = Reader("", terms(CRITICAL, level=LEVEL + REPAIR), "fire", {"level": "repair"})
    assert january(reader) == (20000, None)
    assert january(reader, {"period": MONTH}) == (10000, None)
    withheld = Reader(
        "", reader.agreement, "fire", reader.data, beside=[("withhold", {"value": 7})]
    )
    assert january(withheld, {"period": MONTH}) == (10700, None)
