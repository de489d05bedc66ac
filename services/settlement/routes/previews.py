"""What an open period would come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.money import MoneyAmount
from schemas.statement import SettlementStatement
from services.core.contracts.versions import version_for
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.visibility.shown import AgreementView
from services.settlement import explain, store
from services.settlement.access import Principal, ReaderPrincipal
from services.settlement.effective_versions import read_effective_versions
from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.not_found import read_back
from services.settlement.replay import CannotBeReplayed, replayed
from services.settlement.responses import Preview
from services.settlement.routes.common import Period, SettlementApiState, parts_of, router, shown
from services.shell.http.problems import Problem

routes = router("statements")


@routes.get("/previews/{agreement}/{period}", response_model=Preview)
async def preview(
    request: Request, asker: ReaderPrincipal, agreement: str, period: Period
) -> Response:
    """Settle a period that is still open, in memory, with what is known. Nothing is stored.

    Agreements that share a cap with this one are counted as far as they are known too.
    """
    versions = asker.agreement(agreement)
    found = await settled_now(parts_of(request), asker, agreement, period)
    view = asker.view(versions[-1])
    return shown(request, _previewed(view, agreement, period, found.outcome, found.counted))


class SettledNow(NamedTuple):
    """What all periods of an agreement come to, and what one was counted to from what is stored."""

    outcome: Sequence[PeriodOutcome]
    counted: PeriodEvaluation | None


async def settled_now(
    parts: SettlementApiState,
    asker: Principal,
    agreement: str,
    period: str,
    accepting: tuple[str, str] | None = None,
) -> SettledNow:
    """What an agreement comes to with a period counted from what is stored now.

    Raises Problem where that fails, which says why as far as the asker may read it.

    ``accepting``: source and id of a proposal that is taken as accepted.
    """
    async with parts.pool.acquire() as connection:
        with read_back(f"contract of {agreement}, or what was counted for it,"):
            contract = await store.contract(connection, agreement)
            assert contract is not None, "an agreement in the catalogue is in its table"
            contract, known = await store.with_evaluations(connection, contract, agreement)
        ruling = await read_effective_versions(connection, contract)
    known[agreement] = tuple(each for each in known[agreement] if each.period != period)
    for name, versions in ruling.agreements.items():
        counted = {each.period for each in known[name]}
        if period not in counted and version_for(versions, period) is not None:
            own = name == agreement
            try:
                known[name] += await _still_open(
                    parts.evaluator, name, period, accepting if own else None
                )
            except Problem as failed:
                if own:
                    failed.detail = asker.told(failed.detail)
                    raise
    histories = {name: History(ruling.agreements[name], known[name]) for name in known}
    found = await replayed(contract, histories, ruling.programmes)
    try:
        outcome = found.of(agreement)
    except CannotBeReplayed as failed:
        raise Problem(
            409, "cannot-be-settled", "The period cannot be worked out.", asker.told(str(failed))
        ) from failed
    own_one = next((one for one in known[agreement] if one.period == period), None)
    return SettledNow(outcome, own_one)


async def _still_open(
    evaluator: EvaluatorClient, agreement: str, period: str, accepting: tuple[str, str] | None
) -> tuple[PeriodEvaluation, ...]:
    """What is counted of an open period. Raises Problem where it is not open or cannot be counted:
    of another agreement nothing is known then, and whoever shares a cap with it waits for it."""
    return (_evaluated(await evaluator.preview(agreement, period, accepting)),)


def _evaluated(body: bytes) -> PeriodEvaluation:
    try:
        return PeriodEvaluation.model_validate_json(body)
    except ValidationError as error:
        raise Problem(
            502, "evaluator-misunderstood", "The evaluator's answer is not an evaluation."
        ) from error


def _previewed(
    view: AgreementView,
    agreement: str,
    period: str,
    outcome: Sequence[SettlementStatement | Unsettled],
    counted: PeriodEvaluation | None,
) -> Preview:
    found = next((each for each in outcome if each.period == period), None)
    if isinstance(found, SettlementStatement):
        return Preview(
            agreement=agreement,
            period=period,
            total=MoneyAmount.of(found.total_minor, found.currency),
            statement=found,
            waits_for=(),
            references=explain.references_in(view, found.model_dump_json(), counted),
        )
    reasons = found.reasons if found else ("no version of the agreement covers the period",)
    return Preview(
        agreement=agreement,
        period=period,
        total=None,
        statement=None,
        waits_for=tuple(reasons),
        references=explain.references_in(view, " ".join(reasons), counted),
    )
