"""The API over a house, asked as vendors, procurement, finance and the operator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import httpx
from fastapi import FastAPI

from schemas.evaluation import PeriodEvaluation
from schemas.role import Role
from services.catalogue.keys import create
from services.settlement.api import settlement_api
from services.shell.settings import Settings
from tests.settlement.house import House, a_house

NO_ORDER = {"agreement": "hosting", "period": "2025-01"}
PEOPLE: dict[str, tuple[str, Role]] = {
    "nimbus": ("nimbus", "vendor"),
    "cirrus": ("cirrus", "vendor"),
    "town": ("town", "procurement"),
    "books": ("town", "finance"),
    "operator": ("operator", "admin"),
    "probe": ("town", "probe"),
    "stranger": ("village", "procurement"),
}


@dataclass
class Elsewhere:
    """The evaluator's door as the API meets it: what it is asked, and what it answers."""

    previews: dict[tuple[str, str], PeriodEvaluation] = field(default_factory=dict)
    accepting: dict[tuple[str, str], PeriodEvaluation] = field(default_factory=dict)
    """Previews in which a proposal is accepted; of what is not here: the one without."""
    facts: dict[tuple[str, str, str], list[tuple[str, str]]] = field(default_factory=dict)
    corrections: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    closes: list[tuple[str, bytes]] = field(default_factory=list)
    orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    away: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        path = [each for each in request.url.raw_path.decode().partition("?")[0].split("/") if each]
        if path[1] == "facts":
            return self._facts(request.url.params)
        if path[1] == "corrections":
            return self._corrections(request.url.params)
        if path[1] == "closes":
            return self._closes(request)
        if path[1] == "events":
            source, event_id = (unquote(each) for each in path[2:])
            return httpx.Response(
                200,
                json={
                    "source": source,
                    "id": event_id,
                    "standing": "accepted",
                    "accepted": {"partition": 0, "event": {"data": {"metric": "availability"}}},
                    "duplicates": 0,
                    "quarantined": [],
                },
            )
        place = path[2], path[3]
        found = self.previews.get(place)
        if "accepting_id" in request.url.params:
            found = self.accepting.get(place, found)
        if found is None:
            problem = {"code": "period-not-open", "title": "Not open.", "detail": "It is closed."}
            return httpx.Response(404, json=problem)
        return httpx.Response(200, text=found.model_dump_json())

    def _closes(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.closes.append((request.headers["idempotency-key"], request.content))
        else:
            number = int(request.url.path.rpartition("/")[2])
            if number in self.orders:
                return httpx.Response(200, json=self.orders[number])
        order = json.loads(self.closes[0][1]) if self.closes else {**NO_ORDER}
        return httpx.Response(
            202, json={"number": 1, **order, "outcome": None}, headers={"location": "/v1/closes/1"}
        )

    def _corrections(self, asked: Mapping[str, str]) -> httpx.Response:
        found = self.corrections.get((asked["agreement"], asked["period"]), [])
        start = int(asked.get("cursor", 0))
        end = start + int(asked["limit"])
        following = str(end) if end < len(found) else None
        return httpx.Response(200, json={"items": found[start:end], "next": following})

    def _facts(self, asked: Mapping[str, str]) -> httpx.Response:
        events = self.facts.get((asked["agreement"], asked["metric"], asked["period"]), [])
        start = int(asked.get("cursor", 0))
        end = start + int(asked["limit"])
        more = {
            "type": "earnback.sample.v1",
            "time": "2025-01-05T08:00:00Z",
            "metric": asked["metric"],
            "subject": None,
            "payload": "0" * 16,
            "corrects": None,
        }
        items = [{"source": source, "id": name, **more} for source, name in events[start:end]]
        following = str(end) if end < len(events) else None
        return httpx.Response(200, json={"items": items, "next": following, "digest": "0" * 64})


@dataclass
class Desk:
    """A running API with a key for each of PEOPLE."""

    house: House
    api: FastAPI
    client: httpx.AsyncClient
    keys: Mapping[str, str]
    elsewhere: Elsewhere

    async def get(self, who: str, path: str, **given: Any) -> httpx.Response:
        """GET as somebody."""
        headers = {**self.as_(who), **given.pop("headers", {})}
        return await self.client.get(path, headers=headers, **given)

    async def post(
        self, who: str, path: str, body: Any, *, key: str | None = None
    ) -> httpx.Response:
        """POST as somebody, with a key of its own unless one is given."""
        headers = {**self.as_(who), "Idempotency-Key": key or uuid4().hex}
        return await self.client.post(path, headers=headers, json=body)

    def as_(self, who: str) -> dict[str, str]:
        """The header that says who asks."""
        return {"Authorization": f"Bearer {self.keys[who]}"}

    async def walk(self, who: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        items: list[dict[str, Any]] = []
        while True:
            answer = await self.get(who, path, params=params)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            items += page["items"]
            if page["next"] is None:
                return items
            params["cursor"] = page["next"]


@asynccontextmanager
async def a_desk(dsn: str, **given: Any) -> AsyncIterator[Desk]:
    """A house with an API over it."""
    async with a_house(dsn, **given) as house:
        async with house.pool.acquire() as connection:
            keys = {
                name: await create(connection, party=party, role=role, label=name)
                for name, (party, role) in PEOPLE.items()
            }
        elsewhere = Elsewhere()
        api = settlement_api(
            Settings(service="settlement", kafka="127.0.0.1:1", postgres=dsn),
            evaluator="http://evaluator",
            transport=httpx.MockTransport(elsewhere),
        )
        async with (
            api.router.lifespan_context(api),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(api), base_url="http://settlement"
            ) as client,
        ):
            yield Desk(house, api, client, keys, elsewhere)
