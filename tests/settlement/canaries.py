"""Two buyers with three vendors in one installation, whose every text names whose it is.

A party is called by its canary, and so begins every name, subject, reason, comment and link of what
is its own. A byte of another party's canary in an answer is a leak.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec

from schemas.agreement import Agreement
from schemas.bands import Threshold
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from schemas.remedy import DisputeTerms
from schemas.role import Role
from schemas.whose_word import SAID
from services.catalogue.audit import at_the_command_line
from services.catalogue.four_eyes import RequestedAct, ask
from services.catalogue.keys import create
from services.catalogue.parked import WorkFailure, WorkItem, park
from services.catalogue.store import apply
from services.settlement.proposal_store import proposal_id
from services.shell.clock import now
from tests.settlement.builders import a_record, an_agreement, an_evaluation
from tests.settlement.desk import Desk, a_desk
from tests.settlement.house import PARTITIONS as PARTITIONS
from tests.settlement.older import settled_by_an_older_release
from tests.settlement.proposing import a_correction

TOWN, VILLAGE = "zqhaven", "zqmanor"
NORTH, SOUTH, EAST = "zqnorth", "zqsouth", "zqfjord"
CANARIES = (TOWN, VILLAGE, NORTH, SOUTH, EAST)
BUYER_OF = {NORTH: TOWN, SOUTH: TOWN, EAST: VILLAGE}
SHARED = "availability"
"""The metric that the vendors of a programme share; its name is nobody's."""

VIEWERS: dict[str, tuple[str, Role]] = {
    "vendor": (NORTH, "vendor"),
    "procurement": (TOWN, "procurement"),
    "finance": (TOWN, "finance"),
    "probe": (TOWN, "probe"),
    "admin": ("operator", "admin"),
    "south": (SOUTH, "vendor"),
    "east": (EAST, "vendor"),
    "village": (VILLAGE, "procurement"),
}
FOREIGN: dict[str, tuple[str, ...]] = {
    "vendor": (SOUTH, EAST, VILLAGE),
    "procurement": (EAST, VILLAGE),
    "finance": (EAST, VILLAGE),
    "probe": CANARIES,
    "admin": (),
}
"""The canaries that an answer to each viewer must not hold."""


def opened(text: str) -> Iterator[str]:
    """The text, and what its runs of base64 hold."""
    yield text
    for run in re.findall(r"[A-Za-z0-9_+/-]{16,}={0,2}", text):
        try:
            padded = run.rstrip("=") + "=" * (-len(run.rstrip("=")) % 4)
            yield base64.b64decode(padded, altchars=b"-_").decode("latin-1")
        except binascii.Error:
            continue


def programme_of(buyer: str, vendors: tuple[str, ...], **more: object) -> Programme:
    """A buyer's programme with a shared metric, and one metric of each vendor's own."""
    metrics = [SHARED, *(f"{vendor}-metric" for vendor in vendors)]
    return Programme.model_validate(
        {
            "kind": "programme",
            "language": 2,
            "programme": f"{buyer}-programme",
            "version": 1,
            "effective_from": "2025-01-01",
            "buyer": buyer,
            "name": f"{buyer} programme",
            "time_zone": "Europe/Berlin",
            "restated_for_days": 400,
            "vendors_see": "figures",
            "whose_word": dict.fromkeys(SAID, "either"),
            "vendors": [{"vendor": each, "name": f"{each} vendor"} for each in vendors],
            "sources": [
                {"source": f"urn:{each}:probe", "reports_for": each, "metrics": metrics}
                for each in (*vendors, buyer)
            ],
            "metrics": [
                {
                    "metric": each,
                    "name": each,
                    "unit": "percent",
                    "better": "higher",
                    "measure": {"kind": "ratio", "nothing_to_count": "no_data"},
                    "several_sources": "added",
                }
                for each in metrics
            ],
        }
        | more
    )


def shared_cap(*agreements: str) -> dict[str, object]:
    """A cap that lists agreements of several vendors by name, over both levels of what is cut."""
    return {
        "cap": "together",
        "over": {"kind": "agreements", "agreements": list(agreements)},
        "settled": "month",
        "currency": "EUR",
        "window": "period",
        "limit": {"kind": "amount", "amount": "250"},
        "split": "in_proportion",
    }


_DISPUTES = DisputeTerms(
    circumstance="dispute",
    working_days=1000,
    holidays=(),
    effect=Threshold(at_least="1"),
    needs_error=False,
    disputed_amount="withheld",
)


