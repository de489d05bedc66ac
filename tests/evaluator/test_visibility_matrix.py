"""Every route of the evaluator, asked for what is one party's: nothing of another shows.

Over real facts of two buyers with two vendors each, applied and closed. What two vendors of a buyer
report of one metric is shared by them: how much of it a party sees is for settlement to say, which
alone reaches these routes. Everything is asked for a metric that one vendor alone reports, too.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import structlog
from fastapi.routing import APIRoute

from services.evaluator.api import EvaluatorApiState, evaluator_api, routes
from services.evaluator.frame_lookup import FrameLookup
from services.shell.postgres import connect
from services.shell.settings import Settings
from tests.evaluator.bench import House
from tests.evaluator.builders import (
    Event,
    a_programme,
    an_agreement,
    correction,
    down,
    stated,
    up,
)
from tests.settlement.canaries import EAST, NORTH, SOUTH, TOWN, VILLAGE, opened

WEST = "zqweald"
VENDORS = {TOWN: (NORTH, SOUTH), VILLAGE: (EAST, WEST)}
BUYER_OF = {vendor: buyer for buyer, vendors in VENDORS.items() for vendor in vendors}
CANARIES = {*VENDORS, *BUYER_OF}
NOBODY = "zqnobod"
"""A party that there is not, as long as the others' names."""
AT = datetime(2025, 1, 10, tzinfo=UTC)
FACTS = "/v1/facts?agreement={owner}-{what}&metric={metric}&period=2025-01"
EVENTS = ("up", "down", "there", "outage", "back", "charge", "excuse", "twice")
ROUTES: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/v1/previews/{agreement}/{period}"): (
        "/v1/previews/{owner}-{what}/2025-01",
        "/v1/previews/{owner}-{what}/2025-02",
        "/v1/previews/{owner}-{what}/2025-01?accepting_source={source}&accepting_id={owner}-late",
    ),
    ("GET", "/v1/events/{identity:path}"): tuple(
        f"/v1/events/{{source}}/{{owner}}-{name}" for name in EVENTS
    ),
    ("GET", "/v1/facts"): (FACTS, FACTS + "&limit=1", FACTS + "&subject={owner}-site"),
    ("GET", "/v1/corrections"): ("/v1/corrections?agreement={owner}-{what}&period=2025-01",),
    ("POST", "/v1/closes"): ("/v1/closes",),
    ("GET", "/v1/closes/{number}"): ("/v1/closes/{number}",),
}
TRACE = {"X-Correlation-Id": "one-trace"}
"""It stands in each problem."""
ONE_VENDORS, SHARED = "own", "shared"
"""What an agreement is about: a metric that one vendor reports, or all vendors of its buyer."""


@dataclass
class Evaluators:
    """The evaluator over both buyers' facts. ``orders``: the numbers of orders to close."""

    house: House
    client: httpx.AsyncClient
    orders: dict[tuple[str, str], int]

    async def ask(self, method: str, address: str, owner: str, what: str) -> tuple[Any, str]:
        """The answer, and all that was said with it: headers, body and log lines, opened."""
        agreement = f"{owner}-{what}"
        filled = address.format(
            owner=owner,
            what=what,
            source=_source(owner).replace(":", "%3A"),
            metric=_metric(owner, what),
            number=self.orders.get((owner, what), 99),
        )
        body = {"agreement": agreement, "period": "2025-01", "reason": f"{owner} asks"}
        with structlog.testing.capture_logs() as lines:
            answer = await self.client.request(
                method,
                filled,
                headers={"Idempotency-Key": f"{agreement}-key", **TRACE},
                json=body if method == "POST" else None,
            )
        said = "\n".join((str(answer.headers), answer.text, *map(str, lines)))
        return answer, "".join(opened(said))


@asynccontextmanager
async def two_buyers(dsn: str) -> AsyncIterator[Evaluators]:
    """Both with their programme, agreements and events, applied; and a client of the API."""
    documents: list[Any] = []
    for buyer, vendors in VENDORS.items():
        documents.append(_programme(buyer, vendors))
        documents += [_agreement(each, what) for each in vendors for what in (ONE_VENDORS, SHARED)]
    house = await House.open(dsn, *documents)
    try:
        for vendor in BUYER_OF:
            await house.send(*_events(house, vendor))
        settings = Settings(service="evaluator", kafka="127.0.0.1:1", postgres=dsn)

        async def ends() -> dict[int, int] | None:
            return house.ends

        lookup = FrameLookup(partial(connect, dsn, name="lookup"), house.frames.partitions)
        parts = EvaluatorApiState(house.pool, house.copy, ends, house.health, lookup)
        api = evaluator_api(settings, parts)
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://evaluator") as client:
            yield Evaluators(house, client, {})
    finally:
        await house.close()


