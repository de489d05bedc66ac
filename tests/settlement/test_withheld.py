"""What is disputed is not due where the contract says so, and finance hears of each change once."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from schemas.agreement import Agreement
from schemas.bands import Threshold
from schemas.finance import WithholdingChanged
from schemas.remedy import DisputeTerms
from services.settlement.recovery import PublishedRuns
from tests.settlement.builders import an_agreement, an_evaluation
from tests.settlement.desk import Desk, a_desk

LINE = {"agreement": "hosting", "period": "2025-01", "line": "uptime", "error": False}


def _agreement(disputed_amount: str) -> Agreement:
    terms = DisputeTerms.model_validate(
        {
            "circumstance": "dispute",
            "working_days": 1000,
            "holidays": (),
            "effect": Threshold(at_least="1"),
            "needs_error": False,
            "disputed_amount": disputed_amount,
        }
    )
    return an_agreement().model_copy(update={"disputes": terms})


async def _raise(desk: Desk, who: str, effect: str) -> httpx.Response:
    return await desk.post(who, "/v1/disputes", {**LINE, "effect": effect, "comment": "No."})


async def _act(desk: Desk, who: str, dispute: str, act: str) -> Any:
    path = f"/v1/disputes/{dispute}/acts"
    answer = await desk.post(who, path, {"act": act, "comment": "So it is."})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _due(desk: Desk) -> tuple[int, int, int]:
    """What is owed, withheld and due; the statement and the balances say the same."""
    statement = (await desk.get("books", "/v1/statements/hosting/2025-01")).json()
    (balance,) = (await desk.get("nimbus", "/v1/balances")).json()["items"]
    (listed,) = await desk.walk("town", "/v1/statements")
    said = [one[name]["minor_units"] for one in (statement, listed) for name in ("withheld", "due")]
    assert said == 2 * [balance[name]["minor_units"] for name in ("withheld", "due")]
    return balance["owed"]["minor_units"], *said[:2]


async def _told(desk: Desk) -> list[dict[str, Any]]:
    rows = await desk.house.rows("select body from outbox where topic = 'settlements' order by seq")
    told = [msgspec.json.decode(row["body"]) for row in rows]
    return [one for one in told if "amount" in one["type"]]


async def test_the_disputed_amount_is_withheld_until_the_dispute_has_ended(database: str) -> None:
    async with a_desk(database, agreements=[_agreement("withheld")]) as desk:
        await desk.house.settle(an_evaluation(9700))
        before = (await desk.get("books", "/v1/statements/hosting/2025-01/document")).content
        assert await _due(desk) == (20000, 0, 20000)
        raised = (await _raise(desk, "nimbus", "80.00")).json()
        assert raised["withheld"]["amount"] == "80.00"
        assert await _due(desk) == (20000, 8000, 12000)
        after = (await desk.get("books", "/v1/statements/hosting/2025-01/document")).content
        assert after == before, "the figures themselves stand"
        await desk.house.settle(an_evaluation(9750, revision=2))
        assert await _due(desk) == (15000, 3000, 12000), "120.00 are undisputed"
        old = (await desk.get("town", "/v1/statements/hosting/2025-01?revision=1")).json()
        assert (old["withheld"], old["due"]) == (None, None)
        assert (await _act(desk, "town", raised["dispute_id"], "review"))["withheld"][
            "minor_units"
        ] == 3000
        ended = await _act(desk, "town", raised["dispute_id"], "dismiss")
        assert ended["withheld"]["minor_units"] == 0
        assert await _due(desk) == (15000, 0, 15000)
        again = (await _raise(desk, "nimbus", "50")).json()
        assert again["dispute_id"] != raised["dispute_id"]
        await _act(desk, "nimbus", again["dispute_id"], "withdraw")
        await desk.house.settle(an_evaluation(9700, revision=3))
        assert await _due(desk) == (20000, 0, 20000), "what has ended withholds nothing of it"
        told = await _told(desk)
    said = [WithholdingChanged.model_validate(one["data"]) for one in told]
    assert [
        (one.because, one.number, one.line_minor, one.withheld_minor, one.difference_minor, one.due)
        for one in said
    ] == [
        ("raised", 1, 20000, 8000, 8000, "120.00"),
        ("revised", 2, 15000, 3000, -5000, "120.00"),
        ("ended", 3, 15000, 0, -3000, "150.00"),
        ("raised", 1, 15000, 5000, 5000, "100.00"),
        ("ended", 2, 15000, 0, -5000, "150.00"),
    ]
    kinds = ["withheld", "released", "released", "withheld", "released"]
    assert [one["type"] for one in told] == [f"earnback.amount.{kind}.v1" for kind in kinds]
    assert len({one["id"] for one in told}) == 5
    runs = PublishedRuns()
    for one in told:
        runs.add({}, msgspec.json.encode(one))
    assert runs == PublishedRuns(), "no run of settlement leads to them"


async def test_who_is_owed_an_amount_cannot_withhold_it_and_ids_are_the_same_after_a_restore(
    database: str, other_database: str
) -> None:
    found = []
    for dsn in (database, other_database):
        async with a_desk(dsn, agreements=[_agreement("withheld")]) as desk:
            await desk.house.settle(an_evaluation(9700))
            buyers = (await _raise(desk, "town", "80.00")).json()
            assert buyers["withheld"]["minor_units"] == 0
            assert await _due(desk) == (20000, 0, 20000)
            assert await _told(desk) == []
            await _act(desk, "town", buyers["dispute_id"], "withdraw")
            finer = await _raise(desk, "nimbus", "80.001")
            assert (finer.status_code, finer.json()["code"]) == (422, "dispute-not-admitted")
            assert [one["pointer"] for one in finer.json()["errors"]] == ["/effect"]
            raised = (await _raise(desk, "nimbus", "80.00")).json()
            found.append((raised["dispute_id"], [one["id"] for one in await _told(desk)]))
    assert found[0] == found[1]


@pytest.mark.parametrize("agreement", [None, _agreement("stays_due")], ids=["no term", "stays"])
async def test_without_such_a_term_what_is_disputed_stays_due(
    database: str, agreement: Agreement | None
) -> None:
    given = {} if agreement is None else {"agreements": [agreement]}
    async with a_desk(database, **given) as desk:
        await desk.house.settle(an_evaluation(9700))
        raised = await _raise(desk, "nimbus", "80.001")
        assert (raised.status_code, raised.json()["withheld"]) == (201, None)
        assert await _due(desk) == (20000, 0, 20000)
        assert await _told(desk) == []
