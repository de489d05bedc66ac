"""Every worked case and variant written out as a person reads it: lines, reasons, figures, rights.

The pages in ``explained/`` are the approved wording. After a change that is meant, write them anew
and read the difference before it is committed:

    python -m tests.core.golden.explained
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

from schemas.base import written
from schemas.evaluation import PeriodEvaluation
from schemas.statement import LevelResult, SettlementStatement, StatementLine, Step
from services.core.settling.one_period import Unsettled
from tests.core.golden.given import TELLERS
from tests.core.golden.production import CONTRACTS, Refused, evaluations, load, settled
from tests.core.golden.test_golden import CASES
from tests.core.golden.test_variants import VARIANTS

PAGES = Path(__file__).parent / "explained"


def page(name: str) -> str:
    """All that the product says to a case and its variants."""
    facts = CASES[name]["given"]["facts"]
    blocks = [f"# {name}", *_told(name, facts)]
    for variant, why, changed, _ in VARIANTS:
        if variant == name:
            blocks += ["", f"# {name}: {why}", *_told(name, deepcopy(facts) | changed)]
    return "\n".join(blocks) + "\n"


def _told(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """A case that is not told by events is one whose contract is refused."""
    if name not in TELLERS:
        yield from (f"refused {refusal.text()}" for refusal in load(name).refusals)
        return
    story = TELLERS[name](facts)
    contracts = load(story.contract)
    for agreement in contracts.names():
        for number, events in enumerate(story.runs, start=1):
            yield f"\n## {agreement}, run {number}"
            try:
                known = evaluations(contracts, agreement, events, story.through, number)
            except Refused as problem:
                yield f"refused {problem}"
                return
            for evaluation in known:
                yield from _counted(evaluation)
            for outcome in settled(contracts, agreement, known):
                yield from outcome_lines(outcome)


def _counted(evaluation: PeriodEvaluation) -> Iterator[str]:
    for one in evaluation.figures:
        whose = f" of {one.subject}" if one.subject else ""
        value = "no data" if one.value is None else written(one.value)
        ratio = "" if one.total is None else f", {_value(one.good)} of {written(one.total)}"
        yield (
            f"{one.period} {one.metric}{whose} from {one.window.start} to {one.window.end}: "
            f"{value}{ratio}, {one.evidence.facts} facts {one.evidence.digest[:16]}"
        )
        for part in one.parts:
            yield (
                f"    {part.part} {part.subject} {part.vendor}: {written(part.amount)} from "
                f"{part.start} to {part.end}, worth {_value(part.value)}, good {part.good}, by "
                f"{' '.join(event.id for event in part.events)}"
            )


def outcome_lines(outcome: SettlementStatement | Unsettled) -> Iterator[str]:
    if isinstance(outcome, Unsettled):
        yield f"{outcome.period} waits"
        yield from (f"    {reason}" for reason in outcome.reasons)
        return
    yield (
        f"{outcome.period} version {outcome.version}, {outcome.vendor} to {outcome.buyer}: "
        f"{outcome.total_minor} minor {outcome.currency}"
    )
    for result in outcome.results:
        yield from _result(result)
    for line in outcome.lines:
        yield from _line(line)
    for figure, value in sorted(outcome.figures.items()):
        yield f"  {figure} = {_value(value)}"
    for right in outcome.rights:
        yield f"  right {right.term} until {right.exercise_until}: {right.because}"


def _result(result: LevelResult) -> Iterator[str]:
    whose = f" of {result.subject}" if result.subject else ""
    defaulted = ", defaulted" if result.defaulted else ""
    figures = (
        f"{name} {_value(value)}"
        for name, value in (
            ("figure", result.figure),
            ("result", result.result),
            ("expected", result.expected),
            ("minimum", result.minimum),
            ("points", result.points),
        )
        if value is not None
    )
    counted = f"{result.evidence.facts} facts" if result.evidence else "no evidence"
    yield (
        f"  level {result.level} ({result.metric}){whose} in {result.period}: "
        f"{', '.join((result.standing + defaulted, *figures, counted))}"
    )
    if result.evidence:
        yield from (f"    told by {event.id}" for event in result.evidence.telling)
    yield from map(_step, result.steps)


def _line(line: StatementLine) -> Iterator[str]:
    level = f" of {line.level}" if line.level else ""
    yield (
        f"  line {line.line}: {line.kind}{level} for {line.for_period}, version {line.version}: "
        f"{line.minor_units} minor"
    )
    yield from map(_step, line.steps)
    yield from (f"    by {event.source} {event.id}" for event in line.events)


def _step(step: Step) -> str:
    value = "" if step.value is None else f" = {_value(step.value)}"
    return f"    {step.rule} [{step.term}] {step.text}{value}"


def _value(value: object) -> str:
    return written(value) if isinstance(value, Fraction) else str(value)


def cases() -> list[str]:
    """The cases that have a page: told by events, or refused when the contract is read."""
    return [name for name in CASES if name in TELLERS or (CONTRACTS / f"{name}.yaml").exists()]


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.glob("*.txt"):
        old.unlink()
    for case in cases():
        (PAGES / f"{case}.txt").write_text(page(case), encoding="utf-8")
