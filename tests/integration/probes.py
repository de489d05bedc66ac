"""Probes of 27 sites of 17 vendors: availability by status, response times, tiers on both."""

from __future__ import annotations

import gzip
import json
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

PROGRAMME, BUYER = "web-watch", "watcher"
MONITOR, FINANCE = "urn:watch:monitor", "urn:watch:finance"
MONTHS = ("2022-04", "2022-05", "2022-06")
"""The monitor stops in July: that month is not over, and stays open."""

UP_AT_LEAST = Fraction("99.9")
TIERS = ((Fraction("99.9"), 0), (Fraction(99), 5), (Fraction(95), 10))
BELOW_ALL = 25
MEAN_AT_MOST = 500
P95_AT_MOST = 1000
SLOW_COSTS = 1234
"""Minor units for a mean above its limit."""
CAP_PERCENT = 40


def probes() -> Set:
    """The set, read from its file."""
    records = _records()
    vendors = _vendors(records)
    return Set(
        name=PROGRAMME,
        buyer=BUYER,
        contracts={"programme": _programme(vendors)}
        | {f"web-{vendor}": _agreement(vendor, targets) for vendor, targets in vendors.items()},
        events=in_order((BUYER, each) for each in _events(records, sorted(vendors))),
        months=MONTHS,
        by_itself=MONTHS,
        through="2022-06-30",
        expected=dict(_recount(records, vendors)),
    )


def _records() -> list[dict[str, Any]]:
    lines = gzip.decompress((DATA / "upptime-probes-2022" / "probes.jsonl.gz").read_bytes())
    return [json.loads(line) for line in lines.splitlines()]


