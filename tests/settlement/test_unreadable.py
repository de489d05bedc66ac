"""What is stored and cannot be read by this release is told by itself; all else is answered."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from services.catalogue.audit import at_the_command_line
from services.catalogue.four_eyes import RequestedAct, ask
from tests.settlement.builders import an_evaluation
from tests.settlement.desk import Desk, a_desk
from tests.settlement.older import settled_by_an_older_release
from tests.settlement.proposing import correction, counted

MADE = "of a release that nobody knows"
AN_ACT = RequestedAct("close", "town", 14, "hosting 2025-01", "{}", b"", agreement="hosting")


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


async def test_one_item_of_a_list_that_cannot_be_read_is_named_and_the_others_are_given(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        ids = await _two_of_each(desk)
        await _write_over(desk, ids)
        for path, name in (
            ("/v1/proposals", f"proposal {ids['proposal']}"),
            ("/v1/disputes", f"dispute {ids['dispute']}"),
            ("/v1/requests", f"request {ids['request']}"),
            ("/v1/restatements", "agreement hosting"),
            ("/v1/audit", "of the audit"),
        ):
            answer = await desk.get("town", path)
            assert (answer.status_code, MADE in answer.text) == (200, False), (path, answer.text)
            (unread,) = answer.json()["unread"]
            assert name in unread["what"], path
            assert "cannot read it" in unread["reason"], path
            assert answer.json()["items"], path
            short = (await desk.get("town", path, params={"limit": 1})).json()
            assert len(short["items"]) + len(short["unread"]) == 1, path
            assert short["next"], path
        for thing in ("proposal", "dispute", "request"):
            answer = await desk.get("town", f"/v1/{thing}s/{ids[thing]}")
            assert (answer.status_code, answer.json()["code"]) == (409, "cannot-be-read"), thing
        no = {"reason": "no"}
        for path, body in (
            (f"/v1/proposals/{ids['proposal']}/reject", no),
            (f"/v1/requests/{ids['request']}/answers", {"answer": "decline", **no}),
        ):
            assert (await desk.post("town", path, body)).json()["code"] == "cannot-be-read"
        pending = {
            row["dispute_id"] or row["proposal_id"]: row["reasons"][0]
            for row in await desk.walk("town", "/v1/pending")
        }
        assert pending[ids["dispute"]] == "a dispute of 2025-01 cannot be read by this release"
        explained = "/v1/statements/hosting/2025-01/lines/uptime/explanation"
        told = (await desk.get("town", explained)).json()
        assert {f"dispute {ids['dispute']}", f"proposal {ids['proposal']}"} <= {*told["unread"]}
        assert (len(told["disputes"]), len(told["proposals"])) == (1, 1)


async def test_a_kept_proposal_that_cannot_be_read_is_written_anew_with_the_next_evaluation(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(counted(correction("a", "2025-01")))
        await desk.house.pool.execute("update proposal set content = $1", f'{{"made": "{MADE}"}}')
        await desk.house.settle(counted(correction("a", "2025-01"), revision=2, good=9600))
        (shown,) = await desk.walk("nimbus", "/v1/proposals")
        assert shown["proposal"]["event"]["id"] == "a"
        assert await desk.house.owed("2025-01") == 30000, "the partition went on"


async def _two_of_each(desk: Desk) -> dict[str, str]:
    """Two of each thing that a list has; the ids of those that are to be written over."""
    await desk.house.settle(counted(correction("a", "2025-01"), correction("b", "2025-01")))
    for agreement in ("hosting", "network"):
        older = an_evaluation(9700, agreement=agreement, period="2025-02")
        await settled_by_an_older_release(desk.house, older, 7)
    place = {"agreement": "hosting", "period": "2025-01", "comment": "no"}
    disputed = [
        await desk.post("nimbus", "/v1/disputes", {**place, **about})
        for about in ({"figure": {"metric": "availability"}}, {"line": "uptime"})
    ]
    async with desk.house.pool.acquire() as connection, connection.transaction():
        requested = [
            await ask(connection, replace(AN_ACT, digest=bytes([each])), at_the_command_line("Ann"))
            for each in (1, 2)
        ]
    proposed = await desk.walk("town", "/v1/proposals")
    return {
        "proposal": proposed[0]["proposal_id"],
        "dispute": disputed[0].json()["dispute_id"],
        "request": str(requested[0]),
    }


async def _write_over(desk: Desk, ids: dict[str, str]) -> None:
    """Write over what is only appended, as a fault of a disk or a later release would."""
    async with desk.house.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        for table, column, key, said in (
            ("proposal", "content", "proposal", f'{{"made": "{MADE}"}}'),
            ("dispute", "about", "dispute", f'{{"figure": "{MADE}'),
            ("four_eyes_request", "content", "request", f'{{"agreement": "{MADE}'),
        ):
            await connection.execute(
                f"update {table} set {column} = $1 where {key}_id = $2", said, UUID(ids[key])
            )
        await connection.execute(
            "update audit_entry set action = $1 where number ="
            " (select min(number) from audit_entry where buyer = 'town')",
            MADE,
        )
        await connection.execute(
            "update evaluation_received set body = $1, sha256 = $2"
            " where agreement = 'hosting' and period = '2025-02'",
            f'{{"made": "{MADE}"}}',
            b"1" * 32,
        )


async def _is_told(desk: Desk, *addresses: str) -> None:
    for address in addresses:
        answer = await desk.get("town", address)
        assert (answer.status_code, answer.json()["code"]) == (409, "cannot-be-read"), address
        assert "hosting" in answer.json()["title"]
        assert MADE not in answer.text
