"""Tickets of a service desk that move between the organisations working on them.

The five organisations with the most changes are vendors of their own, the others are one more.
The log comes from the buyer's desk and says with every change who holds the ticket.
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

PROGRAMME, BUYER = "car-desk", "maker"
DESK, FINANCE = "urn:maker:desk", "urn:maker:finance"
ZONE = "Europe/Stockholm"
OF_THEIR_OWN = {
    "Org line C": "line-c",
    "Org line A2": "line-a2",
    "Org line B": "line-b",
    "Other": "other",
    "Org line V7n": "line-v7n",
}
THE_REST = "the-rest"
VENDORS = (*OF_THEIR_OWN.values(), THE_REST)
MONTHS = ("2012-03", "2012-04", "2012-05")
STOPS_IN = ("wait", "wait-user", "wait-customer", "wait-vendor", "wait-implementation")

LIMIT_MINUTES = 7_200
AT_LEAST = 85
POINT_COSTS = Fraction(1, 2)
"""Percent of the invoice for each percentage point below."""
BONUS_FROM, BONUS_PERCENT = 95, 2

Change = dict[str, Any]


def desk() -> Set:
    """The set, read from its file."""
    tickets = _tickets()
    return Set(
        name=PROGRAMME,
        buyer=BUYER,
        contracts={"programme": _programme()}
        | {f"desk-{vendor}": _agreement(vendor) for vendor in VENDORS},
        events=in_order((BUYER, each) for each in _events(tickets)),
        months=MONTHS,
        by_itself=MONTHS[:-1],
        through="2012-05-31",
        expected=dict(_recount(tickets)),
    )


def _tickets() -> dict[str, list[Change]]:
    text = gzip.decompress((DATA / "service-desk-2012-04" / "changes.csv.gz").read_bytes()).decode()
    found: dict[str, list[Change]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        change = {
            "ticket": row["ticket"],
            "seq": int(row["seq"]),
            "at": datetime.fromisoformat(row["at"]),
            "done": row["status"] == "Completed",
            "state": re.sub(r"[^a-z]+", "-", row["sub_status"].lower()),
            "vendor": OF_THEIR_OWN.get(row["org_line"], THE_REST),
            "priority": row["impact"].lower(),
        }
        found.setdefault(row["ticket"], []).append(change)
    for changes in found.values():
        changes.sort(key=lambda each: (each["at"], each["seq"]))
    return found


def _invoice(vendor: str, month: str) -> int:
    return 1_500_000 + 98_761 * VENDORS.index(vendor) + 13 * int(month[-2:])


def _events(tickets: dict[str, list[Change]]) -> Iterator[Event]:
    """Completed is resolved; the first other change after it says first that it is reopened."""
    for name, changes in tickets.items():
        done = False
        for change in changes:
            if done and not change["done"]:
                yield _ticket(name, change, "reopened", 2 * change["seq"])
            done = change["done"]
            state = "resolved" if done else change["state"]
            yield _ticket(name, change, state, 2 * change["seq"] + 1)
    for month in MONTHS:
        for vendor in VENDORS:
            yield charge(FINANCE, f"desk-{vendor}", month, _invoice(vendor, month), "SEK")


def _ticket(name: str, change: Change, state: str, sequence: int) -> Event:
    data = {
        "metric": "tickets-in-time",
        "ticket": name,
        "state": state,
        "assigned_to": change["vendor"],
        "priority": change["priority"],
        "sequence": sequence,
    }
    return event(DESK, f"{change['seq']}/{state}", "ticket", change["at"], data)


def _programme() -> dict[str, Any]:
    return {
        "kind": "programme",
        "language": 2,
        "programme": PROGRAMME,
        "version": 1,
        "effective_from": "2012-03-01",
        "buyer": BUYER,
        "name": "Service desk of a car maker",
        "time_zone": ZONE,
        "restated_for_days": RESTATED_FOR_DAYS,
        "vendors_see": "figures",
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [{"vendor": vendor, "name": vendor} for vendor in VENDORS],
        "sources": [
            {"source": DESK, "reports_for": BUYER, "metrics": ["tickets-in-time"]},
            {"source": FINANCE, "reports_for": BUYER, "metrics": []},
        ],
        "metrics": [
            {
                "metric": "tickets-in-time",
                "name": "Tickets resolved within five days of their holder's own clock",
                "unit": "percent",
                "better": "higher",
                "measure": {
                    "kind": "tickets_in_time",
                    "nothing_to_count": "no_data",
                    "incomplete": "from_first_change",
                    "limit_minutes": LIMIT_MINUTES,
                    "equal_is_in_time": True,
                    "stops_in": list(STOPS_IN),
                    "open_past_limit": "late",
                    "across_periods": "ends",
                    "late_counts": "in_each_period",
                },
                "tally_window": "day",
            }
        ],
    }


def _agreement(vendor: str) -> dict[str, Any]:
    short = {
        "kind": "shortfall",
        "counted_from": AT_LEAST,
        "step": 1,
        "part_step": "in_proportion",
    }
    level = {
        "level": "in-time",
        "name": "Tickets in time",
        "metric": "tickets-in-time",
        "expected": {"at_least": AT_LEAST},
        "judged": "exact",
        "no_data": "no_result",
        "defaults": {"kind": "every_miss"},
        "credits": [
            {
                "name": "credit",
                "is_a": "service_credit",
                "due": {"kind": "on_default"},
                "quantity": short,
                "rate": {"kind": "percent_of", "percent": "0.5", "base": "invoice"},
            },
            {
                "name": "bonus",
                "is_a": "bonus",
                "due": {"kind": "on_trigger", "result": {"at_least": BONUS_FROM}},
                "quantity": {"kind": "one"},
                "rate": {"kind": "percent_of", "percent": BONUS_PERCENT, "base": "invoice"},
            },
        ],
    }
    return agreement(
        f"desk-{vendor}", PROGRAMME, vendor, "SEK", ("2012-03-01", "2012-06-01"), [level]
    )


# --- the recount: each ticket told again from its changes ----------------------------------------


def _recount(tickets: dict[str, list[Change]]) -> Iterator[tuple[Place, Counted]]:
    for month in MONTHS:
        start, end = bounds(month, ZONE)
        good, total = dict.fromkeys(VENDORS, 0), dict.fromkeys(VENDORS, 0)
        for changes in tickets.values():
            for vendor, in_time in _verdicts(changes, start, end):
                total[vendor] += 1
                good[vendor] += in_time
        for vendor in VENDORS:
            share = Fraction(100 * good[vendor], total[vendor]) if total[vendor] else None
            level = Level(share, None if share is None else share >= AT_LEAST)
            counted = Counted({"in-time": level}, _owed(share, _invoice(vendor, month)))
            yield (f"desk-{vendor}", month), counted


def _verdicts(changes: list[Change], start: datetime, end: datetime) -> Iterator[tuple[str, bool]]:
    """Who held a ticket that counts in the month, and whether each was in time.

    It counts when it stands completed at the month's end and was completed in the month, for all
    who held it before; or when it stands open and its holder has used up the time.
    """
    known = [change for change in changes if change["at"] < end]
    worked: dict[str, int] = {}
    completed: datetime | None = None
    for number, change in enumerate(known):
        if not change["done"]:
            completed = None
        elif completed is None:
            completed = change["at"]
        held_open = completed is None or completed == change["at"]
        if held_open:
            worked.setdefault(change["vendor"], 0)
        until = known[number + 1]["at"] if number + 1 < len(known) else end
        if completed is None and change["state"] not in STOPS_IN:
            worked[change["vendor"]] += microseconds(change["at"], until)
    limit = LIMIT_MINUTES * 60_000_000
    if completed is not None and completed >= start:
        yield from ((vendor, used <= limit) for vendor, used in sorted(worked.items()))
    elif known and completed is None and worked[known[-1]["vendor"]] > limit:
        yield known[-1]["vendor"], False


def _owed(share: Fraction | None, invoice: int) -> int:
    if share is None:
        return 0
    if share < AT_LEAST:
        return half_up((AT_LEAST - share) * POINT_COSTS * invoice / 100)
    return -half_up(Fraction(BONUS_PERCENT * invoice, 100)) if share >= BONUS_FROM else 0
