"""What every noun shares: frozen, strict about unknown fields, exact about numbers and instants."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticKnownError


class Noun(BaseModel):
    """Something with a name in the field. Never changed, only followed by others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_unset(value: object) -> bool:
    """Whether an optional field says nothing. Fields that came later are left out of what is
    written then, so that what was stored before them keeps its bytes."""
    return value is None or value == ()


YEARS = (1990, 2199)
"""The first and the last year of every day, period and instant that is taken."""
_OUTSIDE = f"outside the years {YEARS[0]} to {YEARS[1]}; check the year"
# The ends of periods lie a little beyond, in every zone.
_EARLIEST = datetime(YEARS[0] - 1, 12, 30, tzinfo=UTC)
_LATEST = datetime(YEARS[1] + 1, 1, 3, tzinfo=UTC)


def _as_utc(moment: datetime) -> datetime:
    try:
        found = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(_OUTSIDE) from error
    if not _EARLIEST <= found < _LATEST:
        raise ValueError(_OUTSIDE)
    return found


def _in_calendar(day: date) -> date:
    if not YEARS[0] <= day.year <= YEARS[1]:
        raise ValueError(_OUTSIDE)
    return day


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_of(text: str) -> date:
    """The day that a text names as YYYY-MM-DD. Raises ValueError for every other form of ISO 8601,
    which would let ``20250401`` be read as a day here and as a number elsewhere."""
    if not _DAY.fullmatch(text):
        raise ValueError("not a date; write it as YYYY-MM-DD, such as 2025-01-31")
    return date.fromisoformat(text)


def _written_as_day(day: Any) -> Any:
    """A day, or the text YYYY-MM-DD: a number would be taken for seconds since 1970."""
    if isinstance(day, str):
        try:
            return day_of(day)
        except ValueError as error:
            raise PydanticKnownError("date_parsing", {"error": str(error)}) from error
    if isinstance(day, date):
        return day
    raise PydanticKnownError("date_type")


Day = Annotated[date, BeforeValidator(_written_as_day), AfterValidator(_in_calendar)]
"""A day from 1990-01-01 to 2199-12-31."""


# Not \d, which takes the digits of every script.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def moment_of(text: str) -> datetime:
    """The moment that a text names as RFC 3339 writes it, with its offset where it has one.

    Raises ValueError for every other form of ISO 8601.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError("no moment; write it as in 2025-01-31T12:00:00Z")
    return datetime.fromisoformat(text.upper())


def _as_written(moment: Any) -> datetime:
    """Read what RFC 3339 writes. A mere number, which would be taken for seconds since 1970, and
    the other forms of ISO 8601 are refused."""
    if isinstance(moment, datetime):
        return moment
    if not isinstance(moment, str):
        raise PydanticKnownError("datetime_type")
    if not _MOMENT.fullmatch(moment):
        raise PydanticKnownError("datetime_parsing", {"error": "it is not in the form of RFC 3339"})
    try:
        return datetime.fromisoformat(moment.upper())
    except ValueError as error:
        raise PydanticKnownError("datetime_parsing", {"error": str(error)}) from error


Instant = Annotated[AwareDatetime, BeforeValidator(_as_written), AfterValidator(_as_utc)]
"""A point in time. A time without an offset is refused; inside, the zone is always UTC."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
"""An identifier people write: lower case, digits, dot, dash, underscore; at most 80 characters."""


TZDATA: str = version("tzdata")
"""The version of the time zone database that zones come from."""

_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_ZONES = files("tzdata") / "zoneinfo"


@cache  # one object per zone: datetimes of two would be compared another way
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of that name, from the locked tzdata and never from the host's database.

    Raises ValueError for an unknown one.
    """
    try:
        if not _ZONE.fullmatch(name):
            raise ValueError("no name of a zone")
        written_zone = _ZONES.joinpath(*name.split("/")).read_bytes()
        return ZoneInfo.from_file(BytesIO(written_zone), key=name)
    except (ValueError, OSError) as unknown:
        raise ValueError(
            f"'{name}' is not an IANA zone; write one such as Europe/Berlin or UTC"
        ) from unknown


def _is_zone(name: str) -> str:
    zone_of(name)
    return name


TimeZone = Annotated[str, AfterValidator(_is_zone)]
"""The name of an IANA time zone."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]

