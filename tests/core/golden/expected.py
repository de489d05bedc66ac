"""What the product says to each key that a worked case can expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from schemas.evaluation import PeriodEvaluation
from schemas.money import exponent
from schemas.statement import LevelResult, SettlementStatement, StatementLine
from services.core.books import ledger
from services.core.books.ledger import Position, differences
from services.core.settling.one_period import Unsettled
from tests.core.books.summed import posted_by

STATES = {
    "met": "pass",
    "below_expected": "miss",
    "below_minimum": "miss",
    "excused": "excused",
    "no_result": "no result",
}
CREDITS = {"service_credit", "penalty", "set_off"}


@dataclass(frozen=True)
class Said:
    """The outcomes of one agreement, run by run; the last run is what stands."""

    runs: Sequence[Sequence[SettlementStatement | Unsettled]]
    known: Sequence[PeriodEvaluation]

    @property
    def statements(self) -> list[SettlementStatement]:
        """The settled periods of the last run, in order."""
        return [one for one in self.runs[-1] if isinstance(one, SettlementStatement)]

    @property
    def last(self) -> SettlementStatement:
        """The last settled period."""
        return self.statements[-1]

    def lines(self, kinds: set[str]) -> list[StatementLine]:
        """Lines of some kinds of all periods."""
        return [
            line for statement in self.statements for line in statement.lines if line.kind in kinds
        ]

    def results(self) -> list[LevelResult]:
        """Results of all periods."""
        return [result for statement in self.statements for result in statement.results]

    def figure(self, name: str) -> Any:
        """A named figure of the last period."""
        return self.last.figures[name]

    def minor(self, name: str) -> int:
        """A named figure of the last period in minor units."""
        scaled = Fraction(self.figure(name)) * 10 ** exponent(self.last.currency)
        assert scaled.denominator == 1, f"{name} has parts of a minor unit"
        return int(scaled)

    def step(self, rule: str) -> Fraction:
        """The value of the last step of a rule, over all lines and results."""
        values = [
            step.value
            for statement in self.statements
            for holder in (*statement.results, *statement.lines)
            for step in holder.steps
            if step.rule == rule and step.value is not None
        ]
        return values[-1] if values else Fraction(0)

    def percent(self) -> Fraction:
        """The last percentage that is not zero: a month after the case's may take no part."""
        values = [
            step.value
            for statement in self.statements
            for line in statement.lines
            for step in line.steps
            if step.rule == "percent" and step.value
        ]
        return values[-1] if values else Fraction(0)


def credit(statement: SettlementStatement) -> int:
    """Credits and penalties of one period, less what was set off."""
    return sum(line.minor_units for line in statement.lines if line.kind in CREDITS)


def total_credit(said: Said) -> int:
    """Credits of all periods."""
    return sum(credit(statement) for statement in said.statements)


def state(said: Said) -> str:
    """The standing of the last result."""
    return STATES[said.last.results[-1].standing]


