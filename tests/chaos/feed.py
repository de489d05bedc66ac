"""What the vendors send: contracts, events, and in which order through which door.

Everything follows from the seed, except the vendors' names: their intake topics must be new.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from schemas.agreement import Agreement
from services.core.contracts.reading import read_documents

Event = dict[str, Any]
Door = Literal["http", "kafka"]

KINDS = ("alfa", "bravo", "charlie")
MONTHS = ("2025-01", "2025-02", "2025-03", "2025-04")
START = datetime(2024, 12, 31, 23, tzinfo=UTC)  # the new year in Berlin
END = datetime(2025, 5, 8, 22, tzinfo=UTC)  # past April's end and all that is waited for
PER_SOURCE = 16_000
"""Events of each of the six sources of the vendors, where nothing else is said."""
BUYER = "acme"
DESK = "urn:acme:desk"
LIMIT = 500
"""Milliseconds within which charlie answers."""
CHARGES = {"alfa": "81234.56", "bravo": "47011.99", "charlie": "30500.07"}
SHUFFLE = 300
"""Events change places with others at most so far away."""

CONTRACTS = """
kind: programme
language: 2
programme: fault
version: 1
effective_from: 2025-01-01
buyer: acme
name: A programme under fire
time_zone: Europe/Berlin
restated_for_days: 3660
vendors_see: figures
whose_word: {{charges: either, circumstances: either, decisions: either, figures: either}}
vendors:
  - {{vendor: {alfa}, name: Alfa}}
  - {{vendor: {bravo}, name: Bravo}}
  - {{vendor: {charlie}, name: Charlie}}
sources:
  - {{source: "urn:acme:desk", reports_for: acme, metrics: [portal]}}
  - {{source: "urn:alfa:http", reports_for: {alfa}, metrics: [up]}}
  - {{source: "urn:alfa:kafka", reports_for: {alfa}, metrics: [up]}}
  - {{source: "urn:bravo:http", reports_for: {bravo}, metrics: [orders]}}
  - {{source: "urn:bravo:kafka", reports_for: {bravo}, metrics: [orders]}}
  - {{source: "urn:charlie:http", reports_for: {charlie}, metrics: [answers]}}
  - {{source: "urn:charlie:kafka", reports_for: {charlie}, metrics: [answers]}}
metrics:
  - {{metric: portal, name: Portal, unit: percent, better: higher, tally_window: hour,
      whose_word: either, measure: {{kind: availability_by_samples}}}}
  - {{metric: up, name: Up, unit: percent, better: higher, tally_window: hour,
      several_sources: added, whose_word: either, measure: {{kind: availability_by_samples}}}}
  - {{metric: orders, name: Orders, unit: percent, better: higher, tally_window: day,
      several_sources: added, whose_word: either,
      measure: {{kind: ratio, nothing_to_count: no_data}}}}
  - {{metric: answers, name: Answers, unit: milliseconds, better: higher, tally_window: day,
      several_sources: added, whose_word: either,
      measure: {{kind: within_limit, limit: {limit}, equal_is_within: true}}}}
---
{agreements}
"""

AGREEMENT = """
kind: agreement
language: 2
agreement: {kind}-deal
version: 1
programme: fault
type: service
vendor: {vendor}
name: Deal of {kind}
currency: EUR
effective_from: 2025-01-01
settled: month
lateness_hours: {lateness}
conventions: {{money_rounding: half_up, rounded_at: total}}
bases:
  - {{base: invoice, of_period: same, if_missing: wait, part_of_period: full_charge, \
longer_charge: refused}}
levels:
{levels}
{caps}
"""

LEVEL = """
  - level: {metric}
    name: Level of {metric}
    metric: {metric}
    expected: {{at_least: 97}}
    judged: exact
    no_data: {{counts_as: 0}}
    defaults: {{kind: every_miss}}
    credits:
      - name: credit
        is_a: service_credit
        due: {{kind: on_default}}
        quantity: {{kind: one}}
        rate:
          kind: by_band
          of: result
          gives: percent
          base: invoice
          bands:
            - {{at_least: 97, gives: 0}}
            - {{at_least: 93, below: 97, gives: 3}}
            - {{below: 93, gives: 7}}
"""

CAP = """
caps:
  - {cap: quarter, window: trailing, periods: 3, limit: {kind: percent_of, percent: 5, base: invoice}}