# Not \d, which takes the digits of every script, and not $, which takes a newline after it.
_NUMBER = re.compile(r"[+-]?[0-9]{1,24}(\.[0-9]{1,18})?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_RATIO = re.compile(r"[+-]?[0-9]{1,24}/[1-9][0-9]{0,23}")
_WORKED_OUT = re.compile(r"-?[0-9]{1,4000}([./][0-9]{1,4000})?")


def exact(value: Any) -> Fraction:
    """Read an exact number: an integer, a decimal in a string, or a ratio such as ``1/30``.

    Raises ValueError for anything else. A binary float is refused: it has already lost digits.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, (bool, float)):
        raise ValueError("write the number as an integer or as a decimal in quotes, such as '99.9'")
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, str) and (_NUMBER.fullmatch(value) or _RATIO.fullmatch(value)):
        return Fraction(value)
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value):
        raise ValueError(f"not an exact number; write {value.replace(',', '.')}: a decimal point, "
                         "not a comma")  # fmt: skip
    raise ValueError(
        "not an exact number; write an integer, a decimal ('99.9') or a ratio ('1/30')"
    )


def written(value: Fraction) -> str:
    """Write an exact number: as a decimal where it ends, else as a ratio. Reads back as itself."""
    numerator, denominator = value.numerator, value.denominator
    if denominator == 1:
        return str(numerator)
    twos = fives = 0
    rest = denominator
    while rest % 2 == 0:
        rest //= 2
        twos += 1
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    places = max(twos, fives)
    if rest != 1 or places > 18:
        return f"{numerator}/{denominator}"
    scaled = abs(numerator) * 10**places // denominator
    digits = str(scaled).rjust(places + 1, "0")
    sign = "-" if numerator < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


Number = Annotated[
    Fraction,
    BeforeValidator(exact),
    PlainSerializer(written, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["99.9", "1/30", 20]}),
]
"""An exact rational. In files and messages a decimal string, an integer or a ratio."""


MOST_DIGITS = 1000
"""Digits above and below the line of a ratio that is kept as it was worked out."""
ROUNDED_TO = 100
"""Decimals of one that has more."""
_TOO_LONG = 10**MOST_DIGITS


def kept(value: Fraction) -> Fraction:
    """A number as it is kept: exact up to 1,000 digits above and below the line.

    One that has more is rounded to 100 decimals, half to even. Raises ValueError where it is then
    still longer.
    """
    if abs(value.numerator) < _TOO_LONG and value.denominator < _TOO_LONG:
        return value
    scale = 10**ROUNDED_TO
    whole, rest = divmod(value.numerator * scale, value.denominator)
    over = 2 * rest - value.denominator
    if over > 0 or (over == 0 and whole % 2 == 1):
        whole += 1
    rounded = Fraction(whole, scale)
    if abs(rounded.numerator) >= _TOO_LONG:
        raise ValueError(
            f"a number of more than {MOST_DIGITS - ROUNDED_TO} digits before the point"
        )
    return rounded


def _worked_out(value: Any) -> Fraction:
    """Read what was worked out: as `exact`, longer where it was written so, and as it is kept."""
    if isinstance(value, str) and _WORKED_OUT.fullmatch(value):
        return kept(Fraction(value))
    return kept(exact(value))


WorkedOut = Annotated[
    Fraction,
    BeforeValidator(_worked_out),
    PlainSerializer(written, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["99.9", "1/30", 20]}),
]
"""A number that was worked out: a product has more digits than anybody would write. See `kept`."""

Language = Annotated[
    Literal[2], Field(description="The version of the contract language that the document is in.")
]
"""The version of the contract language; the core's rules bring earlier ones up to it."""

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""The number of a version; no larger than the database keeps."""

AcrossPeriods = Literal["begins", "ends", "split"]
"""Where an occurrence that reaches over the end of a period counts.

``begins``, ``ends``: as a whole, in the period in which it begins or ends. ``split``: cut at the
end; each piece is an occurrence of its own period.
"""

Count = Annotated[int, Field(ge=0, strict=True)]
