"""Money put into a bank, in whole minor units."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

from schemas.earn_back import Bank
from schemas.money import exponent
from schemas.period import next_label
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import Balance, Worksheet


def minor_to_main(context: PeriodContext, minor: int) -> Fraction:
    """Minor units in main units of the agreement's currency."""
    return Fraction(minor, 10 ** exponent(context.version.currency))


def main_to_minor(context: PeriodContext, amount: Fraction) -> int:
    """Whole minor units of an amount; a part of one is left out."""
    scaled: Fraction = amount * 10 ** exponent(context.version.currency)
    return floor(scaled)


def put_by(context: PeriodContext, worksheet: Worksheet, name: str, amount: Fraction) -> Worksheet:
    """Add what a period banks to its balance."""
    bank = next(bank for bank in context.version.banks if bank.bank == name)
    return with_balance(context, worksheet, bank, amount)


def with_balance(
    context: PeriodContext, worksheet: Worksheet, bank: Bank, amount: Fraction
) -> Worksheet:
    usable = context.period if bank.usable == "same_period" else next_label(context.period)
    last = None if bank.lasts is None else next_label(usable, bank.lasts - 1)
    minor = main_to_minor(context, amount)
    if minor <= 0:
        return worksheet
    balance = Balance(bank.bank, context.period, minor, usable, last, bank.pays_for)
    return replace(worksheet, balances=(*worksheet.balances, balance))
