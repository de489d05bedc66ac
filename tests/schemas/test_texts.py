"""Numbers, names and labels are taken in one writing only: no other script, nothing after them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.base import Name, exact
from schemas.event import EventId, Subject
from schemas.finance import DecimalText
from schemas.money import Currency
from schemas.period import PeriodLabel, first_day
from schemas.programme import SourceUri

ARABIC_ONE, FULLWIDTH_ONE = "\u0661", "\uff11"
KINDS = {
    "name": (Name, "net-1"),
    "event id": (EventId, "e-1"),
    "subject": (Subject, "site-1"),
    "source": (SourceUri, "urn:probe/1"),
    "currency": (Currency, "EUR"),
    "amount": (DecimalText, "-1.50"),
    "period": (PeriodLabel, "2025-01"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_with_a_newline_or_digits_of_another_script_is_refused(kind: str) -> None:
    noun, good = KINDS[kind]
    reader: TypeAdapter[str] = TypeAdapter(noun)
    assert reader.validate_python(good) == good
    assert reader.validate_json(f'"{good}"') == good
    for bad in (good + "\n", "\n" + good, good + ARABIC_ONE, FULLWIDTH_ONE + good, good + "\0"):
        with pytest.raises(ValidationError):
            reader.validate_python(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "1\n",
        "1/3\n",
        "\n1",
        " 1",
        ARABIC_ONE,
        f"1.{FULLWIDTH_ONE}",
        f"1/{ARABIC_ONE}",
        "1_0",
        "1e3",
    ],
)
def test_a_number_is_written_with_the_ten_digits_and_nothing_else(bad: str) -> None:
    with pytest.raises(ValueError, match="not an exact number"):
        exact(bad)
    assert exact("+1.50") == Fraction(3, 2)
    assert exact("-1/30") == Fraction(-1, 30)


@pytest.mark.parametrize("length", ["2025-01-31", "2025-01", "2025-Q1", "2025-H1", "2025"])
def test_a_period_label_has_one_writing(length: str) -> None:
    assert first_day(length).year == 2025
    for bad in (length + "\n", length.replace("2", "\u0662")):
        with pytest.raises(ValueError, match="names no period"):
            first_day(bad)
