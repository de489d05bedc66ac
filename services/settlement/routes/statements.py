"""Statements, and what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256

from fastapi import Request
from fastapi.responses import Response

from schemas.evaluation import PeriodEvaluation
from schemas.money import MoneyAmount
from schemas.statement import LevelResult, SettlementStatement, StatementLine, canonical
from services.core.visibility.shown import AgreementView
from services.settlement import dispute_store, explain, proposal_store, queries, store
from services.settlement.access import BookReaderPrincipal, Principal, ReaderPrincipal, not_found
from services.settlement.effective_versions import read_effective_versions
from services.settlement.not_found import no_evaluation, no_statement, read_back, readable
from services.settlement.queries import DatabaseRow
from services.settlement.responses import (
    EvaluationAnswer,
    EvaluationSummary,
    Explanation,
    ListedProposal,
    Page,
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
    listed,
    page,
    parts_of,
    router,
    shown,
)
from services.shell.postgres import Connection

routes = router("statements")


def statement_summary(asker: Principal, row: DatabaseRow) -> StatementSummary:
    """One revision as lists show it."""
    return StatementSummary(**_summary_fields(asker, row))


def _summary_fields(asker: Principal, row: DatabaseRow) -> dict[str, object]:
    plain = (
        "agreement period revision supersedes programme version vendor buyer run_id recorded_at"
    ).split()
    withheld = row["withheld_minor"]  # null of what is superseded: it is not due as such

    def amount(minor: int) -> MoneyAmount | None:
        return None if withheld is None else MoneyAmount.of(minor, row["currency"])

    return {
        **{name: row[name] for name in plain},
        "withheld": amount(withheld or 0),
        "due": amount(row["total_minor"] - (withheld or 0)),
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
        named=partial(_revision_name, "statement"),
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
    statement = _view(asker, agreement).statement(_statement_in(row))
    return shown(request, StatementAnswer(**_summary_fields(asker, row), statement=statement))


def _revision_name(what: str, row: DatabaseRow) -> str:
    return f"{what} of {row['agreement']} for {row['period']}#{row['revision']}"


def _statement_in(row: DatabaseRow) -> SettlementStatement:
    """The statement of a row. Raises Problem where this release cannot read it."""
    with read_back(f"statement of {row['agreement']} for {row['period']}"):
        return SettlementStatement.model_validate_json(row["body"])


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
    view = _view(asker, agreement)
    if view.of_others != "whole":
        made = _statement_in(row)
        seen = view.statement(made)
        body = body if seen == made else canonical(seen)
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
        raise await no_statement(connection, versions, period, revision, asker.told)
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
        statement = _statement_in(row)
        found = next((each for each in statement.lines if each.line == line), None)
        if found is None:
            raise not_found(f"line {line} in the statement of {agreement} for {period}")
        disputes, odd_disputes = await dispute_store.of_period(connection, agreement, period)
        proposed = await proposal_store.open_in(connection, agreement, (period, found.for_period))
    proposals, odd_proposals = readable(proposed, _listed_proposal, proposal_store.id_in_words)
    async with parts.pool.acquire() as connection:
        evaluations, unread = await store.revisions(
            connection, agreement, [statement.period, found.for_period]
        )
        with read_back(f"contract of {agreement}"):
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
    unavailable = facts.unavailable and asker.told(facts.unavailable)
    told = {
        "facts": facts.model_copy(update={"unavailable": unavailable}),
        "unread": (*unread, *odd_disputes, *odd_proposals),
        "disputes": explain.disputes_behind(disputes, explanation),
        "proposals": tuple(proposals),
    }
    return shown(request, explanation.model_copy(update=told))


def _listed_proposal(row: DatabaseRow) -> ListedProposal:
    return ListedProposal.model_validate(proposal_store.fields(row))


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
        named=partial(_revision_name, "evaluation"),
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
    with read_back(f"evaluation of {agreement} for {period}"):
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
