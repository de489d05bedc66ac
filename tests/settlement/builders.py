"""Statements and evaluations by hand, with as little as they need."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from schemas.base import exact
from schemas.statement import LineKind, SettlementStatement, StatementLine, Step


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
