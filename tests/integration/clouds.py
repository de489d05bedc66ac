"""Incidents of three clouds over two years: outages that overlap, minutes and availability.

Two of the vendors tell an outage's begin and end as they happen. The third sends one complete
record per incident afterwards; two of its records end before they start.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any

from schemas.whose_word import SAID
from tests.integration.real import (
    DATA,
    RESTATED_FOR_DAYS,
    Counted,
    Event,
    Level,
    Place,
    Set,
    agreement,
    bounds,
    charge,
    event,
    half_up,
    in_order,
    microseconds,
)

PROGRAMME, BUYER = "three-clouds", "builder"
FINANCE = "urn:builder:finance"
ZONE = "America/New_York"
VENDORS = ("aws", "azure", "gcp")
AFTERWARDS = "aws"
"""The vendor that sends whole records."""
MONTHS = tuple(f"{year}-{month:02d}" for year in (2018, 2019) for month in range(1, 13))
METRICS = ("availability", "minutes", "outages")

UP_AT_LEAST = Fraction(99)
TIERS = ((Fraction(99), 0), (Fraction(90), 10), (Fraction(60), 20))
BELOW_ALL = 30
MINUTES_AT_MOST = 600
MINUTE_COSTS = Fraction(7, 2)
"""Minor units for each minute above the limit, parts in proportion."""
OUTAGES_AT_MOST = 10
ENDS_BEFORE_IT_STARTS = ("2019-0172", "2019-0174")

Incident = dict[str, Any]


def clouds() -> Set:
    """The set, read from its file."""
    incidents = _incidents()
    return Set(
        name=PROGRAMME,
        buyer=BUYER,
        contracts={"programme": _programme()}
        | {f"cloud-{vendor}": _agreement(vendor) for vendor in VENDORS},
        events=in_order(_events(incidents)),
        months=MONTHS,
        by_itself=MONTHS[:-1],
        through="2019-12-31",
        expected=dict(_recount(incidents)),
        refused=frozenset(f"{name}/{m}" for name in ENDS_BEFORE_IT_STARTS for m in METRICS),
    )


def _incidents() -> list[Incident]:
    text = gzip.decompress(
        (DATA / "cloud-incidents-2018-2019" / "incidents.csv.gz").read_bytes()
    ).decode()
    return [
        {
            "name": row["incident_id"],
            "vendor": row["vendor"].lower(),
            "service": row["service_id"] or re.sub(r"[^a-z0-9]+", "-", row["service_name"].lower()),
            "start": datetime.fromisoformat(row["start"]),
            "end": datetime.fromisoformat(row["end"]),
        }
        for row in csv.DictReader(io.StringIO(text))
    ]


def _invoice(vendor: str, month: str) -> int:
    return 4_000_000 + 123_457 * VENDORS.index(vendor) + 101 * int(month[-2:])


def _events(incidents: list[Incident]) -> Iterator[tuple[str, Event]]:
    for incident in incidents:
        vendor = incident["vendor"]
        for metric in METRICS:
            for each in _told(incident, metric):
                yield vendor, each
    for month in MONTHS:
        for vendor in VENDORS:
            amount = _invoice(vendor, month)
            yield BUYER, charge(FINANCE, f"cloud-{vendor}", month, amount, "USD")


def _told(incident: Incident, metric: str) -> Iterator[Event]:
    name, source = f"{incident['name']}/{metric}", f"urn:{incident['vendor']}:status-page"
    data = {
        "metric": f"{incident['vendor']}-{metric}",
        "subject": incident["service"],
        "outage": incident["name"],
    }
    if incident["vendor"] == AFTERWARDS:
        times = {"started_at": _text(incident["start"]), "ended_at": _text(incident["end"])}
        at = max(incident["start"], incident["end"])
        yield event(source, name, "outage", at, {**data, "phase": "correct", **times})
        return
    yield event(source, f"{name}/open", "outage", incident["start"], {**data, "phase": "open"})
    yield event(source, f"{name}/close", "outage", incident["end"], {**data, "phase": "close"})


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _programme() -> dict[str, Any]:
    return {
        "kind": "programme",
        "language": 2,
        "programme": PROGRAMME,
        "version": 1,
        "effective_from": "2018-01-01",
        "buyer": BUYER,
        "name": "Three clouds by their own status pages",
        "time_zone": ZONE,
        "restated_for_days": RESTATED_FOR_DAYS,
        "vendors_see": "figures",
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [{"vendor": vendor, "name": vendor} for vendor in VENDORS],
        "sources": [
            {"source": FINANCE, "reports_for": BUYER, "metrics": []},
            *(
                {
                    "source": f"urn:{vendor}:status-page",
                    "reports_for": vendor,
                    "metrics": [f"{vendor}-{metric}" for metric in METRICS],
                }
                for vendor in VENDORS
            ),
        ],
        "metrics": [metric for vendor in VENDORS for metric in _metrics(vendor)],
    }


def _metrics(vendor: str) -> Iterator[dict[str, Any]]:
    minutes = {
        "kind": "outage_time",
        "overlap": "merged",
        "part": "exact",
        "across_periods": "split",
        "silence": "up",
        "incomplete": "left_out",
    }
    for metric, unit, better, measure in (
        (
            "availability",
            "percent",
            "higher",
            {"kind": "availability_by_outages", "silence": "up", "incomplete": "left_out"},
        ),
        ("minutes", "minutes", "lower", minutes),
        (
            "outages",
            "count",
            "lower",
            {
                "kind": "outage_count",
                "silence": "up",
                "incomplete": "left_out",
                "across_periods": "begins",
            },
        ),
    ):
        yield {
            "metric": f"{vendor}-{metric}",
            "name": f"{vendor}: {metric}",
            "unit": unit,
            "better": better,
            "measure": measure,
            "tally_window": "day",
        }


def _agreement(vendor: str) -> dict[str, Any]:
    credit = {"is_a": "service_credit", "due": {"kind": "on_default"}}
    by_tier = {
        "kind": "by_band",
        "of": "result",
        "gives": "percent",
        "base": "invoice",
        "bands": [
            {"at_least": 99, "gives": 0},
            {"at_least": 90, "below": 99, "gives": 10},
            {"at_least": 60, "below": 90, "gives": 20},
            {"below": 60, "gives": BELOW_ALL},
        ],
    }
    over = {
        "kind": "excess",
        "counted_from": MINUTES_AT_MOST,
        "in_percent_of_start": False,
        "step": 1,
        "part_step": "in_proportion",
    }
    per_minute = {"kind": "amount", "amount": "0.035"}
    levels = [
        _level(vendor, "availability", {"at_least": 99})
        | {"credits": [{**credit, "quantity": {"kind": "one"}, "rate": by_tier}]},
        _level(vendor, "minutes", {"at_most": MINUTES_AT_MOST})
        | {"credits": [{**credit, "quantity": over, "rate": per_minute}]},
        _level(vendor, "outages", {"at_most": OUTAGES_AT_MOST}),
    ]
    return agreement(
        f"cloud-{vendor}", PROGRAMME, vendor, "USD", ("2018-01-01", "2020-01-01"), levels
    )


def _level(vendor: str, metric: str, expected: dict[str, Any]) -> dict[str, Any]:
    return {
        "level": metric,
        "name": metric,
        "metric": f"{vendor}-{metric}",
        "expected": expected,
        "judged": "exact",
        "no_data": "met",
        "defaults": {"kind": "every_miss"},
    }


# --- the recount: a sweep over the incidents -----------------------------------------------------


def _recount(incidents: list[Incident]) -> Iterator[tuple[Place, Counted]]:
    for vendor in VENDORS:
        own = [
            each for each in incidents if each["vendor"] == vendor and each["end"] > each["start"]
        ]
        for month in MONTHS:
            start, end = bounds(month, ZONE)
            down = _covered(own, start, end)
            up = 100 - Fraction(100 * down, microseconds(start, end))
            services = sorted({each["service"] for each in own})
            minutes = sum(
                (
                    Fraction(
                        _covered([e for e in own if e["service"] == s], start, end), 60_000_000
                    )
                    for s in services
                ),
                Fraction(0),
            )
            begun = Fraction(sum(1 for each in own if start <= each["start"] < end))
            owed = Fraction(_invoice(vendor, month) * _tier(up), 100)
            owed += MINUTE_COSTS * max(Fraction(0), minutes - MINUTES_AT_MOST)
            levels = {
                "availability": Level(up, up >= UP_AT_LEAST),
                "minutes": Level(minutes, minutes <= MINUTES_AT_MOST),
                "outages": Level(begun, begun <= OUTAGES_AT_MOST),
            }
            yield (f"cloud-{vendor}", month), Counted(levels, half_up(owed))


def _covered(incidents: list[Incident], start: datetime, end: datetime) -> int:
    """Microseconds in which at least one incident was under way: up at a start, down at an end."""
    edges: list[tuple[datetime, int]] = []
    for each in incidents:
        since, until = max(each["start"], start), min(each["end"], end)
        if since < until:
            edges += [(since, 1), (until, -1)]
    covered = depth = 0
    since = start
    for at, step in sorted(edges):
        if depth:
            covered += microseconds(since, at)
        since, depth = at, depth + step
    return covered


def _tier(up: Fraction) -> int:
    for at_least, percent in TIERS:
        if up >= at_least:
            return percent
    return BELOW_ALL
