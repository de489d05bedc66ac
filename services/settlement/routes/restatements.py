"""Settled periods that today's rules would settle otherwise, and the order to restate them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from schemas.audit import AuditAction
from schemas.money import MoneyAmount
from schemas.statement import RULES, SettlementStatement
from services.catalogue.audit import AuditedChange, Author, record
from services.catalogue.parked import WorkFailure
from services.core.settling.one_period import Unsettled
from services.core.visibility.shown import AgreementView
from services.core.whatif.restatement import HeldDifference, LineDifference
from services.settlement import store
from services.settlement.access import BookReaderPrincipal, Buyer, Principal
from services.settlement.explain import references_in
from services.settlement.four_eyes import ASKED_FOR, check_one_is_enough, or_asked_for
from services.settlement.replay import CannotBeReplayed
from services.settlement.responses import (
    HeldRestatement,
    Page,
    RestatedLine,
    RestatedPeriod,
    RestatementDone,
    RestatementRequest,
    UnreadItem,
)
from services.settlement.restatement import (
    HeldPeriod,
    NothingToRestate,
    RestatementOrder,
    held_differences,
    restate,
)
from services.settlement.routes.common import (
    UNREAD,
    Cursor,
    IdempotencyKey,
    PageSize,
    SettlementApiState,
    done,
    listed,
    paged,
    parts_of,
    router,
)
from services.shell.clock import now
from services.shell.http.idempotency import Answer, once
from services.shell.http.problems import Problem
from services.shell.logs import log, stack_of
from services.shell.postgres import Connection, is_of_the_work

routes = router("restatements")

OfAgreement = Annotated[str | None, Query(description="Only this agreement.")]


@routes.get("/restatements", response_model=Page[HeldRestatement])
async def list_restatements(
    request: Request,
    asker: BookReaderPrincipal,
    agreement: OfAgreement = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List settled periods that today's rules would settle otherwise. Nothing of it is posted.

    A page looks at no more than `limit` agreements that were settled by older rules, so it may be
    short, or empty, and still have a `next`.
    """
    asker.check_filters(agreement)
    scope = listed("restatements", *asker.scope, agreement)
    (after,) = parts_of(request).seal.keys(scope, cursor, [str]) if cursor else ("",)
    seen = set(asker.agreements()) if agreement is None else {agreement}
    items: list[HeldRestatement] = []
    unread: list[UnreadItem] = []
    async with (
        parts_of(request).pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        older = await store.agreements_of_older_rules(connection)
        names = [each for each in older if each in seen and each > after]
        for name in names[:limit]:
            found = await _held_of(connection, asker, name)
            if isinstance(found, UnreadItem):
                unread.append(found)
            else:
                items += found
    following = (
        parts_of(request).seal.cursor(scope, names[limit - 1]) if len(names) > limit else None
    )
    return paged(request, [one.model_dump(mode="json") for one in items], following, unread)


async def _held_of(
    connection: Connection, asker: Principal, agreement: str
) -> list[HeldRestatement] | UnreadItem:
    """What is held of one agreement, or why that cannot be read or worked out."""
    try:
        async with connection.transaction():
            view = asker.view(asker.agreement(agreement)[-1])
            return [_held(one, view) for one in await held_differences(connection, agreement)]
    except Exception as error:
        if not is_of_the_work(error):
            raise
        log(__name__).error("restatement_failed", agreement=agreement, traceback=stack_of(error))
        unreadable = isinstance(error, ValidationError)
        reason = UNREAD if unreadable else asker.told(WorkFailure.of(error).reason)
        return UnreadItem(what=f"agreement {agreement}", reason=reason)


def _held(held: HeldPeriod, view: AgreementView) -> HeldRestatement:
    found = held.difference
    standing, today = found.standing, found.today
    waits = today.reasons if isinstance(today, Unsettled) else ()
    settled = today if isinstance(today, SettlementStatement) else None
    comparable = settled is not None and settled.currency == standing.currency
    return HeldRestatement(
        agreement=standing.agreement,
        vendor=standing.vendor,
        period=standing.period,
        standing=MoneyAmount.of(standing.total_minor, standing.currency),
        today=None if settled is None else MoneyAmount.of(settled.total_minor, settled.currency),
        difference=MoneyAmount.of(settled.total_minor - standing.total_minor, standing.currency)
        if comparable and settled is not None
        else None,
        rules_then=standing.rules,
        rules_now=RULES,
        lines=tuple(_lines(found)),
        other=found.other,
        waits_for=waits,
        references=references_in(view, " ".join(waits), held.evaluation),
    )


def _lines(found: HeldDifference) -> Iterator[RestatedLine]:
    today = found.today
    currency = today.currency if isinstance(today, SettlementStatement) else ""
    for one in found.lines:
        yield _line(one, found.standing.currency, currency)


def _line(one: LineDifference, then: str, now: str) -> RestatedLine:
    return RestatedLine(
        line=one.line,
        kind=one.kind,
        level=one.level,
        for_period=one.for_period,
        standing=None if one.standing_minor is None else MoneyAmount.of(one.standing_minor, then),
        today=None if one.today_minor is None else MoneyAmount.of(one.today_minor, now),
    )


@routes.post("/restatements", response_model=RestatementDone, status_code=201, responses=ASKED_FOR)
async def order_restatement(
    request: Request, asker: Buyer, order: RestatementRequest, key: IdempotencyKey = None
) -> Response:
    """Restate settled periods of an agreement by today's rules, as a run of its own.

    The differences are posted to the book and published to finance, each once. Where the
    programme's `four_eyes` names closes: ask for it.
    """
    asker.agreement(order.agreement)

    async def effect(connection: Connection) -> Answer:
        check_one_is_enough(asker, "restatement", order, agreement=order.agreement, period=None)
        made = await carry_out(
            connection, parts_of(request), asker, order, asker.name, asker.author
        )
        return done(made, status=201, location=f"/v1/runs/{made.run_id}")

    wrapped = or_asked_for(effect, asker)
    return await once(parts_of(request).pool, request, asker.name, wrapped)


async def carry_out(
    connection: Connection,
    parts: SettlementApiState,
    asker: Principal,
    order: RestatementRequest,
    ordered_by: str,
    by: Author,
) -> RestatementDone:
    """Restate as ordered, with its entry in the audit. Raises Problem 409 where nothing is held.

    ``asker``: who may see the agreement; ``by``: who has ordered it.
    """
    restated_agreement = asker.agreement(order.agreement)[-1]
    wanted = RestatementOrder(order.agreement, order.periods, order.reason, ordered_by)
    try:
        run, postings = await restate(connection, wanted, topics=parts.topics, at=now())
    except (NothingToRestate, CannotBeReplayed) as nothing:
        raise Problem(
            409, "nothing-to-restate", "There is nothing to restate.", str(nothing)
        ) from nothing
    change = AuditedChange(
        AuditAction.RESTATEMENT_ORDERED,
        str(run.run_id),
        programme=restated_agreement.programme,
        agreement=order.agreement,
        vendor=restated_agreement.vendor,
        buyer=asker.buyer_of(restated_agreement.programme),
        reason=order.reason,
    )
    await record(connection, by, change)
    restated = tuple(
        RestatedPeriod(
            period=each.statement.period,
            revision=each.revision,
            total=MoneyAmount.of(each.statement.total_minor, each.statement.currency),
            entries=len(each.entries),
        )
        for each in postings
    )
    return RestatementDone(**run.model_dump(), rules=RULES, restated=restated)
