"""A statement in words: how each level stood, each amount and what changed it, all figures.

Pure: rows and sentences, which `show` lays out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

from schemas.event import Stated
from schemas.money import amount_text
from schemas.statement import LevelResult, SettlementStatement, StatementLine, Step, Tie
from schemas.statement_names import MONEY, figure_named
from services.core.exact.arithmetic import money_text, number_text, rounded

_DECIMALS = 4
"""So many decimals a measured value has on the screen; the statement has all of them."""

_OF_RESULTS = frozenset(
    "attributed not-attributed incomplete counted-time bad-slices excluded-time"
    " short-interruptions unknown-time"
    " nothing-to-count low-volume no-data averaged result-rounded relief default condition".split()
)
"""The steps of a result that are told: what was done to it, and what follows."""

_OF_LINES = frozenset(
    "ceiling cap claim critical-failure deferred deposit earn-back fee floor retainage set-off"
    " not-asked single-event small-amount withheld".split()
)
"""The steps of a line that are told: what cut it, and where it comes from if from no level."""

_TOLD_ELSEWHERE = frozenset({"claim-by", "claimable"})


def result_rows(found: SettlementStatement) -> tuple[list[str], list[list[str]]]:
    """The table of the levels: its columns, and a row for each result."""
    results = found.results
    columns = {
        "level": [_whose(one, found.period) for one in results],
        "measured": [_measured(one) for one in results],
        "judged": [_judged(one) for one in results],
        "promised": [promise(one.expected, one.expected_tie) for one in results],
        "minimum": [promise(one.minimum, one.minimum_tie) for one in results],
        "standing": [standing(one) for one in results],
        "points": ["" if one.points is None else _short(one.points) for one in results],
    }
    optional = ("judged", "minimum", "points")
    shown = [name for name in columns if name not in optional or any(map(_says, columns[name]))]
    rows = [list(row) for row in zip(*(columns[name] for name in shown), strict=True)]
    return shown, rows


def _says(cell: str) -> bool:
    return cell not in ("", "-")


def _whose(result: LevelResult, period: str) -> str:
    subject = f" ({result.subject})" if result.subject else ""
    measured = f" {result.period}" if result.period != period else ""
    return f"{result.level}{subject}{measured}"


def _measured(result: LevelResult) -> str:
    return "nothing measured" if result.figure is None else _short(result.figure)


def _judged(result: LevelResult) -> str:
    if result.result == result.figure:
        return ""
    return "-" if result.result is None else _short(result.result)


def promise(limit: Fraction | None, tie: Tie | None) -> str:
    """What is promised, with the word that decides the tie: ``at least 99``."""
    if limit is None:
        return "-"
    return f"{tie.replace('_', ' ')} {_short(limit)}" if tie else _short(limit)


def standing(result: LevelResult) -> str:
    """Where a result puts the vendor, and whether it counts as a default."""
    words = result.standing.replace("_", " ")
    return f"{words}, default" if result.defaulted else words


def result_notes(found: SettlementStatement) -> Iterator[str]:
    """A sentence for all that was done to a result, excuses it, or keeps a credit from it."""
    for result in found.results:
        for step in result.steps:
            changed = step.value is None or step.value != result.figure
            if step.rule in _OF_RESULTS and changed:
                yield f"{_whose(result, found.period)}: {step.text}"


def line_row(line: StatementLine, found: SettlementStatement) -> list[str]:
    """A line of the statement: kind, name, amount, currency."""
    kind = line.kind.replace("_", " ")
    own = "" if line.line in (line.kind, "withheld") else kind
    period = "" if line.for_period in (found.period, *line.line.split("/")) else line.for_period
    name = f"{line.line} for {period}" if period else line.line
    return [own, name, amount_text(line.minor_units, found.currency), found.currency]


def line_notes(found: SettlementStatement) -> Iterator[str]:
    """A sentence for all that cut an amount, made one, or leaves it at nothing.

    Once where it is of several lines.
    """
    told: dict[str, list[str]] = {}
    for line in found.lines:
        shown = [step for step in line.steps if _is_told(step)]
        for step in shown or _why_nothing(line):
            told.setdefault(step.text, []).append(line.line)
    for text, lines in told.items():
        yield text if len(lines) > 1 else f"{lines[0]}: {text}"


def _why_nothing(line: StatementLine) -> Sequence[Step]:
    """The first step of a line of 0 that comes to 0; none of other lines."""
    return [step for step in line.steps if step.value == 0][:1] if not line.minor_units else ()


def _is_told(step: Step) -> bool:
    return step.rule in _OF_LINES and not (step.rule == "ceiling" and "cut from" not in step.text)


def claim_note(found: SettlementStatement) -> str | None:
    """What a claim that is not there yet would bring: ``0.00 now, 250.00 if claimed by ...``."""
    last, claimable = found.figures.get("claim-by"), found.figures.get("claimable")
    if not isinstance(last, str):
        return None
    more = money_text(claimable, found.currency) if isinstance(claimable, Fraction) else "more"
    now = amount_text(_credited(found), found.currency)
    return f"credits of {found.period}: {now} now, {more} if claimed by {day(last)}"


def _credited(found: SettlementStatement) -> int:
    return sum(
        line.minor_units for line in found.lines if line.kind in ("service_credit", "penalty")
    )


def right_notes(found: SettlementStatement) -> Iterator[str]:
    """A sentence for each right to end the agreement, with its last day."""
    for right in found.rights:
        until = (
            f"to be exercised by {day(right.exercise_until)}"
            if right.exercise_until
            else "the agreement states no last day for it"
        )
        yield f"right to end the agreement ({right.term}): {right.because}; {until}"


def figure_rows(found: SettlementStatement) -> list[tuple[str, str]]:
    """Every figure that is told nowhere else: what it is, and its value with the unit."""
    return [
        (_label(name), _valued(name, value, found.currency))
        for name, value in found.figures.items()
        if name not in _TOLD_ELSEWHERE
    ]


def _label(name: str) -> str:
    known, rest = figure_named(name)
    return known.label.format(rest.replace("/", ", ")) if known else name


def _valued(name: str, value: Stated | None, currency: str) -> str:
    known, _ = figure_named(name)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return day(value) if known is not None and known.unit == "day" else value
    if known is not None and known.unit == MONEY:
        return f"{money_text(value, currency)} {currency}"
    return f"{number_text(value)} %" if known and known.unit == "percent" else number_text(value)


def day(text: str) -> str:
    """A day for people: ``30 April 2025``."""
    found = date.fromisoformat(text)
    return f"{found.day} {_MONTHS[found.month - 1]} {found.year}"


_MONTHS: Sequence[str] = (
    "January February March April May June July August September October November December"
).split()


def _short(value: Fraction) -> str:
    """A measured value as the table shows it: four decimals, without zeros at the end."""
    return number_text(rounded(value, _DECIMALS, "half_even"))