def _source(party: str) -> str:
    return f"urn:{party}:probe"


def _metric(vendor: str, what: str) -> str:
    return f"{vendor}-metric" if what == ONE_VENDORS else "availability"


def _programme(buyer: str, vendors: tuple[str, ...]) -> Any:
    metrics = {"availability": "availability_by_samples", "incidents": "outage_count"}
    metrics |= {f"{each}-metric": "availability_by_samples" for each in vendors}
    outages = {"silence": "up", "incomplete": "left_out", "across_periods": "begins"}
    return a_programme(
        programme=f"{buyer}-programme",
        buyer=buyer,
        name=f"{buyer} programme",
        vendors=[{"vendor": each, "name": f"{each} vendor"} for each in vendors],
        sources=[
            {
                "source": _source(each),
                "reports_for": each,
                "metrics": ["availability", "incidents"]
                + ([f"{each}-metric"] if each in vendors else []),
            }
            for each in (*vendors, buyer)
        ],
        metrics=[
            {
                "metric": name,
                "name": name,
                "unit": "count" if kind == "outage_count" else "percent",
                "better": "lower" if kind == "outage_count" else "higher",
                "measure": {"kind": kind, **(outages if kind == "outage_count" else {})},
            }
            for name, kind in metrics.items()
        ],
    )


def _agreement(vendor: str, what: str) -> Any:
    made = an_agreement(
        f"{vendor}-{what}", vendor=vendor, programme=f"{BUYER_OF[vendor]}-programme"
    ).model_dump(mode="json")
    (level,) = made["levels"]
    level |= {"metric": _metric(vendor, what)}
    counted = {**level, "level": "outages", "metric": "incidents", "expected": {"at_most": "1"}}
    return an_agreement(**{**made, "levels": [level, counted] if what == SHARED else [level]})


def _events(house: House, vendor: str, again: str = "") -> list[list[Event]]:
    """All kinds of events of a vendor, each with its name in every field: two are in conflict.

    ``again``: tells more of the same apart.
    """
    programme = f"{BUYER_OF[vendor]}-programme"
    numbers = house.copy.current.numbers

    def counted(event: Event, metric: str) -> Event:
        named = event.but(id=f"{event.id}{again}", metric=metric)
        return named.but(number=numbers[programme, metric])

    source, own = _source(vendor), _metric(vendor, ONE_VENDORS)
    good, bad = up(f"{vendor}-up", AT, source), down(f"{vendor}-down", AT, source)
    there = bad.but(id=f"{vendor}-there", subject=f"{vendor}-site")
    outage = json.dumps(
        {"metric": "incidents", "outage": f"{vendor}-inc{again}", "phase": "open"},
        separators=(",", ":"),
    )
    excuse = {"circumstance": f"{vendor}-excuse", "values": {"evidence": f"https://{vendor}/x"}}
    told = {"agreement": f"{vendor}-{SHARED}", "period": "2025-01"}
    charge = {"base": f"{vendor}-base", "amount": "5", "currency": "EUR"}
    wrong = counted(bad, own)
    return [
        [counted(good, own), wrong, counted(there, own)],
        [counted(each.but(id=f"{each.id}-shared"), "availability") for each in (good, bad, there)],
        [
            counted(
                Event(f"{vendor}-outage", AT, source, "earnback.outage.v1", data=outage).but(
                    value=0, scale_or_total=0
                ),
                "incidents",
            ),
            stated(f"{vendor}-excuse{again}", AT, "circumstance", source, **told, **excuse),
            stated(f"{vendor}-charge{again}", AT, "charge", source, **told, **charge),
            correction(f"{vendor}-back{again}", AT + timedelta(hours=1), wrong, {"metric": own}),
        ],
        [counted(good.but(id=f"{vendor}-twice"), own)],
        [counted(bad.but(id=f"{vendor}-twice"), own)],
    ]


