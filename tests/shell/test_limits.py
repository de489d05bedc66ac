"""What a stranger may cost a server: over real connections, as a stranger would."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from infra.processes import free_port
from services.shell import metrics
from services.shell.http.limits import Limits
from services.shell.http.problems import Problem
from services.shell.http.server import make_api, serve_beside
from services.shell.settings import Settings

MOST = 100_000
LIMITS = Limits(
    body=MOST, head_seconds=0.5, body_seconds=0.5, write_seconds=0.5, linger_seconds=0.5
)
SETTINGS = Settings(
    "gate",
    "localhost:1",
    "postgresql://nowhere",
    http_connections=12,
    http_connections_per_client=8,
)
HEAD = b"POST /v1/things HTTP/1.1\r\nHost: gate\r\n"
KEY = b"Authorization: Bearer good\r\n"


@asynccontextmanager
async def no_life(_: FastAPI) -> AsyncIterator[None]:
    yield


async def only_good(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer good":
        raise Problem(401, "not-authenticated", "No.", headers={"WWW-Authenticate": "Bearer"})


@asynccontextmanager
async def a_gate() -> AsyncIterator[int]:
    """The port of a served API that takes bodies and gives back how long they are."""
    api = make_api(
        SETTINGS, title="Gate", version="1", lifespan=no_life, limits=LIMITS, authenticate=only_good
    )

    @api.post("/v1/things")
    async def things(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @api.get("/v1/large")
    async def large() -> str:
        return "x" * 30_000_000

    port = free_port()
    serving = asyncio.create_task(serve_beside(api, replace(SETTINGS, http_port=port)))
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.02)
        yield port
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def said(port: int, *pieces: bytes, pause: float = 0.0) -> tuple[int, dict[str, Any], float]:
    """Status and document of the answer to what is sent, and the seconds until the end of it.
    Status 0: the connection was ended without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass  # what was answered before is read all the same
    text = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = text.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    return status, json.loads(body) if body else {}, time.monotonic() - started


async def test_a_body_is_refused_by_its_length_alone_and_counted_where_none_is_told() -> None:
    async with a_gate() as port:
        told = HEAD + KEY + b"Content-Length: 400000000\r\n\r\n"
        status, document, _ = await said(port, told)
        assert (status, document["code"]) == (413, "too-large")
        assert str(MOST) in document["errors"][0]["reason"]
        # The answer arrives although the sender goes on: the connection is not reset under it.
        status, document, _ = await said(port, told, *([b"x" * 65_536] * 8))
        assert (status, document["code"]) == (413, "too-large")
        chunked = HEAD + KEY + b"Transfer-Encoding: chunked\r\n\r\n"
        status, document, _ = await said(
            port, chunked, *([b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 4)
        )
        assert (status, document["code"]) == (413, "too-large")
        async with httpx.AsyncClient(headers={"Authorization": "Bearer good"}) as client:
            answer = await client.post(f"http://127.0.0.1:{port}/v1/things", content=b"x" * MOST)
            assert answer.json() == {"size": MOST}


async def test_who_sends_is_asked_before_the_body_is_read() -> None:
    async with a_gate() as port:
        head = HEAD + b"Content-Length: 100000\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        status, document, took = await said(port, head)
        assert (status, document["code"]) == (401, "not-authenticated")
        assert took < LIMITS.head_seconds + LIMITS.linger_seconds
        with httpx.Client() as client:
            # With a small body the connection stays of use.
            for _ in range(2):
                answer = await asyncio.to_thread(
                    client.post, f"http://127.0.0.1:{port}/v1/things", content=b"x"
                )
                assert answer.status_code == 401


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"X-Long: " + b"x" * 40_000 + b"\r\n", "head-too-large"),
        (b"X-Long: " + b"x" * 400_000 + b"\r\n", "head-too-large"),
        (b"".join(b"X-%d: x\r\n" % number for number in range(200)), "head-too-large"),
        (b"X-Bad\x00: x\r\n", "not-http"),
    ],
)
async def test_a_head_has_a_size_a_number_of_fields_and_a_form(head: bytes, code: str) -> None:
    async with a_gate() as port:
        status, document, _ = await said(port, HEAD + head + b"\r\n")
        assert (status, document["code"]) == (400 if code == "not-http" else 431, code)
        assert document["trace_id"]


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([], 0),
        ([b"\r\n"], 400),
        ([b"POST /v1/thi", b"n", b"g", b"s", b" "], 408),
        ([HEAD + b"X: 1\r\n", b"Y: 1\r\n"], 408),
        ([HEAD + KEY + b"Content-Length: 9\r\n\r\n", b"1", b"2", b"3"], 408),
        ([HEAD + KEY + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx", b"\r\n1\r\nx"], 408),
        # Answered already; the rest of the body is not waited for.
        ([HEAD + b"Content-Length: 9\r\n\r\n", b"1"], 401),
    ],
)
async def test_what_does_not_come_in_time_is_ended(pieces: list[bytes], status: int) -> None:
    async with a_gate() as port:
        found, _, took = await said(port, *pieces, pause=0.15)
        assert found == status
        assert took < 3


async def test_an_idle_connection_is_used_again_and_then_ended() -> None:
    async with a_gate() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            await asyncio.sleep(0.3)
            writer.write(HEAD + KEY + b"Content-Length: 1\r\n\r\nx")
            assert b"200 OK" in await reader.readline()
            await reader.readuntil(b'{"size":1}')
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async with a_gate() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /v1/large HTTP/1.1\r\nHost: gate\r\n" + KEY + b"\r\n")
        await asyncio.sleep(2.0)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(30_000_000)
        writer.close()


async def test_one_client_holds_its_share_of_connections_and_leaves_the_rest() -> None:
    async with a_gate() as port:
        await asyncio.sleep(0.1)
        mine = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        answers = await asyncio.gather(*(asyncio.wait_for(each.read(), 5) for each, _ in mine))
        refused = [each for each in answers if b"503" in each]
        assert len(refused) == 12
        assert b"too-many-connections" in refused[0]
        assert b"retry-after: 5" in refused[0].lower()
        # The half-open ones were ended in their time, so there is room again.
        status, _, _ = await said(
            port, HEAD + KEY + b"Content-Length: 1\r\nConnection: close\r\n\r\nx"
        )
        assert status == 200
        for _, writer in mine:
            writer.close()


async def test_labels_of_requests_come_from_fixed_sets() -> None:
    async with a_gate() as port:
        before = len(metrics.render()[1])
        for number in range(30):
            odd = b"M%d /v1/none%d HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n" % (
                number,
                number,
            )
            status, _, _ = await said(port, odd + KEY + b"\r\n")
            assert status == 404
        text = metrics.render()[1].decode()
    assert 'method="other",route="unmatched"' in text
    assert len(text) - before < 4_000
    assert "M29" not in text


@contextmanager
def health_page() -> Iterator[int]:
    server = metrics.HealthServer(metrics.Health(), "127.0.0.1", 0)
    server.open()
    try:
        yield server.port
    finally:
        server.close()


def test_the_health_page_of_a_worker_ends_slow_clients_and_takes_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics.BoundedServer, "seconds", 0.5)
    with health_page() as port:
        held = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(60)]
        held[0].send(b"GET /livez HT")
        for each in held:
            with closing(each):
                assert each.recv(100) == b""
        assert httpx.get(f"http://127.0.0.1:{port}/livez").text == "alive"
