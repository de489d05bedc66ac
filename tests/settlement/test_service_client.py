"""Another service that takes long is away, before the transaction that waits for it is ended."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from services.catalogue.audit import at_the_command_line
from services.settlement import service_client
from services.settlement.evaluator_client import EvaluatorClient
from services.shell.http.problems import Problem
from services.shell.postgres import IDLE


async def test_an_order_ends_before_its_transaction_would_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert service_client.ORDER_SECONDS < IDLE
    monkeypatch.setattr(service_client, "ORDER_SECONDS", 0.05)
    asked: list[str] = []

    async def slow(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        await asyncio.sleep(0.5 if request.method == "GET" else 60)
        return httpx.Response(200, json={})

    client = EvaluatorClient("http://evaluator", httpx.MockTransport(slow))
    with pytest.raises(Problem) as refused:
        await client.close_period(b"{}", requested_by="town", by=at_the_command_line(None), key="k")
    assert (refused.value.status, refused.value.code) == (503, "evaluator-away")
    assert await client.close_order(1) == {}
    assert asked == ["POST", "GET"]
    await client.close()
