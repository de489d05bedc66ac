"""The usual kinds of fact: their two columns after a quick look, or why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.core.events.facts import COUNT, LARGEST, RESPONSE, SAMPLE, VOLUME, scaled
from services.core.events.rejections import (
    Rejection,
    RejectionCode,
    impossible,
    shaped,
    too_large,
    wrong_unit,
)
from services.core.events.rules import EVENT_TYPES_BY_KIND, FactRule


def printable(text: object, most: int) -> bool:
    return (
        type(text) is str
        and 0 < len(text) <= most
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


Pair = tuple[int, int]


def _bad_subject(data: Mapping[str, object], others: int) -> bool:
    """Whether the subject is not one, or there are fields beside it and the others."""
    subject = data.get("subject")
    if subject is None:
        return len(data) != others and not (len(data) == others + 1 and "subject" in data)
    return len(data) != others + 1 or not printable(subject, 120)


def _sample(path: FactRule, data: Mapping[str, object]) -> Pair | Rejection | None:
    up = data.get("up")
    if (up is not True and up is not False) or _bad_subject(data, 2):
        return None
    return (1 if up else 0), 1


def _count(path: FactRule, data: Mapping[str, object]) -> Pair | Rejection | None:
    good, total = data.get("good"), data.get("total")
    if type(good) is not int or type(total) is not int or _bad_subject(data, 3):
        return None
    if 0 <= good <= total < LARGEST:
        return good, total
    if good < 0 or total < 0:
        field = "/data/good" if good < 0 else "/data/total"
        return Rejection(
            RejectionCode.NEGATIVE_COUNT,
            field,
            "a count is below zero",
            "report counts of 0 or more",
        )
    if good > total:
        return Rejection(
            RejectionCode.GOOD_EXCEEDS_TOTAL,
            "/data/good",
            f"good is {good}, which is more than the total of {total}",
            "report good as a part of total",
        )
    return too_large("/data/total")


def _value(path: FactRule, data: Mapping[str, object]) -> Pair | Rejection | None:
    if data.get("unit") != path.unit or _bad_subject(data, 3):
        return None
    return whole(path, data.get("value"))


QUICK: dict[int, Callable[[FactRule, Mapping[str, object]], Pair | Rejection | None]] = {
    SAMPLE: _sample,
    COUNT: _count,
    RESPONSE: _value,
    VOLUME: _value,
}


def whole(path: FactRule, value: object) -> Pair | Rejection:
    """A value as a whole number and its decimals, or why it cannot be taken."""
    pair = scaled(value)
    if pair is None:
        return Rejection(
            RejectionCode.NOT_EXACT,
            "/data/value",
            f"{value!r} is not an exact decimal",
            "write an integer, or a decimal in quotes such as '99.9'",
        )
    if pair[1] > path.decimals:
        return Rejection(
            RejectionCode.TOO_MANY_DECIMALS,
            "/data/value",
            f"{path.metric.metric} takes {path.decimals} decimals, this value has {pair[1]}",
            "round at the source, or let the programme allow more decimals",
        )
    if not -LARGEST < pair[0] < LARGEST:
        return too_large("/data/value")
    return pair if path.is_possible(*pair) else impossible(path, "/data/value", value)


def explained(path: FactRule, data: Mapping[str, object], found: Rejection | None) -> Rejection:
    """Why the quick look failed. A problem of shape comes before one of numbers."""
    if found is not None:
        return found
    unit = data.get("unit")
    if path.kind in (RESPONSE, VOLUME) and type(unit) is str and unit != path.unit:
        return wrong_unit(path, unit)
    shape = shaped(EVENT_TYPES_BY_KIND[path.kind], data)
    if isinstance(shape, Rejection):
        return shape
    return Rejection(
        RejectionCode.BAD_DATA,
        "/data",
        "the data does not have the types of its kind",
        "write true or false without quotes, and counts as whole numbers",
    )