def groups(said: Said, want: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Credits per level, in the order asked for."""
    return [
        {
            "group": group["group"],
            "credit_minor": sum(
                line.minor_units for line in said.lines(CREDITS) if line.level == group["group"]
            ),
        }
        for group in want
    ]


def gross(said: Said) -> int:
    """Credits and penalties before anything is set off."""
    return sum(line.minor_units for line in said.lines({"service_credit", "penalty"}))


def months_with(said: Said, kinds: set[str]) -> list[str]:
    """Periods with an amount on a line of some kinds."""
    return [
        statement.period
        for statement in said.statements
        if any(line.kind in kinds and line.minor_units for line in statement.lines)
    ]


def posted(said: Said) -> list[int]:
    """What each run books: the sum of its ledger entries."""
    booked: dict[Position, int] = {}
    sums = []
    for number, run in enumerate(said.runs, start=1):
        (statement,) = run
        assert isinstance(statement, SettlementStatement)
        name = ledger.run_id(agreement=statement.agreement, because_of="2025-01", revision=number)
        entries = differences(booked, statement, run=name)
        for entry in entries:
            position = next(iter(posted_by([entry])))
            booked[position] = booked.get(position, 0) + ledger.owed(entry)
        sums.append(sum(map(ledger.owed, entries)))
    return sums


def stated(said: Said) -> list[int]:
    """Credits month by month, or run by run where one month is settled in runs."""
    if len(said.runs) == 1:
        return [credit(statement) for statement in said.statements]
    return [credit(one) for run in said.runs for one in run if isinstance(one, SettlementStatement)]


def owed_by(said: Said, party: str) -> int:
    """What a party owes the other before both sums are set against each other."""
    sign = 1 if party == "vendor" else -1
    amounts = [line.minor_units * sign for line in said.last.lines]
    return sum(amount for amount in amounts if amount > 0)


PARTIES = {"vendor": "vendor", "buyer": "buyer", "network": "vendor", "operator": "buyer"}


def payer(said: Said, want: str) -> str:
    """Who pays the last period's total, in the words of the case."""
    owes = "vendor" if said.last.total_minor > 0 else "buyer"
    return next(word for word in (want, *PARTIES) if PARTIES[word] == owes)


def payee(said: Said, want: str) -> str:
    """Who is paid the last period's total."""
    gets = "buyer" if said.last.total_minor > 0 else "vendor"
    return next(word for word in (want, *PARTIES) if PARTIES[word] == gets)


def next_level(said: Said, name: str) -> Any:
    """What the moving level asks for after the last period."""
    (value,) = (said.last.figures[key] for key in said.last.figures if key.startswith(f"{name}/"))
    return value


def level(said: Said) -> Any:
    """The level after a ratchet, else the last result."""
    moves = any(key.startswith("next-level/") for key in said.last.figures)
    return next_level(said, "next-level") if moves else said.last.results[-1].result


def result_of(said: Said, name: str) -> Fraction | None:
    """The last result of a level."""
    return next(one.result for one in reversed(said.results()) if one.level == name)


Answer = Callable[[Said, Any], Any]
ANSWERS: dict[str, Answer] = {
    "acceptable_pct": lambda said, _: 100 - said.step("quantity-rounded"),
    "admitted": lambda said, _: said.figure("dispute-admitted"),
    "amount_minor": lambda said, _: abs(said.last.total_minor),
    "applied_to": lambda said, _: said.statements[0].figures["applied-to"],
    "at_risk_amount_minor": lambda said, _: said.minor("at-risk/month"),
    "averaged": lambda said, _: said.last.results[-1].result,
    "base_minor": lambda said, _: said.minor(f"base/charge/{said.last.period}"),
    "below_minimum": lambda said, _: said.last.results[-1].standing == "below_minimum",
    "cash_due": lambda said, _: date.fromisoformat(said.figure("cash-due")),
    "cash_minor": lambda said, _: said.minor("cash"),
    "counted": lambda said, _: said.step("counted"),
    "credit_before_caps_minor": lambda said, _: said.minor("credits-before-caps"),
    "credit_minor": lambda said, _: total_credit(said),
    "credit_months": lambda said, _: months_with(said, CREDITS),
    "credit_pct": lambda said, _: said.percent(),
    "credits_minor": lambda said, _: stated(said),
    "days_charged": lambda said, _: said.step("units"),
    "days_late": lambda said, _: said.step("units"),
    "deposit_minor": lambda said, _: sum(
        line.minor_units for line in said.lines({"deposit"}) if line.minor_units > 0
    ),
    "earn_back_balance_minor": lambda said, _: said.minor("balance/good-months"),
    "earn_back_minor": lambda said, _: -sum(line.minor_units for line in said.lines({"earn_back"})),
    "earned_in": lambda said, _: months_with(said, {"earn_back"})[0],
    "excess_pct": lambda said, _: said.step("quantity"),
    "expected_level": lambda said, _: next_level(said, "next-level"),
    "expired_minor": lambda said, _: said.minor("expired/good-months"),
    "fee_minor": lambda said, _: said.minor("fee/incentive"),
    "from_month": lambda said, _: next_level(said, "next-level-from"),
    "full_hours": lambda said, _: said.step("units"),
    "gross_minor": lambda said, _: gross(said),
    "groups": groups,
    "headroom_minor": lambda said, _: said.minor("headroom/year"),
    "in_time": lambda said, _: said.step("in-time"),
    "invoice_minor": lambda said, _: said.minor("invoice"),
    "level": lambda said, _: level(said),
    "lost_minor": lambda said, _: said.minor("lost/month"),
    "may_terminate": lambda said, _: bool(said.last.rights),
    "minimum_level": lambda said, _: next_level(said, "next-minimum"),
    "minutes": lambda said, _: said.known[-1].figures[0].parts[-1].amount,
    "network_minutes": lambda said, _: result_of(said, "network-delay"),
    "network_owes_minor": lambda said, _: owed_by(said, "vendor"),
    "operator_minutes": lambda said, _: result_of(said, "operator-delay"),
    "operator_owes_minor": lambda said, _: owed_by(said, "buyer"),
    "paid_minor": lambda said, _: stated(said),
    "payee": payee,
    "payer": payer,
    "payment_minor": lambda said, _: said.minor("payable"),
    "penalty_minor": lambda said, _: gross(said),
    "points": lambda said, _: [int(one.points or 0) for one in said.results()],
    "posted_minor": lambda said, _: posted(said),
    "released_minor": lambda said, _: said.minor("released/month"),
    "rounded": lambda said, _: said.last.results[-1].result,
    "set_off_minor": lambda said, _: -sum(line.minor_units for line in said.lines({"set_off"})),
    "state": lambda said, _: state(said),
    "states": lambda said, want: [STATES[one.standing] for one in said.results()][-len(want) :],
    "steps": lambda said, _: said.step("quantity"),
    "withheld_minor": lambda said, _: said.minor("withheld"),
}


def vendors(saids: Mapping[str, Said], want: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same keys for each vendor of a case with several agreements."""
    found = []
    for vendor in want:
        said = saids[f"vendor-{vendor['vendor'].lower()}"]
        found.append({key: _of_vendor(said, key, value) for key, value in vendor.items()})
    return found


def _of_vendor(said: Said, key: str, value: Any) -> Any:
    return value if key == "vendor" else comparable(ANSWERS[key](said, value), value)


def comparable(actual: Any, want: Any) -> Any:
    """The answer in the type that the case states it in: numbers compare as numbers."""
    if (
        isinstance(want, str)
        and isinstance(actual, (Fraction, int))
        and not isinstance(actual, bool)
    ):
        return want if Fraction(want) == actual else str(actual)
    if isinstance(want, int) and isinstance(actual, Fraction):
        return int(actual) if actual.denominator == 1 else str(actual)
    return actual
