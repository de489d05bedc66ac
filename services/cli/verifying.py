"""What is stored, recounted: facts and figures by the evaluator, statements and ledger here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day
from services.catalogue.snapshot import Catalogue
from services.catalogue.store import load
from services.cli.worked_out import CannotBeWorkedOut, worked_out
from services.evaluator import evaluation_store, recount
from services.settlement import balance_store
from services.settlement.verification import BookDifference, VerifiedAgreement, verify
from services.shell.postgres import Connection, connected


async def verified(
    postgres: str, agreements: Sequence[str], *, facts: bool
) -> AsyncIterator[VerifiedAgreement]:
    """Recount agreements, all where none is named, and then the balances; nothing is written.

    ``facts``: whether figures are counted again from stored facts. Raises ValueError for an unknown
    name.
    """
    async with connected(postgres, name="earnback-verify") as connection:
        catalogue = await load(connection)
        known = sorted(catalogue.agreements)
        for name in agreements:
            if name not in catalogue.agreements:
                raise ValueError(f"agreement {name} is not applied; correct the name")
        for name in agreements or known:
            difference = await _counted(connection, catalogue, name) if facts else None
            if difference is not None:
                yield VerifiedAgreement(name, 0, difference)
            else:
                yield await verify(connection, name)
        if not agreements and (apart := await _balance(connection)) is not None:
            yield VerifiedAgreement("", 0, apart)


async def _balance(connection: Connection) -> BookDifference | None:
    """The first balance that is not the sum of its account's entries."""
    row = await balance_store.unlike_the_ledger(connection)
    if row is None:
        return None
    what = f"balance of {row['account']} between {row['vendor']} and {row['buyer']}"
    kept, summed = (f"{row[name]} minor units {row['currency']}" for name in ("kept", "summed"))
    return BookDifference("", "", what, kept, summed)


async def _counted(
    connection: Connection, catalogue: Catalogue, agreement: str
) -> BookDifference | None:
    """The first closed period of which facts or figures are not what is stored of them.

    One that waits for its recount is passed over.
    """
    closes = await evaluation_store.first_closes(connection, agreement, None)
    waiting = await evaluation_store.touched(connection, agreement)
    for period in sorted((each.period for each in closes), key=first_day):
        if period in waiting:
            continue
        target = recount.target_of(catalogue, agreement, period)
        snapshot = await recount.take(connection, target, whole=True)
        for apart in recount.differences(snapshot):
            return BookDifference(agreement, period, "facts", f"{apart}", "another sum of facts")
        assert snapshot.last is not None, "it is closed"
        try:
            with worked_out(agreement):
                count = partial(
                    recount.evaluation, target, snapshot, snapshot.last.revision, "commanded"
                )
                made, _ = await recount.in_thread(target, recount.MOST_FACTS, count)
        except CannotBeWorkedOut as failed:
            return BookDifference(agreement, period, "evaluation", "an evaluation", str(failed))
        if not recount.same_content(made, snapshot.last.body):
            return _differing(made, snapshot.last.body)
    return None


def _differing(made: PeriodEvaluation, body: str) -> BookDifference:
    """The first figure that differs, else the first field."""
    kept = PeriodEvaluation.model_validate_json(body)
    before = {(one.metric, one.subject, one.period): one for one in kept.figures}
    after = {(one.metric, one.subject, one.period): one for one in made.figures}
    for key in dict.fromkeys((*before, *after)):
        one, other = before.get(key), after.get(key)
        if one != other:
            what = "figure " + "/".join(filter(None, key))
            said = (
                "no figure" if each is None else f"{each.value} of {each.evidence.digest[:12]}"
                for each in (one, other)
            )
            return BookDifference(made.agreement, made.period, what, *said)
    names = (
        name
        for name in type(made).model_fields
        if name not in ("revision", "reason", "tzdata")
        and getattr(kept, name) != getattr(made, name)
    )
    what = f"evaluation, {next(names, 'text')}"
    return BookDifference(made.agreement, made.period, what, "something", "something else")
