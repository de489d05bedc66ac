"""What a dispute is about is looked up: it is there, the asker sees it, and it is the period's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.agreement import Agreement
from schemas.dispute import CONTESTED, DisputedAbsence, DisputedFigure, DisputedMeasurement
from schemas.evaluation import PeriodEvaluation
from services.core.calendar.windows import window_of
from services.core.contracts.versions import version_for
from services.core.events.wanted import looks_at
from services.settlement import dispute_store, queries
from services.settlement.access import Principal, not_found
from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.not_found import check_period, no_evaluation, no_statement, read_back
from services.settlement.queries import DatabaseRow
from services.settlement.responses import DisputeOrder
from services.shell.clock import now
from services.shell.http.problems import Fault, Problem
from services.shell.postgres import Connection


@dataclass(frozen=True, slots=True)
class Found:
    """What an order is about, as it was found.

    ``version``: the one that rules the period. ``statement``: the revision that is meant, else the
    latest one; None: there is none yet. ``metric``: which it concerns, where that can be told.
    ``amount``: of a line, in minor units.
    """

    version: Agreement
    statement: DatabaseRow | None
    metric: str | None
    amount: int | None = None


async def look_up(
    connection: Connection, evaluator: EvaluatorClient, asker: Principal, order: DisputeOrder
) -> Found:
    """Find what an order contests. Raises a Problem where it is not there, or not theirs to see."""
    versions = asker.agreement(order.agreement)
    _check_one_thing(order)
    if order.line is not None:
        return await _line(connection, asker, versions, order, order.line)
    check_period(versions, order.period)
    version = version_for(versions, order.period)
    assert version is not None, "the period was checked"
    statement = await queries.statement(connection, order.agreement, order.period, None)
    metric: str | None
    if order.figure is not None:
        metric = await _figure(connection, asker, versions, order.period, order.figure)
    elif order.measurement is not None:
        metric = await _measurement(evaluator, asker, version, order.measurement)
    else:
        assert order.absence is not None, "one of the four is there"
        metric = _absence(asker, version, order.period, order.absence)
    return Found(version, statement, metric)


def _check_one_thing(order: DisputeOrder) -> None:
    given = [name for name in CONTESTED if getattr(order, name) is not None]
    if len(given) != 1:
        said = f"{' and '.join(given)} are named" if given else "nothing is named"
        remedy = f"state one of {', '.join(CONTESTED)}; raise a dispute for each"
        raise _unfit("", f"a dispute is about one thing, and {said}", remedy)
    if order.revision is not None and order.line is None:
        raise _unfit("/revision", "it goes with a line of a statement", "leave it out")


def _unfit(pointer: str, reason: str, remedy: str) -> Problem:
    fault = Fault(pointer, reason, remedy)
    return Problem(422, "invalid-request", "The request does not fit its schema.", faults=[fault])


async def _line(
    connection: Connection,
    asker: Principal,
    versions: Sequence[Agreement],
    order: DisputeOrder,
    line: str,
) -> Found:
    row = await queries.statement(connection, order.agreement, order.period, order.revision)
    if row is None:
        raise await no_statement(connection, versions, order.period, order.revision, asker.told)
    amount = await dispute_store.amount_of(connection, row, line)
    if amount is None:
        raise not_found(f"line {line} in that statement")
    version = next(one for one in versions if one.version == row["version"])
    return Found(version, row, None, amount)


async def _figure(
    connection: Connection,
    asker: Principal,
    versions: Sequence[Agreement],
    period: str,
    wanted: DisputedFigure,
) -> str:
    row = await queries.evaluation(connection, versions[-1].agreement, period, None)
    if row is None:
        raise await no_evaluation(connection, versions, period, None)
    with read_back(f"evaluation of {versions[-1].agreement} for {period}"):
        made = PeriodEvaluation.model_validate_json(row["body"])
    seen, _ = asker.view(versions[-1]).evaluation(made)
    named = {(one.metric, one.subject) for one in seen.figures}
    if (wanted.metric, wanted.subject) not in named:
        of = f" of {wanted.subject}" if wanted.subject is not None else ""
        raise not_found(f"figure of {wanted.metric}{of} in that period")
    return wanted.metric


async def _measurement(
    evaluator: EvaluatorClient, asker: Principal, version: Agreement, wanted: DisputedMeasurement
) -> str | None:
    unknown = not_found(f"event {wanted.id} of source {wanted.source}")
    if not (asker.sees_source(wanted.source) or asker.may_see_events_of(wanted.source)):
        raise unknown
    accepted = (await evaluator.verdict(wanted.source, wanted.id))["accepted"]
    if accepted is None:
        raise unknown
    said: dict[str, Any] = accepted["event"]["data"]
    if not asker.may_read(wanted.source, said):
        raise unknown
    metric = said.get("metric")
    if not is_of(asker, version, wanted.source, said):
        raise _unfit(
            "/measurement",
            f"agreement {version.agreement} is not settled by that event",
            "name an event that its figures are counted from; the explanation of a line has them",
        )
    if not asker.as_vendor(version.vendor).may_read(wanted.source, said):
        raise _unfit(
            "/measurement",
            f"{version.vendor} may not be shown that event, and has to answer the dispute",
            "dispute the figure",
        )
    return metric if isinstance(metric, str) else None


def is_of(asker: Principal, version: Agreement, source: str, said: Mapping[str, Any]) -> bool:
    """Whether an agreement is settled by what an event of a source says."""
    owner = asker.catalogue.sources.get(source)
    if owner is None or owner.programme != version.programme:
        return False
    metric, subject = said.get("metric"), said.get("subject")
    if not isinstance(metric, str):
        return said.get("agreement") == version.agreement
    programmes = asker.catalogue.programmes[version.programme]
    return looks_at(programmes, version, metric, subject if isinstance(subject, str) else None)


def _absence(asker: Principal, version: Agreement, period: str, wanted: DisputedAbsence) -> str:
    programmes = asker.catalogue.programmes[version.programme]
    if not looks_at(programmes, version, wanted.metric, wanted.subject):
        raise not_found(f"metric {wanted.metric} that agreement {version.agreement} is settled by")
    whole = window_of(period, programmes[-1].time_zone)
    if wanted.window.start >= whole.end or wanted.window.end <= whole.start:
        raise _unfit(
            "/absence/window",
            f"it has no time in common with {period}",
            f"name a time from {whole.start.isoformat()} to {whole.end.isoformat()}",
        )
    if wanted.window.end > now():
        raise _unfit(
            "/absence/window/end", "it lies ahead", "name a time that is over, or wait for it"
        )
    return wanted.metric