def agreement_of(vendor: str, what: str = "service", **more: Any) -> Agreement:
    """An agreement of a vendor with its buyer; ``what`` tells several apart."""
    made = an_agreement(f"{vendor}-{what}", vendor=vendor, **more)
    level = made.levels[0].model_copy(
        update={"level": f"{vendor}-level", "name": f"{vendor} level"}
    )
    return made.model_copy(
        update={
            "programme": f"{BUYER_OF[vendor]}-programme",
            "name": f"{vendor} agreement",
            "levels": (level,),
            "disputes": _DISPUTES,
        }
    )


def counted_of(
    vendor: str, what: str = "service", *, waits: bool = False, **more: Any
) -> PeriodEvaluation:
    """What was counted for it: from events of all vendors of its programme, and of its buyer.

    ``waits``: it waits for the other half of an outage of each.
    """
    waits = waits or what == "late"
    buyer = BUYER_OF[vendor]
    made = an_evaluation(9700, agreement=f"{vendor}-{what}", **more)
    (figure,) = made.figures
    others = [each for each, of in BUYER_OF.items() if of == buyer]
    references = [{"source": f"urn:{each}:probe", "id": f"{each}-miss"} for each in others]
    whole = figure.model_dump(mode="json") | {
        "parts": [_part(each, each) for each in others] + [_part(each, None) for each in others],
        "touching": [_part(f"{each}-later", each) for each in others],
        "unfinished": [f"{each}-outage" for each in others],
        "incomplete": [
            {
                "part": f"{each}-half",
                "subject": f"{each}-site",
                "missing": "open",
                "counts": "waits" if waits else "left_out",
                "events": [{"source": f"urn:{each}:probe", "id": f"{each}-half"}],
            }
            for each in (others if waits else (vendor,))
        ],
        "evidence": {**figure.evidence.model_dump(mode="json"), "telling": references},
    }
    circumstance = {
        "event": {"source": f"urn:{buyer}:probe", "id": f"{vendor}-circumstance"},
        "at": "2025-02-01T00:00:00Z",
        "circumstance": {
            "agreement": made.agreement,
            "circumstance": f"{vendor}-excuse",
            "period": made.period,
            "subject": f"{vendor}-site",
            "values": {"evidence": f"https://{vendor}/evidence"},
        },
    }
    proposed = {
        "event": {"source": f"urn:{vendor}:probe", "id": f"{vendor}-correction"},
        "payload": "0" * 16,
        "at": "2025-02-20T00:00:00Z",
        "party": vendor,
        "correction": {
            "corrects": f"{vendor}-miss",
            "name": SHARED,
            "period": made.period,
            "reason": f"{vendor} measured wrongly",
        },
        "state": "open",
        "awaits": [buyer],
    }
    return PeriodEvaluation.model_validate(
        made.model_dump(mode="json")
        | {
            "programme": f"{buyer}-programme",
            "figures": [whole],
            "circumstances": [circumstance],
            "proposals": [proposed] if what == "service" and made.period == "2025-01" else [],
        }
    )


def _part(name: str, vendor: str | None) -> dict[str, object]:
    owner = vendor or name
    return {
        "part": f"{name}-outage",
        "vendor": vendor,
        "subject": f"{owner}-site",
        "amount": "5",
        "value": "1234567",
        "events": [{"source": f"urn:{owner}:probe", "id": f"{owner}-outage"}],
    }


@dataclass
class World:
    """The installation, a key for each of VIEWERS, and the ids of what each vendor has."""

    desk: Desk
    keys: Mapping[str, str]
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def headers(self, viewer: str) -> dict[str, str]:
        """Who asks; the trace is the same in each request, as it stands in each problem."""
        return {
            "Authorization": f"Bearer {self.keys[viewer]}",
            "X-Correlation-Id": "one-trace",
            "Idempotency-Key": uuid4().hex,
        }


VENDOR_VIEWER = {NORTH: "vendor", SOUTH: "south", EAST: "east"}
BUYER_VIEWER = {TOWN: "procurement", VILLAGE: "village"}