def _foreign(owner: str, what: str) -> set[str]:
    """The parties of which nothing may show."""
    buyer = BUYER_OF.get(owner, owner)
    theirs = VENDORS.get(buyer, ()) if what == SHARED else (owner,)
    return CANARIES - {buyer, *theirs}


async def test_what_is_asked_for_names_nothing_of_another(database: str) -> None:
    """One set of facts for all of it: every other check would make the same again."""
    assert set(ROUTES) == {
        (method, each.path)
        for each in routes.routes
        if isinstance(each, APIRoute)
        for method in each.methods
    }
    async with two_buyers(database) as asked:
        await _all_is_closed_by_order(asked)
        before = await _every_answer(asked)
        await _what_is_not_there_names_nobody(asked)
        await _anothers_name_in_ones_own_question_is_as_one_that_is_not_there(asked)
        await _an_evaluation_names_no_other_buyer(asked)
        metrics = (await asked.client.get("/metrics")).text
        assert not [each for each in CANARIES if each in metrics]
        for vendor in (EAST, WEST):
            await asked.house.send(*_events(asked.house, vendor, "-again"))
        after = await _every_answer(asked)
        of_town = {key for key in before if BUYER_OF[key[1]] == TOWN}
        assert {key: after[key] for key in of_town} == {key: before[key] for key in of_town}


async def _all_is_closed_by_order(asked: Evaluators) -> None:
    for owner in BUYER_OF:
        for what in (ONE_VENDORS, SHARED):
            answer, said = await asked.ask("POST", "/v1/closes", owner, what)
            assert answer.status_code == 202, said
            asked.orders[owner, what] = answer.json()["number"]
    await asked.house.look()
    for (owner, what), number in asked.orders.items():
        answer, said = await asked.ask("GET", f"/v1/closes/{number}", owner, what)
        assert answer.json()["outcome"] == "closed", said


Answers = dict[tuple[str, str, str], tuple[int, dict[str, str], str]]


async def _every_answer(asked: Evaluators) -> Answers:
    """Every answer, by address, owner and what it is about; none names what is another's."""
    found: Answers = {}
    for (method, path), addresses in ROUTES.items():
        for address in addresses:
            for owner in BUYER_OF:
                for what in (ONE_VENDORS, SHARED):
                    answer, said = await asked.ask(method, address, owner, what)
                    where = (address, owner, what, said)
                    assert answer.status_code < 300, where
                    first_of_all = what == SHARED and "limit=1" in address
                    assert owner in answer.text or first_of_all, where
                    foreign = _foreign(owner, what if "events" not in path else ONE_VENDORS)
                    assert not [each for each in foreign if each in said], where
                    found[f"{address} {what}", owner, what] = (
                        answer.status_code,
                        dict(answer.headers),
                        answer.text,
                    )
    return found


async def _what_is_not_there_names_nobody(asked: Evaluators) -> None:
    for (method, path), addresses in ROUTES.items():
        for address in addresses:
            answer, said = await asked.ask(method, address, NOBODY, SHARED)
            assert answer.status_code in (200, 404, 422), (path, said)
            assert not [each for each in CANARIES if each in said], (path, said)


async def _anothers_name_in_ones_own_question_is_as_one_that_is_not_there(
    asked: Evaluators,
) -> None:
    for address in (
        "/v1/previews/zqnorth-own/2025-01?accepting_source=urn%3A{}%3Aprobe&accepting_id={}-down",
        "/v1/facts?agreement=zqnorth-own&metric=zqnorth-metric&period=2025-01&subject={}-site",
        "/v1/facts?agreement=zqnorth-own&metric={}-metric&period=2025-01",
    ):
        told = []
        for name in (SOUTH, EAST, NOBODY):
            answer = await asked.client.get(address.replace("{}", name), headers=TRACE)
            headers = {key: value for key, value in answer.headers.items() if key != "etag"}
            told.append((answer.status_code, headers, answer.text.replace(name, NOBODY)))
        assert told[0] == told[1] == told[2], address


async def _an_evaluation_names_no_other_buyer(asked: Evaluators) -> None:
    announced = await asked.house.announced()
    assert len(announced) == 2 * len(BUYER_OF)
    for one in announced:
        owner, _, what = one["data"]["agreement"].rpartition("-")
        text = json.dumps(one)
        assert owner in text
        assert not [each for each in _foreign(owner, what) if each in text], text
