"""Terms that can never do anything or never be met are refused; unread facts are warned of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest

from schemas.agreement import Agreement, Origin
from schemas.programme import Programme
from services.core.contracts.check import check
from services.core.contracts.money_effects import idle_money_terms
from services.core.contracts.reading import read_documents
from services.core.contracts.unused import unused
from tests.core.contracts.test_contract_check import PROGRAMME
from tests.core.told import HEAD, LEVEL

METRICS = """\
  - {metric: down, name: Down, unit: minutes, better: lower,
     measure: {kind: outage_time, overlap: each, part: exact, across_periods: split,
     silence: up, incomplete: wait}}
  - {metric: both, name: Both, unit: percent, better: higher,
     measure: {kind: series, parts: [uptime]}}
"""
GOOD = HEAD.lstrip() + LEVEL
RATE = "{kind: percent_of, percent: 10, base: fee}"
ONE = "{kind: one}"
DUE = "{kind: on_default}"
EXPECTED = "    expected: {at_least: 99}\n"
MISS = ("no_data: no_result", "no_data: miss")
OTHER = LEVEL.replace("\nlevels:\n", "").replace("level: uptime", "level: other")
PLAIN = OTHER[: OTHER.index("    credits:")]
TABLE = "{kind: by_band, of: result, gives: amount%s, bands: [%s]}"
FINE = "{at_least: 99.95, gives: 0}, {below: 99.95, gives: 9}"
POINTS = "{kind: points, points: 1}"
LIMIT = "limit: {kind: amount, amount: 1}"
DURATION = (
    "{kind: duration, metric: down, of: each, counted: elapsed, unit: 1, "
    "part_unit: in_proportion%s}"
)
SUBJECT = ("part_of_period: full_charge", "part_of_period: full_charge, per_subject: true")
OCCURRENCE = (
    "terminations: [{kind: occurrence, term: t, across_periods: as_counted, metric: %s, "
    "region: {above: 9}}]"
)
BASELINE = (
    "    moves: {kind: baseline, periods: 2, tie: at_least, minimum: %s, rounded: exact, "
    "no_data: starts_anew}\n"
)
MANY = [f"l{number:02}" for number in range(21)]
Changes = Sequence[tuple[str, str]]


def programme() -> Programme:
    """The programme of these tests."""
    (found,) = read_documents(PROGRAMME + METRICS, "p.yaml")[0].programmes
    return found


def contract(changes: Changes, more: str = "") -> str:
    """The usual contract, with changes and further terms."""
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text + more


def told(changes: Changes, more: str = "") -> list[str]:
    """What is wrong with it, each as path and reason."""
    documents, refusals = read_documents(contract(changes, more), "c.yaml")
    assert not refusals, [one.text() for one in refusals]
    return [
        f"{one.path}: {one.reason}"
        for document in documents.documents
        for one in check(document, programme())
    ]


def ratchet(decimals: int) -> str:
    """A level that moves, rounded."""
    return (
        "    moves: {kind: ratchet, periods: 2, asks: met, way_to_mean: 50, no_data: starts_anew, "
        f"rounded: {{decimals: {decimals}, mode: half_up}}}}\n    judged"
    )


def judged(decimals: int) -> str:
    """A rounded result."""
    return f"judged: {{decimals: {decimals}, mode: half_up}}"


ROUNDED: list[tuple[Changes, str]] = [
    ([("99}", "99.95}"), ("judged: exact", judged(1))], "levels[0].judged: a value rounded to 1"),
    (
        [("{at_least: 99}", "{at_least: 99}\n    minimum: {at_least: 97.55}"),
         ("judged: exact", judged(1))],
        "levels[0].judged: a value rounded to 1",
    ),
    ([("judged: exact", judged(1)), (RATE, TABLE % ("", FINE)), (DUE, "{kind: every_period}")],
     "levels[0].judged: a value rounded to 1 decimals is compared with 99.95, an end"),
    ([("judged: exact", judged(0)), (DUE, "{kind: on_trigger, result: {below: 98.5}}")],
     "levels[0].judged: a value rounded to 0 decimals is compared with 98.5"),
    ([(RATE, TABLE % (", rounded: {decimals: 1, mode: up}", FINE)), (DUE, "{kind: every_period}")],
     "levels[0].credits[0].rate.rounded: a value rounded to 1"),
    ([("10, base: fee}", "10, base: fee}\n        factors: [{kind: by_figure, metric: uptime, "
       f"rounded: {{decimals: 1, mode: up}}, bands: [{FINE}]}}]")],
     "levels[0].credits[0].factors[0].rounded: a value rounded to 1"),
    ([("99}", "99.95}"), ("    judged", ratchet(1))], "levels[0].moves.rounded: a value rounded"),
    ([("    judged", ratchet(2)), ("judged: exact", judged(1))],
     "levels[0].judged: the result is rounded to 1 decimals, and the level that moves to 2"),
]  # fmt: skip
IN_A_LEVEL: list[tuple[Changes, str]] = [
    ([(EXPECTED, ""), (DUE, "{kind: every_period}"),
      ("    judged", "    relief: [{kind: circumstance, circumstance: storm}]\n    judged")],
     "levels[0].relief: level uptime has no expected level"),
    ([(EXPECTED, ""), (DUE, "{kind: every_period}"),
      (RATE, "{kind: by_run, amounts: [1, 2], no_data: ends_the_run}")],
     "levels[0].credits[0].rate: level uptime has no expected level, so no run"),
    ([(EXPECTED, ""), (DUE, "{kind: every_period}"),
      (RATE, RATE + "\n        factors: [{kind: repeat, factor: 2, no_data: ends_the_run}]")],
     "levels[0].credits[0].factors[0]: level uptime has no expected level, so no run"),
    ([(EXPECTED, BASELINE % "none"), ("every_miss", "below_minimum")],
     "levels[0].defaults: level uptime has no minimum, so it never defaults"),
    ([MISS, (ONE, "{kind: figure, metric: uptime}")],
     "levels[0].credits[0].quantity: no_data: miss"),
    ([MISS, (ONE, "{kind: shortfall, metric: uptime, counted_from: 99, step: 1, "
              "part_step: in_proportion}")], "levels[0].credits[0].quantity: no_data: miss"),
    ([MISS, ("metric: uptime", "metric: down"), ("at_least: 99", "at_most: 9"),
      (ONE, DURATION.replace("metric: down, ", "") % "")],
     "levels[0].credits[0].quantity: no_data: miss"),
    ([MISS, (RATE, RATE + "\n        factors: [{kind: figure, metric: uptime}]")],
     "levels[0].credits[0].factors: no_data: miss"),
    ([MISS, (RATE, RATE + "\n        when: {holds: 'result < 9.0', unknown: due}")],
     "levels[0].credits[0].when: no_data: miss"),
    ([(DUE, "{kind: on_trigger, result: {above: 100}}")],
     "levels[0].credits[0].due.result: no percentage is ever above 100"),
    ([(DUE, "{kind: on_trigger, result: {below: 0}}")],
     "levels[0].credits[0].due.result: no percentage is ever below 0"),
    ([(ONE, "{kind: shortfall, counted_from: 0, step: 1, part_step: in_proportion}")],
     "levels[0].credits[0].quantity.counted_from: no percentage is ever less than 0"),
    ([(ONE, "{kind: excess, counted_from: 100, in_percent_of_start: false, step: 1, "
        "part_step: in_proportion}")],
     "levels[0].credits[0].quantity.counted_from: no percentage is ever more than 100"),
    ([(ONE, "{kind: excess, counted_from: 0, in_percent_of_start: true, step: 1, "
        "part_step: in_proportion}")],
     "levels[0].credits[0].quantity.counted_from: a distance in percent of 0"),
    ([(ONE, "{kind: outside_range, highest: delay, lowest: delay, at_least: 9, at_most: 8}")],
     "levels[0].credits[0].quantity.at_most: the range ends before it begins"),
    ([(ONE, DURATION % ", grace: {kind: deductible, units: 0}")],
     "levels[0].credits[0].quantity.grace: 0 free units"),
    ([(RATE, RATE + "\n        rounded_quantity: {decimals: 0, mode: up}")],
     "levels[0].credits[0].rounded_quantity: one is whole already"),
    ([(RATE, RATE + "\n        factors: [{kind: when, circumstance: a, factor: 2, otherwise: 2}]")],
     "levels[0].credits[0].factors[0]: the factor is the same"),
    ([(RATE, RATE + "\n        factors: [{kind: repeat, factor: 1, no_data: ends_the_run}]")],
     "levels[0].credits[0].factors[0]: times 1 changes nothing"),
    ([(RATE, f"{POINTS}\n        at_most: {{kind: amount, amount: 1}}")],
     "levels[0].credits[0].at_most: a ceiling is one of money"),
    ([(RATE, TABLE % (", otherwise: 1", FINE)), (DUE, "{kind: every_period}")],
     "levels[0].credits[0].rate.otherwise: the bands hold every value"),
    ([(RATE, TABLE % (", domain: [0, 100]", FINE)), (DUE, "{kind: every_period}")],
     "levels[0].credits[0].rate.domain: the table has an answer for every value"),
    ([(RATE, TABLE % ("", "{above: 1, gives: 0}, {at_most: 1, gives: 0}"))],
     "levels[0].credits[0].rate: every band gives 0"),
]  # fmt: skip
OF_THE_WHOLE: list[tuple[Changes, str, str]] = [
    ([], "at_risk: [{at_risk: pool, percent: 10, base: fee}]",
     "at_risk[0]: no credit or ceiling reads the amount at risk pool"),
    ([], "categories: [{category: a, allocations_total: at_most, percent: 100}]",
     "categories[0]: no credit or ceiling reads the category a"),
    ([], f"{PLAIN}caps: [{{cap: a, window: period, levels: [other], {LIMIT}}}]",
     "caps[0].levels: level other bears no credit or penalty in money"),
    ([], f"caps: [{{cap: a, window: term, earned_back: still_counts, {LIMIT}}}]",
     "caps[0].earned_back: nothing is earned back"),
    ([("settled: month", "settled: year")],
     f"caps: [{{cap: a, window: contract_year, opening: before, {LIMIT}}}]",
     "caps[0].opening: a contract year is one settlement period"),
    ([("is_a: service_credit", "is_a: bonus")], f"caps: [{{cap: a, window: period, {LIMIT}}}]",
     "caps[0]: no level bears a credit or penalty"),
    ([("is_a: service_credit", "is_a: fee")], "claim: {within_days: 9}",
     "claim: no level bears a credit or penalty"),
    ([("is_a: service_credit", "is_a: fee")],
     "small_amounts: {kind: drop, only_above: 9, compared: exact}",
     "small_amounts: no level bears a credit or penalty"),
    ([("is_a: service_credit", "is_a: fee")],
     "invoicing: {invoice: bill, deducted_from: same_period, rest: {kind: lapses}}",
     "invoicing: no level bears a credit or penalty"),
    ([("is_a: service_credit", "is_a: banked\n        bank: later")],
     "banks: [{bank: later, usable: next_period}]", "banks[0]: no credit or penalty is ever paid"),
    ([], PLAIN + "banks: [{bank: later, usable: next_period, opening: a, pays_for: [other]}]",
     "banks[0].pays_for: level other bears no credit or penalty"),
    ([(EXPECTED, BASELINE % "none")], "critical_failure: {level: uptime, decision: d, "
         "withheld_at_most: {kind: amount, amount: 1}}",
     "critical_failure.level: level uptime has no minimum"),
    ([], "small_amounts: {kind: drop, only_above: 0, compared: exact}",
     "small_amounts.only_above: no credit above zero is dropped"),
    ([], "small_amounts: {kind: raise_to, amount: 0, compared: exact}",
     "small_amounts.amount: no credit above zero is raised"),
    ([], "earn_backs: [{kind: after_good_run, earn_back: e, periods: 2, asks: met, percent: 50, "
         "barred_below_minimum: false, no_data: breaks_the_run, given_as: amount, lasts: 3}]",
     "earn_backs[0].lasts: an amount is booked back at once"),
    ([(EXPECTED, ""), (DUE, "{kind: every_period}")],
     "earn_backs: [{kind: after_good_run, earn_back: e, periods: 2, asks: met, percent: 50, "
     "barred_below_minimum: false, no_data: breaks_the_run, given_as: amount}]",
     "earn_backs[0]: good results are asked for of uptime"),
    ([(EXPECTED, ""), (DUE, "{kind: every_period}")],
     "earn_backs: [{kind: yearly_average, earn_back: e, percent: 50, "
     "barred_below_minimum: false, no_data: no_earn_back}]",
     "earn_backs[0]: good results are asked for of uptime"),
    ([], "single_event: {circumstance: by, keep: largest_credit}",
     "single_event: only level uptime bears a credit"),
    ([], OTHER + "single_event: {circumstance: by, keep: largest_credit, adds: [[uptime, othr]]}",
     "single_event.adds[0]: there is no level 'othr'"),
    ([], OTHER + "single_event: {circumstance: by, keep: largest_credit, adds: [[other, other]]}",
     "single_event.adds[0]: the pair names 'other' twice"),
    ([], OTHER + "single_event: {circumstance: by, keep: largest_credit, "
                 "adds: [[other, uptime], [uptime, other]]}",
     "single_event.adds[1]: uptime and other are a pair already"),
    ([], "".join(OTHER.replace("other", name) for name in MANY)
         + "single_event: {circumstance: by, keep: largest_credit, adds: "
         + str([[a, b] for (i, a), (j, b) in combinations(enumerate(MANY), 2) if i // 3 != j // 3])
         + "}",
     "single_event.adds: the pairs let 22 levels stand side by side in more than 1000 ways"),
    ([], PLAIN + "critical_failure: {circumstance: bad, decision: d, replaces: [other], "
                 "withheld_at_most: {kind: amount, amount: 1}}",
     "critical_failure.replaces: level other bears no credit"),
    ([], PLAIN.replace(EXPECTED, "") + "retainages: [{retainage: r, amount: 1, whole: other, "
         "released_on_pass: 50, parts: uptime, number: 2, without_result: lost}]",
     "retainages[0].whole: level other has no expected level"),
    ([(EXPECTED, ""), (DUE, "{kind: every_period}")],
     "terminations: [{kind: misses, term: t, level: uptime, misses: 1, of_last: 2}]",
     "terminations[0].level: level uptime has no expected level"),
    ([], "terminations: [{kind: mean, term: t, level: uptime, of_last: 2, region: {above: 100}, "
         "missing_period: not_opened}]",
     "terminations[0].region: no mean of percentages is ever above 100"),
    ([], OCCURRENCE % "delay",
     "terminations[0].metric: a single occurrence of delay is looked at, but it has none"),
    ([], OCCURRENCE % "both",
     "terminations[0].metric: a single occurrence of both is looked at, but it is made of"),
    ([(RATE, POINTS)], "points: {kind: point_table, table: {kind: by_band, of: quantity, "
                       "gives: points, bands: [{below: 3, gives: 0}, {at_least: 3, gives: 5}]}}",
     "points.table.gives: points are turned into money here"),
    ([(RATE, POINTS)], "points: {kind: marginal_bands, point_value: 0, per: agreement, "
                       "bands: [{above: 0, factor: 1}]}", "points: every point is worth 0"),
]  # fmt: skip
FOR_EVER: list[tuple[Changes, str, str]] = [
    ([SUBJECT], "", "levels[0].credits[0].rate.base: fee is charged for each subject, and level"),
    ([SUBJECT, (RATE, "{kind: amount, amount: 1}")],
     "caps: [{cap: a, window: period, limit: {kind: percent_of, percent: 5, base: fee}}]",
     "caps[0].limit.base: fee is charged for each subject, and this term"),
    ([SUBJECT, (RATE, "{kind: at_risk_share, at_risk: pool, shares: [5]}")],
     "at_risk: [{at_risk: pool, percent: 10, base: fee}]",
     "levels[0].credits[0].rate.at_risk: pool is charged for each subject"),
    ([SUBJECT, (RATE, POINTS)], "points: {kind: percent_per_point, percent: 1, base: fee}",
     "points.base: fee is charged for each subject"),
    ([SUBJECT, (RATE, "{kind: amount, amount: 1}")],
     "payable: {base: fee, percent: 100, at_least_zero: true}",
     "payable.base: fee is charged for each subject"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), ROUNDED + IN_A_LEVEL)
def test_a_term_of_a_level_without_effect_is_refused(changes: Changes, reason: str) -> None:
    assert any(one.startswith(reason) for one in told(changes)), told(changes)


@pytest.mark.parametrize(("changes", "more", "reason"), OF_THE_WHOLE + FOR_EVER)
def test_a_term_without_effect_is_refused(changes: Changes, more: str, reason: str) -> None:
    found = told(changes, f"{more}\n")
    assert any(one.startswith(reason) for one in found), found


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ([], ""),
        ([("judged: exact", judged(0))], ""),
        ([("    judged", ratchet(2)), ("judged: exact", judged(2))], ""),
        ([SUBJECT, ("    judged", "    each_subject: true\n    judged")], ""),
        ([SUBJECT, ("    judged", "    subject: north\n    judged")], ""),
        ([MISS], ""),
        ([(EXPECTED, BASELINE % "worst"), ("every_miss", "below_minimum")], ""),
        ([(EXPECTED, BASELINE % "worst")], "critical_failure: {level: uptime, decision: d, "
         "withheld_at_most: {kind: amount, amount: 1}}\n"),
        ([], OTHER + "single_event: {circumstance: by, keep: largest_credit, "
                     "adds: [[uptime, other]]}\n"),
        ([], f"caps: [{{cap: a, window: contract_year, opening: before, {LIMIT}}}]\n"),
        ([], f"caps: [{{cap: a, window: period, levels: [uptime], {LIMIT}}}]\n"),
    ],
)  # fmt: skip
def test_what_has_an_effect_is_in_order(changes: Changes, more: str) -> None:
    assert told(changes, more) == []


def agreement(text: str) -> Agreement:
    """The agreement of a text."""
    (found,) = read_documents(text, "c.yaml")[0].agreements
    return found


def test_what_a_framework_states_may_be_idle_in_one_agreement() -> None:
    plain = agreement(contract([], "at_risk: [{at_risk: pool, percent: 10, base: fee}]\n"))
    assert len(list(idle_money_terms(plain, programme()))) == 1
    origin = Origin(term="at_risk.pool", agreement="frame", version=1)
    taken = plain.model_copy(update={"origins": (origin,)})
    assert list(idle_money_terms(taken, programme())) == []


def test_what_nobody_reads_is_warned_of() -> None:
    found = unused(
        [agreement(contract([(RATE, "{kind: amount, amount: 1}")]).replace(
            EXPECTED, EXPECTED + "    minimum: {at_least: 90}\n"))],
        [programme()],
    )  # fmt: skip
    assert [one.split(";")[0] for one in found] == [
        "campus version 1, metric delay: no level or term of an agreement uses it",
        "campus version 1, metric down: no level or term of an agreement uses it",
        "campus version 1, metric both: no level or term of an agreement uses it",
        "hosting version 1, base fee: no term reads it, so its charges change nothing",
        "hosting version 1, level uptime: the minimum is shown in the standing and changes no "
        "amount",
    ]


def test_a_part_of_what_is_read_is_read_and_a_source_of_what_is_not_is_named() -> None:
    text = (PROGRAMME + METRICS).replace("metrics: []", "metrics: [delay]")
    (estate,) = read_documents(text, "p.yaml")[0].programmes
    found = unused([agreement(contract([("metric: uptime", "metric: both")]))], [estate])
    assert [one.split(";")[0] for one in found] == [
        "campus version 1, metric delay: no level or term of an agreement uses it, although "
        "urn:nimbus may report it",
        "campus version 1, metric down: no level or term of an agreement uses it",
    ]


def test_a_programme_alone_is_warned_of_nothing() -> None:
    assert unused([], [programme()]) == ()
