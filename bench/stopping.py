"""How long a count goes on when nobody waits for it: the longest time between two of its questions.

python -m bench.stopping [--facts N]

Counts a month of samples, as a close does. Processor time of the thread, in milliseconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import thread_time
from typing import Any

import numpy as np

from bench.events import METRICS, PROGRAMME, SOURCES, VENDOR, programme
from schemas.agreement import Agreement
from schemas.frame import Facts
from services.core.calendar.windows import microseconds, window_of
from services.core.counting.evaluation import evaluate, ready
from services.core.events.facts import SAMPLE
from services.core.exact.budget import Budget

PERIOD = "2025-01"


@dataclass(slots=True, eq=False)
class Asked(Budget):
    """A budget that notes when it is asked."""

    times: list[float] = field(default_factory=list)

    def spend(self, steps: int = 1) -> None:
        self.times.append(thread_time())


class Numbered(Sequence[str]):
    """So many texts, made as they are asked for."""

    def __init__(self, number: int, text: str) -> None:
        self._number, self._text = number, text

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(self._number))]
        return self._text.format(row)


def samples(number: int) -> Facts:
    """So many samples of one month, in order of identity, of three subjects."""
    random = np.random.default_rng(1)
    window = window_of(PERIOD, "Europe/Berlin")
    first, past = microseconds(window.start), microseconds(window.end)
    return Facts(
        ids=Numbered(number, "e{}"),
        id_high=np.sort(random.integers(0, 2**63, number, dtype=np.uint64)),
        id_low=random.integers(0, 2**63, number, dtype=np.uint64),
        payload=random.integers(0, 2**63, number, dtype=np.uint64),
        kind=np.full(number, SAMPLE, np.int8),
        metric=np.zeros(number, np.int32),
        at_us=random.integers(first, past, number),
        value=random.integers(0, 2, number),
        scale_or_total=np.ones(number, np.int64),
        source=np.zeros(number, np.int32),
        subject=random.integers(0, 3, number).astype(np.int32),
        data=Numbered(number, ""),
        sources=[SOURCES[0]],
        subjects=["a", "b", "c"],
    )


def agreement() -> Agreement:
    """One level, of the first metric."""
    level = {
        "level": "only",
        "name": "Only level",
        "metric": METRICS[0],
        "expected": {"at_least": "99"},
        "judged": "exact",
        "no_data": "no_result",
        "defaults": {"kind": "every_miss"},
    }
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": "stopped",
            "version": 1,
            "programme": PROGRAMME,
            "type": "service",
            "vendor": VENDOR,
            "name": "stopped",
            "currency": "EUR",
            "effective_from": "2025-01-01",
            "settled": "month",
            "lateness_hours": 48,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "levels": [level],
        }
    )


def main() -> None:
    """Count, and print the longest time between two questions, and the whole."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--facts", type=int, default=10_000_000)
    facts = samples(parser.parse_args().facts)
    programmes, agreements = [programme()], [agreement()]
    numbers = {(PROGRAMME, name): number for number, name in enumerate(METRICS)}
    asked = Asked(times=[thread_time()])
    stock = ready(programmes, facts, numbers, None, agreements, asked).of(agreements)
    evaluate(programmes, agreements, PERIOD, stock, numbers, 1, "closed", asked)
    times = [*asked.times, thread_time()]
    longest = max(after - before for before, after in pairwise(times))
    print(f"longest {longest * 1000:.0f} ms, whole {(times[-1] - times[0]) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