@asynccontextmanager
async def a_world(dsn: str) -> AsyncIterator[World]:
    """A fresh database with all of it: settled, waiting, disputed, set aside and ordered."""
    capped = shared_cap(f"{NORTH}-service", f"{SOUTH}-service")
    town = programme_of(TOWN, (NORTH, SOUTH), shared_caps=[capped])
    agreements = [agreement_of(each) for each in (NORTH, SOUTH)]
    async with a_desk(dsn, programme=town, agreements=agreements) as desk:
        async with desk.house.pool.acquire() as connection:
            await apply(connection, programme_of(VILLAGE, (EAST,)))
            await apply(connection, agreement_of(EAST))
            for vendor in BUYER_OF:
                await apply(connection, agreement_of(vendor, "late", needs_charge=True))
                await apply(connection, agreement_of(vendor, "old"))
            keys = {
                viewer: await create(connection, party=party, role=role, label=party)
                for viewer, (party, role) in VIEWERS.items()
            }
        world = World(desk, keys)
        await desk.house.apply(
            *(a_record(counted_of(each), offset=at) for at, each in enumerate(BUYER_OF))
        )
        desk.house.offset = len(BUYER_OF)
        for vendor in BUYER_OF:
            await fill(world, vendor)
        yield world


async def fill(world: World, vendor: str, again: str = "") -> None:
    """What a vendor has beside its statement. ``again``: tells more of the same apart."""
    desk = world.desk
    if not again:
        await desk.house.settle(counted_of(vendor, "late"))
        await settled_by_an_older_release(desk.house, counted_of(vendor, "old"), 12_300)
        older = counted_of(vendor, "old", period="2025-02")
        await settled_by_an_older_release(desk.house, older, 12_300)
        again_counted = counted_of(vendor, "old", period="2025-02", revision=2, waits=True)
        await desk.house.settle(again_counted)
        await desk.house.settle(counted_of(vendor, "nobodys"))  # refused: no such agreement
    _previews(desk, vendor)
    ids = world.ids.setdefault(vendor, {})
    ids |= {"item_id": await _set_aside(world, vendor, again)}
    ids |= {"order_id": await _order(world, vendor)}
    if not again:
        await _park(world, vendor)
        ids |= await _booked(world, vendor)
        ids |= {"dispute_id": await _dispute(world, vendor)}
        ids |= {"request_id": await _asked_for(world, vendor)}
        (proposed,) = counted_of(vendor).proposals
        ids |= {"proposal_id": str(proposal_id(f"{vendor}-service", proposed))}


def _previews(desk: Desk, vendor: str) -> None:
    """What the evaluator says of the vendor's open period and of the events behind its figures."""
    for what in ("service", "late", "old"):
        name = f"{vendor}-{what}"
        for period in ("2025-01", "2025-02"):
            desk.elsewhere.previews[(name, period)] = counted_of(vendor, what, period=period)
        desk.elsewhere.corrections[(name, "2025-01")] = [
            a_correction(f"{each}-fix", f"urn:{each}:probe", {"metric": SHARED, "said": each})
            for each in BUYER_OF
        ]
        desk.elsewhere.facts[(name, SHARED, "2025-01")] = [
            (f"urn:{each}:probe", f"{each}-fact") for each in BUYER_OF
        ]
    proposed_in = (f"{vendor}-service", "2025-01")
    waiting = counted_of(vendor, waits=True)
    (figure,) = waiting.figures
    fewer = figure.model_copy(update={"parts": ()})  # so that its references have other numbers
    desk.elsewhere.previews[proposed_in] = waiting
    desk.elsewhere.accepting[proposed_in] = waiting.model_copy(update={"figures": (fewer,)})


async def _set_aside(world: World, vendor: str, again: str) -> str:
    pool = world.desk.house.pool
    texts = [f"{vendor}-{what}{again}" for what in ("name", "event", "problem", "told", "raw")]
    await pool.execute(
        "insert into intake_refusal (name, party, source, event_id, code, detail, problem,"
        " headers, raw) values ($1, $2, $3, $4, 'bad-data', $5, $6, $7, $8)",
        texts[0],
        vendor,
        f"urn:{vendor}:probe",
        texts[1],
        texts[2],
        msgspec.json.encode({"detail": texts[3]}).decode(),
        msgspec.json.encode({"header": texts[3]}).decode(),
        texts[4].encode(),
    )
    await pool.execute(
        "insert into refusal_count (party, day, part, code, kept) values ($1, $2, $3, 'c', 1)",
        vendor,
        now().date(),
        texts[0],
    )
    await pool.execute(
        "insert into subject_count (party, metric, subjects)"
        " select $1, number, 3 from metric_number where programme = $2 and metric = $3"
        " on conflict do nothing",
        vendor,
        f"{BUYER_OF[vendor]}-programme",
        SHARED,
    )
    number = await pool.fetchval(
        "insert into quarantine_item (reason, id128, payload, source, event_id, partition,"
        " first_offset, told, held, problem) values ('conflict', $1, $1, $2, $3, 0, 0, $4, $4, $5)"
        " returning number",
        uuid4().bytes,
        f"urn:{vendor}:probe",
        texts[1],
        msgspec.json.encode({"said": texts[3]}).decode(),
        texts[2],
    )
    return str(world.desk.api.state.parts.seal.hide("quarantine", number))


