"""Statements, what they rest on, and what an open period would come to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.statement import LevelResult, SettlementStatement, StatementLine, canonical
from services.core.contracts.versions import version_for
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.visibility.shown import AgreementView
from services.settlement import dispute_store, explain, proposal_store, queries, store
from services.settlement.access import BookReaderPrincipal, Principal, ReaderPrincipal, not_found
from services.settlement.effective_versions import read_effective_versions
from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.not_found import no_evaluation, no_statement
from services.settlement.queries import DatabaseRow
from services.settlement.replay import CannotBeReplayed, replayed
from services.settlement.responses import (
    EvaluationAnswer,
    EvaluationSummary,
    Explanation,
    ListedProposal,
    MoneyAmount,
    Page,
    Preview,
    StatementAnswer,
    StatementSummary,
)
from services.settlement.routes.common import (
    Cursor,
    IfNoneMatch,
    InPeriod,
    PageSize,
    Period,
    RevisionQuery,
    SettlementApiState,
    listed,
    page,
    parts_of,
    router,
    shown,
)
from services.shell.http.problems import Problem
from services.shell.postgres import Connection

routes = router("statements")


def statement_summary(asker: Principal, row: DatabaseRow) -> StatementSummary:
    """One revision as lists show it."""
    return StatementSummary(**_summary_fields(asker, row))


def _summary_fields(asker: Principal, row: DatabaseRow) -> dict[str, object]:
    plain = (
        "agreement period revision supersedes programme version vendor buyer run_id recorded_at"
    ).split()
    return {
        **{name: row[name] for name in plain},
        "position": asker.book_position(row["position"]),
        "total": MoneyAmount.of(row["total_minor"], row["currency"]),
        "sha256": row["sha256"].hex(),
    }


@routes.get("/statements", response_model=Page[StatementSummary])
async def list_statements(
    request: Request,
    asker: BookReaderPrincipal,
    vendor: str | None = None,
    agreement: str | None = None,
    period: InPeriod = None,
    all_revisions: bool = False,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List statements in the order in which they were posted: the latest of each period, or all."""
    asker.check_filters(agreement, vendor)
    scope = listed("statements", *asker.scope, vendor, agreement, period, all_revisions)
    async with parts_of(request).reading(asker) as connection:
        cut, after = (
            parts_of(request).seal.keys(scope, cursor, [int, int])
            if cursor
            else (await queries.book_position(connection), 0)
        )
        rows = await queries.statements(
            connection,
            asker.scope,
            agreement=agreement,
            period=period,
            vendor=vendor,
            all_revisions=all_revisions,
            after=after,
            cut=cut,
            limit=limit + 1,
        )
    return page(
        request,
        rows,
        partial(statement_summary, asker),
        limit=limit,
        scope=scope,
        keys=lambda row: (cut, row["position"]),
    )


@routes.get("/statements/{agreement}/{period}", response_model=StatementAnswer)
async def get_statement(
    request: Request,
    asker: BookReaderPrincipal,
    agreement: str,
    period: Period,
    revision: RevisionQuery = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show the latest statement of a period, or the revision asked for."""
    async with parts_of(request).reading(asker) as connection:
        row = await statement_row(connection, asker, agreement, period, revision)
    statement = _view(asker, agreement).statement(
        SettlementStatement.model_validate_json(row["body"])
    )
    return shown(request, StatementAnswer(**_summary_fields(asker, row), statement=statement))


@routes.get("/statements/{agreement}/{period}/document", response_model=SettlementStatement)
async def get_statement_document(
    request: Request,
    asker: BookReaderPrincipal,
    agreement: str,
    period: Period,
    revision: RevisionQuery = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Give the statement's canonical bytes: anyone can compute them again and compare.

    The ETag is the SHA-256 of the bytes. A statement of a release that still named events of other
    vendors goes to a vendor without their names, so with another tag than `sha256` says.
    """
    async with parts_of(request).reading(asker) as connection:
        row = await statement_row(connection, asker, agreement, period, revision)
    body = str(row["body"]).encode()
    made = SettlementStatement.model_validate_json(body)
    seen = _view(asker, agreement).statement(made)
    if seen != made:
        body = canonical(seen)
    tag = f'"{sha256(body).hexdigest()}"'
    if tag in (if_none_match or ""):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, media_type="application/json", headers={"ETag": tag})


