"""The occurrences of a figure, as a term counts them: whole where they begin or end, or in pieces.

A figure lists the occurrences as its metric counts them. Each that reaches over an end of the
window carries all of itself, so that a term may count it in another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.base import AcrossPeriods
from schemas.evaluation import MetricFigure, Part, PeriodEvaluation
from schemas.period import Window


@dataclass(frozen=True, slots=True)
class Occurrences:
    """``parts``: those that count in the window. ``unfinished``: names of those not over yet."""

    parts: tuple[Part, ...]
    unfinished: tuple[str, ...] = ()


def occurrences(figure: MetricFigure, across: AcrossPeriods | None) -> Occurrences:
    """What counts in the figure's window. ``across``: the term's own choice, else the metric's."""
    if across is None and not figure.in_pieces:
        return Occurrences(figure.parts, figure.unfinished)
    found = list(_counted(figure, across))
    return Occurrences(
        tuple(part for part, _ in found), tuple(part.part for part, is_open in found if is_open)
    )


def unfinished(evaluation: PeriodEvaluation) -> tuple[str, ...]:
    """Occurrences without which a figure of the period has no value yet, each once, in order."""
    waited = (name for one in evaluation.figures if one.value is None for name in one.unfinished)
    return tuple(dict.fromkeys(waited))


def waits_for(name: str) -> str:
    """What a period says of an occurrence that counts in it and is not over yet."""
    return f"{name} counts as a whole where it began and is not over yet; report its end"


def _counted(figure: MetricFigure, across: AcrossPeriods | None) -> Iterator[tuple[Part, bool]]:
    """The parts as they count, each with whether it is waited for."""
    for part in (*figure.parts, *figure.touching):
        if part.whole is None:
            yield part, False
            continue
        how = across or part.whole.counts
        counted = (
            _piece(part, figure.window) if how == "split" else _whole(part, figure.window, how)
        )
        if counted is not None:
            yield counted, how == "begins" and part.whole.end is None


def _piece(part: Part, window: Window) -> Part | None:
    """What of it lies in the window; None where nothing does."""
    assert part.whole is not None, "what lies within the window is a piece itself"
    whole = part.whole
    early = whole.end is not None and whole.end < whole.start
    if early:
        return _whole(part, window, "begins")
    end = window.end if whole.end is None else min(whole.end, window.end)
    start = max(whole.start, window.start)
    if end < start or (end == start and whole.start < window.start):
        return None
    cut = {"start": start, "end": end, "amount": whole.so_far - whole.before}
    return part.model_copy(update=cut)


def _whole(part: Part, window: Window, how: AcrossPeriods) -> Part | None:
    """All of it, where it begins or ends in the window."""
    assert part.whole is not None, "what lies within the window counts there"
    whole = part.whole
    at = whole.start if how == "begins" else whole.end
    if at is None or not window.start <= at < window.end:
        return None
    return part.model_copy(update={"start": whole.start, "end": whole.end, "amount": whole.amount})
