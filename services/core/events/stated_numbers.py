"""The numbers that circumstances state, by the terms that read them: none of them is below zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.agreement import Agreement
from schemas.ceiling import Cap, SharedCap
from schemas.conversion import RateOfDay, RateOfPeriod
from schemas.credit import CircumstanceQuantity
from schemas.level import ReliefByVolume
from schemas.nested import nouns_in
from schemas.programme import Programme

IN_USE = "service_in_use"
"""The circumstance that states for how many days of a period a base is charged."""
VALUE = "value"
_SUMS = ("charges", "credits")


class StatedNumber(NamedTuple):
    """A number of a circumstance: ``value``, or the name that it has among ``values``.

    ``above_zero``: 0 is outside as well. ``what``: as which it is read.
    """

    circumstance: str
    field: str
    what: str
    above_zero: bool = False


def stated_numbers(version: Agreement, programmes: Iterable[Programme]) -> tuple[StatedNumber, ...]:
    """The numbers that a version's terms and its programme's shared caps read, each once."""
    caps = tuple(cap for programme in programmes for cap in programme.shared_caps)
    return tuple(dict.fromkeys((*_of_terms(version), *_of_agreement(version, caps))))


def _of_agreement(version: Agreement, shared: Iterable[SharedCap]) -> Iterator[StatedNumber]:
    caps: tuple[Cap | SharedCap, ...] = (*version.caps, *shared)
    for cap in caps:
        if cap.opening is not None:
            for name in _SUMS:
                yield StatedNumber(cap.opening, name, f"what the cap {cap.cap} begins with")
    for bank in version.banks:
        if bank.opening is not None:
            yield StatedNumber(bank.opening, VALUE, f"what the bank {bank.bank} begins with")
    if version.critical_failure is not None and version.critical_failure.decision is not None:
        yield StatedNumber(version.critical_failure.decision, VALUE, "an amount to withhold")
    if version.invoicing is not None:
        yield StatedNumber(version.invoicing.invoice, "charges", "what is invoiced")
    if version.disputes is not None:
        yield StatedNumber(version.disputes.circumstance, "effect", "the effect of an error")
    yield StatedNumber(IN_USE, "days_in_use", "a number of days")
    yield StatedNumber(IN_USE, "days_in_period", "a number of days", above_zero=True)


def _of_terms(version: Agreement) -> Iterator[StatedNumber]:
    """The numbers that terms anywhere inside read as a quantity, a volume or a rate."""
    for term in nouns_in(version):
        if isinstance(term, CircumstanceQuantity):
            yield StatedNumber(term.circumstance, VALUE, "a quantity")
        elif isinstance(term, ReliefByVolume) and term.normal_from is not None:
            yield StatedNumber(term.normal_from, VALUE, "a normal volume")
        elif isinstance(term, RateOfDay | RateOfPeriod):
            yield StatedNumber(term.circumstance, VALUE, "a rate of exchange", above_zero=True)
