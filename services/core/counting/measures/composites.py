"""Figures made of other figures: parts in series must all work, of parts in parallel one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce

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
    if len(known) < len(values):
        others = tuple(other for part in parts for other in part.others)
        return CountedFigure(None, rows, telling=telling, parts=shown, others=others)
    return CountedFigure(_percent(measure, known), rows, telling=telling, parts=shown)


def _percent(measure: Composite, values: Sequence[Fraction]) -> Fraction:
    product = Fraction(1)
    for value in values:
        product *= value / HUNDRED if measure.kind == "series" else 1 - value / HUNDRED
    return HUNDRED * (product if measure.kind == "series" else 1 - product)
