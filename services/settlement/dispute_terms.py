"""What a contract's `disputes` admits: until when, from which effect, and whether only errors."""

from __future__ import annotations

from schemas.base import written, zone_of
from schemas.remedy import DisputeTerms
from services.core.settling.dispute_admission import last_day
from services.settlement.access import Principal
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
    faults = [*_effect(term, order), *_error(term, order)]
    if faults:
        raise Problem(
            422,
            "dispute-not-admitted",
            "The contract does not admit the dispute.",
            faults=faults,
        )


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
