"""What must hold for every contract and every history, not only for those somebody thought of."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.agreement import Agreement
from schemas.bands import BandTable, RoundingMode
from schemas.evaluation import PeriodEvaluation
from schemas.statement import SettlementStatement, canonical
from services.core.books import ledger
from services.core.exact.arithmetic import rounded
from services.core.exact.sharing import in_proportion, largest_remainder
from tests.core.books.summed import posted_by
from tests.core.told import evaluation, months, outcomes

MODES: Sequence[RoundingMode] = ("half_up", "half_even", "half_down", "up", "down")
SHARES = st.integers(9000, 10000).map(lambda n: Fraction(n, 100))
RESULTS = st.one_of(st.none(), SHARES)
FEES = st.integers(0, 1_000_000).map(lambda n: Fraction(n, 100))

QUANTITIES = st.sampled_from(
    [
        {"kind": "one"},
        *(
            {"kind": "shortfall", "counted_from": "99", "step": "0.3", "part_step": part}
            for part in ("counts_in_full", "does_not_count", "in_proportion")
        ),
    ]
)
TABLE = {
    "kind": "by_band",
    "of": "result",
    "gives": "percent",
    "base": "fee",
    "bands": [
        {"at_least": 99, "gives": 0},
        {"at_least": 97, "below": 99, "gives": "1/3"},
        {"below": 97, "gives": 7},
    ],
}
RATES = st.sampled_from(
    [
        {"kind": "percent_of", "percent": "0.7", "base": "fee"},
        {"kind": "fraction_of", "fraction": "1/30", "base": "fee"},
        {"kind": "day_of", "base": "fee"},
        {"kind": "amount", "amount": "12.345"},
        TABLE,
        {"kind": "by_run", "amounts": [5, 10, 20], "no_data": "ends_the_run"},
    ]
)
"""Rates for a credit: worse results never cost less, whatever the quantity above."""

FACTORS = st.lists(
    st.sampled_from(
        [
            {"kind": "constant", "factor": "1.5"},
            {"kind": "repeat", "factor": 2, "no_data": "ends_the_run"},
        ]
    ),
    max_size=2,
)
CAPS = st.lists(
    st.sampled_from(
        [
            {"cap": "a", "window": "period", "limit": {"kind": "amount", "amount": "10.005"}},
            {
                "cap": "b",
                "window": "period",
                "limit": {"kind": "percent_of", "percent": "5", "base": "fee"},
            },
            {
                "cap": "c",
                "window": "trailing",
                "periods": 3,
                "earned_back": "still_counts",
                "limit": {"kind": "percent_of", "percent": "4", "base": "fee"},
            },
            {
                "cap": "d",
                "window": "term",
                "earned_back": "still_counts",
                "limit": {"kind": "amount", "amount": 60},
            },
        ]
    ),
    max_size=3,
    unique_by=lambda cap: str(cap["cap"]),
)
RUN = {
    "kind": "after_good_run",
    "earn_back": "run",
    "periods": 2,
    "asks": "met",
    "percent": "33",
    "barred_below_minimum": False,
    "no_data": "is_passed_over",
}
EARN_BACKS = st.sampled_from(
    [
        [],
        [{**RUN, "given_as": "amount"}],
        [{**RUN, "given_as": "balance"}],
        [{**RUN, "given_as": "balance", "asks": "no_credit", "lasts": 2}],
        [{"kind": "deferred", "earn_back": "later", "periods": 2, "asks": "met",
          "barred_below_minimum": False, "no_data": "breaks_the_run", "at_end": "payable"}],
    ]
)  # fmt: skip
SMALL = st.sampled_from(
    [
        None,
        {"kind": "drop", "only_above": 1, "compared": "rounded"},
        {"kind": "raise_to", "amount": 2, "compared": "exact"},
    ]
)


@st.composite
def agreements(draw: st.DrawFn) -> Agreement:
    """A contract with one to three levels on one metric, and further terms."""
    levels = [
        {
            "level": f"level-{number}",
            "name": "A level",
            "metric": "uptime",
            "expected": {"at_least": 99},
            "judged": "exact",
            "no_data": "no_result",
            "defaults": {"kind": "every_miss"},
            "credits": [
                {
                    "is_a": draw(st.sampled_from(["service_credit", "penalty"])),
                    "due": {"kind": "on_default"},
                    "quantity": draw(QUANTITIES),
                    "rate": draw(RATES),
                    "factors": draw(FACTORS),
                }
            ],
        }
        for number in range(draw(st.integers(1, 3)))
    ]
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": "hosting",
            "version": 1,
            "programme": "campus",
            "type": "service",
            "vendor": "nimbus",
            "name": "Hosting",
            "currency": "EUR",
            "effective_from": "2025-01-01",
            "settled": "month",
            "lateness_hours": 0,
            "conventions": {
                "money_rounding": draw(st.sampled_from(MODES)),
                "rounded_at": draw(st.sampled_from(["total", "line"])),
            },
            "bases": [
                {
                    "base": "fee",
                    "of_period": "same",
                    "if_missing": "wait",
                    "part_of_period": "full_charge",
                    "longer_charge": "refused",
                }
            ],
            "levels": levels,
            "caps": draw(CAPS),
            "small_amounts": draw(SMALL),
            "earn_backs": draw(EARN_BACKS),
        }
    )


@st.composite
def histories(draw: st.DrawFn) -> list[PeriodEvaluation]:
    """Some months from the beginning, each with a result or none, and a fee."""
    count = draw(st.integers(1, 8))
    return [evaluation(month, draw(RESULTS), fee=draw(FEES)) for month in months(count)]


def statements(
    agreement: Agreement, known: Sequence[PeriodEvaluation]
) -> list[SettlementStatement]:
    """The settled periods."""
    found = outcomes(agreement, known)
    return [one for one in found if isinstance(one, SettlementStatement)]


@given(agreements(), histories(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_evaluations_does_not_matter(
    agreement: Agreement, known: list[PeriodEvaluation], random: Any
) -> None:
    shuffled = [*known, *known[:1]]
    random.shuffle(shuffled)
    assert [canonical(one) for one in statements(agreement, shuffled)] == [
        canonical(one) for one in statements(agreement, known)
    ]


@given(agreements(), histories())
@settings(max_examples=200, deadline=None)
def test_lines_add_up_and_are_told_apart(
    agreement: Agreement, known: list[PeriodEvaluation]
) -> None:
    for statement in statements(agreement, known):
        assert sum(line.minor_units for line in statement.lines) == statement.total_minor
        names = [line.line for line in statement.lines]
        assert len(names) == len(set(names))


@given(agreements(), histories())
@settings(max_examples=200, deadline=None)
def test_credits_never_exceed_a_cap(agreement: Agreement, known: list[PeriodEvaluation]) -> None:
    # Small amounts come after caps in the order of these contracts and may raise a total again.
    raised = agreement.small_amounts is not None and agreement.small_amounts.kind == "raise_to"
    assume(not raised)
    assume(not any(term.kind == "deferred" for term in agreement.earn_backs))
    for statement in statements(agreement, known):
        credits = [
            line.minor_units
            for line in statement.lines
            if line.kind in ("service_credit", "penalty")
        ]
        for cap in agreement.caps:
            headroom = statement.figures[f"headroom/{cap.cap}"]
            assert isinstance(headroom, Fraction)
            # Beside other lines a credit may get the cent that makes the sum right.
            alone = len(credits) == len(statement.lines)
            whole = alone or agreement.conventions.rounded_at == "line"
            assert sum(credits) <= ceil(headroom * 100) + (0 if whole else len(credits))


@given(agreements(), histories(), st.data())
@settings(max_examples=100, deadline=None)
def test_runs_and_their_differences_end_where_a_run_from_scratch_does(
    agreement: Agreement, known: list[PeriodEvaluation], data: st.DataObject
) -> None:
    corrected = [
        evaluation(one.period, data.draw(RESULTS), fee=data.draw(FEES), revision=2)
        for one in known
        if data.draw(st.booleans())
    ]
    posted: dict[str, dict[ledger.Position, int]] = {}
    arrived: list[PeriodEvaluation] = []
    for number, one in enumerate([*known, *corrected], start=1):
        arrived.append(one)
        run = ledger.run_id(agreement="hosting", because_of=one.period, revision=number)
        for statement in statements(agreement, arrived):
            before = posted.setdefault(statement.period, {})
            for entry in ledger.differences(before, statement, run=run):
                (position,) = posted_by([entry])
                before[position] = before.get(position, 0) + ledger.owed(entry)
    for statement in statements(agreement, [*known, *corrected]):
        due = {place: minor for place, minor in ledger.targets(statement).items() if minor}
        held = {place: minor for place, minor in posted[statement.period].items() if minor}
        assert held == due


@given(agreements(), FEES, SHARES, SHARES)
@settings(max_examples=200, deadline=None)
def test_worse_service_never_costs_the_vendor_less(
    agreement: Agreement, fee: Fraction, one: Fraction, other: Fraction
) -> None:
    worse, better = sorted((one, other))
    costs = [
        sum(
            statement.total_minor
            for statement in statements(agreement, [evaluation("2025-01", result, fee=fee)])
        )
        for result in (worse, better)
    ]
    assert costs[0] >= costs[1]


@given(agreements(), histories())
@settings(max_examples=150, deadline=None)
def test_what_is_set_off_left_and_expired_was_earned_back(
    agreement: Agreement, known: list[PeriodEvaluation]
) -> None:
    issued = used = expired = Fraction(0)
    left = Fraction(0)
    for statement in statements(agreement, known):
        figures = statement.figures
        here = -sum(line.minor_units for line in statement.lines if line.kind == "set_off")
        gone = figures.get("expired/run", Fraction(0))
        now = figures.get("balance/run", Fraction(0))
        assert isinstance(gone, Fraction)
        assert isinstance(now, Fraction)
        used += Fraction(here, 100)
        expired += gone
        issued += now + gone + Fraction(here, 100) - left
        left = now
        assert left >= 0
        assert here <= sum(
            line.minor_units
            for line in statement.lines
            if line.kind in ("service_credit", "penalty")
        )
    assert issued == used + expired + left


PARTS = st.lists(st.fractions(min_value=-1000, max_value=1000, max_denominator=97), max_size=8)


@given(PARTS, st.sampled_from(MODES))
def test_whole_shares_add_up_and_stay_within_a_unit(
    parts: list[Fraction], mode: RoundingMode
) -> None:
    total = int(rounded(sum(parts, Fraction(0)), 0, mode))
    shares = largest_remainder(parts, total)
    assert sum(shares) == total
    for part, share in zip(parts, shares, strict=True):
        assert floor(part) <= share <= ceil(part)


@given(st.lists(st.fractions(min_value=0, max_value=1000), min_size=1), st.fractions(0, 1000))
def test_parts_in_proportion_add_up(parts: list[Fraction], total: Fraction) -> None:
    scaled = in_proportion(parts, total)
    assert sum(scaled, Fraction(0)) == (total if any(parts) else 0)


ENDS = st.sampled_from(["at_least", "above", "at_most", "below"])


@given(
    st.lists(
        st.dictionaries(ENDS, st.integers(0, 4), max_size=2).map(lambda ends: {**ends, "gives": 1}),
        min_size=1,
        max_size=4,
    ),
    st.fractions(-1, 5, max_denominator=4),
)
@settings(max_examples=500)
def test_an_accepted_table_holds_every_value_exactly_once(
    bands: list[dict[str, int]], value: Fraction
) -> None:
    try:
        table = BandTable.model_validate({"bands": bands})
    except ValidationError:
        return
    assert sum(band.holds(value) for band in table.bands) == 1


@given(st.fractions(-100, 100, max_denominator=1000), st.integers(0, 3), st.sampled_from(MODES))
def test_rounding_is_the_same_in_both_directions(
    value: Fraction, decimals: int, mode: RoundingMode
) -> None:
    near = rounded(value, decimals, mode)
    assert rounded(-value, decimals, mode) == -near
    assert abs(near - value) < Fraction(1, 10**decimals)
    assert rounded(near, decimals, mode) == near
