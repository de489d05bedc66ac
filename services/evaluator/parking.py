"""What the evaluator has parked: periods that cannot be counted, and contracts left out."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from services.catalogue.parked import WorkFailure, WorkItem, input_digest, park
from services.catalogue.snapshot import Catalogue
from services.evaluator import evaluation_store, recount
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.recount_targets import RecountTargets
from services.shell.faults import faultpoint
from services.shell.logs import correlated_if_alone, log, stack_of
from services.shell.postgres import Connection, is_of_the_work

LOOK_AGAIN_S = 60.0
"""What a parked period would be counted from is looked at again after so long, no sooner."""


class ParkedPeriods:
    """The parked periods, each with the digest of what it failed with; read at every look.

    An empty period stands for an agreement whose periods cannot be told.
    """

    def __init__(self, targets: RecountTargets) -> None:
        self._targets = targets
        self._parked: dict[AgreementPeriod, str] = {}
        self._looked: dict[AgreementPeriod, float] = {}
        """When that digest was last held against what the period would be counted from."""

    def __contains__(self, place: AgreementPeriod) -> bool:
        return place in self._parked

    async def read(self, connection: Connection) -> None:
        """Read what is parked."""
        self._parked = await tried_with(connection)
        self._looked = {place: at for place, at in self._looked.items() if place in self._parked}

    def look_again(self) -> None:
        """Compare with what they would be counted from at the next look, however soon."""
        self._looked.clear()

    async def stays(
        self, connection: Connection, catalogue: Catalogue, place: AgreementPeriod
    ) -> bool:
        """Whether a period is parked, and what it would be counted from is what it failed with."""
        if place not in self._parked:
            return False
        if monotonic() - self._looked.get(place, -LOOK_AGAIN_S) < LOOK_AGAIN_S:
            return True
        self._looked[place] = monotonic()
        return await self._inputs(connection, catalogue, place) == self._parked[place]

    async def _inputs(
        self, connection: Connection, catalogue: Catalogue, place: AgreementPeriod
    ) -> str:
        """The digest of what a period is counted from, as far as it can be told."""
        versions = tuple(one.version for one in catalogue.agreements.get(place[0], ()))
        try:
            return await recount.inputs_of(connection, await self._targets.of(catalogue, place))
        except Exception as error:
            if not is_of_the_work(error):
                raise
            return input_digest(versions, WorkFailure.of(error).reason)

    async def park(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        error: Exception,
        requests: Sequence[int] = (),
    ) -> str:
        """Park a period that cannot be counted, answer the orders for it, and give the reason.

        Raises what is not the period's own trouble.
        """
        if not is_of_the_work(error):
            raise error
        failure = WorkFailure.of(error)
        tried = await self._inputs(connection, catalogue, place)
        item = WorkItem("close", agreement=place[0], period=place[1])
        with correlated_if_alone("close"):
            log(__name__).error(
                "counting_failed",
                agreement=place[0],
                period=place[1],
                traceback=stack_of(error),
            )
            async with connection.transaction():
                await park(connection, "evaluator", item, failure, tried)
                await evaluation_store.answer(connection, requests, "refused", failure.reason, None)
                faultpoint("park.before-commit")
            faultpoint("park.after-commit")
        self._parked[place], self._looked[place] = tried, monotonic()
        return failure.reason


async def tried_with(connection: Connection) -> dict[AgreementPeriod, str]:
    """The parked periods, each with the digest of what it failed with.

    An empty period stands for an agreement whose periods cannot be told.
    """
    rows = await connection.fetch(
        "select agreement, period, input from parked_work where resolved_at is null"
        " and service = 'evaluator' and what = 'close'"
    )
    return {(row["agreement"], row["period"]): row["input"] for row in rows}


async def park_unreadable(connection: Connection, catalogue: Catalogue) -> None:
    """Park the contracts that the catalogue leaves out, each once; resolve those it reads again."""
    async with connection.transaction():
        known = {
            (row["programme"], row["agreement"]): row["input"]
            for row in await connection.fetch(
                "select programme, agreement, input from parked_work where resolved_at is null"
                " and service = 'evaluator' and what in ('programme', 'agreement')"
            )
        }
        for one in catalogue.unreadable:
            if known.pop((one.item.programme, one.item.agreement), None) != one.tried:
                await park(connection, "evaluator", one.item, one.failure, one.tried)
        for programme, agreement in known:
            await connection.execute(
                "update parked_work set resolved_at = clock_timestamp() where resolved_at is null"
                " and service = 'evaluator' and what in ('programme', 'agreement')"
                " and programme = $1 and agreement = $2",
                programme,
                agreement,
            )
