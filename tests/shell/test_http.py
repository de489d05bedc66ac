"""What every API of ours promises: problems that help, safe repeats, pages that fit."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from services.shell.http.bodies import JsonRoute
from services.shell.http.cursors import decode_cursor, encode_cursor
from services.shell.http.idempotency import Answer, once
from services.shell.http.problems import Fault, Problem
from services.shell.http.server import make_api
from services.shell.http.tags import tagged
from services.shell.postgres import Connection, open_pool
from services.shell.settings import Settings


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: int
    tags: list[int] = []


SETTINGS = Settings("shop", "localhost:1", "postgresql://nowhere")


@asynccontextmanager
async def no_life(_: FastAPI) -> AsyncIterator[None]:
    yield


def shop(pool: Any = None, probes: Any = None) -> FastAPI:
    api = make_api(SETTINGS, title="Shop", version="1", lifespan=no_life, probes=probes)
    api.router.route_class = JsonRoute

    @api.post("/orders")
    async def order(request: Request, wanted: Order, page: Annotated[int, Query(ge=0)] = 0) -> Any:
        async def effect(connection: Connection) -> Answer:
            if wanted.amount < 0:
                raise Problem(409, "no-stock", "Nothing left.", faults=[Fault("/amount", "a", "b")])
            number = await connection.fetchval(
                "insert into test_order (amount) values ($1) returning id", wanted.amount
            )
            # Others must meet the first one under way.
            await asyncio.sleep(0.05)
            return Answer(
                201,
                b'{"id":%d}' % number,
                {"content-type": "application/json", "location": f"/orders/{number}"},
            )

        return await once(pool, request, "buyer-1", effect)

    @api.post("/notes")
    async def note(request: Request) -> Any:
        async def effect(_: Connection) -> Answer:
            return Answer(200, b"{}")

        return await once(pool, request, "buyer-1", effect)

    @api.get("/state")
    async def state(request: Request) -> Response:
        return tagged(request, b'{"a":1}')

    @api.put("/state")
    async def change() -> None:
        """Nothing."""

    @api.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret inside")

    return api


@asynccontextmanager
async def asking(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(api)
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        yield client


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Any]:
    pool = await open_pool(database, name="test", size=12)
    await pool.execute("create table test_order (id bigserial primary key, amount int not null)")
    yield pool
    await pool.close()


async def test_fifty_parallel_repeats_have_one_effect_and_one_answer(pool: Any) -> None:
    async with asking(shop(pool)) as client:
        key = {"Idempotency-Key": str(uuid4())}

        async def send() -> httpx.Response:
            return await client.post("/orders", json={"amount": 5}, headers=key)

        answers = await asyncio.gather(*[send() for _ in range(50)])
        kinds = Counter(answer.status_code for answer in answers)
        assert set(kinds) <= {201, 409}
        assert await pool.fetchval("select count(*) from test_order") == 1
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        for answer in answers:
            if answer.status_code == 409:
                assert answer.json()["code"] == "under-way"
                assert answer.headers["retry-after"] == "1"
        firsts = [a for a in answers if a.status_code == 201 and "idempotency-hit" not in a.headers]
        assert len(firsts) == 1
        again = await send()
        assert again.headers["idempotency-hit"] == "true"
        assert (again.status_code, again.content) == (201, firsts[0].content)
        assert again.headers["location"] == firsts[0].headers["location"]


async def test_a_key_is_needed_and_is_for_one_request_only(pool: Any) -> None:
    async with asking(shop(pool)) as client:
        none = await client.post("/orders", json={"amount": 5})
        assert (none.status_code, none.json()["code"]) == (400, "idempotency-key-needed")
        assert none.json()["errors"][0]["remedy"].startswith("send a new random id")
        key = {"Idempotency-Key": "k1"}
        assert (await client.post("/orders", json={"amount": 5}, headers=key)).status_code == 201
        for other in (
            client.post("/orders", json={"amount": 6}, headers=key),
            client.post("/orders?page=1", json={"amount": 5}, headers=key),
        ):
            answer = await other
            assert (answer.status_code, answer.json()["code"]) == (422, "key-used-otherwise")
        assert await pool.fetchval("select count(*) from test_order") == 1


async def test_a_refused_effect_leaves_nothing_and_frees_its_key(pool: Any) -> None:
    async with asking(shop(pool)) as client:
        key = {"Idempotency-Key": "k2"}
        refused = await client.post("/orders", json={"amount": -1}, headers=key)
        assert (refused.status_code, refused.json()["code"]) == (409, "no-stock")
        assert await pool.fetchval("select count(*) from idempotency") == 0
        assert (await client.post("/orders", json={"amount": 1}, headers=key)).status_code == 201


async def test_stored_answers_cannot_be_changed_or_removed(pool: Any) -> None:
    async with asking(shop(pool)) as client:
        await client.post("/orders", json={"amount": 1}, headers={"Idempotency-Key": "k3"})
    for change in (
        "update idempotency set status = 500",
        "delete from idempotency",
        "truncate idempotency",
    ):
        with pytest.raises(Exception, match="append-only"):
            await pool.execute(change)


async def test_a_request_that_does_not_fit_is_told_where_why_and_what_to_do() -> None:
    async with asking(shop()) as client:
        answer = await client.post(
            "/orders?page=-1",
            json={"tags": [1, "x"], "amuont": 3},
            headers={"Idempotency-Key": "k"},
        )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["code"]) == ("/problems/invalid-request", "invalid-request")
    assert document["trace_id"] == answer.headers["x-correlation-id"]
    faults = {(each["in"], each["pointer"]): each for each in document["errors"]}
    assert faults["body", "/amount"]["remedy"] == "add the field"
    assert faults["body", "/amuont"]["remedy"] == "remove it, or check its spelling"
    assert "whole number" in faults["body", "/tags/1"]["reason"]
    assert faults["query", "page"]["remedy"] == "write 0 or more"


async def test_a_body_that_is_no_json_is_told_so_as_a_whole() -> None:
    async with asking(shop()) as client:
        told = {"content-type": "application/json"}
        answer = await client.post("/orders", content=b'{"amount": 1,}', headers=told)
        untold = await client.post("/orders", content=b'{"amount": 1}')
    assert "Content-Type: application/json" in untold.json()["errors"][0]["remedy"]
    (fault,) = answer.json()["errors"]
    assert (fault["in"], fault["pointer"]) == ("body", "")
    assert "no JSON" in fault["reason"]
    assert fault["remedy"] == "send well-formed JSON in UTF-8"


@pytest.mark.parametrize(
    "body",
    [
        '{"amount": 1}'.encode("utf-16"),
        '{"amount": 1}'.encode("utf-16-le"),
        '{"amount": 1}'.encode("utf-32"),
        b'\xef\xbb\xbf{"amount": 1}',
        b'{"amount": 1, "tags": ["\xff"]}',
        b'{"amount": 1, "amount": 2}',
        b'{"amount": 1, "tags": [{"a": 1, "\\u0061": 2}]}',
        b'{"amount": ' + b"1" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
async def test_json_is_taken_in_utf_8_with_each_key_once(body: bytes) -> None:
    async with asking(shop()) as client:
        told = {"content-type": "application/json", "Idempotency-Key": "k"}
        answer = await client.post("/orders", content=body, headers=told)
    assert (answer.status_code, answer.json()["code"]) == (400, "not-json")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_parameter_that_is_not_there_or_given_twice_is_refused_by_its_name() -> None:
    async with asking(shop()) as client:
        answer = await client.post("/orders?pgae=1&page=1&page=2", json={"amount": 1})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")
        told = {each["pointer"]: each["remedy"] for each in answer.json()["errors"]}
        assert told == {"page": "give it once", "pgae": "use one of: page"}
        assert (await client.get("/livez?from=probe")).status_code == 200


async def test_what_no_name_has_is_refused_in_address_and_body(pool: Any) -> None:
    async with asking(shop(pool)) as client:
        for address, pointer in (("/state?a=b%00", "a"), ("/st%00ate", "")):
            answer = await client.get(address)
            assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")
            assert answer.json()["errors"][0]["pointer"] == pointer
        body = {"name": "a\0", "text": ["\\u0000", "b\0"]}
        answer = await client.post("/notes", json=body, headers={"Idempotency-Key": "n"})
        assert answer.status_code == 422
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/name", "/text/1"]
        fine = await client.post("/notes", json=["\\u0000"], headers={"Idempotency-Key": "m"})
        assert fine.status_code == 200


async def test_a_failed_read_is_not_told_to_bring_a_key() -> None:
    async with asking(shop()) as client:
        assert "Idempotency-Key" not in (await client.get("/broken")).json()["detail"]


async def test_every_other_failure_is_a_problem_document_too() -> None:
    async with asking(shop()) as client:
        answers = {
            "not-found": await client.get("/nowhere"),
            "method-not-allowed": await client.delete("/state"),
            "unexpected": await client.get("/broken"),
        }
    for code, answer in answers.items():
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == code
        assert answer.json()["status"] == answer.status_code
        assert answer.json()["trace_id"] == answer.headers["x-correlation-id"]
    assert "secret" not in answers["unexpected"].text
    assert answers["method-not-allowed"].headers["allow"] == "GET, PUT"


async def test_a_correlation_id_is_kept_when_usable_and_made_when_not() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with asking(shop()) as client:
        traced = await client.get(
            "/state", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        )
        named = await client.get("/state", headers={"x-correlation-id": "batch-7"})
        silly = await client.get("/state", headers={"x-correlation-id": "a b\tc"})
    assert traced.headers["x-correlation-id"] == trace
    assert traced.headers["traceparent"].startswith(f"00-{trace}-")
    assert "00f067aa0ba902b7" not in traced.headers["traceparent"]
    assert named.headers["x-correlation-id"] == "batch-7"
    assert len(silly.headers["x-correlation-id"]) == 32


async def test_a_tag_saves_the_body() -> None:
    async with asking(shop()) as client:
        first = await client.get("/state")
        tag = first.headers["etag"]
        known = await client.get("/state", headers={"If-None-Match": f'"other", {tag}'})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)


async def test_readiness_says_what_is_missing() -> None:
    async def down() -> None:
        raise ConnectionError("no answer from the database")

    async with asking(shop(probes={"postgres": down})) as client:
        assert (await client.get("/livez")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["missing"] == {"postgres": "no answer from the database"}
    async with asking(shop()) as client:
        assert (await client.get("/readyz")).text == "ready"
        metrics = (await client.get("/metrics")).text
    assert 'earnback_request_seconds_count{method="GET",route="/readyz"' in metrics


def test_a_cursor_returns_its_keys_and_fits_one_list_only() -> None:
    cursor = encode_cursor("ledger?vendor=a", "2026-01", 17)
    assert decode_cursor("ledger?vendor=a", cursor, [str, int]) == ["2026-01", 17]
    for scope, text, kinds in (
        ("ledger?vendor=b", cursor, [str, int]),
        ("ledger?vendor=a", cursor, [str]),
        ("ledger?vendor=a", cursor, [int, int]),
        ("ledger?vendor=a", cursor[:-3], [str, int]),
        ("ledger?vendor=a", "%%%", [str, int]),
        ("ledger?vendor=a", "MQ", [str, int]),
        ("ledger?vendor=a", encode_cursor("ledger?vendor=a", "a", 2**63), [str, int]),
        ("ledger?vendor=a", encode_cursor("ledger?vendor=a", "a\0", 1), [str, int]),
        ("ledger?vendor=a", encode_cursor("ledger?vendor=a", "\ud800", 1), [str, int]),
    ):
        with pytest.raises(Problem) as refused:
            decode_cursor(scope, text, kinds)
        assert refused.value.code == "bad-cursor"
