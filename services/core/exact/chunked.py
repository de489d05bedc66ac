"""Long work on columns, so many rows at a time: between two of them the budget is asked.

One call of numpy cannot be stopped. What is cheap for each row (a sum, a comparison) is done in one
call all the same; what is not goes through here. The outcome is that of the one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from services.core.exact.budget import UNBOUNDED, Budget

ROWS = 1_000_000
"""So many rows are worked on at once: about a tenth of a second where they are put in order."""

Positions = npt.NDArray[np.intp]


def chunks(rows: int, budget: Budget) -> Iterator[slice]:
    """The slices that cut so many rows, in order. Raises OverBudget between two of them."""
    for start in range(0, rows, ROWS):
        budget.spend(0)
        yield slice(start, min(start + ROWS, rows))


def argsort(column: npt.NDArray[Any], budget: Budget = UNBOUNDED) -> Positions:
    """Positions in order of value; those of one value in their own order. Raises OverBudget."""
    if bool((column[1:] >= column[:-1]).all()):
        return np.arange(len(column))
    runs = [
        np.argsort(column[part], kind="stable") + part.start for part in chunks(len(column), budget)
    ]
    return runs[0] if len(runs) == 1 else _merged(column, runs, budget)


def _merged(column: npt.NDArray[Any], runs: Sequence[Positions], budget: Budget) -> Positions:
    """The runs, each in order of value, as one.

    Cut at values that leave about as many rows between two of them as a run has, however the values
    are spread; only rows of one and the same value may be more, and these are in order already.
    """
    values = [column[run] for run in runs]
    apart = ROWS // len(runs) + 1
    seen = np.sort(np.concatenate([each[::apart] for each in values]))
    ends = np.unique(seen[len(runs) :: len(runs)])
    cuts = [np.searchsorted(each, ends, side="left").tolist() for each in values]
    cuts = [[0, *cut, len(run)] for cut, run in zip(cuts, runs, strict=True)]
    found, at = np.empty(len(column), np.intp), 0
    for place in range(len(ends) + 1):
        budget.spend(0)
        parts = [
            (run[cut[place] : cut[place + 1]], each[cut[place] : cut[place + 1]])
            for run, each, cut in zip(runs, values, cuts, strict=True)
        ]
        rows = np.concatenate([own for own, _ in parts])
        if len({end for _, each in parts if len(each) for end in (each[0], each[-1])}) > 1:
            rows = rows[np.argsort(np.concatenate([each for _, each in parts]), kind="stable")]
        found[at : at + len(rows)] = rows
        at += len(rows)
    return found


def ascending(positions: Positions) -> Positions:
    """Positions, each of which is there once, in order: of many in one pass over all that are."""
    if len(positions) <= ROWS:
        return np.sort(positions)
    there = np.zeros(int(positions.max()) + 1, np.bool_)
    there[positions] = True
    return np.flatnonzero(there)


def rows_in(
    column: npt.NDArray[Any], wanted: npt.NDArray[Any], budget: Budget = UNBOUNDED
) -> Positions:
    """Positions of these values, ascending. Raises OverBudget."""
    if not len(wanted):
        return np.empty(0, np.intp)
    found = [
        np.flatnonzero(np.isin(column[part], wanted)) + part.start
        for part in chunks(len(column), budget)
    ]
    return np.concatenate(found) if found else np.empty(0, np.intp)