async def _order(world: World, vendor: str) -> str:
    """An order to close, as the evaluator numbers it."""
    closes = world.desk.elsewhere.orders
    number = len(closes) + 1
    closes[number] = {
        "number": number,
        "agreement": f"{vendor}-service",
        "period": "2025-01",
        "outcome": "unchanged",
        "detail": _two_payloads(vendor),
        "revision": 1,
        "requested_by": f"procurement:{BUYER_OF[vendor]}",
        "requested_at": now().isoformat(),
        "done_at": now().isoformat(),
    }
    return str(world.desk.api.state.parts.seal.hide("close", number))


def _two_payloads(vendor: str) -> str:
    """Why the vendor's period is not counted: for an event that may be anybody's of its buyer."""
    events = [
        f"event {each}-fact of source urn:{each}:probe"
        for each, buyer in BUYER_OF.items()
        if buyer == BUYER_OF[vendor]
    ]
    return f"{' and '.join(events)} say two different things"


PARKED = ("2025-04", "2025-05")
"""Periods that failed: by a text that names events, and by one that may hold any value of them."""


async def _park(world: World, vendor: str) -> None:
    unforeseen = WorkFailure.of(KeyError(_two_payloads(vendor).replace("urn:", "")))
    async with world.desk.house.pool.acquire() as connection:
        for period, failure in zip(
            PARKED,
            (WorkFailure(_two_payloads(vendor), "ValueError", "somewhere"), unforeseen),
            strict=True,
        ):
            item = WorkItem("close", agreement=f"{vendor}-service", period=period)
            await park(connection, "evaluator", item, failure, "tried")


async def _booked(world: World, vendor: str) -> dict[str, str]:
    row = await world.desk.house.pool.fetchrow(
        "select entry_id, run_id, line from ledger_entry where agreement = $1", f"{vendor}-service"
    )
    return {name: str(row[name]) for name in ("entry_id", "run_id", "line")}


async def _asked_for(world: World, vendor: str) -> str:
    """A decision that the vendor asks for, which its buyer knows nothing of."""
    act = RequestedAct(
        kind="decision",
        party=vendor,
        days=14,
        about=f"{vendor}-claim",
        content=msgspec.json.encode({"said": f"{vendor} claims"}).decode(),
        digest=vendor.encode(),
        programme=f"{BUYER_OF[vendor]}-programme",
        agreement=f"{vendor}-service",
        period="2025-01",
    )
    async with world.desk.house.pool.acquire() as connection, connection.transaction():
        return str(await ask(connection, act, at_the_command_line(f"{vendor} person")))


async def _dispute(world: World, vendor: str) -> str:
    """A dispute that the vendor raises and the buyer reviews, both with a comment; and one that
    the buyer raises of a figure, which stays open."""
    body = {
        "agreement": f"{vendor}-service",
        "period": "2025-01",
        "line": world.ids[vendor]["line"],
        "effect": 1,
        "comment": f"{vendor} says no",
    }
    client = world.desk.client
    raised = await client.post(
        "/v1/disputes", headers=world.headers(VENDOR_VIEWER[vendor]), json=body
    )
    assert raised.status_code == 201, raised.text
    dispute_id = str(UUID(raised.json()["dispute_id"]))
    reviewed = await client.post(
        f"/v1/disputes/{dispute_id}/acts",
        headers=world.headers(BUYER_VIEWER[BUYER_OF[vendor]]),
        json={"act": "review", "comment": f"{BUYER_OF[vendor]} looks"},
    )
    assert reviewed.status_code == 200, reviewed.text
    figure = {
        "figure": {"metric": SHARED},
        "effect": 1,
        "comment": f"{BUYER_OF[vendor]} doubts {vendor}",
    }
    doubted = await client.post(
        "/v1/disputes",
        headers=world.headers(BUYER_VIEWER[BUYER_OF[vendor]]),
        json={"agreement": body["agreement"], "period": "2025-01", **figure},
    )
    assert doubted.status_code == 201, doubted.text
    return dispute_id
