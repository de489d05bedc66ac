"""Caps over several agreements in the books: who waits, who is adjusted, and because of whom."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest

from services.catalogue.store import NotApplicable, apply
from services.core.settling.member import History
from services.core.settling.settlement import (
    SettledTogether,
    settle_each,
)
from services.settlement import replay
from services.settlement.consumer import Settler
from services.settlement.store import contract
from tests.settlement.builders import (
    a_programme,
    a_record,
    a_shared_cap,
    an_agreement,
    an_evaluation,
)
from tests.settlement.desk import a_desk
from tests.settlement.house import House, a_house

NO_AGREEMENT = '{"kind": 7}'
CAPPED = a_programme(a_shared_cap("300"))


async def store_unreadable(house: House, agreement: str, vendor: str) -> None:
    """Store an agreement as an older release might have, so that this one cannot read it."""
    await house.pool.execute(
        "insert into agreement_version (agreement, version, programme, vendor, effective_from,"
        " body, sha256) values ($1, 1, 'campus', $2, '2025-01-01', $3, $4)",
        agreement,
        vendor,
        NO_AGREEMENT,
        sha256(NO_AGREEMENT.encode()).digest(),
    )


async def _runs(house: House) -> list[tuple[object, ...]]:
    rows = await house.rows(
        "select agreement, number, because_of, revision, caused_by from settlement_run"
        " order by recorded_at, agreement"
    )
    return [tuple(row.values()) for row in rows]


async def test_the_first_waits_for_the_second_and_both_are_cut_when_it_comes(
    database: str,
) -> None:
    async with a_house(database, programme=CAPPED) as house:
        await house.settle(an_evaluation(9700))
        (waiting,) = await house.rows("select agreement, reasons from settlement_pending")
        assert waiting["agreement"] == "hosting"
        assert "of which not all is known yet" in waiting["reasons"]
        await house.settle(an_evaluation(9500, agreement="network"))
        assert await house.owed("2025-01") == 10000
        assert await house.owed("2025-01", "network") == 20000
        assert await house.rows("select * from settlement_pending") == []
        assert await _runs(house) == [
            ("hosting", 1, "2025-01", 1, None),
            ("hosting", 2, "2025-01", 1, "network"),
            ("network", 1, "2025-01", 1, None),
        ]


async def test_a_late_revision_of_one_posts_the_difference_of_the_other(database: str) -> None:
    async with a_house(database, programme=CAPPED) as house:
        await house.settle(
            an_evaluation(9700),
            an_evaluation(9500, agreement="network"),
            an_evaluation(9900, agreement="network", revision=2),
        )
        assert await house.owed("2025-01") == 20000
        assert await house.owed("2025-01", "network") == 0
        statements = await house.rows(
            "select revision, total_minor from statement where agreement = 'hosting'"
            " order by revision"
        )
        assert [tuple(row.values()) for row in statements] == [(1, 10000), (2, 20000)]
        (run,) = await house.rows(
            "select r.agreement, r.caused_by from statement s join settlement_run r"
            " using (run_id) where s.agreement = 'hosting' and s.revision = 2"
        )
        assert tuple(run.values()) == ("hosting", "network")


async def test_an_evaluation_that_changes_nothing_for_the_other_gives_it_no_run(
    database: str,
) -> None:
    async with a_house(database, programme=CAPPED) as house:
        await house.settle(an_evaluation(9900), an_evaluation(9900, agreement="network"))
        assert [run[:2] for run in await _runs(house)] == [("hosting", 1), ("network", 1)]


async def test_two_workers_never_share_out_the_same_headroom_twice(database: str) -> None:
    async with a_house(database, programme=CAPPED) as house:
        months = [f"2025-{month:02}" for month in range(1, 7)]

        async def work(agreement: str, good: int) -> None:
            worker = House(house.pool, Settler())
            for period in months:
                await worker.settle(an_evaluation(good, agreement=agreement, period=period))

        async with asyncio.timeout(60):
            await asyncio.gather(work("hosting", 9700), work("network", 9500))
        for period in months:
            assert await house.owed(period) == 10000
            assert await house.owed(period, "network") == 20000


async def test_batches_that_meet_in_another_order_do_not_lock_each_other_out(
    database: str,
) -> None:
    async with a_house(database, programme=CAPPED) as house:

        async def work(*agreements: str, period: str) -> None:
            records = [
                a_record(an_evaluation(9700, agreement=each, period=period), offset=offset)
                for offset, each in enumerate(agreements)
            ]
            await House(house.pool, Settler()).apply(*records)

        async with asyncio.timeout(60):
            await asyncio.gather(
                work("hosting", "network", period="2025-01"),
                work("network", "hosting", period="2025-02"),
            )
        owed = [await house.owed(period) for period in ("2025-01", "2025-02")]
        assert owed == [15000, 15000]


async def test_a_cap_that_comes_later_never_reaches_back_into_settled_periods(
    database: str,
) -> None:
    async with a_house(database, programme=a_programme()) as house:
        await house.settle(an_evaluation(9500), an_evaluation(9500, agreement="network"))
        async with house.pool.acquire() as connection:
            await apply(connection, a_programme(a_shared_cap("300"), version=2))
        await house.settle(
            an_evaluation(9500, period="2025-02"),
            an_evaluation(9500, agreement="network", period="2025-02"),
        )
        assert [await house.owed(period) for period in ("2025-01", "2025-02")] == [40000, 15000]


async def test_agreements_and_programmes_that_do_not_fit_are_refused_at_the_catalogue(
    database: str,
) -> None:
    dollars = a_shared_cap("300", currency="USD")
    async with (
        a_house(database, programme=a_programme()) as house,
        house.pool.acquire() as connection,
    ):
        with pytest.raises(NotApplicable, match=r"of agreement hosting: currency is EUR"):
            await apply(connection, a_programme(dollars, version=2))
        over = {"kind": "agreements", "agreements": ["archive", "backup"]}
        await apply(connection, a_programme(a_shared_cap("300", over=over), version=2))
        with pytest.raises(NotApplicable, match=r"agreement archive .*settled is quarter"):
            await apply(
                connection,
                an_agreement("archive").model_copy(update={"settled": "quarter"}),
            )


async def test_only_agreements_under_a_cap_are_settled_together(database: str) -> None:
    over = {"kind": "vendor", "vendor": "nimbus"}
    programme = a_programme(a_shared_cap("300", over=over))
    agreements = [
        an_agreement("hosting"),
        an_agreement("archive"),
        an_agreement("network", vendor="cirrus"),
    ]
    async with a_house(database, agreements, programme=programme) as house:
        async with house.pool.acquire() as connection:
            found = [await contract(connection, name) for name in ("hosting", "network")]
        assert [list(each.agreements) for each in found if each] == [
            ["archive", "hosting"],
            ["network"],
        ]


async def test_a_preview_counts_what_the_others_owe_and_says_where_that_is_not_known(
    database: str,
) -> None:
    async with a_desk(database, programme=CAPPED) as desk:
        previews = desk.elsewhere.previews
        previews[("hosting", "2025-01")] = an_evaluation(9700)
        told = (await desk.get("town", "/v1/previews/hosting/2025-01")).json()
        assert told["waits_for"] == [
            "cap together is shared with an agreement of which not all is known yet"
        ]
        previews[("network", "2025-01")] = an_evaluation(9500, agreement="network")
        told = (await desk.get("town", "/v1/previews/hosting/2025-01")).json()
        assert told["total"]["amount"] == "100.00"


async def test_an_amount_that_was_cut_is_explained_by_the_programmes_term(database: str) -> None:
    async with a_desk(database, programme=CAPPED) as desk:
        await desk.house.settle(an_evaluation(9700), an_evaluation(9500, agreement="network"))
        (statement,) = await desk.walk("nimbus", "/v1/statements")
        whole = (await desk.get("nimbus", "/v1/statements/hosting/2025-01")).json()
        line = whole["statement"]["lines"][0]["line"]
        path = f"/v1/statements/hosting/2025-01/lines/{line}/explanation"
        told = (await desk.get("nimbus", path)).json()
        terms = {each["path"]: each["text"] for each in told["terms"]}
        assert terms["shared_caps[0]"]["limit"] == {
            "kind": "amount",
            "amount": "300",
            "currency": None,
        }
        assert statement["agreement"] == "hosting"


async def test_a_vendor_is_not_told_whose_evaluation_changed_its_figures(database: str) -> None:
    async with a_desk(database, programme=CAPPED) as desk:
        await desk.house.settle(an_evaluation(9700), an_evaluation(9500, agreement="network"))
        own, others = await desk.walk("town", "/v1/runs", agreement="hosting")
        assert (own["caused_by"], others["caused_by"]) == (None, "network")
        assert [each["caused_by"] for each in await desk.walk("nimbus", "/v1/runs")] == [None, None]


async def test_an_agreement_that_cannot_be_read_holds_up_only_those_that_owe_under_its_cap(
    database: str,
) -> None:
    over = {"kind": "agreements", "agreements": ["hosting", "old", "archive"]}
    agreements = [an_agreement("hosting"), an_agreement("archive"), an_agreement("network")]
    programme = a_programme(a_shared_cap("300", over=over))
    async with a_house(database, agreements, programme=programme) as house:
        await store_unreadable(house, "old", "nimbus")
        await house.settle(
            an_evaluation(9700),
            an_evaluation(9900, agreement="archive"),
            an_evaluation(9700, agreement="network"),
            an_evaluation(9700, agreement="old"),
        )
        assert await house.owed("2025-01", "network") == 20000
        assert (
            await house.pool.fetchval(
                "select total_minor from statement where agreement = 'archive'"
            )
            == 0
        )
        (waiting,) = await house.rows("select agreement, reasons from settlement_pending")
        assert waiting == {
            "agreement": "hosting",
            "reasons": '["cap together is shared with old: what is stored of it cannot be read"]',
        }
        (parked,) = await house.rows("select agreement, error from parked_work")
        assert parked == {"agreement": "old", "error": "ValidationError"}


async def test_an_agreement_that_fails_beside_another_is_parked_and_the_other_one_goes_on(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(histories: Mapping[str, History], *rest: Any, **given: Any) -> SettledTogether:
        known = histories["network"]
        broken = [one.model_copy(update={"order": ()}) for one in known.versions]
        return settle_each(
            {**histories, "network": History(broken, known.evaluations)}, *rest, **given
        )

    async with a_house(database, programme=CAPPED) as house:
        await house.settle(an_evaluation(9700, agreement="network"))
        with monkeypatch.context() as patch:
            patch.setattr(replay, "settle_each", poisoned)
            await house.settle(an_evaluation(9700), an_evaluation(9900, period="2025-02"))
        rows = await house.rows("select agreement, period, error, attempts from parked_work")
        assert rows == [
            {"agreement": "network", "period": "2025-01", "error": "ValueError", "attempts": 1}
        ]
        waits = await house.rows(
            "select period from settlement_pending where agreement = 'hosting'"
        )
        assert waits == [{"period": "2025-01"}]
        settled = await house.rows("select period from statement where agreement = 'hosting'")
        assert settled == [{"period": "2025-02"}]
        await house.settle(an_evaluation(9900, period="2025-03"))
        assert await house.rows("select * from parked_work where resolved_at is null") == []
        assert [await house.owed("2025-01", one) for one in ("hosting", "network")] == [
            15000,
            15000,
        ]