"""  # noqa: E501 - one line of YAML

LEVELS = {"alfa": ("portal", "up"), "bravo": ("orders",), "charlie": ("answers", "portal")}
LATENESS_HOURS = {"alfa": 24, "bravo": 48, "charlie": 0}


POISONED = {"no-base": "settlement", "no-metric": "evaluator"}
"""Agreements that nobody could apply today, as an earlier release might have stored them, and the
service that cannot work each out."""


def poisoned(vendors: dict[str, str]) -> Iterator[Agreement]:
    """Agreements of alfa beside the honest ones: a credit, due each month, of a base that there is
    not, and a level of a metric that there is not."""
    always = LEVEL.replace("expected: {{at_least: 97}}", "expected: {{at_least: 100}}")
    always = always.replace("gives: 0}}", "gives: 1}}")
    for name in POISONED:
        metric = "up" if name == "no-base" else "no-such-metric"
        text = AGREEMENT.format(
            kind="alfa",
            vendor=vendors["alfa"],
            lateness=24,
            levels=always.format(metric=metric),
            caps="",
        )
        documents, _ = read_documents(text, name)
        (agreement,) = documents.agreements
        bases = () if name == "no-base" else agreement.bases
        yield agreement.model_copy(update={"agreement": name, "bases": bases})


def contracts(vendors: dict[str, str]) -> str:
    """The programme and its agreements, for vendors of these names, as YAML."""
    agreements = [
        AGREEMENT.format(
            kind=kind,
            vendor=vendors[kind],
            lateness=LATENESS_HOURS[kind],
            levels="".join(LEVEL.format(metric=metric) for metric in LEVELS[kind]),
            caps=CAP if kind == "bravo" else "",
        )
        for kind in KINDS
    ]
    return CONTRACTS.format(**vendors, limit=LIMIT, agreements="---\n".join(agreements))


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to send."""

    raw: bytes
    source: str


@dataclass(slots=True)
class Feed:
    """``events``: what must count, each once, as JSON. ``streams``: (sender, door) to what it
    sends, in order. ``conflicts``: identities that are sent with another content as well.
    """

    events: list[bytes] = field(default_factory=list)
    streams: dict[tuple[str, Door], list[Item]] = field(default_factory=dict)
    conflicts: set[tuple[str, str]] = field(default_factory=set)

    @property
    def sent(self) -> int:
        return sum(len(items) for items in self.streams.values())

    def batch(self) -> Iterator[tuple[str, bytes]]:
        """What must count, once each, as files would hold it: place and bytes."""
        for number, raw in enumerate(self.events):
            yield f"events:{number}", raw


