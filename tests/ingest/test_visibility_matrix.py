"""Ingest's one route, asked by every role of two buyers for its own, another vendor's and another
buyer's: what is foreign is answered as what is not there, to the byte, and no byte names it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from schemas.role import Role
from services.catalogue import keys
from services.catalogue.store import apply
from tests.catalogue.builders import METRICS, PROBE, a_programme, an_agreement
from tests.ingest.conftest import Ingest
from tests.ingest.test_event_validator import FOREIGN, MISSING
from tests.ingest.test_http import renamed
from tests.settlement.canaries import EAST, NORTH, SOUTH, TOWN, VILLAGE, opened

WEST = "zqweald"
VENDORS = {TOWN: (NORTH, SOUTH), VILLAGE: (EAST, WEST)}
BUYER_OF = {vendor: buyer for buyer, vendors in VENDORS.items() for vendor in vendors}
CANARIES = {*VENDORS, *BUYER_OF}
NOBODY = "zqnobod"
"""A party that there is not, as long as the others' names."""
VIEWERS: dict[str, tuple[str, Role]] = {
    **{vendor: (vendor, "vendor") for vendor in BUYER_OF},
    **{buyer: (buyer, "procurement") for buyer in VENDORS},
    "finance": (TOWN, "finance"),
    "probe": (TOWN, "probe"),
}
TRACE = "one-trace"
"""It stands in each problem."""
SENT = ("one", "batch", "lines", "binary")


@pytest.fixture
def running(ingest: Ingest) -> Ingest:
    """Ingest with two buyers of two vendors each, and what each of these has sent."""
    asyncio.run(_two_buyers(ingest))
    ingest.start()
    for owner in CANARIES:
        assert ingest.post(_body(_event(owner, owner, "own")), owner).status_code == 202
    return ingest


async def _two_buyers(ingest: Ingest) -> None:
    connection = await asyncpg.connect(ingest.postgres)
    try:
        for buyer, vendors in VENDORS.items():
            named = {"programme": f"{buyer}-programme"}
            await apply(connection, _programme(buyer, vendors))
            for vendor in vendors:
                made = an_agreement(agreement=f"{vendor}-service", vendor=vendor, **named)
                await apply(connection, made)
        for name, (party, role) in VIEWERS.items():
            ingest.keys[name] = await keys.create(connection, party=party, role=role, label=name)
    finally:
        await connection.close()


def _programme(buyer: str, vendors: tuple[str, ...]) -> Any:
    own = [{**METRICS[0], "metric": f"{vendor}-metric"} for vendor in vendors]
    everybodys = [each["metric"] for each in METRICS]
    return a_programme(
        programme=f"{buyer}-programme",
        buyer=buyer,
        vendors=[{"vendor": each, "name": f"{each} vendor"} for each in vendors],
        sources=[
            {
                "source": _source(each),
                "reports_for": each,
                "metrics": everybodys + ([f"{each}-metric"] if each in vendors else []),
            }
            for each in (*vendors, buyer)
        ],
        metrics=[*METRICS, *own],
    )


def _source(party: str) -> str:
    return f"urn:{party}:probe"


def _event(source: str, name: str, kind: str, **more: Any) -> dict[str, Any]:
    """An event of a party's source, with another's name in it: its kinds are `_events`."""
    charge = {"agreement": f"{name}-service", "period": "2025-01"}
    circumstance = {**charge, "circumstance": "excuse", "values": {"holds": True}}
    answer = {**charge, "states": "charge", "name": "monthly", "of_source": _source(name)}
    answer |= {"of_id": f"{name}-own", "of_payload": "0" * 32, "answer": "accept", "reason": "no"}
    data: dict[str, tuple[str, Any]] = {
        "own": ("sample", {"metric": "net.availability", "up": True, "subject": f"{name}-site"}),
        "odd": ("sample", {"metric": "net.availability", "up": "perhaps"}),
        "metric": ("sample", {"metric": f"{name}-metric", "up": True}),
        "charge": ("charge", {**charge, "base": "monthly", "amount": "1.00", "currency": "EUR"}),
        "circumstance": ("circumstance", circumstance),
        "answer": ("answer", answer),
        "correction": ("correction", {"corrects": f"{name}-own", "reason": "wrong"}),
    }
    said, body = data[kind]
    return {
        "specversion": "1.0",
        "id": f"{name}-{kind}",
        "source": _source(source),
        "type": f"earnback.{said}.v1",
        "time": "2025-02-03T12:00:00Z",
        "data": body,
        **more,
    }


