"""A circumstance of a level or subject that the agreement does not have is told."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.agreement import Agreement
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
