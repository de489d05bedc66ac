"""The audit: each change is there with who made it, and nobody reads what is another's."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.catalogue import keys
from services.catalogue.audit import at_the_command_line
from tests.settlement.builders import an_agreement, an_evaluation
from tests.settlement.desk import Desk, a_desk
from tests.settlement.test_with_evaluator import a_desk_beside_the_evaluator

SECOND = an_agreement(version=2, effective_from="2025-03-01").model_dump(mode="json")


async def _post(desk: Desk, who: str, path: str, body: Any, person: bytes | None = None) -> Any:
    headers: dict[Any, Any] = {**desk.as_(who), "Idempotency-Key": uuid4().hex}
    if person is not None:
        headers[b"On-Behalf-Of"] = person
    return await desk.client.post(path, headers=headers, json=body)


async def _seen(desk: Desk, who: str, **params: Any) -> list[tuple[str, str | None]]:
    found = await desk.walk(who, "/v1/audit", limit=2, **params)
    assert len({one["audit_id"] for one in found}) == len(found)
    return [(one["action"], one["agreement"]) for one in found]


async def test_a_change_is_written_down_with_key_person_and_reason(database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        order = {"agreement": "hosting", "period": "2025-01"}
        why = {**order, "reason": "The board asks."}
        closed = await _post(desk, "town", "/v1/closes", why, "Zoë Ångström".encode())
        assert closed.status_code == 202, closed.text
        path = "/v1/agreements?reason=New%20prices."
        assert (await _post(desk, "town", path, SECOND)).status_code == 201
        said = {**order, "line": "uptime", "comment": "Our probe says otherwise."}
        raised = (await _post(desk, "nimbus", "/v1/disputes", said, b"Ann")).json()
        acts = f"/v1/disputes/{raised['dispute_id']}/acts"
        await _post(desk, "town", acts, {"act": "review", "comment": "We look."})
        found = (await desk.walk("operator", "/v1/audit", agreement="hosting"))[-4:]
        prefix = {who: text.split("_")[1] for who, text in desk.keys.items()}
        told = [
            (one["action"], one["key"], one["person"], one["period"], one["about"], one["reason"])
            for one in found
        ]
        town, dispute = prefix["town"], raised["dispute_id"]
        assert told == [
            (
                "close-ordered",
                town,
                "Zoë Ångström",
                "2025-01",
                closed.json()["order_id"],
                "The board asks.",
            ),
            ("agreement-applied", town, None, None, "2", "New prices."),
            ("dispute-raised", prefix["nimbus"], "Ann", "2025-01", dispute, said["comment"]),
            ("dispute-acted", town, None, "2025-01", dispute, "review: We look."),
        ]
        assert [(one["party"], one["role"]) for one in found] == [
            ("town", "procurement"),
            ("town", "procurement"),
            ("nimbus", "vendor"),
            ("town", "procurement"),
        ]


async def test_each_party_reads_what_concerns_it_and_no_key_or_person_of_another(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        assert (await _post(desk, "town", "/v1/agreements", SECOND, b"Ann")).status_code == 201
        hosting, made = ("agreement-applied", "hosting"), ("key-made", None)
        network, programme = ("agreement-applied", "network"), ("programme-applied", None)
        assert await _seen(desk, "nimbus") == [programme, hosting, made, hosting]
        assert await _seen(desk, "cirrus") == [programme, network, made]
        # its own keys: procurement, finance and the probe
        ours = [programme, hosting, network, made, made, made, hosting]
        assert await _seen(desk, "town") == await _seen(desk, "books") == ours
        assert await _seen(desk, "stranger") == [made]
        assert await _seen(desk, "town", action="agreement-applied") == [hosting, network, hosting]
        for who, shown in (("nimbus", None), ("books", "Ann"), ("operator", "Ann")):
            last = (await desk.walk(who, "/v1/audit"))[-1]
            assert (last["party"], last["person"], last["key"] is None) == (
                "town",
                shown,
                shown is None,
            )
        other = await desk.get("cirrus", "/v1/audit", params={"agreement": "hosting"})
        assert other.status_code == 404


async def test_what_changes_nothing_and_what_is_refused_leave_no_entry(database: str) -> None:
    async with a_desk(database) as desk:
        before = await _seen(desk, "operator")
        again = await _post(desk, "town", "/v1/agreements", an_agreement().model_dump(mode="json"))
        assert again.json()["already"]
        changed = an_agreement(per_point="1").model_dump(mode="json")
        assert (await _post(desk, "town", "/v1/agreements", changed)).status_code == 409
        for person in (b"", b"\xff", b"a" * 201):
            answer = await _post(desk, "town", "/v1/agreements", SECOND, person)
            assert (answer.status_code, answer.json()["code"]) == (400, "bad-header")
            assert answer.json()["errors"][0]["pointer"] == "On-Behalf-Of"
        assert await _seen(desk, "operator") == before


async def test_keys_made_and_revoked_by_command_are_written_down_once(database: str) -> None:
    async with a_desk(database) as desk:
        by = at_the_command_line("Ann")
        async with desk.house.pool.acquire() as connection:
            text = await keys.create(
                connection, party="nimbus", role="vendor", label="new probe", by=by
            )
            prefix = text.split("_")[1]
            for _ in range(2):
                await keys.revoke(connection, prefix, reason="lost", by=by)
        made, revoked = (await desk.walk("nimbus", "/v1/audit"))[-2:]
        assert (made["about"], made["reason"]) == (prefix, "new probe")
        assert (revoked["action"], revoked["about"], revoked["reason"]) == (
            "key-revoked",
            prefix,
            "lost",
        )
        (told,) = await desk.walk("operator", "/v1/audit", action="key-revoked")
        assert (told["role"], told["person"], told["party"], told["key"]) == (
            "command",
            "Ann",
            None,
            None,
        )


@pytest.mark.parametrize(
    "change",
    ["update audit_entry set reason = 'x'", "delete from audit_entry", "truncate audit_entry"],
)
async def test_no_entry_is_ever_changed(database: str, change: str) -> None:
    async with a_desk(database) as desk:
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await desk.house.pool.execute(change)
