"""Figures made of others: products, overlap in time, weighted and plain means, ends, sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Literal

import numpy as np

from schemas.composites import Composite, OfParts, Overlap, Product, Weighted
from schemas.evaluation import Part
from services.core.calendar.intervals import at_least, length
from services.core.counting.measures.question import (
    HUNDRED,
    NOTHING,
    CountedFigure,
    Question,
    first_in_time,
)
from services.core.events.facts import Index


def composed(
    measure: Composite, parts: Sequence[CountedFigure], question: Question
) -> CountedFigure:
    """What the parts come to together. All facts of all parts are evidence.

    Without a figure of one part there is none of the whole.
    """
    if isinstance(measure, Weighted) and measure.weights == "counted":
        return _by_counts(measure, parts, question)
    found = _together(measure, parts, question)
    values = [part.value for part in parts]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return found
    if isinstance(measure, Overlap):
        return _overlap(measure, parts, found)
    if isinstance(measure, Weighted):
        return replace(found, value=_mean(known, _stated(measure)))
    if isinstance(measure, OfParts):
        return replace(found, value=_of_parts(measure, known, question))
    assert isinstance(measure, Product)
    return replace(found, value=_percent(measure, known))


def _together(
    measure: Composite, parts: Sequence[CountedFigure], question: Question
) -> CountedFigure:
    """The evidence of all parts, and what is said where some have no figure; no value."""
    rows: Index = reduce(np.union1d, (part.rows for part in parts), NOTHING)
    telling: Index = reduce(
        np.union1d, (first_in_time(question.facts, part.telling) for part in parts), NOTHING
    )
    weights = _stated(measure) if isinstance(measure, Weighted) else [None] * len(parts)
    shown = tuple(
        Part(part=name, amount=part.value, weight=weight)
        for name, part, weight in zip(measure.parts, parts, weights, strict=True)
        if part.value is not None
    )
    lacking = any(part.value is None for part in parts)
    return CountedFigure(
        None,
        rows,
        telling=telling,
        parts=shown,
        others=tuple(other for part in parts for other in part.others) if lacking else (),
        nothing_to_count=_nothing(parts),
        incomplete=tuple(half for part in parts for half in part.incomplete),
    )


def _stated(measure: Weighted) -> list[Fraction]:
    assert measure.weights != "counted", "these are not stated"
    return list(measure.weights)


def _nothing(parts: Sequence[CountedFigure]) -> Literal["no_data", "no_result"] | None:
    """What is said of the whole where all that it lacks are parts with nothing to count."""
    lacking = {part.nothing_to_count for part in parts if part.value is None}
    if lacking == {"no_result"}:
        return "no_result"
    return "no_data" if lacking and None not in lacking else None


def _percent(measure: Product, values: Sequence[Fraction]) -> Fraction:
    product = Fraction(1)
    for value in values:
        product *= value / HUNDRED if measure.kind == "series" else 1 - value / HUNDRED
    return HUNDRED * (product if measure.kind == "series" else 1 - product)


def _overlap(
    measure: Overlap, parts: Sequence[CountedFigure], found: CountedFigure
) -> CountedFigure:
    """Share of the time that counts, the same for all parts, in which fewer of them were down;
    ``total`` is seconds."""
    total = parts[0].total or Fraction(0)
    down = length(at_least([part.down for part in parts], measure.needed))
    good = total - Fraction(down, 1_000_000)
    return replace(found, value=HUNDRED * good / total if total else None, good=good, total=total)


def _by_counts(
    measure: Weighted, parts: Sequence[CountedFigure], question: Question
) -> CountedFigure:
    """The mean by what each part was counted from. A part with nothing to count weighs nothing;
    one of which nothing is known leaves the whole without a figure."""
    weights = [Fraction(0) if part.nothing else (part.total or Fraction(0)) for part in parts]
    plain = OfParts.model_construct(kind="mean_of_parts", parts=measure.parts)
    found = _together(plain, parts, question)
    if any(part.value is None and not part.nothing for part in parts):
        return found
    weighed = [
        (name, part.value, weight)
        for name, part, weight in zip(measure.parts, parts, weights, strict=True)
        if weight and part.value is not None
    ]
    return replace(
        found,
        value=_mean([value for _, value, _ in weighed], [weight for *_, weight in weighed]),
        total=sum(weights, Fraction(0)),
        parts=tuple(Part(part=name, amount=value, weight=each) for name, value, each in weighed),
        others=(),
        nothing=not weighed,
        nothing_to_count=None,
    )


def _mean(values: Sequence[Fraction], weights: Sequence[Fraction]) -> Fraction | None:
    together = sum(weights, Fraction(0))
    if not together:
        return None
    products = (value * weight for value, weight in zip(values, weights, strict=True))
    return sum(products, Fraction(0)) / together


def _of_parts(measure: OfParts, values: Sequence[Fraction], question: Question) -> Fraction:
    best, worst = (max, min) if question.metric.better == "higher" else (min, max)
    made: Mapping[str, Callable[[], Fraction]] = {
        "worst": lambda: worst(values),
        "best": lambda: best(values),
        "mean_of_parts": lambda: sum(values, Fraction(0)) / len(values),
        "sum_of_parts": lambda: sum(values, Fraction(0)),
        "difference": lambda: values[0] - values[1],
    }
    return made[measure.kind]()
