"""An estate with a lift, a heating and six more services, run by a vendor that is not honest.

Each service is an agreement of its own, settled by what the buyer states and by what the source
that its programme names has measured. What the vendor or another party sends to change what is
settled is in ``ATTACKS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.role import Role
from schemas.whose_word import SAID
from tests.integration.real import Event, Place, agreement, event
from tests.integration.real import charge as charged

BUYER, VENDOR, NEIGHBOUR = "estate", "slate", "granite"
DESK, OWN, BESIDE = "urn:estate:desk", "urn:slate:desk", "urn:granite:desk"
LIFT, HEAT, NET, WASTE, DOOR, SCAN = "lift", "heat", "net", "waste", "door", "scan"
FLEET_THEN, FLEET_NOW = "fleet-2023", "fleet-2025"
THEN, NOW = "2023-03", "2025-01"

OWED: Mapping[Place, int] = {
    (LIFT, NOW): 388_885,
    (HEAT, NOW): 200_000,
    (NET, NOW): 50_000,
    (WASTE, NOW): 50_000,
    (DOOR, NOW): 100_000,
    (SCAN, NOW): 100_000,
    (FLEET_THEN, THEN): 100_000,
    (FLEET_NOW, NOW): 0,
}
"""What each period comes to from what is honest."""

INVOICES = {LIFT: 3_888_850, **dict.fromkeys((HEAT, NET, WASTE, DOOR), 1_000_000)}
PERCENT = {HEAT: 20, NET: 5}
OF_BOTH = {DOOR: {"binding": DESK}, SCAN: "added", "fleet": "added"}
"""The metrics that the vendor reports as well, and how its source and the buyer's stand."""
SHARED = LIFT
"""What the neighbour reports as well, so that the vendor's amount rests on events of both."""


@dataclass(frozen=True)
class Attack:
    """Events that are to change what a period comes to, and where that becomes known.

    ``sent``: over which way, by whose key or topic. ``code``: why it is refused; None: it is taken.
    ``told``: where both parties of the agreement find it; None: its sender alone is answered.
    ``would_be``: of a proposal, what the period would come to if it were accepted.
    """

    place: Place
    sent: Literal["http", "topic"]
    party: str
    role: Role
    event: Event
    code: str | None = None
    told: Literal["proposal", "quarantine", "compared"] | None = None
    would_be: int | None = None


def contracts() -> Iterator[dict[str, Any]]:
    """The programme and its agreements, of which the neighbour has one."""
    services = (LIFT, HEAT, NET, WASTE, DOOR, SCAN, "fleet")
    yield {
        "kind": "programme",
        "language": 2,
        "programme": "quarry",
        "version": 1,
        "effective_from": "2023-01-01",
        "buyer": BUYER,
        "name": "Services of an estate",
        "time_zone": "UTC",
        "restated_for_days": 400,
        "vendors_see": "figures",
        "whose_word": dict.fromkeys(SAID, "buyer"),
        "vendors": [{"vendor": each, "name": each} for each in (VENDOR, NEIGHBOUR)],
        "sources": [
            {"source": DESK, "reports_for": BUYER, "metrics": list(services)},
            {"source": OWN, "reports_for": VENDOR, "metrics": list(OF_BOTH)},
            {"source": BESIDE, "reports_for": NEIGHBOUR, "metrics": [SHARED]},
        ],
        "metrics": [_metric(each) for each in services],
    }
    for name, month in OWED:
        first = f"{month}-01"
        until = f"{month[:5]}{int(month[5:]) + 1:02d}-01"
        yield _agreement(name, VENDOR, (first, until))
    yield _agreement("granite-lift", NEIGHBOUR, ("2025-01-01", "2025-02-01"), metric=LIFT)


def _metric(name: str) -> dict[str, Any]:
    stand = {**OF_BOTH, SHARED: "added"}
    several = {"several_sources": stand[name]} if name in stand else {}
    return {
        "metric": name,
        "name": name,
        "unit": "percent",
        "better": "higher",
        "measure": {"kind": "ratio", "nothing_to_count": "no_data"},
        **several,
    }


def _agreement(
    name: str, vendor: str, covers: tuple[str, str], metric: str | None = None
) -> dict[str, Any]:
    credit: dict[str, Any] = {
        "is_a": "service_credit",
        "due": {"kind": "on_default"},
        "quantity": {"kind": "one"},
        "rate": {"kind": "percent_of", "percent": PERCENT.get(name, 10), "base": "invoice"},
    }
    if name == WASTE:
        tonnes = {"kind": "circumstance", "circumstance": "tonnes", "if_absent": "wait"}
        credit |= {"quantity": tonnes, "rate": {"kind": "percent_of", "percent": 1}}
        credit["rate"]["base"] = "invoice"
    level: dict[str, Any] = {
        "level": "good",
        "name": "Good",
        "metric": metric or name.split("-")[0],
        "expected": {"at_least": 99},
        "judged": "exact",
        "no_data": "no_result",
        "defaults": {"kind": "every_miss"},
        "credits": [credit],
    }
    if name == NET:
        level["relief"] = [{"kind": "circumstance", "circumstance": "force-majeure"}]
    return agreement(name, "quarry", vendor, "EUR", covers, [level])


# --- what is honest -------------------------------------------------------------------------------


