"""A circumstance of a level or subject that the agreement does not have is told."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.evaluation import Part
from schemas.statement import SettlementStatement
from tests.core.told import HEAD, LEVEL, agreement, evaluation, months, outcomes, terms

RELIEF = LEVEL.replace(
    "    judged", "    relief: [{kind: circumstance, circumstance: storm}]\n    judged"
)
EACH = RELIEF.replace("    judged", "    each_subject: true\n    judged")
CLAIM = "claim: {within_days: 30}\n"


def reasons(
    versions: Agreement | list[Agreement], *stated: tuple[str, dict[str, Any]], count: int = 1
) -> list[list[str]]:
    """What each month waits for, the circumstances being stated in the first."""
    known = [
        evaluation(
            month,
            98,
            figures={("uptime", "north"): 98} if number else {},
            circumstances=() if number else stated,
        )
        for number, month in enumerate(months(count))
    ]
    return [
        [] if isinstance(one, SettlementStatement) else list(one.reasons)
        for one in outcomes(versions, known)
    ]


@pytest.mark.parametrize("name", ["storm", "claim"])
def test_a_level_that_the_agreement_does_not_have_is_waited_for(name: str) -> None:
    (said,) = reasons(terms(CLAIM, level=RELIEF), (name, {"level": "uptme"}))
    assert f"the circumstance {name} of 2025-01" in said[0]
    assert "names the level uptme, which the agreement does not have" in said[0]
    assert "(it has uptime)" in said[0]
    assert reasons(terms(CLAIM, level=RELIEF), (name, {"level": "uptime"})) == [[]]


def test_a_level_of_another_version_is_none_of_this_one() -> None:
    later = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-02-01")
    other = agreement(later + RELIEF.replace("level: uptime", "level: other"))
    both = [terms(level=RELIEF), other]
    (said, second) = reasons(both, ("storm", {"level": "other"}), count=2)
    assert "names the level other" in said[0]
    assert second == []
    quarter = {"level": "other", "period": "2025-Q1"}
    assert reasons(both, ("storm", quarter), count=2) == [[], []], "it is there in February"


def test_a_subject_of_which_nothing_is_known_is_waited_for() -> None:
    (said,) = reasons(terms(level=RELIEF), ("storm", {"subject": "north"}))
    assert "names the subject north, of which nothing is measured, charged or agreed" in said[0]
    assert "(none is known)" in said[0]
    stated = ("storm", {"subject": "north"})
    assert reasons(terms(level=EACH), stated, count=2) == [[], []], "measured in February"
    wrong = reasons(terms(level=EACH), ("storm", {"subject": "nroth"}), count=2)
    assert "(known are north)" in wrong[0][0]


def test_what_no_term_reads_may_speak_of_anybody() -> None:
    told = [("remark", {"level": "uptme"}), ("remark", {"subject": "nroth"})]
    assert reasons(terms(level=RELIEF), *told) == [[]]


def level(name: str, more: str, metric: str = "uptime") -> str:
    """A level of the usual kind, as an item of the list."""
    item = LEVEL.replace("\nlevels:\n", "").replace("level: uptime", f"level: {name}")
    item = item.replace("metric: uptime", f"metric: {metric}")
    return item.replace("    judged", f"{more}    judged")


STORM = "    relief: [{kind: circumstance, circumstance: storm}]\n"
TWO = (
    "\nlevels:\n"
    + level("first", STORM + "    each_subject: true\n", "local")
    + level("second", "    subject: south\n")
)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"level": "second"}, "names the level second, of which no term reads it then (it is read "
         "of first)"),
        ({"subject": "south"}, "names the subject south, which no level that reads it is judged "
         "for (known are east, north)"),
        ({"level": "first", "subject": "south"}, "names the subject south, which no level"),
        ({"subject": "west"}, "names the subject west, of which nothing is measured"),
    ],
)  # fmt: skip
def test_a_place_of_another_level_than_the_one_that_reads_is_waited_for(
    stated: dict[str, str], said: str
) -> None:
    figures = {("local", "north"): 98, ("local", "east"): 98, ("uptime", "south"): 98}
    for place, expected in ((stated, said), ({"level": "first", "subject": "north"}, None)):
        known = evaluation("2025-01", 98, figures=figures, circumstances=[("storm", place)])
        (outcome,) = outcomes(terms(level=TWO), [known])
        if expected is None:
            assert isinstance(outcome, SettlementStatement), outcome
            assert {one.standing for one in outcome.results if one.subject == "north"} == {
                "excused"
            }
        else:
            assert not isinstance(outcome, SettlementStatement)
            (reason,) = outcome.reasons
            assert expected in reason


@pytest.mark.parametrize("name", ["claim", "service_in_use"])
def test_what_reads_lines_of_every_level_takes_the_subjects_of_each(name: str) -> None:
    base = "bases:\n  - {base: fee, of_period: same, if_missing: wait, part_of_period: "
    head = HEAD.replace(base + "full_charge", base + "by_days_in_use, per_subject: true")
    head = head.replace("per_subject: true", "per_subject: true, if_absent: {counts_as: 1}")
    figures = {("local", "north"): 100, ("uptime", "south"): 100}
    for subject in ("north", "south"):
        stated = [(name, {"subject": subject, "values": {"days_in_use": 1, "days_in_period": 2}})]
        known = evaluation("2025-01", 100, figures=figures, circumstances=stated)
        (outcome,) = outcomes(terms(CLAIM, level=TWO, head=head), [known])
        assert isinstance(outcome, SettlementStatement), outcome


def asking(name: str, **place: str) -> list[str]:
    """The steps about the name of an outage of 20 minutes that the buyer asks to count."""
    asked = LEVEL.replace(
        "quantity: {kind: one}",
        "quantity: {kind: duration, metric: outages, unit: 60, of: each, counted: elapsed, "
        "part_unit: counts_in_full, shorter_than_a_unit: only_if_asked, asked: please}",
    )
    known = evaluation(
        "2025-01",
        98,
        figures={"outages": 20},
        parts={"outages": [Part(part="o-1", amount=Fraction(20))]},
        circumstances=[("please", {"subject": name} | place)],
    )
    (outcome,) = outcomes(terms(level=asked), [known])
    assert isinstance(outcome, SettlementStatement), outcome
    (line,) = outcome.lines
    assert line.minor_units == (10000 if name == "o-1" else 0)
    return [one.text for one in line.steps if one.rule == "not-asked"]


def test_asking_for_an_occurrence_that_nobody_reported_is_told() -> None:
    assert asking("o-1") == []
    (said,) = asking("o-2")
    assert said == (
        "please asks for o-2, which no figure of 2025-01 counts: correct the name if it should"
    )
