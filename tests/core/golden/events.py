"""CloudEvents in few words, for one agreement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from schemas.base import written
from schemas.money import exponent
from schemas.period import first_day, next_label

Event = Mapping[str, Any]


def main_units(minor: int, currency: str) -> str:
    """Minor units as the decimal that a charge states."""
    return written(Fraction(minor, 10 ** exponent(currency)))


def noon(day: date) -> str:
    """Midday of a day in UTC."""
    return f"{day.isoformat()}T12:00:00Z"


@dataclass
class Events:
    """Collects the events of a case. ``agreement`` and ``currency`` are those of its contract."""

    agreement: str
    currency: str = "USD"
    source: str = "urn:buyer"
    list: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, time: str | datetime, data: Mapping[str, Any]) -> None:
        """One event of a kind, with the next id."""
        moment = time if isinstance(time, str) else time.isoformat()
        self.list.append(
            {
                "specversion": "1.0",
                "id": f"{self.agreement}-{len(self.list) + 1}",
                "source": self.source,
                "type": f"earnback.{kind}.v1",
                "time": moment,
                "data": {key: value for key, value in data.items() if value is not None},
            }
        )

    def figure(
        self,
        period: str,
        value: object,
        metric: str = "service-level",
        unit: str = "percent",
        subject: str | None = None,
        on: date | None = None,
    ) -> None:
        """A declared figure; it comes in on the day after the period unless another is said."""
        self.add(
            "figure",
            noon(on or first_day(next_label(period))),
            {
                "metric": metric,
                "subject": subject,
                "period": period,
                "value": str(value),
                "unit": unit,
            },
        )

    def met(self, period: str, met: bool) -> None:
        """A result on either side of a level of 99 %."""
        self.figure(period, "100" if met else "90")

    def charge(self, base: str, period: str, minor: int, subject: str | None = None) -> None:
        """What is billed for a period."""
        self.add(
            "charge",
            noon(first_day(next_label(period))),
            {
                "agreement": self.agreement,
                "base": base,
                "period": period,
                "amount": main_units(minor, self.currency),
                "currency": self.currency,
                "subject": subject,
            },
        )

    def circumstance(
        self,
        name: str,
        period: str,
        *,
        level: str | None = None,
        subject: str | None = None,
        value: object = None,
        on: date | None = None,
        **values: object,
    ) -> None:
        """A fact about the agreement's period that no probe measures."""
        self.add(
            "circumstance",
            noon(on or first_day(next_label(period))),
            {
                "agreement": self.agreement,
                "circumstance": name,
                "period": period,
                "level": level,
                "subject": subject,
                "value": None if value is None else str(value),
                "values": {key: value for key, value in values.items() if value is not None}
                or None,
            },
        )
