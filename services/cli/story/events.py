"""A quarter of events for the demo, the same on every run: the story is in the numbers below.

January: the portal is down long enough that both vendors behind it miss. February and March:
the network is good again and earns half of its credit back; hosting keeps missing its stricter
level and its batches, until its caps bind. The desk is good, and in February very good.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

StoryEvent = dict[str, Any]

PROBE = "urn:acme:probe:portal"
FINANCE = "urn:acme:finance"
BATCH = "urn:cloudhaus:batch"
DESK = "urn:deskline:tickets"

START = datetime(2024, 12, 31, 23, 0, tzinfo=UTC)  # 2025-01-01 00:00 in Berlin
END = datetime(2025, 3, 31, 22, 0, tzinfo=UTC)  # 2025-04-01 00:00 in Berlin
PROBE_EVERY = timedelta(minutes=5)

# When the portal did not answer: start and number of probes.
PORTAL_DOWN = (
    (datetime(2025, 1, 14, 8, 0, tzinfo=UTC), 48),  # four hours
    (datetime(2025, 2, 6, 3, 0, tzinfo=UTC), 6),
    (datetime(2025, 3, 19, 21, 0, tzinfo=UTC), 6),
)
# Probes of the January outage that the probe's own fault made fail; taken back in March.
FALSE_ALARMS = 30
INVOICES = {
    "northnet-wan": "80000.00",
    "cloudhaus-hosting": "50000.00",
    "deskline-desk": "30000.00",
}
LATE_BATCHES = {1: 2, 2: 3, 3: 4}  # month: nights with late batches
TICKETS_A_DAY = 9
LATE_TICKETS = {1: 30, 2: 4, 3: 20}  # month: tickets that took too long


def _event(source: str, identity: str, kind: str, at: datetime, data: dict[str, Any]) -> StoryEvent:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": source,
        "type": f"earnback.{kind}.v1",
        "time": at.isoformat().replace("+00:00", "Z"),
        "data": data,
    }


def probes(until: datetime = END + timedelta(days=1)) -> Iterator[StoryEvent]:
    """The portal's probes: up, or down in the outages above."""
    at = START
    while at < until:
        down = any(begin <= at < begin + count * PROBE_EVERY for begin, count in PORTAL_DOWN)
        data = {"metric": "portal-availability", "up": not down}
        yield _event(PROBE, f"portal-{at:%Y%m%dT%H%M}", "sample", at, data)
        at += PROBE_EVERY


def false_alarms() -> Iterator[StoryEvent]:
    """The late correction: the first probes of January's outage never failed at the portal."""
    begin, _ = PORTAL_DOWN[0]
    for index in range(FALSE_ALARMS):
        at = begin + index * PROBE_EVERY
        yield _event(
            PROBE,
            f"correction-{at:%Y%m%dT%H%M}",
            "correction",
            datetime(2025, 3, 27, 9, 0, tzinfo=UTC) + index * timedelta(seconds=1),
            {
                "corrects": f"portal-{at:%Y%m%dT%H%M}",
                "reason": "the probe's own uplink was down; the portal's log shows it served",
                "data": {"metric": "portal-availability", "up": True},
            },
        )


def invoices() -> Iterator[StoryEvent]:
    """What each vendor billed for each month."""
    for month in (1, 2, 3):
        at = datetime(2025, month, 28, 12, 0, tzinfo=UTC)
        for agreement, amount in sorted(INVOICES.items()):
            data = {
                "agreement": agreement,
                "base": "invoice",
                "period": f"2025-{month:02d}",
                "amount": amount,
                "currency": "EUR",
            }
            yield _event(FINANCE, f"{agreement}-2025-{month:02d}", "charge", at, data)


def batches() -> Iterator[StoryEvent]:
    """A count a night: how many of ten batches were on time."""
    night = datetime(2025, 1, 1, 5, 0, tzinfo=UTC)
    while night < END:
        late = night.day <= LATE_BATCHES[night.month]
        data = {"metric": "batch-on-time", "good": 4 if late else 10, "total": 10}
        yield _event(BATCH, f"night-{night:%Y%m%d}", "count", night, data)
        night += timedelta(days=1)


def tickets(seed: int = 2025) -> Iterator[StoryEvent]:
    """Tickets with their changes: opened, assigned, now and then waiting, resolved."""
    random = Random(seed)  # noqa: S311 - a story, not a secret
    day = datetime(2025, 1, 1, 7, 0, tzinfo=UTC)
    number = 0
    late_so_far = {1: 0, 2: 0, 3: 0}
    while day < END - timedelta(days=2):
        for _ in range(TICKETS_A_DAY):
            number += 1
            late = day.day % 2 == 0 and late_so_far[day.month] < LATE_TICKETS[day.month]
            late_so_far[day.month] += late
            yield from _ticket(f"T{number:05d}", day, random, late)
        day += timedelta(days=1)


def _ticket(name: str, day: datetime, random: Random, late: bool) -> Iterator[StoryEvent]:
    opened = day + timedelta(minutes=random.randrange(0, 300))
    assigned = opened + timedelta(minutes=random.randrange(1, 30))
    worked = timedelta(minutes=random.randrange(490, 700) if late else random.randrange(20, 470))
    changes: list[tuple[str, datetime, str | None]] = [
        ("opened", opened, None),
        ("assigned", assigned, "deskline"),
    ]
    resolved = assigned + worked
    if random.random() < 0.2:
        waits = timedelta(minutes=random.randrange(30, 240))
        changes.append(("waiting-customer", assigned + worked / 2, None))
        changes.append(("in-progress", assigned + worked / 2 + waits, None))
        resolved += waits
    changes.append(("resolved", resolved, None))
    for sequence, (state, at, assigned_to) in enumerate(changes):
        data: dict[str, Any] = {
            "metric": "tickets-in-time",
            "ticket": name,
            "state": state,
            "sequence": sequence,
        }
        if assigned_to is not None:
            data["assigned_to"] = assigned_to
        yield _event(DESK, f"{name}-{sequence}", "ticket", at, data)


def first_delivery() -> Iterator[StoryEvent]:
    """Everything the sources sent in time, with one duplicate and one conflict among it."""
    everything = [*probes(), *invoices(), *batches(), *tickets()]
    everything.sort(key=lambda event: (event["time"], event["source"], event["id"]))
    yield from everything
    sent_twice = next(e for e in everything if e["id"] == "night-20250110")
    yield sent_twice
    same_id = next(e for e in everything if e["id"] == "night-20250101")
    yield {**same_id, "data": {**same_id["data"], "good": 10}}
