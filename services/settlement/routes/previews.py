"""What an open period would come to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.money import MoneyAmount
from schemas.statement import SettlementStatement
from services.core.contracts.versions import version_for
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.visibility.shown import AgreementView
from services.settlement import explain, store
from services.settlement.access import Principal, ReaderPrincipal
from services.settlement.not_found import read_back
from services.settlement.replay import CannotBeReplayed
from services.settlement.responses import Preview
from services.settlement.routes.common import Period, SettlementApiState, parts_of, router, shown
from services.settlement.settling_inputs import SettlingTerms, open_histories, read_terms
from services.settlement.working_out import settled_on
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
    """What an agreement comes to from a period on, and what the period was counted to."""

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

    Goes on from what is left of the periods before. Raises Problem where that fails, which says why
    as far as the asker may read it.

    ``accepting``: source and id of a proposal that is taken as accepted.
    """
    async with parts.pool.acquire() as connection:
        with read_back(f"contract of {agreement}, or what was counted for it,"):
            terms = await read_terms(connection, agreement)
            assert terms is not None, "an agreement in the catalogue is in its table"
            await open_histories(connection, terms, agreement)  # what is not readable is told first
        names = list(terms.contract.agreements)
        evaluated = await store.evaluated(connection, names, period)
    counted = await _counted(parts, asker, agreement, period, terms, evaluated, accepting)
    async with (
        parts.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        with read_back(f"contract of {agreement}, or what was counted for it,"):
            opened = await open_histories(
                connection, terms, agreement, instead=tuple(counted.values())
            )
        found = await settled_on(connection, agreement, opened, None)
    try:
        outcome = found.of(agreement)
    except CannotBeReplayed as failed:
        raise Problem(
            409, "cannot-be-settled", "The period cannot be worked out.", asker.told(str(failed))
        ) from failed
    return SettledNow(outcome, counted.get(agreement))


async def _counted(
    parts: SettlementApiState,
    asker: Principal,
    agreement: str,
    period: str,
    terms: SettlingTerms,
    evaluated: Collection[str],
    accepting: tuple[str, str] | None,
) -> dict[str, PeriodEvaluation]:
    """A period of an agreement as it is counted now, and of those that share a cap with it and of
    which it is not evaluated.

    What cannot be counted of another one is not known then: whoever shares a cap with it waits.
    """
    found = {}
    for name, versions in terms.ruling.agreements.items():
        own = name == agreement
        if (name in evaluated and not own) or version_for(versions, period) is None:
            continue
        try:
            body = await parts.evaluator.preview(name, period, accepting if own else None)
            found[name] = _evaluated(body)
        except Problem as failed:
            if own:
                failed.detail = asker.told(failed.detail)
                raise
    return found


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
