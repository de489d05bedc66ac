"""Facts and figures are recounted from what is stored; the first that differs is told."""

from __future__ import annotations

import pytest

from services.cli.verifying import verified
from services.settlement.verification import VerifiedAgreement
from tests.evaluator.bench import House
from tests.evaluator.test_closing import a_closed_january


async def _only(house: House, *agreements: str) -> VerifiedAgreement:
    (found,) = [one async for one in verified(house.dsn, agreements, facts=True)]
    return found


async def test_a_figure_and_a_tally_that_differ_from_the_facts_are_told(database: str) -> None:
    house = await House.open(database)
    try:
        await a_closed_january(house)
        assert (await _only(house)).difference is None
        await house.connection.execute("set session_replication_role = replica")
        await house.connection.execute(
            'update evaluation set body = replace(body, \'"value":"90"\', \'"value":"91"\')'
        )
        differs = (await _only(house, "hosting")).difference
        assert differs is not None
        assert (differs.period, differs.what) == ("2025-01", "figure availability/2025-01")
        assert (differs.stored[:3], differs.recounted[:3]) == ("91 ", "90 ")
        await house.connection.execute("update tally set n = n + 1")
        differs = (await _only(house)).difference
        assert differs is not None
        assert (differs.period, differs.what) == ("2025-01", "facts")
        with pytest.raises(ValueError, match="agreement nobody is not applied; correct the name"):
            await _only(house, "nobody")
    finally:
        await house.close()
