"""What a contract's `disputes` admits: until when, from which effect, whether only errors; and what
is withheld meanwhile."""

from __future__ import annotations

from fractions import Fraction

from schemas.base import written, zone_of
from schemas.money import MOST, minor_units
from schemas.remedy import DisputeTerms
from services.core.settling.dispute_admission import last_day
from services.settlement.access import Principal
from services.settlement.dispute_store import Withholds
from services.settlement.disputed import Found
from services.settlement.responses import DisputeOrder
from services.shell.clock import now
from services.shell.http.problems import Fault, Problem


def check_admitted(asker: Principal, found: Found, order: DisputeOrder) -> None:
    """Refuse what the contract does not admit. Raises Problem 409 or 422, with the field."""
    term = found.version.disputes
    if term is None:
        return
    _check_in_time(asker, found, term)
    faults = [*(_effect(term, order) or _finer(found, order)), *_error(term, order)]
    if faults:
        raise Problem(
            422,
            "dispute-not-admitted",
            "The contract does not admit the dispute.",
            faults=faults,
        )


def withholds(found: Found, order: DisputeOrder) -> Withholds | None:
    """What an admitted dispute withholds of its line at most; None: what is disputed stays due."""
    term, statement, amount = found.version.disputes, found.statement, found.amount
    if term is None or term.disputed_amount == "stays_due" or statement is None or amount is None:
        return None
    assert order.effect is not None, "a contract with disputes asks for it"
    effect = minor_units(Fraction(order.effect), statement["currency"])
    return Withholds(min(effect, MOST), amount, statement["currency"])


def _finer(found: Found, order: DisputeOrder) -> list[Fault]:
    """Only whole minor units, of nothing or more, can be withheld."""
    try:
        at_most = withholds(found, order)
    except ValueError as finer:
        return [Fault("/effect", str(finer), "state an amount that can be withheld")]
    if at_most is not None and at_most.at_most < 0:
        reason = "the amount that is withheld is below zero"
        return [Fault("/effect", reason, "state by how much you say that you owe less")]
    return []


def _check_in_time(asker: Principal, found: Found, term: DisputeTerms) -> None:
    """Counted from the day on which the statement was made; without one there is no last day."""
    programme = asker.catalogue.programme(found.version.programme)
    if found.statement is None or programme is None:
        return
    zone = zone_of(programme.time_zone)
    last = last_day(term, found.statement["recorded_at"].astimezone(zone).date())
    if now().astimezone(zone).date() > last:
        raise Problem(
            409,
            "dispute-too-late",
            "The statement can no longer be disputed.",
            f"The contract admits disputes of revision {found.statement['revision']} until {last}"
            f" ({programme.time_zone}). A revision that is made later has a time of its own.",
        )


def _effect(term: DisputeTerms, order: DisputeOrder) -> list[Fault]:
    wanted = term.effect.text()
    if order.effect is None:
        reason = f"the contract admits disputes with an effect of {wanted}, and none is stated"
        return [Fault("/effect", reason, "state by how much the amount is wrong, in main units")]
    if term.effect.met_by(order.effect):
        return []
    reason = f"{written(order.effect)} is not {wanted}, from which the contract admits disputes"
    return [Fault("/effect", reason, "dispute what has such an effect, or leave it")]


def _error(term: DisputeTerms, order: DisputeOrder) -> list[Fault]:
    if not term.needs_error or order.error is True:
        return []
    reason = "the contract admits disputes of errors alone, and this is stated to be none"
    if order.error is None:
        reason = "the contract admits disputes of errors alone, and it is not stated to be one"
    return [Fault("/error", reason, "state true where it is an error")]