def _vendors(records: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for record in records:
        found.setdefault(record["vendor"], set()).add(record["target"])
    return {vendor: sorted(found[vendor]) for vendor in sorted(found)}


def _invoice(vendors: list[str], vendor: str, month: str) -> int:
    """Some amount that differs by vendor and month, in minor units."""
    return 98_765 + 1_111 * vendors.index(vendor) + 7 * int(month[-2:])


def _events(records: list[dict[str, Any]], vendors: list[str]) -> Iterator[Event]:
    for record in records:
        at, target = datetime.fromisoformat(record["at"]), record["target"]
        name = f"{target}/{record['at']}"
        up = {"metric": "up", "subject": target, "up": record["status"] == "up"}
        yield event(MONITOR, f"{name}/status", "sample", at, up)
        if record["code"]:
            for metric in ("response-mean", "response-p95"):
                took = {
                    "metric": metric,
                    "subject": target,
                    "value": record["response_ms"],
                    "unit": "milliseconds",
                }
                yield event(MONITOR, f"{name}/{metric}", "response", at, took)
    for month in (*MONTHS, "2022-07"):
        for vendor in vendors:
            amount = _invoice(vendors, vendor, month)
            yield charge(FINANCE, f"web-{vendor}", month, amount, "USD")


def _programme(vendors: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "kind": "programme",
        "language": 2,
        "programme": PROGRAMME,
        "version": 1,
        "effective_from": "2022-04-01",
        "buyer": BUYER,
        "name": "Sites watched by one monitor",
        "time_zone": "UTC",
        "restated_for_days": RESTATED_FOR_DAYS,
        "vendors_see": "figures",
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [{"vendor": vendor, "name": vendor} for vendor in vendors],
        "sources": [
            {
                "source": MONITOR,
                "reports_for": BUYER,
                "metrics": ["up", "response-mean", "response-p95"],
            },
            {"source": FINANCE, "reports_for": BUYER, "metrics": []},
        ],
        "metrics": [
            {
                "metric": "up",
                "name": "Share of observed time up",
                "unit": "percent",
                "better": "higher",
                "measure": {"kind": "availability_by_status", "before_first": "not_observed"},
                "tally_window": "hour",
            },
            _response("response-mean", {"kind": "mean"}),
            _response("response-p95", {"kind": "percentile", "percent": 95}),
        ],
    }


def _response(name: str, measure: dict[str, Any]) -> dict[str, Any]:
    return {
        "metric": name,
        "name": name,
        "unit": "milliseconds",
        "better": "lower",
        "measure": measure,
        "tally_window": "day",
    }


def _agreement(vendor: str, targets: list[str]) -> dict[str, Any]:
    cap = {
        "cap": "month",
        "window": "period",
        "limit": {"kind": "percent_of", "percent": CAP_PERCENT, "base": "invoice"},
    }
    levels = [level for target in targets for level in _levels(target)]
    return agreement(
        f"web-{vendor}", PROGRAMME, vendor, "USD", ("2022-04-01", "2022-08-01"), levels, caps=[cap]
    )


def _levels(target: str) -> Iterator[dict[str, Any]]:
    common = {
        "subject": target,
        "judged": "exact",
        "no_data": "no_result",
        "defaults": {"kind": "every_miss"},
    }
    credit = {"is_a": "service_credit", "due": {"kind": "on_default"}, "quantity": {"kind": "one"}}
    by_tier = {
        "kind": "by_band",
        "of": "result",
        "gives": "percent",
        "base": "invoice",
        "bands": [
            {"at_least": "99.9", "gives": 0},
            {"at_least": 99, "below": "99.9", "gives": 5},
            {"at_least": 95, "below": 99, "gives": 10},
            {"below": 95, "gives": BELOW_ALL},
        ],
    }
    slow = {"kind": "amount", "amount": "12.34"}
    yield {
        **common,
        "level": f"{target}-up",
        "name": f"{target} is up",
        "metric": "up",
        "expected": {"at_least": "99.9"},
        "credits": [{"name": "credit", **credit, "rate": by_tier}],
    }
    yield {
        **common,
        "level": f"{target}-mean",
        "name": f"{target} answers fast",
        "metric": "response-mean",
        "expected": {"at_most": MEAN_AT_MOST},
        "credits": [{"name": "credit", **credit, "rate": slow}],
    }
    yield {
        **common,
        "level": f"{target}-p95",
        "name": f"{target} answers fast nearly always",
        "metric": "response-p95",
        "expected": {"at_most": P95_AT_MOST},
    }


# --- the recount: from the records alone ---------------------------------------------------------


def _recount(
    records: list[dict[str, Any]], vendors: dict[str, list[str]]
) -> Iterator[tuple[Place, Counted]]:
    of_target: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
    for record in records:
        at = datetime.fromisoformat(record["at"])
        of_target.setdefault(record["target"], []).append((at, record))
    for vendor, targets in vendors.items():
        for month in MONTHS:
            invoice = _invoice(sorted(vendors), vendor, month)
            levels: dict[str, Level] = {}
            owed = Fraction(0)
            for target in targets:
                seen = sorted(of_target[target], key=lambda each: each[0])
                up = _availability(seen, month)
                levels[f"{target}-up"] = Level(up, up >= UP_AT_LEAST)
                owed += Fraction(invoice * _tier(up), 100)
                mean, p95 = _responses(seen, month)
                levels[f"{target}-mean"] = _at_most(mean, MEAN_AT_MOST)
                levels[f"{target}-p95"] = _at_most(p95, P95_AT_MOST)
                owed += SLOW_COSTS if mean is not None and mean > MEAN_AT_MOST else 0
            owed = min(owed, Fraction(invoice * CAP_PERCENT, 100))
            yield (f"web-{vendor}", month), Counted(levels, half_up(owed))


def _availability(seen: list[tuple[datetime, dict[str, Any]]], month: str) -> Fraction:
    """Walk the records of a target: each status holds until the next record."""
    start, end = bounds(month)
    up = observed = 0
    for number, (at, record) in enumerate(seen):
        until = seen[number + 1][0] if number + 1 < len(seen) else end
        since, until = max(at, start), min(until, end)
        if since < until:
            observed += microseconds(since, until)
            up += microseconds(since, until) if record["status"] == "up" else 0
    return Fraction(100 * up, observed)


def _tier(up: Fraction) -> int:
    for at_least, percent in TIERS:
        if up >= at_least:
            return percent
    return BELOW_ALL


def _responses(
    seen: list[tuple[datetime, dict[str, Any]]], month: str
) -> tuple[Fraction | None, Fraction | None]:
    """Plain mean, and the smallest value with 95 of 100 at or below it, of what answered."""
    start, end = bounds(month)
    took = sorted(
        record["response_ms"] for at, record in seen if start <= at < end and record["code"]
    )
    if not took:
        return None, None
    rank = next(n for n in range(1, len(took) + 1) if 100 * n >= 95 * len(took))
    return Fraction(sum(took), len(took)), Fraction(took[rank - 1])


def _at_most(value: Fraction | None, limit: int) -> Level:
    return Level(value, None if value is None else value <= limit)
