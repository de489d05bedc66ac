"""Circumstances held against the ranges of the numbers that terms read of them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from schemas.base import written
from schemas.event import Circumstance
from services.core.events.rejections import Rejection, RejectionCode
from services.core.events.stated_numbers import IN_USE, VALUE, StatedNumber


def impossible_statement(numbers: Iterable[StatedNumber], said: Circumstance) -> Rejection | None:
    """Whether a number that terms read is below what it can be.

    ``numbers``: of the agreement's version. A number of what no term reads changes nothing and may
    be any.
    """
    for read in numbers:
        if read.circumstance != said.circumstance:
            continue
        stated = said.value if read.field == VALUE else said.values.get(read.field)
        if not isinstance(stated, Fraction):
            continue
        if stated < 0 or (read.above_zero and stated == 0):
            return _impossible(read, stated)
    return _more_than_all(said)


def _impossible(read: StatedNumber, stated: Fraction) -> Rejection:
    least = "above 0" if read.above_zero else "0 or more"
    return Rejection(
        RejectionCode.OUT_OF_RANGE,
        "/data/value" if read.field == VALUE else f"/data/values/{read.field}",
        f"{read.circumstance} is read as {read.what}, and {written(stated)} is not {least}",
        f"state a number that is {least}",
    )


def _more_than_all(said: Circumstance) -> Rejection | None:
    """More days in use than the period has: a share above all of it."""
    if said.circumstance != IN_USE:
        return None
    used, days = (said.values.get(name) for name in ("days_in_use", "days_in_period"))
    if not isinstance(used, Fraction) or not isinstance(days, Fraction) or used <= days:
        return None
    return Rejection(
        RejectionCode.OUT_OF_RANGE,
        "/data/values/days_in_use",
        f"{written(used)} days in use are more than the {written(days)} of the period",
        "state the days in use out of all days of the period",
    )