def _events(sender: str, name: str) -> Iterator[dict[str, Any]]:
    """What a party may try to learn of another by its name: by its source, or from its own."""
    for kind in ("own", "odd", "metric", "charge", "correction"):
        yield _event(name, name, kind)
    yield _event(name, name, "own", time="2001-01-01T00:00:00Z")
    yield _event(name, name, "own", id="two words", subject=f"{name}-site")
    for kind in ("metric", "charge", "circumstance", "answer"):
        yield _event(sender, name, kind, id=f"{kind}-of-another")


def _body(events: Any) -> bytes:
    return json.dumps(events).encode()


def _posted(running: Ingest, viewer: str, event: dict[str, Any], sent: str) -> httpx.Response:
    """The event in each way of sending one over HTTP."""
    trace = {"x_correlation_id": TRACE}
    if sent == "batch":
        batch = {"content_type": "application/cloudevents-batch+json"}
        return running.post(_body([event]), viewer, **batch, **trace)
    if sent == "lines":
        return running.post(_body(event), viewer, content_type="application/x-ndjson", **trace)
    if sent == "binary":
        headers = {f"ce_{name}": str(value) for name, value in event.items() if name != "data"}
        json_of_it = {"content_type": "application/json"}
        return running.post(_body(event["data"]), viewer, **json_of_it, **headers, **trace)
    return running.post(_body(event), viewer, **trace)


def _told(answer: httpx.Response, name: str) -> tuple[int, str]:
    """Status, headers and body, with the name that was asked for taken out."""
    headers = {key: value for key, value in answer.headers.items() if key != "date"}
    text = f"{headers} {answer.text}"
    return answer.status_code, text.replace(name, NOBODY)


def _foreign(viewer: str) -> set[str]:
    party = VIEWERS[viewer][0]
    buyer = BUYER_OF.get(party, party)
    others = VENDORS[buyer] if party == buyer else (party,)
    return CANARIES - {buyer, *others}


def test_what_is_anothers_is_answered_as_what_is_not_there(running: Ingest) -> None:
    for viewer, (party, _) in VIEWERS.items():
        for place, missing in enumerate(_events(party, NOBODY)):
            sent = SENT[place % len(SENT)]
            expected = _told(_posted(running, viewer, missing, sent), NOBODY)
            assert expected[0] in (207, 403, 422), (viewer, expected)
            for name in sorted(_foreign(viewer)):
                asked = list(_events(party, name))[place]
                answer = _posted(running, viewer, asked, sent)
                where = (viewer, asked, answer.text)
                said = "".join(opened(f"{answer.headers} {answer.text}")).replace(name, "")
                assert not [each for each in _foreign(viewer) if each in said], where
                assert _told(answer, name) == expected, where
    _of_one_programme(running)
    numbers = httpx.get(f"{running.url}/metrics", timeout=60).text
    lines = (running.folder / "ingest.log").read_text()
    others = [running.vendor("desk"), running.source("https://desk.example/")]
    assert not [each for each in {*CANARIES, *others} if each in numbers or each in lines]


def _of_one_programme(ingest: Ingest) -> None:
    """The same of every kind of event, between two vendors of one programme."""
    routes = httpx.get(f"{ingest.url}/openapi.json", timeout=60).json()["paths"]
    assert {path for path in routes if path.startswith("/v1/")} == {"/v1/events"}
    others = [ingest.vendor("desk"), ingest.source("https://desk.example/")]
    for party, name, event in FOREIGN:
        own = others if party == "north" else [ingest.vendor("north"), ingest.source(PROBE)]
        named = json.dumps(event | {"data": renamed(ingest, event["data"])})
        named = named.replace(f'"source": "{event["source"]}"',
                              f'"source": "{ingest.source(event["source"])}"')  # fmt: skip
        told = []
        for asked in (named, named.replace(name, MISSING[name])):
            answer = ingest.post(asked.encode(), party, x_correlation_id=TRACE)
            headers = {name: value for name, value in answer.headers.items() if name != "date"}
            text = f"{headers} {answer.text}"
            assert not [each for each in own if each in text and each not in asked], text
            told.append((answer.status_code, text.replace(name, MISSING[name])))
        assert told[0] == told[1], named
        assert 400 <= told[0][0] < 500
