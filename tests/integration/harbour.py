"""A crane that is paid in dollars and a gate paid in euro, by one vendor, under one shared cap.

The crane's invoices are converted at the rate that the buyer states for the month's last day, or
for the last day before that has one; from June on at a rate that its second version agrees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.whose_word import SAID
from tests.integration.real import RESTATED_FOR_DAYS, Event, agreement, charge, event

CRANE, GATE = "harbour-crane", "harbour-gate"
AGREEMENTS = (CRANE, GATE)
MONTHS = ("2025-04", "2025-05", "2025-06")
PROBE, FINANCE = "urn:port:probe", "urn:port:finance"
INVOICES = {
    CRANE: ("USD", (1_234_567, 1_000_000, 1_111_110)),
    GATE: ("EUR", (400_000, 400_000, 400_000)),
}
LATE = {CRANE: (7, 4, 9), GATE: (5, 0, 8)}
"""Of a hundred moves in each month; more than two cost a tenth of the invoice."""
RATES = {"2025-04-30": "1.1373", "2025-05-30": "1.1339"}
"""31 May 2025 is a Saturday."""

EXPECTED = {
    # 12,345.67 / 1.1373 = 10,855.24: 1,085.52 and 400.00 are cut to 1,000.00 in proportion.
    (CRANE, "2025-04"): 73_073,
    (GATE, "2025-04"): 26_927,
    # 10,000.00 / 1.1339 = 8,819.12.
    (CRANE, "2025-05"): 88_191,
    (GATE, "2025-05"): 0,
    # 11,111.10 x 0.88 = 9,777.768: 977.78 and 400.00 are cut to 1,000.00.
    (CRANE, "2025-06"): 70_968,
    (GATE, "2025-06"): 29_032,
}

_OF_DAY = {
    "currency": "USD",
    "kind": "of_day",
    "circumstance": "ecb-usd",
    "quoted": "foreign_for_own",
    "day": "period_end",
    "no_rate": {"previous_within_days": 3},
    "rounded": {"decimals": 2, "mode": "half_up"},
    "source": "European Central Bank",
}
_AGREED = {
    "currency": "USD",
    "kind": "agreed",
    "rate": "0.88",
    "quoted": "own_for_foreign",
    "rounded": "exact",
    "source": "Amendment 1",
}


def written(folder: Path) -> tuple[Path, Path]:
    """Contracts and events as files: a folder of the ones, a file of the others."""
    contracts = folder / "contracts"
    contracts.mkdir()
    for number, document in enumerate(_contracts()):
        (contracts / f"{number}.yaml").write_text(json.dumps(document))
    path = folder / "events.ndjson"
    path.write_text("".join(json.dumps(each) + "\n" for each in events()))
    return contracts, path


def _contracts() -> Iterator[Mapping[str, Any]]:
    yield _programme()
    first, second = ("2025-04-01", "2025-06-01"), ("2025-06-01", "2025-07-01")
    yield _agreement(CRANE, first, conversions=[_OF_DAY])
    yield _agreement(CRANE, second, version=2, conversions=[_AGREED])
    yield _agreement(GATE, ("2025-04-01", "2025-07-01"))


def _programme() -> Mapping[str, Any]:
    metrics = [
        {
            "metric": f"{name}-on-time",
            "name": "Moves on time",
            "unit": "percent",
            "better": "higher",
            "measure": {"kind": "ratio", "nothing_to_count": "no_data"},
        }
        for name in AGREEMENTS
    ]
    cap = {
        "cap": "harbour",
        "over": {"kind": "vendor", "vendor": "quay-works"},
        "settled": "month",
        "currency": "EUR",
        "window": "period",
        "limit": {"kind": "amount", "amount": 1000},
        "split": "in_proportion",
    }
    return {
        "kind": "programme",
        "language": 2,
        "programme": "harbour",
        "version": 1,
        "effective_from": "2025-04-01",
        "buyer": "port",
        "name": "Harbour",
        "time_zone": "Europe/Rome",
        "restated_for_days": RESTATED_FOR_DAYS,
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [{"vendor": "quay-works", "name": "Quay Works"}],
        "sources": [
            {
                "source": PROBE,
                "reports_for": "port",
                "metrics": [metric["metric"] for metric in metrics],
            },
            {"source": FINANCE, "reports_for": "port", "metrics": []},
        ],
        "metrics": metrics,
        "shared_caps": [cap],
    }


def _agreement(name: str, covers: tuple[str, str], **terms: Any) -> Mapping[str, Any]:
    credit = {
        "is_a": "service_credit",
        "due": {"kind": "on_default"},
        "quantity": {"kind": "one"},
        "rate": {"kind": "percent_of", "percent": 10, "base": "invoice"},
    }
    level = {
        "level": "on-time",
        "name": "Moves on time",
        "metric": f"{name}-on-time",
        "expected": {"at_least": 98},
        "judged": "exact",
        "no_data": "miss",
        "defaults": {"kind": "every_miss"},
        "credits": [credit],
    }
    return agreement(name, "harbour", "quay-works", "EUR", covers, [level], **terms)


def events() -> Iterator[Event]:
    """The moves of each month, what was invoiced, and the rates of two days."""
    for place, month in enumerate(MONTHS):
        for name in AGREEMENTS:
            currency, amounts = INVOICES[name]
            data = {
                "metric": f"{name}-on-time",
                "good": 100 - LATE[name][place],
                "total": 100,
            }
            at = datetime.fromisoformat(f"{month}-20T12:00:00+00:00")
            yield event(PROBE, f"{name}/{month}", "count", at, data)
            yield charge(FINANCE, name, month, amounts[place], currency)
    for day, rate in RATES.items():
        at = datetime.fromisoformat(f"{day}T16:00:00+00:00")
        stated = {"agreement": CRANE, "circumstance": "ecb-usd", "period": day, "value": rate}
        yield event(FINANCE, f"ecb-usd/{day}", "circumstance", at, stated)
