"""A small programme and an agreement of it."""

from __future__ import annotations

from typing import Any

from schemas.agreement import Agreement
from schemas.programme import Programme
from schemas.whose_word import SAID
from tests.reporting import with_reporters

PROBE = "https://probe.example/net-1"
DESK = "https://desk.example/"
TOWN = "https://town.example/books"
NARROW = "https://probe.example/net-2"


def _metric(name: str, unit: str, better: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "metric": name,
        "name": name,
        "unit": unit,
        "better": better,
        "measure": {"kind": kind, **more},
        "decimals": 3,
    }


METRICS = (
    _metric("net.availability", "percent", "higher", "availability_by_samples"),
    _metric("net.rtt", "milliseconds", "lower", "mean"),
    _metric("net.volume", "count", "higher", "total"),
    _metric("net.delivered", "percent", "higher", "ratio", nothing_to_count="no_data"),
    _metric(
        "net.outages",
        "minutes",
        "lower",
        "outage_time",
        overlap="merged",
        part="exact",
        across_periods="begins",
        silence="up",
        incomplete="left_out",
    ),
    _metric("desk.leads", "count", "higher", "declared", at_most=1000),
    _metric(
        "desk.deliveries",
        "count",
        "lower",
        "delivery_delay",
        across_periods="begins",
        until_delivered="waits",
        nothing_to_count="no_data",
    ),
    _metric(
        "desk.in-time",
        "percent",
        "higher",
        "tickets_in_time",
        limit_minutes=60,
        equal_is_in_time=True,
        stops_in=[],
        open_past_limit="late",
        across_periods="ends",
        late_counts="once",
        nothing_to_count="no_data",
        incomplete="from_first_change",
    ),
)


def a_programme(version: int = 1, **changes: Any) -> Programme:
    """Programme campus: vendors north and desk, buyer town."""
    document: dict[str, Any] = {
        "kind": "programme",
        "language": 2,
        "programme": "campus",
        "version": version,
        "effective_from": "2025-01-01",
        "buyer": "town",
        "name": "Campus",
        "time_zone": "Europe/Berlin",
        "restated_for_days": 400,
        "vendors_see": "figures",
        "whose_word": {**dict.fromkeys(SAID, "either"), "charges": "buyer"},
        "vendors": [{"vendor": "north", "name": "North"}, {"vendor": "desk", "name": "Desk"}],
        "sources": [
            {"source": PROBE, "reports_for": "north"},
            {"source": NARROW, "reports_for": "north", "metrics": ["net.availability"]},
            {"source": DESK, "reports_for": "desk"},
            {"source": TOWN, "reports_for": "town"},
        ],
        "metrics": METRICS,
    }
    return Programme.model_validate(with_reporters({**document, **changes}))


def an_agreement(version: int = 1, **changes: Any) -> Agreement:
    """Agreement campus-network of vendor north: 5 % of the charge for a month below 99.9 %."""
    document: dict[str, Any] = {
        "kind": "agreement",
        "language": 2,
        "agreement": "campus-network",
        "version": version,
        "programme": "campus",
        "type": "service",
        "vendor": "north",
        "name": "Campus network",
        "currency": "EUR",
        "effective_from": "2025-01-01",
        "settled": "month",
        "lateness_hours": 24,
        "bases": [
            {
                "base": "monthly",
                "of_period": "same",
                "if_missing": "wait",
                "part_of_period": "full_charge",
                "longer_charge": "refused",
            }
        ],
        "conventions": {"money_rounding": "half_up", "rounded_at": "total"},
        "levels": [
            {
                "level": "availability",
                "name": "Availability",
                "metric": "net.availability",
                "expected": {"at_least": "99.9"},
                "judged": "exact",
                "no_data": "no_result",
                "defaults": {"kind": "every_miss"},
                "credits": [
                    {
                        "is_a": "service_credit",
                        "due": {"kind": "on_default"},
                        "quantity": {"kind": "one"},
                        "rate": {"kind": "percent_of", "percent": 5, "base": "monthly"},
                    }
                ],
            }
        ],
    }
    return Agreement.model_validate({**document, **changes})
