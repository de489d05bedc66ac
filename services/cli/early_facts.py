"""Events that lie before an agreement begins, so that no period of it counts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec
import numpy as np

from schemas.agreement import Agreement
from schemas.frame import Facts
from services.catalogue.snapshot import Catalogue
from services.cli.asked_periods import first_period, last_day
from services.core.calendar.windows import day_start, microseconds
from services.core.counting.evaluation import needs
from services.core.events.facts import CHARGE, FIGURE


def early_facts(catalogue: Catalogue, facts: Facts) -> Iterator[str]:
    """A note for each agreement whose metrics or charges were reported before it begins."""
    charges = [
        (str(data["agreement"]), last_day(str(data["period"])))
        for data in _stated(facts, np.flatnonzero(facts.kind == CHARGE).tolist())
    ]
    for name, versions in sorted(catalogue.agreements.items()):
        begins = min(version.effective_from for version in versions)
        events = _of_metrics(catalogue, versions, facts, begins)
        billed = sum(agreement == name and ends < begins for agreement, ends in charges)
        if events or billed:
            yield (
                f"note: agreement {name} begins on {begins}; {events} events of its metrics and "
                f"{billed} charges lie before that day"
            )


def _of_metrics(
    catalogue: Catalogue, versions: Sequence[Agreement], facts: Facts, begins: date
) -> int:
    """How many events of an agreement's metrics speak of the time before it begins."""
    programmes = catalogue.programmes[versions[-1].programme]
    spans = needs(programmes, versions, first_period(versions))
    keys = [(programmes[-1].programme, one.metric) for one in spans]
    numbers = [catalogue.numbers[key] for key in keys if key in catalogue.numbers]
    own = np.isin(facts.metric, np.array(numbers, facts.metric.dtype))
    start = microseconds(day_start(begins, programmes[-1].time_zone))
    figures = _stated(facts, np.flatnonzero(own & (facts.kind == FIGURE)).tolist())
    declared = sum(last_day(str(data["period"])) < begins for data in figures)
    return declared + int(np.sum(own & (facts.kind != FIGURE) & (facts.at_us < start)))


def _stated(facts: Facts, rows: Sequence[int]) -> list[dict[str, object]]:
    return [msgspec.json.decode(facts.data[row]) for row in rows]
