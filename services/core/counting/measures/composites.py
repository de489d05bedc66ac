"""Figures made of other figures: parts in series must all work, of parts in parallel one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Literal

import numpy as np

from schemas.evaluation import Part
from schemas.frame import Facts
from schemas.programme import Composite
from services.core.counting.measures.question import HUNDRED, NOTHING, CountedFigure, first_in_time
from services.core.events.facts import Index


def composed(measure: Composite, parts: Sequence[CountedFigure], facts: Facts) -> CountedFigure:
    """The exact product of the parts' percentages, or of what they lack.

    Without a figure of one part there is none of the whole. All facts of all parts are evidence.
    """
    rows: Index = reduce(np.union1d, (part.rows for part in parts), NOTHING)
    telling: Index = reduce(
        np.union1d, (first_in_time(facts, part.telling) for part in parts), NOTHING
    )
    values = [part.value for part in parts]
    known = [value for value in values if value is not None]
    shown = tuple(
        Part(part=name, amount=value)
        for name, value in zip(measure.parts, values, strict=True)
        if value is not None
    )
    others = tuple(other for part in parts for other in part.others)
    value = _percent(measure, known) if len(known) == len(values) else None
    return CountedFigure(
        value,
        rows,
        telling=telling,
        parts=shown,
        others=others if value is None else (),
        nothing_to_count=_nothing(parts),
        incomplete=tuple(half for part in parts for half in part.incomplete),
    )


def _nothing(parts: Sequence[CountedFigure]) -> Literal["no_data", "no_result"] | None:
    """What is said of the whole where all that it lacks are parts with nothing to count."""
    lacking = {part.nothing_to_count for part in parts if part.value is None}
    if lacking == {"no_result"}:
        return "no_result"
    return "no_data" if lacking and None not in lacking else None


def _percent(measure: Composite, values: Sequence[Fraction]) -> Fraction:
    product = Fraction(1)
    for value in values:
        product *= value / HUNDRED if measure.kind == "series" else 1 - value / HUNDRED
    return HUNDRED * (product if measure.kind == "series" else 1 - product)
