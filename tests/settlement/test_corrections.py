"""Both parties are told of corrections of events that count for a period; others are not."""

from __future__ import annotations

import pytest

from tests.settlement.builders import a_programme
from tests.settlement.desk import Desk, a_desk
from tests.settlement.proposing import a_correction, answered, correction, counted

PATH = "/v1/corrections/hosting/2025-01"
MINE, THEIRS, BUYERS = "urn:nimbus:probe/1", "urn:cirrus:probe/1", "urn:town:probe/1"
COUNT = {"metric": "availability", "good": 9, "total": 10}


async def _ids(desk: Desk, who: str) -> tuple[list[str], int]:
    page = (await desk.get(who, PATH)).json()
    assert await desk.walk(who, PATH, limit=1) == page["items"]
    return [one["id"] for one in page["items"]], page["withheld"]


async def test_a_correction_is_told_with_what_it_was_and_became_and_why(database: str) -> None:
    async with a_desk(database) as desk:
        desk.elsewhere.corrections[("hosting", "2025-01")] = [
            a_correction("better", MINE, COUNT, {**COUNT, "good": 10})
        ]
        for who in ("nimbus", "town"):
            (told,) = (await desk.get(who, PATH)).json()["items"]
            assert (told["party"], told["reason"], told["takes_back"]) == (
                "nimbus",
                "a false one",
                False,
            )
            assert (told["event"]["data"], told["data"]["good"]) == (COUNT, 10)
        assert (await desk.get("cirrus", PATH)).status_code == 404
        assert (await desk.get("books", PATH)).status_code == 403
        assert (await desk.get("town", "/v1/corrections/hosting/2025-Q1")).status_code == 404


async def test_one_that_is_a_proposal_says_how_it_stands(database: str) -> None:
    async with a_desk(database) as desk:
        later = correction("later", "2025-01")
        desk.elsewhere.corrections[("hosting", "2025-01")] = [
            a_correction("sooner", MINE, COUNT),
            a_correction("later", MINE, COUNT),
        ]
        for revision, (proposed, state) in enumerate(
            [(later, "open"), (answered(later, "accept"), "accepted")], 1
        ):
            await desk.house.settle(counted(proposed, revision=revision))
            for who in ("nimbus", "town"):
                told = (await desk.get(who, PATH)).json()["items"]
                assert [one["proposed"] for one in told] == [None, state]


@pytest.mark.parametrize(
    ("see", "own", "withheld"),
    [
        ("nothing", ["mine", "buyers", "fee"], 0),
        ("figures", ["mine", "buyers", "fee"], 2),
        ("events", ["mine", "theirs", "buyers", "fee"], 1),
    ],
)
async def test_anothers_corrections_are_told_as_far_as_the_programme_reveals(
    database: str, see: str, own: list[str], withheld: int
) -> None:
    fee = {"agreement": "hosting", "base": "fee", "period": "2025-01", "amount": "1"}
    nested = {"corrects": "x", "reason": "no", "data": {**fee, "agreement": "network"}}
    programme = a_programme().model_copy(update={"vendors_see": see})
    async with a_desk(database, programme=programme) as desk:
        desk.elsewhere.corrections[("hosting", "2025-01")] = [
            a_correction("mine", MINE, COUNT),
            a_correction("theirs", THEIRS, COUNT),
            a_correction("buyers", BUYERS, COUNT),
            a_correction("elsewhere", BUYERS, {**COUNT, "metric": "another"}),
            a_correction("fee", BUYERS, fee),
            a_correction("their-fee", BUYERS, {**fee, "agreement": "network"}),
            a_correction("moved-away", BUYERS, fee, nested),
        ]
        assert await _ids(desk, "town") == (["mine", "theirs", "buyers", "fee", "moved-away"], 0)
        assert await _ids(desk, "nimbus") == (own, withheld)
