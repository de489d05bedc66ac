"""What is stored and cannot be read by this release is told by itself; all else is answered."""

from __future__ import annotations

from tests.settlement.builders import an_evaluation
from tests.settlement.desk import Desk, a_desk

MADE = "of a release that nobody knows"


async def _unreadable_evaluation(desk: Desk, agreement: str, period: str, revision: int) -> None:
    await desk.house.pool.execute(
        "insert into evaluation_received (agreement, period, revision, programme, reason, body,"
        " sha256) values ($1, $2, $3, 'campus', 'late_facts', $4, $5)",
        agreement,
        period,
        revision,
        f'{{"made": "{MADE}"}}',
        b"0" * 32,
    )


async def _unreadable_statement(desk: Desk, agreement: str) -> None:
    """Write over what is only appended, as a fault of a disk would."""
    async with desk.house.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(
            "update statement set body = $2 where agreement = $1",
            agreement,
            f'{{"made": "{MADE}"}}',
        )


async def test_what_cannot_be_read_back_is_told_by_itself_and_all_else_is_answered(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        for agreement in ("hosting", "network"):
            await desk.house.settle(an_evaluation(9700, agreement=agreement))
        (line,) = await desk.house.rows("select line from ledger_entry where agreement = 'hosting'")
        explained = f"/v1/statements/hosting/2025-01/lines/{line['line']}/explanation"
        await _unreadable_evaluation(desk, "hosting", "2025-01", 2)

        answer = await desk.get("town", explained)
        assert (answer.status_code, answer.json()["unread"]) == (200, ["2025-01#2"])
        assert answer.json()["figures"][0]["revision"] == 1
        await _is_told(
            desk,
            "/v1/agreements/hosting/evaluations/2025-01",
            "/v1/previews/hosting/2025-02",
        )
        await _unreadable_statement(desk, "hosting")
        await _is_told(
            desk,
            "/v1/statements/hosting/2025-01",
            explained,
        )
        document = await desk.get("nimbus", "/v1/statements/hosting/2025-01/document")
        assert document.json()["code"] == "cannot-be-read"
        for other in (
            "/v1/statements?all_revisions=true",
            "/v1/agreements/hosting/evaluations",
            "/v1/statements/network/2025-01",
            f"{explained.replace('hosting', 'network')}",
            "/v1/pending",
        ):
            answer = await desk.get("town", other)
            assert answer.status_code == 200, (other, answer.text)


async def _is_told(desk: Desk, *addresses: str) -> None:
    for address in addresses:
        answer = await desk.get("town", address)
        assert (answer.status_code, answer.json()["code"]) == (409, "cannot-be-read"), address
        assert "hosting" in answer.json()["title"]
        assert MADE not in answer.text
