"""Statements and evaluations by hand, with as little as they need."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from hashlib import sha256

import msgspec

from schemas.agreement import Agreement
from schemas.base import exact, written
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day, next_label
from schemas.programme import Programme
from schemas.statement import LineKind, SettlementStatement, StatementLine, Step
from schemas.whose_word import SAID
from services.shell.steps import Record


def digest(text: str) -> str:
    """A digest that differs where the text does."""
    return sha256(text.encode()).hexdigest()


def a_line(
    line: str,
    minor_units: int,
    *,
    kind: LineKind = "service_credit",
    level: str | None = None,
    period: str = "2025-01",
    version: int = 1,
) -> StatementLine:
    """One amount; positive: the vendor owes."""
    return StatementLine(
        line=line,
        kind=kind,
        level=level,
        for_period=period,
        minor_units=minor_units,
        version=version,
        steps=(
            Step(
                rule="credit",
                term="levels[0].credit",
                text="10 % of the charge",
                value=exact(minor_units),
            ),
        ),
    )


def a_statement(
    amounts: Mapping[str, int] | tuple[StatementLine, ...] = (),
    *,
    agreement: str = "hosting",
    vendor: str = "nimbus",
    period: str = "2025-01",
    currency: str = "EUR",
    version: int = 1,
    facts: str = "facts",
) -> SettlementStatement:
    """A statement with these lines and nothing else."""
    lines = (
        tuple(a_line(name, amount, period=period) for name, amount in amounts.items())
        if isinstance(amounts, Mapping)
        else amounts
    )
    return SettlementStatement(
        programme="campus",
        agreement=agreement,
        version=version,
        vendor=vendor,
        buyer="town",
        period=period,
        currency=currency,
        results=(),
        lines=lines,
        total_minor=sum(line.minor_units for line in lines),
        facts_digest=digest(facts),
    )


def a_programme(
    *caps: Mapping[str, object], version: int = 1, effective_from: str = "2025-01-01"
) -> Programme:
    """A town with vendors that share the metric ``availability``; three sources report it.

    ``caps``: those that agreements share.
    """
    return Programme.model_validate(
        {
            "kind": "programme",
            "language": 2,
            "programme": "campus",
            "version": version,
            "effective_from": effective_from,
            "shared_caps": list(caps),
            "buyer": "town",
            "name": "Campus services",
            "time_zone": "Europe/Berlin",
            "restated_for_days": 400,
            "vendors_see": "figures",
            "whose_word": dict.fromkeys(SAID, "either"),
            "vendors": [
                {"vendor": "nimbus", "name": "Nimbus"},
                {"vendor": "cirrus", "name": "Cirrus"},
                {"vendor": "fractus", "name": "Fractus"},
            ],
            "sources": [
                {
                    "source": "urn:nimbus:probe/1",
                    "reports_for": "nimbus",
                    "metrics": ["availability"],
                },
                {
                    "source": "urn:cirrus:probe/1",
                    "reports_for": "cirrus",
                    "metrics": ["availability"],
                },
                {"source": "urn:town:probe/1", "reports_for": "town", "metrics": ["availability"]},
            ],
            "metrics": [
                {
                    "metric": "availability",
                    "name": "Availability",
                    "unit": "percent",
                    "better": "higher",
                    "measure": {"kind": "ratio", "nothing_to_count": "no_data"},
                    "several_sources": "added",
                }
            ],
        }
    )


def a_shared_cap(amount: str, **more: object) -> dict[str, object]:
    """A cap of each month over all agreements of the programme."""
    return {
        "cap": "together",
        "over": {"kind": "programme"},
        "settled": "month",
        "currency": "EUR",
        "window": "period",
        "limit": {"kind": "amount", "amount": amount},
        "split": "in_proportion",
    } | more


def an_agreement(
    agreement: str = "hosting",
    *,
    vendor: str = "nimbus",
    version: int = 1,
    effective_from: str = "2025-01-01",
    per_point: str = "100",
    needs_charge: bool = False,
) -> Agreement:
    """Every point of availability under 99 costs ``per_point`` EUR, in proportion.

    ``needs_charge``: it costs so many percent of the charge ``monthly`` instead, and waits for it.
    """
    rate = (
        {"kind": "percent_of", "percent": per_point, "base": "monthly"}
        if needs_charge
        else {"kind": "amount", "amount": per_point}
    )
    base = {
        "base": "monthly",
        "of_period": "same",
        "if_missing": "wait",
        "part_of_period": "full_charge",
        "longer_charge": "refused",
    }
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": agreement,
            "version": version,
            "programme": "campus",
            "type": "service",
            "vendor": vendor,
            "name": f"{agreement} of {vendor}",
            "currency": "EUR",
            "effective_from": effective_from,
            "settled": "month",
            "lateness_hours": 48,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "bases": [base] if needs_charge else [],
            "levels": [
                {
                    "level": "uptime",
                    "name": "Availability of the service",
                    "metric": "availability",
                    "expected": {"at_least": "99"},
                    "judged": "exact",
                    "no_data": "no_result",
                    "defaults": {"kind": "every_miss"},
                    "credits": [
                        {
                            "is_a": "service_credit",
                            "due": {"kind": "on_default"},
                            "quantity": {
                                "kind": "shortfall",
                                "counted_from": "99",
                                "step": "1",
                                "part_step": "in_proportion",
                            },
                            "rate": rate,
                        }
                    ],
                }
            ],
        }
    )


def an_evaluation(
    good: int,
    *,
    agreement: str = "hosting",
    period: str = "2025-01",
    revision: int = 1,
    charge: str | None = None,
    source: str = "urn:nimbus:probe/1",
) -> PeriodEvaluation:
    """So many good out of 10,000; each hundredth of a percent is one."""
    return PeriodEvaluation.model_validate(
        {
            "programme": "campus",
            "agreement": agreement,
            "period": period,
            "revision": revision,
            "reason": "closed" if revision == 1 else "late_facts",
            "figures": [
                {
                    "metric": "availability",
                    "period": period,
                    "window": {
                        "start": f"{first_day(period)}T00:00:00+00:00",
                        "end": f"{first_day(next_label(period))}T00:00:00+00:00",
                    },
                    "value": written(Fraction(good, 100)),
                    "good": good,
                    "total": 10_000,
                    "evidence": {
                        "facts": 10_000,
                        "digest": digest(f"{agreement} {period} {good}"),
                        "telling": [
                            {"source": source, "id": "miss-1"},
                            {"source": "urn:cirrus:probe/1", "id": "miss-2"},
                        ],
                    },
                }
            ],
            "charges": [
                {
                    "event": {"source": "urn:town:probe/1", "id": f"charge-{period}"},
                    "at": f"{first_day(next_label(period))}T00:00:00+00:00",
                    "charge": {
                        "agreement": agreement,
                        "base": "monthly",
                        "period": period,
                        "amount": charge,
                        "currency": "EUR",
                    },
                }
            ]
            if charge is not None
            else [],
            "circumstances": [],
        }
    )


def a_record(
    evaluation: PeriodEvaluation, *, offset: int = 0, sequence: int | None = None
) -> Record:
    """The evaluation as a record of its topic, a structured CloudEvent."""
    return Record(
        offset=offset,
        timestamp_ms=0,
        key=evaluation.agreement.encode(),
        value=an_envelope(evaluation),
        headers=(
            ("content-type", b"application/cloudevents+json"),
            ("sequence", str(offset + 1 if sequence is None else sequence).encode()),
        ),
    )


def an_envelope(evaluation: PeriodEvaluation) -> bytes:
    """The CloudEvent that carries an evaluation."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"{evaluation.agreement}/{evaluation.period}/{evaluation.revision}",
            "source": "urn:earnback:evaluator",
            "type": "earnback.period.evaluated.v1",
            "time": "2025-02-03T00:00:00Z",
            "data": evaluation.model_dump(mode="json"),
        }
    )
