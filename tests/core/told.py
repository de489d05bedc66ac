"""Agreements and evaluations in few words, for tests of the money half of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from fractions import Fraction
from functools import cache
from hashlib import sha256
from typing import Any

from schemas.agreement import Agreement
from schemas.evaluation import (
    ChargeFact,
    CircumstanceFact,
    EventRef,
    Evidence,
    MetricFigure,
    Part,
    PeriodEvaluation,
)
from schemas.event import Charge, Circumstance
from schemas.period import Window, first_day, next_label
from schemas.statement import SettlementStatement
from services.core.contracts.reading import read_documents
from services.core.settling.one_period import Unsettled
from services.core.settling.settlement import settle
from services.core.visibility.parties import Parties

CAMPUS = """\
kind: programme
language: 2
programme: campus
version: 1
effective_from: 2020-01-01
buyer: town
name: Campus
time_zone: Europe/Berlin
restated_for_days: 90
whose_word: {charges: either, circumstances: either, decisions: either, figures: either}
vendors: [{vendor: nimbus, name: Nimbus}]
sources: [{source: urn:nimbus, reports_for: nimbus, metrics: []}]
metrics:
"""
"""The programme of the usual agreement, up to its metrics; what is reported is not of interest."""

HEAD = """
kind: agreement
language: 2
agreement: hosting
version: 1
programme: campus
type: service
vendor: nimbus
name: Hosting
currency: EUR
effective_from: 2025-01-01
settled: month
lateness_hours: 0
conventions: {money_rounding: half_up, rounded_at: total}
bases:
  - {base: fee, of_period: same, if_missing: wait, part_of_period: full_charge, \
longer_charge: refused}
"""

LEVEL = """
levels:
  - level: uptime
    name: Uptime
    metric: uptime
    expected: {at_least: 99}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    credits:
      - is_a: service_credit
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: percent_of, percent: 10, base: fee}
"""


@cache
def agreement(text: str) -> Agreement:
    """The agreement of a YAML text, which must be without fault."""
    documents, refusals = read_documents(text, "contract.yaml")
    assert not refusals, [refusal.text() for refusal in refusals]
    (found,) = documents.agreements
    return found


def terms(*more: str, level: str = LEVEL, head: str = HEAD) -> Agreement:
    """The usual agreement, 10 % of the fee for a month below 99 %, with further terms."""
    return agreement(head + level + "".join(more))


Circumstances = Sequence[tuple[str, Mapping[str, Any]]]


def evaluation(
    period: str,
    uptime: object = None,
    *,
    fee: object = 1000,
    figures: Mapping[str | tuple[str, str], object] | None = None,
    parts: Mapping[str, Sequence[Part]] | None = None,
    circumstances: Circumstances = (),
    revision: int = 1,
) -> PeriodEvaluation:
    """One month: the figure of ``uptime``, the fee (None: not known yet), and more of each."""
    told: dict[str | tuple[str, str], object] = {"uptime": uptime, **(figures or {})}
    return PeriodEvaluation(
        programme="campus",
        agreement="hosting",
        period=period,
        revision=revision,
        reason="closed" if revision == 1 else "late_facts",
        figures=tuple(
            _figure(name, value, period, (parts or {}).get(str(name), ()))
            for name, value in told.items()
        ),
        charges=() if fee is None else (_charge(period, fee),),
        circumstances=tuple(
            _circumstance(period, name, dict(data)) for name, data in circumstances
        ),
    )


def _figure(
    name: str | tuple[str, str], value: object, period: str, parts: Sequence[Part]
) -> MetricFigure:
    metric, subject = (name, None) if isinstance(name, str) else name
    exact = None if value is None else Fraction(str(value))
    digest = sha256(f"{name}{value}{period}".encode()).hexdigest()
    return MetricFigure(
        metric=metric,
        subject=subject,
        period=period,
        window=Window(
            start=_midnight(first_day(period)), end=_midnight(first_day(next_label(period)))
        ),
        value=exact,
        parts=tuple(parts),
        evidence=Evidence(facts=int(value is not None), digest=digest),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _charge(period: str, fee: object) -> ChargeFact:
    return ChargeFact(
        event=EventRef(source="urn:erp", id=f"fee-{period}"),
        at=_midnight(first_day(next_label(period))),
        charge=Charge(
            agreement="hosting", base="fee", period=period, amount=str(fee), currency="EUR"
        ),
    )


def _circumstance(period: str, name: str, data: dict[str, Any]) -> CircumstanceFact:
    name_of_event = f"{name}-{period}-{sorted(data.items())}".replace(" ", "")[:200]
    at = data.pop("at", None) or _midnight(first_day(next_label(period)))
    data = {"period": period} | data
    return CircumstanceFact(
        event=EventRef(source="urn:erp", id=name_of_event),
        at=at,
        circumstance=Circumstance(agreement="hosting", circumstance=name, **data),
    )


def months(count: int, start: str = "2025-01") -> list[str]:
    """So many months from a first one."""
    return [next_label(start, step) for step in range(count)]


def outcomes(
    versions: Agreement | Sequence[Agreement], evaluations: Sequence[PeriodEvaluation]
) -> tuple[SettlementStatement | Unsettled, ...]:
    """What the evaluations come to."""
    known = [versions] if isinstance(versions, Agreement) else versions
    return settle(known, evaluations, parties=Parties("town"), time_zone="UTC")


def settled(
    versions: Agreement | Sequence[Agreement], evaluations: Sequence[PeriodEvaluation]
) -> list[SettlementStatement]:
    """The statements, where every period must be settled."""
    found = outcomes(versions, evaluations)
    assert all(isinstance(one, SettlementStatement) for one in found), found
    return [one for one in found if isinstance(one, SettlementStatement)]


def totals(
    versions: Agreement | Sequence[Agreement], *values: object, fee: object = 1000
) -> list[int]:
    """Totals in cents, month by month, for these results from the first month on."""
    rows = zip(months(len(values)), values, strict=True)
    return [
        one.total_minor
        for one in settled(versions, [evaluation(month, value, fee=fee) for month, value in rows])
    ]
