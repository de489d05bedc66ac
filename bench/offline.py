"""What settling from files costs, by agreements, months and levels, each doubled three times.

python -m bench.offline [--agreements 12] [--months 4] [--levels 2] [--only] [--json]

Contracts and events are made in memory and settled in this process, as `earnback settle` does it
with files that are read. Agreements share metrics, each has a site of its own; a month has an event
for each level and a charge, and a fifth of the levels is missed. ``--only``: no doubling.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from bench.settling import an_agreement, the_programme
from schemas.agreement import Agreement
from schemas.base import Noun
from schemas.period import first_day, next_label
from schemas.programme import Programme
from services.cli.files import ContractFiles
from services.cli.offline import settle_files
from services.cli.show import out
from services.core.contracts.reading import Document

FIRST = "2022-01"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.offline", description=__doc__)
    parser.add_argument("--agreements", type=int, default=12)
    parser.add_argument("--months", type=int, default=4)
    parser.add_argument("--levels", type=int, default=2)
    parser.add_argument("--only", action="store_true", help="of the sizes given, no doubling")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sizes = (given.agreements, given.months, given.levels)
    rows = [measured(*each) for each in ([sizes] if given.only else _doubled(sizes))]
    out.print(json.dumps(rows, indent=1) if given.json else "\n".join(map(shown, rows)))
    return 0


def _doubled(sizes: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
    """The sizes, and with each of them doubled three times."""
    yield sizes
    for place in range(3):
        for times in (2, 4, 8):
            yield tuple(  # type: ignore[misc]
                size * times if at == place else size for at, size in enumerate(sizes)
            )


def measured(agreements: int, months: int, levels: int) -> dict[str, Any]:
    """Settle so much; seconds of processor time."""
    names = [f"agreement-{number:04d}" for number in range(agreements)]
    nouns = (_programme(levels), *(_own(name, levels) for name in names))
    files = ContractFiles(tuple(Document(noun, "bench.yaml", {}) for noun in nouns), ())
    labels = [next_label(FIRST, place) for place in range(months)]
    events = list(_events(names, labels, levels))
    through = first_day(next_label(labels[-1])) - timedelta(days=1)
    started = time.process_time()
    found = settle_files(files, events, through, _after(through))
    seconds = time.process_time() - started
    assert (len(found.statements), found.counted) == (agreements * months, len(events)), found
    return {
        "agreements": agreements,
        "months": months,
        "levels": levels,
        "events": len(events),
        "seconds": seconds,
    }


def shown(row: dict[str, Any]) -> str:
    """The figures in a line."""
    each = row["seconds"] * 1e6 / (row["agreements"] * row["months"] * row["levels"])
    return (
        f"{row['agreements']} agreements, {row['months']} months, {row['levels']} levels, "
        f"{row['events']:,} events: {row['seconds']:.2f} s of processor, "
        f"{each:,.0f} µs a level and month"
    )


def _after(through: date) -> int:
    return ((through - date(1970, 1, 1)).days + 400) * 86_400 * 1_000_000


def _said(noun: Noun) -> dict[str, Any]:
    return noun.model_dump(mode="json", exclude_unset=True)


def _own(name: str, levels: int) -> Agreement:
    told = _said(an_agreement(name, "month", levels))
    told["levels"] = [each | {"subject": name} for each in told["levels"]]
    return Agreement.model_validate(told)


def _programme(levels: int) -> Programme:
    told = _said(the_programme(levels))
    told["sources"].append({"source": "urn:erp", "reports_for": "town", "metrics": []})
    return Programme.model_validate(told)


def _events(names: list[str], labels: list[str], levels: int) -> Iterator[tuple[str, bytes]]:
    """What is reported of each month and level, and each month's charge."""
    number = 0
    for month, label in enumerate(labels):
        moment = f"{label}-15T12:00:00Z"
        for name in names:
            for level in range(levels):
                good = 980 if (level + month) % 5 == 0 else 995
                data: dict[str, Any] = {"metric": f"metric-{level}", "subject": name}
                data |= {"good": good, "total": 1000}
                number += 1
                yield _event(number, "urn:nimbus", "earnback.count.v1", moment, data)
            number += 1
            charge = {"agreement": name, "base": "fee", "period": label, "amount": "1000.00"}
            yield _event(
                number, "urn:erp", "earnback.charge.v1", moment, charge | {"currency": "EUR"}
            )


def _event(
    number: int, source: str, kind: str, moment: str, data: dict[str, Any]
) -> tuple[str, bytes]:
    told = {"specversion": "1.0", "id": f"e-{number}", "source": source, "type": kind}
    return f"events:{number}", json.dumps(told | {"time": moment, "data": data}).encode()


if __name__ == "__main__":
    sys.exit(main())
