"""Why a period has no statement or no figures, for who may know of its agreement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from json import JSONDecodeError
from typing import TypeVar

from msgspec import DecodeError
from pydantic import ValidationError

from schemas.agreement import Agreement
from schemas.period import period_length
from schemas.period_cycle import same_length
from services.core.contracts.versions import version_for
from services.settlement import queries
from services.settlement.queries import DatabaseRow
from services.shell.http.problems import Problem
from services.shell.logs import log
from services.shell.postgres import Connection


async def no_statement(
    connection: Connection,
    versions: Sequence[Agreement],
    period: str,
    revision: int | None,
    told: Callable[[str], str],
) -> Problem:
    """The 404 of a statement that is not there: no such revision or period, pending, or open.

    ``told``: why work failed, as the asker reads it.
    """
    name = versions[-1].agreement
    latest = await queries.latest_statement(connection, name, period)
    if latest is not None:
        return _no_revision(f"statement of {name} for {period}", revision, latest)
    waiting = await queries.pending_of(connection, name, period)
    if waiting is not None:
        found = json.loads(waiting["reasons"])
        reasons = "; ".join(map(told, found) if waiting["parked"] else found)
        return _none_yet(
            "period-pending",
            f"statement of {name} for {period}",
            f"The period is closed and waits for this: {reasons}. The statement is made as soon as"
            " that is there; /v1/pending lists all that waits.",
        )
    return _not_closed(f"statement of {name} for {period}", versions, period)


async def no_evaluation(
    connection: Connection, versions: Sequence[Agreement], period: str, revision: int | None
) -> Problem:
    """The 404 of figures that are not there: no such revision or period, or it is open."""
    what = f"evaluation of {versions[-1].agreement} for {period}"
    latest = await queries.latest_evaluation(connection, versions[-1].agreement, period)
    if latest is not None:
        return _no_revision(what, revision, latest)
    return _not_closed(what, versions, period)


Shown = TypeVar("Shown")


def readable(
    rows: Iterable[DatabaseRow],
    show: Callable[[DatabaseRow], Shown],
    named: Callable[[DatabaseRow], str],
) -> tuple[list[Shown], list[str]]:
    """What rows are shown as, and the names of those that this release cannot read."""
    found, unread = [], []
    for row in rows:
        try:
            found.append(show(row))
        except ValueError:  # what checks a model and what decodes JSON raise nothing else
            unread.append(named(row))
            log(__name__).error("not_read_back", what=unread[-1])
    return found, unread


@contextmanager
def read_back(what: str) -> Iterator[None]:
    """Say of what is stored and cannot be read back that it is so. Raises Problem 409."""
    try:
        yield
    except (ValidationError, DecodeError, JSONDecodeError) as error:
        log(__name__).error("not_read_back", what=what)
        raise Problem(
            HTTPStatus.CONFLICT,
            "cannot-be-read",
            f"The {what} cannot be read by this release.",
            "It is stored as it was made, and everything else is answered. Report it as a defect of"
            " earnback, with the release that made it.",
        ) from error


def _no_revision(what: str, revision: int | None, latest: int) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        "no-such-revision",
        f"There is no revision {revision} of the {what}.",
        f"The latest one is {latest}: ask for one from 1 to {latest}, or leave `revision` out.",
    )


def check_period(versions: Sequence[Agreement], period: str) -> None:
    """Raise a 404 for what is no settlement period of an agreement."""
    name = versions[-1].agreement
    version = version_for(versions, period)
    if version is None or not same_length(version.settled, period_length(period)):
        lengths = " or ".join(sorted({each.settled for each in versions}))
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "no-such-period",
            f"{period} is no settlement period of {name}.",
            f"It is settled by {lengths} from {versions[0].effective_from}; all its versions are at"
            f" /v1/agreements/{name}.",
        )


def _not_closed(what: str, versions: Sequence[Agreement], period: str) -> Problem:
    name = versions[-1].agreement
    try:
        check_period(versions, period)
    except Problem as no_such_period:
        return no_such_period
    return _none_yet(
        "period-open",
        what,
        "The period is not closed: that happens when event time has passed its end and the"
        " agreement's lateness_hours, or by POST /v1/closes once it is over. What it comes to so"
        f" far is at /v1/previews/{name}/{period}.",
    )


def _none_yet(code: str, what: str, detail: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, code, f"There is no {what} yet.", detail)
