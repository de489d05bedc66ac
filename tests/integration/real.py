"""What every set of real input has in common: events, contracts, and what they must come to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

DATA = Path(__file__).parent / "data"

RESTATED_FOR_DAYS = 3660

Event = dict[str, Any]
Place = tuple[str, str]
"""Agreement and period."""


@dataclass(frozen=True)
class Level:
    """How a level must stand: the figure as measured, and whether it met what was promised."""

    figure: Fraction | None
    met: bool | None


@dataclass(frozen=True)
class Counted:
    """What a period must come to. ``total_minor``: positive when the vendor owes."""

    levels: Mapping[str, Level]
    total_minor: int


@dataclass(frozen=True)
class Set:
    """One set of real input: who sends what, under which contracts, and the plain recount.

    ``contracts``: file name to document. ``events``: with the party that sends each, in order of
    time. ``through``: the last day that is settled. ``by_itself``: months that event time passes.
    ``refused``: ids that the door must refuse.
    """

    name: str
    buyer: str
    contracts: Mapping[str, Mapping[str, Any]]
    events: tuple[tuple[str, Event], ...]
    months: tuple[str, ...]
    by_itself: tuple[str, ...]
    through: str
    expected: Mapping[Place, Counted]
    refused: frozenset[str] = frozenset()

    @property
    def parties(self) -> list[str]:
        """Everyone who sends events."""
        return sorted({party for party, _ in self.events})

    def deliveries(self) -> Iterator[tuple[str, list[Event]]]:
        """The events as they come: month by month, each party's in a delivery of its own."""
        for _, month in groupby(self.events, key=lambda each: each[1]["time"][:7]):
            by_party: dict[str, list[Event]] = {}
            for party, event in month:
                by_party.setdefault(party, []).append(event)
            yield from sorted(by_party.items())

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Contracts and events as files; the folder of the one, and the file of the other."""
        contracts = folder / "contracts"
        contracts.mkdir(parents=True)
        for name, document in self.contracts.items():
            # Every JSON text is also YAML.
            (contracts / f"{name}.yaml").write_text(json.dumps(document, indent=1))
        events = folder / "events.ndjson"
        with events.open("w") as out:
            out.writelines(json.dumps(event) + "\n" for _, event in self.events)
        return contracts, events


def event(source: str, identity: str, kind: str, at: datetime, data: Mapping[str, Any]) -> Event:
    """One CloudEvent."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": source,
        "type": f"earnback.{kind}.v1",
        "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": dict(data),
    }


def charge(source: str, agreement: str, month: str, minor: int, currency: str) -> Event:
    """The invoice of a month, stated in the middle of it."""
    at = datetime.fromisoformat(f"{month}-15T12:00:00+00:00")
    data = {
        "agreement": agreement,
        "base": "invoice",
        "period": month,
        "amount": f"{minor // 100}.{minor % 100:02d}",
        "currency": currency,
    }
    return event(source, f"{agreement}/{month}", "charge", at, data)


def agreement(
    name: str,
    programme: str,
    vendor: str,
    currency: str,
    covers: tuple[str, str],
    levels: Iterable[Mapping[str, Any]],
    **terms: Any,
) -> dict[str, Any]:
    """An agreement that is settled monthly, three days after the month, on one invoice.

    ``covers``: its first day, and the first day that it no longer covers.
    """
    return {
        "kind": "agreement",
        "language": 2,
        "agreement": name,
        "version": 1,
        "programme": programme,
        "type": "underpinning",
        "vendor": vendor,
        "name": name,
        "currency": currency,
        "effective_from": covers[0],
        "effective_until": covers[1],
        "settled": "month",
        "lateness_hours": 72,
        "conventions": {"money_rounding": "half_up", "rounded_at": "total"},
        "bases": [
            {
                "base": "invoice",
                "of_period": "same",
                "if_missing": "wait",
                "part_of_period": "full_charge",
                "longer_charge": "refused",
            }
        ],
        "levels": list(levels),
        **terms,
    }


def bounds(month: str, zone: str = "UTC") -> tuple[datetime, datetime]:
    """First instant of a month and of the next one, on a calendar."""
    year, number = (int(part) for part in month.split("-"))
    following = (year + number // 12, number % 12 + 1)
    clock = ZoneInfo(zone)
    return datetime(year, number, 1, tzinfo=clock).astimezone(UTC), datetime(
        *following, 1, tzinfo=clock
    ).astimezone(UTC)


def microseconds(start: datetime, end: datetime) -> int:
    """The time from one instant to another, exactly."""
    passed = end.astimezone(UTC) - start.astimezone(UTC)
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def half_up(amount: Fraction) -> int:
    """An exact amount rounded to whole minor units, halves away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount).numerator + amount.denominator) // (2 * amount.denominator))


def in_order(events: Iterable[tuple[str, Event]]) -> tuple[tuple[str, Event], ...]:
    """Events by time, then identity."""
    return tuple(sorted(events, key=lambda each: (each[1]["time"], each[1]["id"])))