def feed(chance: Random, each: int = PER_SOURCE) -> Feed:
    """All of it: a tenth sent twice, some late, all out of order, a few in conflict.

    ``each``: events of a vendor's source; the buyer's desk sends half as many.
    """
    made = Feed()
    placed: dict[tuple[str, Door], list[tuple[float, Item]]] = {}
    for kind in KINDS:
        for door in ("http", "kafka"):
            own = list(_measured(chance, kind, door, each))
            _place(made, placed, chance, kind, door, own)
    _place(made, placed, chance, BUYER, "http", [*_portal(chance, each // 2), *_charges(chance)])
    for stream, items in placed.items():
        items.sort(key=lambda placed: placed[0])
        made.streams[stream] = [item for _, item in items]
    return made


def _place(
    made: Feed,
    placed: dict[tuple[str, Door], list[tuple[float, Item]]],
    chance: Random,
    sender: str,
    door: Door,
    events: list[Event],
) -> None:
    """Give every event, its repeats and what contradicts it a place in a stream."""
    own = placed.setdefault((sender, door), [])
    doors: tuple[Door, ...] = (door,) if sender == BUYER else ("http", "kafka")
    events.sort(key=lambda event: event["time"])
    count = len(events)
    for index, event in enumerate(events):
        at = index + chance.uniform(0, SHUFFLE)
        last = index >= count - 5  # the end of the story is told in time, or it would not end
        # A correction that is stored after the close is a proposal, whatever time it states.
        if not last and "corrects" not in event["data"] and chance.random() < 0.01:
            at += chance.uniform(0.1, 0.3) * count
        raw = _text(event)
        made.events.append(raw)
        own.append((at, Item(raw, event["source"])))
        if chance.random() < 0.1:
            again = at + chance.uniform(0, 0.2) * count
            twice = placed.setdefault((sender, chance.choice(doors)), [])
            twice.append((again, Item(_text(event, chance), event["source"])))
        if chance.random() < 0.002 and (other := _contradicted(event)) is not None:
            made.conflicts.add((event["source"], event["id"]))
            after = at + chance.uniform(1, 0.1 * count)
            own.append((after, Item(_text(other), event["source"])))


def _text(event: Event, chance: Random | None = None) -> bytes:
    """The event as JSON; a repeat is written in another order and with other spaces."""
    if chance is None:
        return json.dumps(event, separators=(",", ":")).encode()
    names = list(event)
    chance.shuffle(names)
    return json.dumps({name: event[name] for name in names}, indent=1).encode()


def _contradicted(event: Event) -> Event | None:
    data = event["data"]
    if "up" in data:
        return {**event, "data": {**data, "up": not data["up"]}}
    if "good" in data:
        return {**event, "data": {**data, "total": data["total"] + 1}}
    return {**event, "data": {**data, "value": "9999"}} if "value" in data else None


def _event(source: str, identity: str, kind: str, at: datetime, data: dict[str, Any]) -> Event:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": source,
        "type": f"earnback.{kind}.v1",
        "time": at.isoformat().replace("+00:00", "Z"),
        "data": data,
    }


def _moments(chance: Random, count: int) -> Iterator[datetime]:
    """Evenly spread over the time told, each a little off its place."""
    pace = (END - START) / count
    for number in range(count):
        yield START + pace * number + timedelta(seconds=chance.randrange(int(pace.total_seconds())))


def _bad(chance: Random) -> dict[int, float]:
    """How much fails in each month: some months meet the level, some miss it a little or badly."""
    return {month: chance.choice((0.01, 0.05, 0.1)) for month in range(1, 13)}


def _measured(chance: Random, kind: str, door: Door, count: int) -> Iterator[Event]:
    """A vendor's own measurements through one door, and some that it takes back."""
    source = f"urn:{kind}:{door}"
    bad = _bad(chance)
    for number, at in enumerate(_moments(chance, count)):
        fails = chance.random() < bad[at.month]
        if kind == "alfa":
            yield _event(source, f"s{number}", "sample", at, {"metric": "up", "up": not fails})
        elif kind == "bravo":
            total = chance.randrange(1, 20)
            good = 0 if fails else total
            data = {"metric": "orders", "good": good, "total": total}
            yield _event(source, f"o{number}", "count", at, data)
        else:
            value = f"{chance.randrange(501, 3000) if fails else chance.randrange(20, 501)}"
            data = {"metric": "answers", "value": value, "unit": "milliseconds"}
            yield _event(source, f"a{number}", "response", at, data)
        if number % 1000 == 500:
            back = {"corrects": f"{_PREFIX[kind]}{number}", "reason": "measured wrongly"}
            # Long before the close, where it counts, or after it, where it is only proposed.
            after = chance.randrange(0, SOON_DAYS) if at.day <= 10 else chance.randrange(40, 60)
            made_at = at + timedelta(days=after)
            if made_at <= END:
                yield _event(source, f"c{number}", "correction", made_at, back)


SOON_DAYS = 3
"""A correction within so many days comes before the close of its event's month."""

_PREFIX = {"alfa": "s", "bravo": "o", "charlie": "a"}


def _portal(chance: Random, count: int) -> Iterator[Event]:
    bad = _bad(chance)
    for number, at in enumerate(_moments(chance, count)):
        data = {"metric": "portal", "up": chance.random() >= bad[at.month]}
        yield _event(DESK, f"p{number}", "sample", at, data)


def _charges(chance: Random) -> Iterator[Event]:
    """Invoices, some days after their month: often the period is closed by then."""
    for month in MONTHS:
        at = datetime.fromisoformat(f"{month}-01T12:00:00+00:00") + timedelta(days=32)
        for kind, amount in CHARGES.items():
            data = {
                "agreement": f"{kind}-deal",
                "base": "invoice",
                "period": month,
                "amount": amount,
                "currency": "EUR",
            }
            when = min(at + timedelta(hours=chance.randrange(0, 90)), END)
            yield _event(DESK, f"{kind}-{month}", "charge", when, data)
