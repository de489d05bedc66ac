"""How levels stand: ties, rounding, counters, moving levels, subjects, reliefs."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from schemas.evaluation import Part
from services.core.settling.one_period import Unsettled
from tests.core.told import (
    HEAD,
    LEVEL,
    agreement,
    evaluation,
    months,
    outcomes,
    settled,
    terms,
    totals,
)


def standings(level: str, *values: object) -> list[str]:
    """How the level stood, month by month."""
    known = [
        evaluation(month, value) for month, value in zip(months(len(values)), values, strict=True)
    ]
    return [one.results[0].standing for one in settled(terms(level=level), known)]


def with_level(*changes: tuple[str, str]) -> str:
    """The usual level, changed."""
    text = LEVEL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("word", "tie"),
    [
        ("at_least", "met"),
        ("above", "below_expected"),
        ("at_most", "met"),
        ("below", "below_expected"),
    ],
)
def test_the_word_decides_the_tie(word: str, tie: str) -> None:
    assert standings(with_level(("{at_least: 99}", f"{{{word}: 99}}")), 99) == [tie]


@pytest.mark.parametrize(
    ("mode", "standing"),
    [("half_up", "met"), ("half_down", "below_expected"), ("half_even", "met"), ("up", "met"),
     ("down", "below_expected")],
)  # fmt: skip
def test_a_result_is_rounded_before_it_is_compared_where_agreed(mode: str, standing: str) -> None:
    level = with_level(
        ("judged: exact", f"judged: {{decimals: 1, mode: {mode}}}"),
        ("{at_least: 99}", "{at_least: 99.4}"),
    )
    assert standings(level, "99.35") == [standing]


def test_a_result_is_not_rounded_where_it_is_exact() -> None:
    assert standings(LEVEL, "98.999999") == ["below_expected"]


@pytest.mark.parametrize(
    ("said", "standing"),
    [("miss", "below_expected"), ("met", "met"), ("no_result", "no_result"),
     ("{counts_as: 0}", "below_expected"), ("{counts_as: 100}", "met")],
)  # fmt: skip
def test_a_month_without_data_stands_as_agreed(said: str, standing: str) -> None:
    assert standings(with_level(("no_data: no_result", f"no_data: {said}")), None) == [standing]


def window(misses: int, of_last: int, *, minimum_counts: bool) -> str:
    """A level that defaults on the n-th miss of a window, or below 95 at once."""
    rule = (
        f"{{kind: misses_in_window, misses: {misses}, of_last: {of_last}, "
        f"below_minimum_counts: {str(minimum_counts).lower()}}}"
    )
    return with_level(
        ("{kind: every_miss}", rule),
        ("{at_least: 99}", "{at_least: 99}\n    minimum: {at_least: 95}"),
    )


def test_misses_count_within_the_window_that_ends_with_the_month() -> None:
    level = window(2, 3, minimum_counts=True)
    assert totals(terms(level=level), 98, 99, 98, 99, 99, 98) == [0, 0, 10000, 0, 0, 0]


@pytest.mark.parametrize(("counts", "second"), [(True, 10000), (False, 0)])
def test_whether_a_month_below_the_minimum_counts_is_said(counts: bool, second: int) -> None:
    level = window(2, 12, minimum_counts=counts)
    assert totals(terms(level=level), 94, 98) == [10000, second]


def test_the_counter_goes_on_across_versions_and_years() -> None:
    level = window(3, 12, minimum_counts=True)
    first = terms(level=level)
    head = HEAD.replace("version: 1", "version: 2").replace("2025-01-01", "2026-01-01")
    second = terms(level=level, head=head)
    values = [*[99] * 10, 98, 98, 98]
    assert totals([first, second], *values)[-3:] == [0, 0, 10000]


RATCHET = """    moves:
      kind: ratchet
      periods: 2
      asks: %s
      way_to_mean: %s
      rounded: exact
      no_data: starts_anew%s
    judged"""


def ratcheted(asks: str, way: str, more: str = "") -> str:
    """A level of 99 that moves after two months."""
    return with_level(("    judged", RATCHET % (asks, way, more)))


def expected(level: str, *values: object) -> list[Fraction | None]:
    """The expected level, month by month."""
    known = [
        evaluation(month, value) for month, value in zip(months(len(values)), values, strict=True)
    ]
    return [one.results[0].expected for one in settled(terms(level=level), known)]


def test_a_ratchet_rises_after_a_run_and_then_counts_anew() -> None:
    found = expected(ratcheted("better", "50"), "99.4", "99.6", "99.8", "99.8", 99)
    assert found == [99, 99, Fraction("99.25"), Fraction("99.25"), Fraction("99.525")]


def test_a_ratchet_can_be_held_to_a_part_of_the_gap() -> None:
    more = "\n      at_most_of_gap: 10\n      perfect: 100"
    assert expected(ratcheted("better", "100", more), 100, 100, 100)[-1] == Fraction("99.1")


def test_a_level_can_move_to_whatever_is_measured() -> None:
    assert expected(ratcheted("any_result", "50"), 97, 98, 99)[-1] == Fraction("98.25")


def test_a_month_without_data_starts_the_count_anew() -> None:
    assert expected(ratcheted("met", "50"), 100, None, 100, 99) == [99, 99, 99, 99]


def test_a_new_version_of_the_level_begins_anew() -> None:
    first = terms(level=ratcheted("met", "50"))
    head = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-03-01")
    second = terms(level=ratcheted("met", "50").replace("99}", "98}"), head=head)
    known = [evaluation(month, 100) for month in months(3)]
    found = settled([first, second], known)
    assert found[-1].results[0].expected == 98


BASELINE = """    moves:
      kind: baseline
      periods: 2
      tie: at_least
      minimum: worst
      rounded: exact
      no_data: starts_anew
    judged"""


def test_a_baseline_finds_the_levels_and_keeps_them() -> None:
    level = with_level(("    expected: {at_least: 99}\n", ""), ("    judged", BASELINE))
    known = [
        evaluation(month, value)
        for month, value in zip(months(5), (97, None, 98, 99, 97), strict=True)
    ]
    rows = [one.results[0] for one in settled(terms(level=level), known)]
    assert [one.standing for one in rows] == [
        "reported", "no_result", "reported", "reported", "below_minimum",
    ]  # fmt: skip
    assert (rows[-1].expected, rows[-1].minimum) == (Fraction("98.5"), 98)


SITES = with_level(
    ("    judged", "    each_subject: true\n    subjects: [north]\n    judged"),
    ("no_data: no_result", "no_data: miss"),
)


def test_each_subject_is_judged_and_priced_on_its_own() -> None:
    known = evaluation("2025-01", figures={("uptime", "south"): 99, ("uptime", "west"): 98})
    (statement,) = settled(terms(level=SITES), [known])
    assert [(one.subject, one.standing) for one in statement.results] == [
        ("north", "below_expected"), ("south", "met"), ("west", "below_expected"),
    ]  # fmt: skip
    assert [line.line for line in statement.lines] == ["uptime/north", "uptime/west"]


def outage(name: str, minutes: int) -> Part:
    """One outage."""
    moment = datetime(2025, 1, 5, tzinfo=UTC)
    return Part(part=name, start=moment, end=moment, amount=Fraction(minutes))


def attributed(unattributed: str) -> str:
    """A level that counts only what is attributed to the vendor, half of what is joint."""
    return with_level(
        ("{at_least: 99}", "{at_most: 30}"),
        ("    judged", f"""    attributed:
      circumstance: cause
      shares: [{{attributed_to: vendor, percent: 100}}, {{attributed_to: joint, percent: 50}}]
      unattributed: {unattributed}
    judged"""),
    )  # fmt: skip


def minutes_of(unattributed: str, *, last: str | None) -> Any:
    """The outcome of three outages of 20 minutes; the third attributed or not."""
    told = [
        ("cause", {"subject": "a", "values": {"to": "vendor"}}),
        ("cause", {"subject": "b", "values": {"to": "joint"}}),
    ]
    if last is not None:
        told.append(("cause", {"subject": "c", "values": {"to": last}}))
    parts = {"uptime": [outage(name, 20) for name in "abc"]}
    known = evaluation("2025-01", 60, parts=parts, circumstances=told)
    (outcome,) = outcomes(terms(level=attributed(unattributed)), [known])
    return outcome


def test_only_the_attributed_share_counts() -> None:
    assert minutes_of("wait", last="buyer").results[0].result == 30


def test_what_is_not_attributed_is_waited_for_or_counts_as_agreed() -> None:
    waiting = minutes_of("wait", last=None)
    assert isinstance(waiting, Unsettled)
    assert "c is not attributed" in waiting.reasons[0]
    assert minutes_of("counts_nothing", last=None).results[0].result == 30
    assert minutes_of("counts_in_full", last=None).results[0].result == 50


def test_a_mean_is_taken_of_what_the_periods_count_as() -> None:
    level = with_level(
        ("no_data: no_result", "no_data: {counts_as: 80}"),
        ("    judged", "    averaged: {periods: 2, missing_period: no_result}\n    judged"),
    )
    known = [
        evaluation(month, value) for month, value in zip(months(3), (100, None, 100), strict=True)
    ]
    found = [one.results[0].result for one in settled(terms(level=level), known)]
    assert found == [None, 90, 90]


@pytest.mark.parametrize("no_data", ["miss", "met", "no_result"])
def test_a_month_without_a_mean_still_has_a_figure_for_the_next_one(no_data: str) -> None:
    level = with_level(
        ("no_data: no_result", f"no_data: {no_data}"),
        ("    judged", "    averaged: {periods: 2, missing_period: no_result}\n    judged"),
    )
    values = (100, 98, None, 100, 97)
    known = [evaluation(month, value) for month, value in zip(months(5), values, strict=True)]
    found = settled(terms(level=level), known)
    assert [one.results[0].result for one in found] == [None, 99, None, None, Fraction("98.5")]


def test_a_quarter_can_be_measured_month_by_month() -> None:
    head = HEAD.replace("settled: month", "settled: quarter")
    level = with_level(("    judged", "    measured: month\n    judged"))
    quarter = evaluation("2025-Q1", fee=3000)
    figures = [
        figure
        for month, value in zip(months(3), (98, 99, 97), strict=True)
        for figure in evaluation(month, value).figures
    ]
    known = quarter.model_copy(update={"figures": tuple(figures)})
    (statement,) = settled(agreement(head + level), [known])
    assert [line.line for line in statement.lines] == ["uptime/2025-01", "uptime/2025-03"]
    assert statement.total_minor == 60000


def test_a_subject_is_averaged_and_its_misses_are_counted_over_its_own_months_alone() -> None:
    each = ("    judged", "    each_subject: true\n    judged")
    mean = "    averaged: {periods: 2, missing_period: use_what_is_there}\n    judged"
    window = "{kind: misses_in_window, misses: 2, of_last: 3, below_minimum_counts: true}"
    minimum = ("expected: {at_least: 99}", "expected: {at_least: 99}\n    minimum: {at_least: 90}")
    known = [
        evaluation(month, 50, figures={("uptime", "north"): north, ("uptime", "south"): south})
        for month, north, south in (("2025-01", 98, 100), ("2025-02", 100, 98), ("2025-03", 98, 98))
    ]
    averaged = settled(terms(level=with_level(each, ("    judged", mean))), known)
    assert [[one.result for one in month.results] for month in averaged] == [
        [98, 100],
        [99, 99],
        [99, 98],
    ]
    counted = settled(terms(level=with_level(each, minimum, ("{kind: every_miss}", window))), known)
    assert [[one.defaulted for one in month.results] for month in counted] == [
        [False, False],
        [False, False],
        [True, True],
    ]


@pytest.mark.parametrize(
    ("good", "total", "result"),
    [(None, 5, 98), (4, None, 98), (0, 0, 98), (3, 5, 75), (4, 5, 100), (0, 1, None), (9, 10, 90)],
)
def test_a_few_bad_ones_are_left_out_of_few_in_all_where_both_numbers_are_known(
    good: int | None, total: int | None, result: int | None
) -> None:
    level = with_level(
        (
            "    judged",
            "    low_volume: {below_total: 10, left_out: 1, nothing_left: no_data}\n    judged",
        )
    )
    known = evaluation("2025-01", 98)
    (uptime,) = known.figures
    counted = {
        "good": None if good is None else Fraction(good),
        "total": None if total is None else Fraction(total),
    }
    figures = (uptime.model_copy(update=counted),)
    (found,) = settled(terms(level=level), [known.model_copy(update={"figures": figures})])
    assert found.results[0].result == result


def test_a_month_without_an_occurrence_has_nothing_to_attribute_and_says_so() -> None:
    attributed = (
        "    attributed: {circumstance: by, unattributed: wait, "
        "shares: [{attributed_to: us, percent: 100}]}\n    judged"
    )
    level = with_level(("    judged", attributed), ("{at_least: 99}", "{at_most: 5}"))
    (found,) = settled(terms(level=level), [evaluation("2025-01", 0)])
    (how,) = (step for step in found.results[0].steps if step.rule == "attributed")
    assert (how.text, how.value) == ("attributed: no occurrence: 0", 0)