def _view(asker: Principal, agreement: str) -> AgreementView:
    return asker.view(asker.agreement(agreement)[-1])


async def statement_row(
    connection: Connection, asker: Principal, agreement: str, period: str, revision: int | None
) -> DatabaseRow:
    """A statement that the asker may see. Raises a 404 that says why there is none."""
    versions = asker.agreement(agreement)
    row = await queries.statement(connection, agreement, period, revision)
    if row is None:
        raise await no_statement(connection, versions, period, revision)
    return row


@routes.get(
    "/statements/{agreement}/{period}/lines/{line:path}/explanation", response_model=Explanation
)
async def explain_line(
    request: Request,
    asker: BookReaderPrincipal,
    agreement: str,
    period: Period,
    line: str,
    revision: RevisionQuery = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """Lead an amount back to rules, terms of the contract, figures, windows and event ids."""
    parts = parts_of(request)
    async with parts.reading(asker) as connection:
        row = await statement_row(connection, asker, agreement, period, revision)
        statement = SettlementStatement.model_validate_json(row["body"])
        found = next((each for each in statement.lines if each.line == line), None)
        if found is None:
            raise not_found(f"line {line} in the statement of {agreement} for {period}")
        disputes = await dispute_store.of_period(connection, agreement, period)
        proposed = await proposal_store.open_in(connection, agreement, (period, found.for_period))
    async with parts.pool.acquire() as connection:
        evaluations = await store.revisions(
            connection, agreement, [statement.period, found.for_period]
        )
        contract = await store.contract(connection, agreement)
        assert contract is not None, "an agreement with a statement is applied"
        ruling = await read_effective_versions(connection, contract)
    versions = contract.agreements[agreement]
    deciding = next(each for each in versions if each.version == found.version)
    document = explain.document(deciding, ruling.programmes, statement.period, asker.agreements())
    results = explain.results_behind(statement, found, deciding)
    view = _view(asker, agreement)
    explanation = _explained(
        view, statement, row["revision"], found, document, evaluations, results
    )
    facts = await explain.facts_behind(
        parts.evaluator,
        view,
        {event for one in evaluations for event in view.references(one).others_shares},
        parts.seal,
        agreement=agreement,
        figures=explanation.figures,
        scope=listed("facts", agreement, period, row["revision"], line),
        cursor=cursor,
        limit=limit,
    )
    told = {
        "facts": facts,
        "disputes": explain.disputes_behind(disputes, explanation),
        "proposals": tuple(
            ListedProposal.model_validate(proposal_store.fields(one)) for one in proposed
        ),
    }
    return shown(request, explanation.model_copy(update=told))


def _explained(
    view: AgreementView,
    statement: SettlementStatement,
    revision: int,
    line: StatementLine,
    document: explain.AgreementDocument,
    evaluations: Sequence[PeriodEvaluation],
    results: Sequence[LevelResult],
) -> Explanation:
    terms = explain.terms_behind(document, line)
    return Explanation(
        agreement=statement.agreement,
        period=statement.period,
        revision=revision,
        line=line.line,
        kind=line.kind,
        level=line.level,
        for_period=line.for_period,
        amount=MoneyAmount.of(line.minor_units, statement.currency),
        steps=line.steps,
        contract_version=line.version,
        terms=terms,
        results=tuple(view.result(result) for result in results),
        figures=explain.figures_behind(
            results,
            [view.evaluation(one)[0] for one in evaluations],
            explain.metrics_read(terms),
        ),
        events=view.named(line.events),
        references=explain.references_behind(view, statement, line, results, evaluations),
        facts=explain.NO_FACTS,
    )


@routes.get("/previews/{agreement}/{period}", response_model=Preview)
async def preview(
    request: Request, asker: ReaderPrincipal, agreement: str, period: Period
) -> Response:
    """Settle a period that is still open, in memory, with what is known. Nothing is stored.

    Agreements that share a cap with this one are counted as far as they are known too.
    """
    asker.agreement(agreement)
    found = await settled_now(parts_of(request), agreement, period)
    view = _view(asker, agreement)
    return shown(request, _previewed(view, agreement, period, found.outcome, found.counted))


class SettledNow(NamedTuple):
    """What all periods of an agreement come to, and what one was counted to from what is stored."""

    outcome: Sequence[PeriodOutcome]
    counted: PeriodEvaluation | None


async def settled_now(
    parts: SettlementApiState,
    agreement: str,
    period: str,
    accepting: tuple[str, str] | None = None,
) -> SettledNow:
    """What an agreement comes to with a period counted from what is stored now.

    ``accepting``: source and id of a proposal that is taken as accepted.
    """
    async with parts.pool.acquire() as connection:
        contract = await store.contract(connection, agreement)
        assert contract is not None, "an agreement in the catalogue is in its table"
        contract, known = await store.with_evaluations(connection, contract, agreement)
        ruling = await read_effective_versions(connection, contract)
    known[agreement] = tuple(each for each in known[agreement] if each.period != period)
    for name, versions in ruling.agreements.items():
        counted = {each.period for each in known[name]}
        if period not in counted and version_for(versions, period) is not None:
            own = name == agreement
            known[name] += await _still_open(
                parts.evaluator, name, period, accepting if own else None, asked=own
            )
    histories = {name: History(ruling.agreements[name], known[name]) for name in known}
    found = await replayed(contract, histories, ruling.programmes)
    try:
        outcome = found.of(agreement)
    except CannotBeReplayed as failed:
        raise Problem(
            409, "cannot-be-settled", "The period cannot be worked out.", str(failed)
        ) from failed
    own_one = next((one for one in known[agreement] if one.period == period), None)
    return SettledNow(outcome, own_one)


async def _still_open(
    evaluator: EvaluatorClient,
    agreement: str,
    period: str,
    accepting: tuple[str, str] | None,
    *,
    asked: bool,
) -> tuple[PeriodEvaluation, ...]:
    """What is counted of an open period. Of another agreement than the one asked for, nothing
    where it is not open or cannot be counted: whoever shares a cap with it waits for it."""
    try:
        return (_evaluated(await evaluator.preview(agreement, period, accepting)),)
    except Problem:
        if asked:
            raise
        return ()


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
    things = () if counted is None else view.things(counted)
    found = next((each for each in outcome if each.period == period), None)
    if isinstance(found, SettlementStatement):
        return Preview(
            agreement=agreement,
            period=period,
            total=MoneyAmount.of(found.total_minor, found.currency),
            statement=found,
            waits_for=(),
            references=explain.named_in(found.model_dump_json(), things),
        )
    reasons = found.reasons if found else ("no version of the agreement covers the period",)
    return Preview(
        agreement=agreement,
        period=period,
        total=None,
        statement=None,
        waits_for=tuple(reasons),
        references=explain.named_in(" ".join(reasons), things),
    )


@routes.get("/agreements/{agreement}/evaluations", response_model=Page[EvaluationSummary])
async def list_evaluations(
    request: Request,
    asker: ReaderPrincipal,
    agreement: str,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List what was counted for an agreement, by period and revision."""
    asker.agreement(agreement)
    scope = listed("evaluations", agreement)
    period, revision = parts_of(request).seal.keys(scope, cursor, [str, int]) if cursor else ("", 0)
    async with parts_of(request).reading(asker) as connection:
        rows = await queries.evaluations(
            connection, agreement, after=(period, revision), limit=limit + 1
        )
    return page(
        request,
        rows,
        lambda row: EvaluationSummary(**_evaluation_fields(row)),
        limit=limit,
        scope=scope,
        keys=lambda row: (row["period"], row["revision"]),
    )


@routes.get("/agreements/{agreement}/evaluations/{period}", response_model=EvaluationAnswer)
async def get_evaluation(
    request: Request,
    asker: ReaderPrincipal,
    agreement: str,
    period: Period,
    revision: RevisionQuery = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show the figures of a period with their evidence."""
    versions = asker.agreement(agreement)
    async with parts_of(request).reading(asker) as connection:
        row = await queries.evaluation(connection, agreement, period, revision)
        if row is None:
            raise await no_evaluation(connection, versions, period, revision)
    view = _view(asker, agreement)
    evaluation = PeriodEvaluation.model_validate_json(row["body"])
    shown_of_it, withheld = view.evaluation(evaluation)
    return shown(
        request,
        EvaluationAnswer(
            **_evaluation_fields(row),
            evaluation=shown_of_it,
            withheld=withheld,
            references=view.things(evaluation),
        ),
    )


def _evaluation_fields(row: DatabaseRow) -> dict[str, object]:
    plain = ("agreement", "period", "revision", "reason", "received_at")
    return {**{name: row[name] for name in plain}, "sha256": row["sha256"].hex()}
