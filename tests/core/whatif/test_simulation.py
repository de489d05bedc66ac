"""Past periods under another version, line by line, without touching what was settled."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import permutations

import pytest

from schemas.agreement import Agreement
from schemas.evaluation import Part, PeriodEvaluation
from services.core.settling.member import History
from services.core.whatif.simulation import Simulation, SimulationContext, as_if, simulate
from tests.core.adjusting.test_shared_caps import cap, named, programme
from tests.core.told import HEAD, LEVEL, evaluation, months, settled, terms

OLD = terms()
NEWER = HEAD.replace("version: 1", "version: 2").replace("2025-01-01", "2026-01-01")
DEARER = terms(head=NEWER, level=LEVEL.replace("percent: 10", "percent: 25"))
TOWN = SimulationContext("town", "UTC")
SECOND = """  - level: desk
    name: Desk
    metric: desk
    expected: {at_least: 90}
    judged: exact
    no_data: miss
    defaults: {kind: every_miss}
    credits:
      - is_a: penalty
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: amount, amount: 7}
"""


def against(other: Agreement, *past: PeriodEvaluation) -> Simulation:
    """The other agreement on what was evaluated."""
    return simulate([OLD], other, past, TOWN)


def quarter(*values: object) -> list[PeriodEvaluation]:
    """Months from January on."""
    return [
        evaluation(month, value) for month, value in zip(months(len(values)), values, strict=True)
    ]


def test_each_period_and_line_says_what_it_cost_and_what_it_would_have() -> None:
    found = against(DEARER, *quarter("98", "99.5", "97"))
    assert [(one.period, one.was, one.would_be) for one in found.periods] == [
        ("2025-01", 10_000, 25_000),
        ("2025-02", 0, 0),
        ("2025-03", 10_000, 25_000),
    ]
    (line,) = found.periods[0].lines
    assert (line.line, line.kind, line.level, line.was, line.would_be) == (
        "uptime", "service_credit", "uptime", 10_000, 25_000,
    )  # fmt: skip
    assert (found.currency, found.was, found.would_be) == ("EUR", 20_000, 50_000)


def test_the_same_terms_cost_the_same() -> None:
    found = against(OLD, *quarter("98", "99", "50"))
    assert [one.was for one in found.periods] == [one.would_be for one in found.periods]


def test_what_was_settled_is_what_settling_says() -> None:
    past = quarter("98", "99", "50")
    found = against(DEARER, *past)
    assert [one.was for one in found.periods] == [one.total_minor for one in settled(OLD, past)]


def test_a_line_that_only_one_side_has_is_shown_on_that_side() -> None:
    trigger = DEARER.levels[0].credits[0].model_copy(update={"name": "extra"})
    level = DEARER.levels[0].model_copy(update={"credits": (trigger,)})
    found = against(DEARER.model_copy(update={"levels": (level,)}), *quarter("98"))
    assert {(one.was, one.would_be) for one in found.periods[0].lines} == {
        (10_000, None), (None, 25_000),
    }  # fmt: skip


def test_a_figure_that_was_never_counted_is_not_taken_for_missing_data() -> None:
    found = against(terms(level=LEVEL + SECOND), *quarter("98"))
    (period,) = found.periods
    assert (period.was, period.would_be) == (10_000, None)
    assert period.would_wait_for == ("desk was not counted for 2025-01; count it from the events",)
    assert (found.was, found.would_be) == (0, 0)


def test_figures_counted_anew_are_used() -> None:
    other = terms(level=LEVEL + SECOND)
    anew = [evaluation("2025-01", "98", figures={"desk": "89"})]
    found = simulate([OLD], other, quarter("98"), TOWN, counted_anew=anew)
    assert (found.periods[0].was, found.periods[0].would_be) == (10_000, 10_700)


def test_a_charge_that_is_missing_is_waited_for_on_both_sides() -> None:
    (period,) = against(DEARER, evaluation("2025-01", "98", fee=None)).periods
    assert (period.was, period.would_be) == (None, None)
    assert (
        period.waits_for
        == period.would_wait_for
        == ("the charge 'fee' of 2025-01 is not known yet",)
    )


def test_the_latest_revision_counts_on_both_sides() -> None:
    late = evaluation("2025-01", "99.5", revision=2)
    found = against(DEARER, late, evaluation("2025-01", "98"))
    assert (found.was, found.would_be) == (0, 0)


def test_the_other_version_is_moved_to_where_the_settled_ones_begin_and_end() -> None:
    ended = OLD.model_copy(update={"effective_until": DEARER.effective_from})
    moved = as_if(DEARER, [ended])
    assert (moved.effective_from, moved.effective_until) == (
        ended.effective_from, ended.effective_until,
    )  # fmt: skip


def test_the_order_of_the_settled_versions_makes_no_difference() -> None:
    later = DEARER.model_copy(update={"version": 3, "effective_from": date(2027, 1, 1)})
    for versions in permutations([OLD, DEARER, later]):
        moved = as_if(DEARER, versions)
        assert (moved.effective_from, moved.effective_until) == (OLD.effective_from, None)


def test_each_subject_that_both_ask_for_was_counted() -> None:
    each = LEVEL.replace("    judged", "    each_subject: true\n    judged")
    told = evaluation("2025-01", 99, figures={("uptime", "north"): 98})
    old, dearer = terms(level=each), terms(level=each.replace("percent: 10", "percent: 25"))
    (period,) = simulate([old], dearer, [told], TOWN).periods
    assert (period.was, period.would_be) == (10_000, 25_000)
    (period,) = simulate([OLD], dearer, [told], TOWN).periods
    assert period.would_wait_for == (
        "uptime of each subject was not counted for 2025-01; count it from the events",
    )


def test_a_period_before_the_first_version_is_told_only_where_all_was_counted() -> None:
    early = evaluation("2024-12", 98)
    assert simulate([OLD], DEARER, [early, *quarter("98")], TOWN).would_be == 25_000
    found = simulate([OLD], terms(level=LEVEL + SECOND), [early, *quarter("98")], TOWN)
    assert found.would_be == 0


def test_dates_are_those_of_the_programmes_own_zone_on_both_sides() -> None:
    days = (
        "{kind: duration, metric: outages, of: each, counted: calendar_days, unit: 1, "
        "part_unit: in_proportion}"
    )
    level = LEVEL.replace("{kind: one}", days)
    one = Part(part="o", start=datetime(2025, 1, 5, 9, tzinfo=UTC), amount=Fraction(60),
               end=datetime(2025, 1, 5, 10, tzinfo=UTC))  # fmt: skip
    told = evaluation("2025-01", 98, figures={"outages": 60}, parts={"outages": [one]})
    for zone, cost in (("UTC", 0), ("Pacific/Kiritimati", 10_000), ("Pacific/Pago_Pago", 0)):
        (period,) = simulate([terms(level=level)], terms(level=level), [told], SimulationContext(
            "town", zone)).periods  # fmt: skip
        assert (period.was, period.would_be) == (cost, cost)


def test_where_no_programme_is_known_nothing_is_said_to_be_counted_otherwise() -> None:
    for around, instead in (
        (TOWN, SimulationContext("town", "UTC", [programme()])),
        (SimulationContext("town", "UTC", [programme()]), TOWN),
    ):
        found = simulate([OLD], DEARER, quarter("98"), around, instead=instead)
        assert (found.was, found.would_be) == (10_000, 25_000)


@pytest.mark.parametrize(
    ("field", "value"), [("currency", "USD"), ("settled", "quarter"), ("vendor", "other")]
)
def test_an_agreement_about_something_else_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value}, of the periods settled it is"):
        as_if(DEARER.model_copy(update={field: value}), [OLD])


def test_nothing_to_compare_with_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"^there is no version to compare with; name an agreement that is settled$",
    ):
        as_if(DEARER, [])


def test_a_cap_shared_with_others_cuts_what_it_would_have_cost_too() -> None:
    other = [one.model_copy(update={"agreement": "network"}) for one in quarter("98")]
    found = simulate(
        [OLD],
        DEARER,
        quarter("98"),
        SimulationContext(
            "town", "UTC", [programme(cap(150))], {"network": History([named("network")], other)}
        ),
    )
    # 100 beside the other's 100 were cut to 75; 250 beside its 100 would be cut to 107.14.
    assert (found.periods[0].was, found.periods[0].would_be) == (7_500, 10_714)
