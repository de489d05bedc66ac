"""Whether every currency of an agreement can become its own, and every rule for it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.agreement import Agreement
from schemas.base import Noun
from schemas.conversion import RateOfDay
from schemas.credit import Amount, AmountLimit
from services.core.contracts.wording import FieldPath, Finding


def broken_currencies(agreement: Agreement) -> Iterator[Finding]:
    """Amounts that no rule converts, and rules that are doubled, idle or without a day."""
    stated = list(_stated(agreement, ()))
    yield from _amounts(agreement, stated)
    yield from _rules(agreement, {currency for _, currency in stated})


def _stated(noun: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    """Every currency that an amount of the agreement names, with its path."""
    if isinstance(noun, tuple):
        for index, one in enumerate(noun):
            yield from _stated(one, (*path, index))
    elif isinstance(noun, Amount | AmountLimit):
        if noun.currency is not None:
            yield (*path, "currency"), noun.currency
    elif isinstance(noun, Noun):
        for field in type(noun).model_fields:
            yield from _stated(getattr(noun, field), (*path, field))


def _amounts(agreement: Agreement, stated: list[tuple[FieldPath, str]]) -> Iterator[Finding]:
    own = agreement.currency
    rules = {rule.currency: rule for rule in agreement.conversions}
    for path, currency in stated:
        rule = rules.get(currency)
        if currency != own and rule is None:
            reason = f"the agreement is in {own} and does not say how {currency} is converted"
            yield Finding(path, reason, f"add a rule for {currency} to 'conversions', or use {own}")
        if isinstance(rule, RateOfDay) and rule.day == "invoice_date":
            reason = f"{currency} is converted by an invoice's date, and this amount has no invoice"
            yield Finding(path, reason, f"use period_start or period_end, or state it in {own}")


def _rules(agreement: Agreement, stated: set[str]) -> Iterator[Finding]:
    own = agreement.currency
    seen: set[str] = set()
    for index, rule in enumerate(agreement.conversions):
        path: FieldPath = ("conversions", index, "currency")
        currency = rule.currency
        if currency == own:
            yield Finding(path, f"{own} is the agreement's own currency", "leave the rule out")
        elif currency in seen:
            yield Finding(path, f"there are two rules for {currency}", "keep one of them")
        elif not agreement.bases and currency not in stated:
            reason = f"no charge and no amount of the agreement can be in {currency}"
            yield Finding(path, reason, "leave the rule out")
        seen.add(currency)
