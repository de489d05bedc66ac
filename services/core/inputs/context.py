"""What one period is settled from: what is known, what went before, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from schemas.agreement import Agreement, AtRisk
from schemas.base import written
from schemas.period import first_day, next_label
from schemas.statement import LevelResult, Step
from services.core.calendar.days import contract_year
from services.core.calendar.windows import labels_between
from services.core.exact.arithmetic import ZERO, money_text
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.inputs.blockers import Blockers, InvalidDeclaration
from services.core.inputs.charges import Charges
from services.core.inputs.conversion import Converted, Foreign
from services.core.inputs.history import EarlierResults, SettlementHistory
from services.core.inputs.known import PeriodInputs


@dataclass(frozen=True, slots=True)
class PeriodContext:
    """One period of one agreement, with its past."""

    version: Agreement
    period: str
    inputs: PeriodInputs
    charges: Charges
    history: SettlementHistory
    begins: str
    ends_with: str | None
    time_zone: str
    blockers: Blockers
    budget: Budget = UNBOUNDED

    def base(self, name: str, subject: str | None = None, period: str | None = None) -> Fraction:
        """A base in main units; zero, and noted as missing, while its charge is not known."""
        failing = period or self.period
        settled = self.history.of(failing)
        in_force = settled.version if settled else self.version
        return self.charges.base(
            self.version, name, failing, subject, self.blockers, in_force=in_force
        )

    def base_where(
        self, counts: bool, name: str, subject: str | None = None, period: str | None = None
    ) -> Fraction | None:
        """A base, where an amount depends on it. Else as far as it is known: None, nothing waits.

        ``counts``: whether the amount depends on it, as no share of nothing does.
        """
        if counts:
            return self.base(name, subject, period)
        return self.where_known(lambda context: context.base(name, subject, period))

    def where_known(self, amount: Callable[[PeriodContext], Fraction]) -> Fraction | None:
        """As `if_known`, and what the amount stands on is noted."""
        return None if self.if_known(amount) is None else amount(self)

    def own(self, amount: Fraction, currency: str | None) -> Fraction:
        """An amount that the agreement states, in its own currency.

        Zero, and noted as missing, while its rate is not known.
        """
        if currency is None or currency == self.version.currency:
            return amount
        key = f"{written(amount)}-{currency}/{self.period}"
        foreign = Foreign(key, "the agreement's amount", amount, currency, self.period)
        value = self.charges.converted(self.version, foreign, self.blockers)
        return ZERO if value is None else value

    def conversions_since(self, seen: int) -> tuple[Converted, ...]:
        """The conversions that were looked at after so many, each once."""
        return tuple({one.key: one for one in self.blockers.conversions[seen:]}.values())

    def steps_since(self, seen: int) -> tuple[Step, ...]:
        """The steps of these conversions."""
        return tuple(one.step for one in self.conversions_since(seen))

    @property
    def seen(self) -> int:
        """How many conversions were looked at so far."""
        return len(self.blockers.conversions)

    def if_known(self, amount: Callable[[PeriodContext], Fraction]) -> Fraction | None:
        """An amount where all that it stands on is known. Nothing waits for it."""
        aside = replace(self, blockers=Blockers())
        try:
            value = amount(aside)
        except InvalidDeclaration:
            return None
        return None if aside.blockers.reasons else value

    def at_risk(self, name: str, subject: str | None = None, period: str | None = None) -> Fraction:
        """An amount at risk in main units."""
        return self.at_risk_where(True, name, subject, period) or ZERO

    def at_risk_where(
        self, counts: bool, name: str, subject: str | None = None, period: str | None = None
    ) -> Fraction | None:
        """An amount at risk, where an amount depends on it, as `base_where`."""
        term = self.at_risk_term(name)
        base = self.base_where(counts and term.percent != 0, term.base, subject, period)
        return None if base is None else term.percent * base / 100

    def at_risk_term(self, name: str) -> AtRisk:
        """The term of an amount at risk."""
        return next(term for term in self.version.at_risk if term.at_risk == name)

    def bases_used(self) -> dict[str, Fraction | str]:
        """The bases that were looked at so far, by name and period, in main units.

        And in words, how each amount of another currency was converted, and each charge for more
        than a settlement period spread.
        """
        bases = {f"base/{name}": value for name, value in self.blockers.bases.items()}
        converted = {f"converted/{one.key}": one.step.text for one in self.blockers.conversions}
        spread = {f"spread/{key}": text for key, text in self.blockers.spreads.items()}
        return bases | converted | spread

    def earlier_results(
        self, level: str, subject: str | None, own: Sequence[LevelResult] = ()
    ) -> EarlierResults:
        """The level's results before one of its periods, the latest first.

        ``own``: those before it in this settlement period, in order.
        """
        return EarlierResults(own, self.history, (level, subject))

    def window(self, periods: int) -> list[str]:
        """The settlement periods, this one last, that a window of that many holds."""
        first = next_label(self.period, 1 - periods)
        return [label for label in labels_between(first, self.period) if self._has_begun(label)]

    def contract_year(self) -> list[str]:
        """The settlement periods of the contract year so far, this one last."""
        belongs_to = self.version.conventions.period_belongs_to
        return list(contract_year(first_day(self.begins), self.period, belongs_to))

    def term(self) -> list[str]:
        """All settlement periods so far, this one last."""
        return list(labels_between(self.begins, self.period))

    def _has_begun(self, label: str) -> bool:
        return first_day(label) >= first_day(self.begins)

    def money(self, value: Fraction) -> str:
        """An amount for people, in the agreement's currency."""
        return money_text(value, self.version.currency)