def honest() -> Iterator[tuple[str, Event]]:
    """Who sends what."""
    for name in (LIFT, HEAT, NET, WASTE):
        yield BUYER, _count(DESK, name, name, f"{NOW}-10", 980, 1000)
    yield NEIGHBOUR, _count(BESIDE, SHARED, "of-granite-bad", f"{NOW}-10", 10, 500)
    yield BUYER, _count(DESK, DOOR, "door-own", f"{NOW}-10", 900, 1000)
    for name, good in (("scan-bad", 450), ("scan-fair", 499)):
        yield VENDOR, _count(OWN, SCAN, name, f"{NOW}-10", good, 500)
    yield VENDOR, _count(OWN, "fleet", "fleet-bad", f"{THEN}-10", 90, 100)
    yield VENDOR, _count(OWN, "fleet", "fleet-good", f"{NOW}-10", 1000, 1000)
    for name, month in OWED:
        yield BUYER, charged(DESK, name, month, INVOICES.get(name, 1_000_000), "EUR")
    yield BUYER, charged(DESK, "granite-lift", NOW, 1_000_000, "EUR")
    yield BUYER, _stated(DESK, "tonnes", WASTE, "tonnes", value=5)


def _count(source: str, metric: str, name: str, day: str, good: int, total: int) -> Event:
    data = {"metric": metric, "good": good, "total": total}
    return event(source, name, "count", _noon(day), data)


def _stated(source: str, name: str, agreed: str, what: str, **more: Any) -> Event:
    data = {"agreement": agreed, "circumstance": what, "period": NOW, **more}
    return event(source, name, "circumstance", _noon("2025-02-03"), data)


def _charge(source: str, name: str, agreed: str, amount: str) -> Event:
    data = {"agreement": agreed, "base": "invoice", "period": NOW, "amount": amount}
    return event(source, name, "charge", _noon("2025-02-04"), {**data, "currency": "EUR"})


def _corrected(name: str, of: str, day: str = f"{NOW}-20", **more: Any) -> Event:
    data = {"corrects": of, "reason": "the-clock-of-slate-1 was wrong", **more}
    return event(OWN, name, "correction", _noon(day), data)


def _noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+00:00")


POISON = b'{"a record": "of-granite-1'
"""What the neighbour writes to its own topic: no event at all."""

# --- what is not ----------------------------------------------------------------------------------

ATTACKS: Mapping[str, Attack] = {
    "a charge by finance": Attack(
        (LIFT, NOW), "http", BUYER, "finance",
        _charge(DESK, "x-finance", LIFT, "0.50"), "kind-not-of-role",
    ),
    "a charge by a probe": Attack(
        (LIFT, NOW), "http", BUYER, "probe",
        _charge(DESK, "x-probe", LIFT, "0.50"), "kind-not-of-role",
    ),
    "a charge as the buyer": Attack(
        (LIFT, NOW), "http", VENDOR, "vendor",
        _charge(DESK, "x-as-buyer", LIFT, "0.50"), "unknown-source",
    ),
    "a charge of another vendor's": Attack(
        (LIFT, NOW), "http", VENDOR, "vendor",
        _charge(OWN, "x-of-granite", "granite-lift", "0.50"), "unknown-agreement",
    ),
    "a charge over the buyer's": Attack(
        (HEAT, NOW), "http", VENDOR, "vendor",
        _charge(OWN, "x-charge", HEAT, "50.00"), told="proposal", would_be=1_000,
    ),
    "a charge over the buyer's by topic": Attack(
        (HEAT, NOW), "topic", VENDOR, "vendor",
        _charge(OWN, "x-charge-by-topic", HEAT, "51.00"), told="proposal", would_be=1_020,
    ),
    "force majeure for itself": Attack(
        (NET, NOW), "http", VENDOR, "vendor",
        _stated(OWN, "x-excuse", NET, "force-majeure"), told="proposal", would_be=0,
    ),
    "a quantity below zero": Attack(
        (WASTE, NOW), "http", VENDOR, "vendor",
        _stated(OWN, "x-negative", WASTE, "tonnes", value=-5000), "out-of-range",
    ),
    "a quantity below zero by topic": Attack(
        (WASTE, NOW), "topic", VENDOR, "vendor",
        _stated(OWN, "x-negative-by-topic", WASTE, "tonnes", value=-5000), "out-of-range",
        told="quarantine",
    ),
    "a quantity in the place of the buyer's": Attack(
        (WASTE, NOW), "http", VENDOR, "vendor",
        _stated(OWN, "x-quantity", WASTE, "tonnes", value=0), told="proposal", would_be=0,
    ),
    "an own failing sample taken back after the close": Attack(
        (SCAN, NOW), "http", VENDOR, "vendor",
        _corrected("x-own", "scan-bad", "2025-02-20"), told="proposal", would_be=0,
    ),
    "an own failing sample made good, dated back before the close": Attack(
        (SCAN, NOW), "topic", VENDOR, "vendor",
        _corrected("x-own-dated-back", "scan-fair",
                   data={"metric": SCAN, "good": 500, "total": 500}),
        told="proposal", would_be=100_000,
    ),
    "good samples beside the buyer's": Attack(
        (DOOR, NOW), "http", VENDOR, "vendor",
        _count(OWN, DOOR, "x-beside", f"{NOW}-11", 60_000, 60_000), told="compared",
    ),
    "an event moved into a month settled long ago": Attack(
        (FLEET_THEN, THEN), "http", VENDOR, "vendor",
        _corrected("x-moved", "fleet-good", time=f"{THEN}-11T12:00:00Z"), "beyond-horizon",
        told="quarantine",
    ),
    "an event moved there by topic": Attack(
        (FLEET_THEN, THEN), "topic", VENDOR, "vendor",
        _corrected("x-moved-by-topic", "fleet-good", time=f"{THEN}-11T12:00:00Z"), "beyond-horizon",
        told="quarantine",
    ),
    "an event of a month settled long ago taken back": Attack(
        (FLEET_THEN, THEN), "http", VENDOR, "vendor",
        _corrected("x-taken-back", "fleet-bad"), told="quarantine",
    ),
}  # fmt: skip
