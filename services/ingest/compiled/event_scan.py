"""One event's JSON in one pass: where its fields lie, and its time and numbers read.

In a form that numba compiles. It knows the plainest spelling alone: known names, each once, texts
of printable ASCII without escapes, whole numbers, times in UTC. Whatever else is there, right or
wrong, is UNUSUAL, and the full validator judges it.

Every event ends with a NUL, which no JSON has: each loop stops at it, so none reads past its event.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from services.core.events.facts import COUNT, RESPONSE, SAMPLE, TYPE_OF_KIND, VOLUME

WIDE: Any = np.int64
"""Makes numbers of bytes that do not overflow, in both forms."""
UNUSUAL = -1
NO_TIME = -1
MOST_DIGITS = 18
"""A number of so many digits fits into 64 bits, whatever they are."""

SPECVERSION, ID, SOURCE, TYPE, TIME, DATA, CONTENT, SCHEMA, ABOUT = range(9)
METRIC, SUBJECT, UP, GOOD, TOTAL, VALUE, UNIT = range(9, 16)
FIELDS = 16
_ENVELOPE, _DATA = (0, METRIC), (METRIC, FIELDS)
_KINDS = (SAMPLE, COUNT, RESPONSE, VOLUME)
_NAMES = (
    *("specversion", "id", "source", "type", "time", "data"),
    *("datacontenttype", "dataschema", "subject"),
    *("metric", "subject", "up", "good", "total", "value", "unit"),
)
_TEXTS = (*_NAMES, *(TYPE_OF_KIND[kind] for kind in _KINDS), "application/json", "text/json", "1.0")
_TYPES, _CONTENTS, _VERSIONS = (16, 20), (20, 22), (22, 23)

_TEXT, _OBJECT, _FLAG, _WHOLE, _EITHER = range(5)
_FORM = np.array([_TEXT] * FIELDS, np.int64)
_FORM[[DATA, UP, GOOD, TOTAL, VALUE]] = _OBJECT, _FLAG, _WHOLE, _WHOLE, _EITHER


def _bits(*fields: int) -> int:
    return sum(1 << field for field in fields)


_ALWAYS = _bits(SPECVERSION, ID, SOURCE, TYPE, TIME, DATA, METRIC)
_OPTIONAL = _bits(CONTENT, SCHEMA, ABOUT, SUBJECT)
_NEEDED = np.array(
    [
        _ALWAYS | _bits(UP),
        _ALWAYS | _bits(GOOD, TOTAL),
        _ALWAYS | _bits(VALUE, UNIT),
        _ALWAYS | _bits(VALUE, UNIT),
    ],
    np.int64,
)
_KIND = np.array(_KINDS, np.int64)

_LONGEST = max(map(len, _TEXTS))
_LENGTH = np.array([len(each) for each in _TEXTS], np.int64)
_LETTERS = np.array([list(each.ljust(_LONGEST, "\0").encode()) for each in _TEXTS], np.uint8)

_QUOTE, _COLON, _COMMA, _OPEN, _CLOSE = 34, 58, 44, 123, 125
_MINUS, _PLUS, _DOT, _ZERO, _T, _Z = 45, 43, 46, 48, 84, 90
_PLAIN = np.zeros(256, np.bool_)
_PLAIN[32:127] = True
_PLAIN[[_QUOTE, 92]] = False
_SPACE = np.zeros(256, np.bool_)
_SPACE[[9, 10, 13, 32]] = True
_ONE = np.uint64(1)
_TRUE = np.array(list(b"true"), np.uint8)
_FALSE = np.array(list(b"false"), np.uint8)
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_DAY_US, _HOUR_US, _MINUTE_US, _SECOND_US = 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000
_TENS = np.array([10**each for each in range(MOST_DIGITS + 1)], np.int64)


def _past_space(raw: Any, at: int) -> int:
    while _SPACE[raw[at]]:
        at += 1
    return at


def _text_end(raw: Any, at: int) -> int:
    """Where the text that begins at ``at`` ends, at its quotation mark; or UNUSUAL."""
    # Unsigned: an index that may be negative costs a look each time, and here most time is spent.
    place = np.uint64(at)
    while _PLAIN[raw[place]]:
        place += _ONE
    return WIDE(place) if raw[place] == _QUOTE else UNUSUAL


def _which(raw: Any, at: int, end: int, first: int, last: int) -> int:
    """Which of the known texts, from ``first`` to before ``last``, is there; or UNUSUAL."""
    length = end - at
    for text in range(first, last):
        if _LENGTH[text] == length and _is(raw, at, _LETTERS[text], length):
            return text
    return UNUSUAL


def _is(raw: Any, at: int, letters: Any, length: int) -> bool:
    for place in range(length):  # noqa: SIM110 (compiled, a generator would be one)
        if raw[at + place] != letters[place]:
            return False
    return True


def scan(raw: Any, at: int, stop: int, starts: Any, ends: Any) -> int:
    """Where each field of the event from ``at`` to ``stop`` lies: into ``starts`` and ``ends``.

    Gives the fields that are there, a bit for each; or UNUSUAL. Of `UP`, ``starts`` holds 1 or 0.
    ``ends`` of a number in quotation marks is negative.
    """
    first, last = _ENVELOPE
    at = _past_space(raw, at)
    if raw[at] != _OPEN:
        return UNUSUAL
    at, seen = _past_space(raw, at + 1), 0
    while raw[at] == _QUOTE:
        end = _text_end(raw, at + 1)
        field = _which(raw, at + 1, end, first, last)
        if end < 0 or field < 0 or (seen >> field) & 1:
            return UNUSUAL
        seen |= 1 << field
        at = _past_space(raw, end + 1)
        if raw[at] != _COLON:
            return UNUSUAL
        at = _past_space(raw, at + 1)
        if _FORM[field] == _OBJECT:
            if raw[at] != _OPEN:
                return UNUSUAL
            first, last = _DATA
            at = _past_space(raw, at + 1)
            continue
        at = _value_end(raw, at, field, starts, ends)
        if at < 0:
            return UNUSUAL
        at = _past_space(raw, at)
        if raw[at] == _CLOSE and first == METRIC:
            first, last = _ENVELOPE
            at = _past_space(raw, at + 1)
        if raw[at] == _CLOSE and first == 0:
            return seen if _past_space(raw, at + 1) == stop else UNUSUAL
        if raw[at] != _COMMA:
            return UNUSUAL
        at = _past_space(raw, at + 1)
    return UNUSUAL


def _value_end(raw: Any, at: int, field: int, starts: Any, ends: Any) -> int:
    """Take in the value of a field that is no object; the place after it, or UNUSUAL."""
    form = _FORM[field]
    if raw[at] == _QUOTE:
        if form != _TEXT and form != _EITHER:
            return UNUSUAL
        end = _text_end(raw, at + 1)
        starts[field], ends[field] = at + 1, -end if form == _EITHER else end
        return end + 1 if end >= 0 else UNUSUAL
    if form == _FLAG:
        up = _is(raw, at, _TRUE, 4)
        if not up and not _is(raw, at, _FALSE, 5):
            return UNUSUAL
        starts[field] = 1 if up else 0
        return at + (4 if up else 5)
    if form == _TEXT:
        return UNUSUAL
    starts[field] = at
    if raw[at] == _MINUS:
        at += 1
    first = at
    while _ZERO <= raw[at] <= _ZERO + 9:
        at += 1
    ends[field] = at
    # No number in JSON begins with a zero but 0 itself; -0 and what is no whole number: not here.
    if at == first or (raw[first] == _ZERO and (at > first + 1 or first > starts[field])):
        return UNUSUAL
    return at


def kind_of(raw: Any, seen: int, starts: Any, ends: Any) -> int:
    """The kind of an event of which all is there that must be, and nothing else; or UNUSUAL."""
    if (seen & _ALWAYS) != _ALWAYS:
        return UNUSUAL
    found = _which(raw, starts[TYPE], ends[TYPE], *_TYPES)
    if found < 0 or (seen & ~_OPTIONAL) != _NEEDED[found - _TYPES[0]]:
        return UNUSUAL
    if _which(raw, starts[SPECVERSION], ends[SPECVERSION], *_VERSIONS) < 0:
        return UNUSUAL
    if (seen >> CONTENT) & 1 and _which(raw, starts[CONTENT], ends[CONTENT], *_CONTENTS) < 0:
        return UNUSUAL
    # No subject and an empty one would look the same from here on.
    if (seen >> SUBJECT) & 1 and starts[SUBJECT] == ends[SUBJECT]:
        return UNUSUAL
    return _KIND[found - _TYPES[0]]  # type: ignore[no-any-return]


def _digits(raw: Any, at: int, end: int) -> int:
    """The number of these digits, at most `MOST_DIGITS` of them and at least one; or UNUSUAL."""
    if end <= at or end - at > MOST_DIGITS:
        return UNUSUAL
    number = WIDE(0)
    for place in range(at, end):
        digit = WIDE(raw[place]) - _ZERO
        if digit < 0 or digit > 9:
            return UNUSUAL
        number = number * 10 + digit
    return number  # type: ignore[no-any-return]


def time_of(raw: Any, at: int, end: int) -> int:
    """Microseconds since 1970 of ``2025-01-31T12:00:00.123Z``; digits beyond them are cut off.

    NO_TIME for any other spelling, and before 1970.
    """
    if end - at < 20 or raw[end - 1] != _Z or raw[at + 10] != _T:
        return NO_TIME
    if raw[at + 4] != _MINUS or raw[at + 7] != _MINUS:
        return NO_TIME
    if raw[at + 13] != _COLON or raw[at + 16] != _COLON:
        return NO_TIME
    year, month = _digits(raw, at, at + 4), _digits(raw, at + 5, at + 7)
    day, hour = _digits(raw, at + 8, at + 10), _digits(raw, at + 11, at + 13)
    minute, second = _digits(raw, at + 14, at + 16), _digits(raw, at + 17, at + 19)
    micros = WIDE(0)
    if end - at > 20:
        if raw[at + 19] != _DOT or _digits(raw, at + 20, end - 1) < 0:
            return NO_TIME
        kept = min(end - 1, at + 26)
        micros = _digits(raw, at + 20, kept) * _TENS[at + 26 - kept]
    if year < 1970 or not 1 <= month <= 12 or day < 1:
        return NO_TIME
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return NO_TIME
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _DAYS[month] + (1 if leap else 0):
        return NO_TIME
    of_day = hour * _HOUR_US + minute * _MINUTE_US + second * _SECOND_US + micros
    return _days(year, month, day) * _DAY_US + of_day  # type: ignore[no-any-return]


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 of a day in the Gregorian calendar; a year begins with March here."""
    year -= 1 if month <= 2 else 0
    since_march = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + since_march - 719_468


def whole_number(raw: Any, at: int, end: int) -> tuple[bool, int]:
    """Whether a number without quotation marks can be read here, and what it is."""
    below = raw[at] == _MINUS
    number = _digits(raw, at + 1 if below else at, end)
    return number >= 0, -number if below else number


def decimal(raw: Any, at: int, end: int) -> tuple[bool, int, int]:
    """Whether a number in quotation marks can be read here, it, and how many decimals it has.

    ``1.50`` is 15 with 1 decimal.
    """
    below = raw[at] == _MINUS
    if below or raw[at] == _PLUS:
        at += 1
    point = at
    while point < end and raw[point] != _DOT:
        point += 1
    number = _digits(raw, at, point)
    if number < 0 or point == end:
        return number >= 0, -number if below else number, 0
    last = end
    while last > point + 1 and raw[last - 1] == _ZERO:
        last -= 1
    decimals = last - point - 1
    part = _digits(raw, point + 1, end)
    if part < 0 or point - at + decimals > MOST_DIGITS:
        return False, 0, 0
    number = number * _TENS[decimals] + part // _TENS[end - last]
    return True, -number if below else number, decimals
