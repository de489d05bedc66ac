"""Small contracts that bring each rule to its corners, and what the product says of them.

The pages in ``rules/`` are the approved answer: amounts, figures, rights and every reason in words.
After a change that is meant, write them anew and read the difference before it is committed:

    python -m tests.core.rules_told
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from schemas.agreement import Agreement
from schemas.evaluation import Part, PeriodEvaluation
from tests.core.approved import write_anew
from tests.core.golden.explained import outcome_lines
from tests.core.told import HEAD, LEVEL, agreement, evaluation, months, outcomes, terms

PAGES = Path(__file__).parent / "rules"
MARCH = datetime(2025, 3, 1, tzinfo=UTC)
ENDING = HEAD + "effective_until: 2025-04-01\n"
MINIMUM = "expected: {at_least: 99}\n    minimum: {at_least: 95}"
TWO = LEVEL.split("levels:\n")[1].replace("uptime", "repair").replace("Uptime", "Repair")

Story = tuple[Agreement | Sequence[Agreement], Sequence[PeriodEvaluation]]
STORIES: dict[str, Callable[[], list[Story]]] = {}


def story(tell: Callable[[], list[Story]]) -> Callable[[], list[Story]]:
    """Register a page."""
    STORIES[tell.__name__] = tell
    return tell


def page(name: str) -> str:
    """All stories of a page, one after the other."""
    return "".join(
        f"## {number}\n" + "".join(f"{line}\n" for said in _said(one) for line in said)
        for number, one in enumerate(STORIES[name](), start=1)
    )


def _said(one: Story) -> list[list[str]]:
    return [list(outcome_lines(outcome)) for outcome in outcomes(*one)]


def changed(*changes: tuple[str, str], text: str = LEVEL) -> str:
    """A text with each part replaced that must be in it."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def monthly(*values: object, **more: Any) -> list[PeriodEvaluation]:
    """One evaluation for each result, from January on."""
    return [
        evaluation(month, value, **more)
        for month, value in zip(months(len(values)), values, strict=True)
    ]


def priced(quantity: str = "{kind: one}", rate: str = "{kind: amount, amount: 1}",
           due: str = "{kind: every_period}", more: str = "") -> str:  # fmt: skip
    """The usual level with another price."""
    return changed(
        ("{kind: on_default}", due),
        ("{kind: one}", quantity),
        ("{kind: percent_of, percent: 10, base: fee}", rate),
    ) + more  # fmt: skip


def part(name: str, minutes: object, worth: object = None) -> Part:
    """One occurrence that begins on the 5th at 23:00 and ends on the 7th at 01:00."""
    return Part(
        part=name,
        start=datetime(2025, 1, 5, 23, tzinfo=UTC),
        end=datetime(2025, 1, 7, 1, tzinfo=UTC),
        amount=Fraction(str(minutes)),
        value=None if worth is None else Fraction(str(worth)),
    )


def outages(*minutes: object, **more: Any) -> list[PeriodEvaluation]:
    """January with these outages."""
    parts = [part(f"o{number}", one, 100 * number) for number, one in enumerate(minutes)]
    total = sum((one.amount for one in parts), Fraction(0))
    return [evaluation("2025-01", 98, figures={"outages": total}, parts={"outages": parts}, **more)]


@story
def caps() -> list[Story]:
    cap = "caps: [{cap: top, window: %s, limit: %s}]\n"
    fixed = "{kind: amount, amount: 150}"
    percent = "{kind: percent_of, percent: 12.5, base: fee}"
    at_risk = "at_risk: [{at_risk: pool, percent: 7.5, base: fee}]\n"
    opening = f"trailing, periods: 3, opening: before, limit: {percent}"
    before = [("before", {"values": {"charges": 400, "credits": 20}})]
    both = HEAD + LEVEL + TWO
    line = both.replace("rounded_at: total", "rounded_at: line")
    return [
        (terms(cap % ("trailing, periods: 2", fixed)), monthly(98, 98, 98, 99, 98)),
        (terms(cap % ("contract_year", percent)), monthly(98, 98, 98, *[99] * 9, 98)),
        (terms(cap % ("term", fixed)), monthly(98, 98, 98)),
        (terms(at_risk, cap % ("period", "{kind: at_risk, at_risk: pool}")), monthly(98, 99)),
        (
            terms(cap.replace(", limit: %s", "") % opening),
            monthly(98, 98, circumstances=before),
        ),
        (terms(cap.replace(", limit: %s", "") % opening), monthly(98)),
        (
            agreement(both + cap % ("period, levels: [repair]", "{kind: amount, amount: 33.33}")),
            monthly(98, figures={"repair": 97}),
        ),
        (
            agreement(line + cap % ("period", "{kind: amount, amount: 33.33}")),
            monthly(98, fee="100.055", figures={"repair": 97}),
        ),
        (terms(cap % ("period", percent)), monthly(98, fee=None)),
        (terms(cap % ("period", percent)), monthly(99, fee=None)),
    ]  # fmt: skip


@story
def small_amounts() -> list[Story]:
    drop = "small_amounts: {kind: drop, only_above: 10, compared: %s}\n"
    lift = "small_amounts: {kind: raise_to, amount: 10, compared: exact}\n"
    return [
        *((terms(drop % how), monthly(98, fee=fee))
          for how in ("exact", "rounded") for fee in ("99", "100", "100.04", "100.05")),
        *((terms(lift), monthly(value, fee=fee))
          for value, fee in ((98, 50), (98, 100), (98, 120), (99, 50))),
    ]  # fmt: skip


@story
def single_events() -> list[Story]:
    head = HEAD + "at_risk: [{at_risk: pool, percent: 10, base: fee}]\n"
    share = "{kind: at_risk_share, at_risk: pool, shares: [%d]}"
    rate = "{kind: percent_of, percent: 10, base: fee}"
    level, other = (
        LEVEL.replace(rate, share % first) + TWO.replace(rate, share % second)
        for first, second in ((20, 30), (40, 30))
    )
    text = "single_event: {circumstance: by, keep: %s}\n"
    same = [("by", {"level": name, "values": {"event": "x"}}) for name in ("uptime", "repair")]
    choice = [*same, ("choice", {"level": "uptime"})]
    return [
        (terms(text % keep, level=level, head=head),
         monthly(98, figures={"repair": 97}, circumstances=told))
        for keep, told in (
            ("largest_credit", same),
            ("highest_share", same),
            ("chosen, choice: choice", same),
            ("chosen, choice: choice", choice),
            ("largest_credit, adds: [[repair, uptime]]", same),
            ("largest_credit", same[:1]),
        )
    ] + [
        (terms(text % "chosen, choice: choice", level=other, head=head),
         monthly(98, figures={"repair": 97},
                 circumstances=[*same, ("choice", {"level": "another"})])),
    ]  # fmt: skip


@story
def critical_failures() -> list[Story]:
    text = """critical_failure:
  %s
  decision: withhold
  withheld_at_most: {kind: percent_of, percent: 25, base: fee}
"""
    by_level = LEVEL.replace("expected: {at_least: 99}", MINIMUM) + TWO
    replaced = text % "level: uptime\n  replaces: [uptime]"
    stated = text % "circumstance: outage"
    told = [("outage", {}), ("withhold", {"value": 240})]
    return [
        (terms(stated), monthly(98, circumstances=told)),
        (terms(stated), monthly(98, circumstances=[("outage", {}), ("withhold", {"value": 260})])),
        (terms(stated), monthly(98, circumstances=told[:1])),
        (terms(stated), monthly(98)),
        (terms(replaced, level=by_level),
         monthly(94, 95, figures={"repair": 97}, circumstances=told[1:])),
    ]  # fmt: skip


@story
def payments() -> list[Story]:
    def bill(rest: str, taken: str, *charges: int | None) -> Story:
        at_end = "at_end: lapses, " if taken == "next_period" and "carried" not in rest else ""
        text = f"invoicing: {{invoice: invoice, deducted_from: {taken}, {at_end}rest: {rest}}}\n"
        known = [
            evaluation(month, value, circumstances=[] if charge is None else [
                ("invoice", {"values": {"charges": charge, "date": f"{month}-28"}})
            ])
            for month, value, charge in zip(months(3), (98, 99, 99), charges, strict=True)
        ]  # fmt: skip
        return agreement(ENDING + LEVEL + text), known

    payable = "payable: {base: %s, percent: 50, at_least_zero: %s}\n"
    wrong = [("invoice", {"values": {"charges": "many", "date": "2025-01-28"}})]
    undated = [("invoice", {"values": {"charges": 5}})]
    text = "invoicing: {invoice: invoice, deducted_from: same_period, rest: {kind: lapses}}\n"
    return [
        bill("{kind: lapses}", "same_period", 60, 0, 10),
        bill("{kind: cash, within_days: 10}", "same_period", 60, 0, 10),
        bill("{kind: cash, within_days: 10}", "next_period", 60, 100, 10),
        bill("{kind: carried, at_end: lapses}", "same_period", 60, 10, 10),
        bill("{kind: carried, at_end: lapses}", "same_period", 60, None, 10),
        bill("{kind: carried, at_end: cash, cash_within_days: 5}", "next_period", 60, 10, 10),
        bill("{kind: carried, at_end: cash, cash_within_days: 5}", "next_period", 60, 10, 90),
        (terms(payable % ("fee", "true")), monthly(98, fee=100)),
        (terms(payable % ("null", "true")), monthly(98, fee=100)),
        (terms(payable % ("null", "false")), monthly(98, fee=100)),
        (terms(text), monthly(98, circumstances=wrong)),
        (terms(text), monthly(98, circumstances=undated)),
    ]


@story
def fees_and_deposits() -> list[Story]:
    fee = (
        "fees: [{fee: incentive, cost: fee, target_cost: 1000, target_fee: 100, "
        "share_of_overrun: 30, share_of_underrun: 20, at_least: %s, at_most: %s}]\n"
    )
    costs = (500, 1000, 1200, 1500)
    return [
        *((terms(fee % bounds), monthly(99, fee=cost))
          for bounds in (("null", "null"), ("50", "150")) for cost in costs),
        (agreement(ENDING + LEVEL + "deposit: {periods: 2}\n"), monthly(98, 98, 97, fee=1000)),
        (agreement(ENDING + LEVEL + "deposit: {periods: 2}\n"), monthly(99, 98, 99, fee="0.55")),
        (terms("deposit: {periods: 2}\n"), monthly(98, 98)),
    ]  # fmt: skip


@story
def terminations() -> list[Story]:
    mean = (
        "terminations: [{kind: mean, term: low, level: uptime, of_last: 3, region: {below: 98.5}, "
        "missing_period: %s, exercise_days: 30}]\n"
    )
    misses = "terminations: [{kind: misses, term: often, level: uptime, misses: 2, of_last: 3}]\n"
    long = (
        "terminations: [{kind: occurrence, term: long, metric: outages, region: {above: 60}, "
        "across_periods: goes_on, "
        "exercise_days: 60}]\n"
    )
    full = (
        "caps: [{cap: top, window: period, limit: {kind: amount, amount: %s}}]\n"
        "terminations: [{kind: cap_reached, term: full, cap: top}]\n"
    )
    trailing = full.replace("window: period", "window: trailing, periods: 2")
    return [
        (terms(mean % "use_what_is_there"), monthly(98, None, 99, 98, 98)),
        (terms(mean % "not_opened"), monthly(98, 98, None, 98, 98, 98)),
        (terms(misses), monthly(98, 99, 98, 99, 98, 98)),
        (terms(long), outages(30, "60.5", 90)),
        (terms(long), outages(60)),
        (
            terms(long),
            [
                evaluation(
                    "2025-01",
                    98,
                    parts={"outages": [], "uptime": [part("o", 90)]},
                    figures={"outages": 0},
                )
            ],
        ),
        (terms(full % 100), monthly(98, 99)),
        (terms(full % "100.01"), monthly(98, 99)),
        (terms(full % 99), monthly(98, 99)),
        (terms(full % 0), monthly(98, 99)),
        (terms(trailing % 100), monthly(98, 98, 99, 99)),
    ]


@story
def earn_backs() -> list[Story]:
    run = """earn_backs:
  - {kind: after_good_run, earn_back: run, periods: 2, asks: %s, percent: %s,
     barred_below_minimum: %s, no_data: %s, given_as: %s}
"""
    deferred = """earn_backs:
  - {kind: deferred, earn_back: later, periods: 2, asks: %s, barred_below_minimum: %s,
     no_data: breaks_the_run, at_end: %s}
"""
    year = """earn_backs:
  - {kind: yearly_average, earn_back: year, percent: 60, barred_below_minimum: %s, no_data: %s%s}
"""
    low = LEVEL.replace("expected: {at_least: 99}", MINIMUM)
    both = agreement(HEAD + LEVEL + TWO + run % ("met", 100, "true", "breaks_the_run", "amount"))
    paid = agreement(HEAD + LEVEL + TWO + run % ("no_credit", 50, "true", "breaks_the_run",
                                                 "balance, lasts: 2"))  # fmt: skip
    good, lasting = ("99.5",) * 10, "balance, lasts: 2"
    return [
        (terms(run % ("met", 75, "false", "is_passed_over", "amount")), monthly(98, 99, None, 99)),
        (terms(run % ("met", 75, "false", "breaks_the_run", "amount")), monthly(98, 99, None, 99)),
        (terms(run % ("better", 75, "false", "is_passed_over", "amount")),
         monthly(98, "99.1", "99.2", 98, 99, 100)),
        (terms(run % ("met", 75, "true", "is_passed_over", "amount"), level=low),
         monthly(94, 99, 99, 98, 99, 99)),
        (terms(run % ("met", 75, "false", "is_passed_over", lasting)),
         monthly(98, 99, 99, 99, 98, 98, 99, 99, 99, 99, 98)),
        (agreement(ENDING + LEVEL + run % ("met", 75, "false", "is_passed_over", "balance")),
         monthly(98, 99, 99)),
        (both, [evaluation(month, one, figures={"repair": other}) for month, one, other in
                zip(months(4), (98, 99, 99, 99), (97, 98, 99, 99), strict=True)]),
        (paid, [evaluation(month, one, figures={"repair": other}) for month, one, other in
                zip(months(5), (98, 99, 99, 99, 98), (97, 99, 99, 99, 99), strict=True)]),
        *((terms(deferred % ("met", barred, "payable"), level=low), monthly(98, 99, 99, 94, 98))
          for barred in ("true", "false")),
        (terms(deferred % ("better", "false", "payable")), monthly(98, "99.5", 99, 99)),
        *((agreement(ENDING + LEVEL + deferred % ("met", "false", end)), monthly(98, 98, 98))
          for end in ("payable", "dropped")),
        *((agreement(ENDING + LEVEL + deferred % ("met", "false", end)), monthly(99, 98, 99))
          for end in ("payable", "dropped")),
        (terms(year % ("false", "is_passed_over", "")), monthly(98, *good, 98, 99)),
        (terms(year % ("false", "no_earn_back", "")), monthly(98, None, *good)),
        (terms(year % ("false", "is_passed_over", "")), monthly(98, None, *good)),
        (terms(year % ("true", "is_passed_over", ", target: {at_least: 98}"), level=low),
         monthly(94, *good, 98)),
        (terms(year % ("false", "is_passed_over", ", target: {at_least: 99.5}")),
         monthly(98, *good, 98)),
        (terms(year % ("false", "is_passed_over", ", levels: [uptime]"), level=LEVEL + TWO),
         monthly(98, *good, 99, figures={"repair": 98})),
    ]  # fmt: skip


@story
def banks() -> list[Story]:
    bank = "banks: [{bank: surplus, usable: %s%s}]\n"
    banking = LEVEL + """
      - name: surplus
        is_a: banked
        bank: surplus
        due: {kind: every_period}
        quantity: {kind: excess, counted_from: 99, in_percent_of_start: false, step: 0.1,
          part_step: in_proportion}
        rate: {kind: amount, amount: 20.005}
"""  # fmt: skip
    opened = [("brought", {"value": "12.345"})]
    values = ("99.3", 98, "99.9", 99, 98, 98)
    own = ", lasts: 2, pays_for: [uptime]"
    return [
        (terms(bank % ("next_period", ", lasts: 2"), level=banking), monthly(*values)),
        (terms(bank % ("next_period", ""), level=banking), monthly(*values)),
        (terms(bank % ("same_period", own), level=banking), monthly(*values)),
        (terms(bank % ("next_period", ", opening: brought"), level=banking),
         [evaluation("2025-01", 98, circumstances=opened), evaluation("2025-02", 98)]),
        (terms(bank % ("next_period", ", pays_for: [repair]"), level=banking + TWO),
         monthly("99.3", 98, figures={"repair": 99})),
        (agreement(ENDING + banking + bank % ("next_period", "")), monthly("99.3", 99, 99)),
    ]  # fmt: skip


@story
def moving_levels() -> list[Story]:
    ratchet = """    moves:
      kind: ratchet
      periods: 2
      asks: %s
      way_to_mean: 50
      rounded: %s
      no_data: %s%s
    judged"""
    baseline = """    moves:
      kind: baseline
      periods: 2
      tie: %s
      minimum: %s
      rounded: {decimals: 1, mode: half_up}
      no_data: starts_anew
    judged"""
    gap = "\n      at_most_of_gap: 10\n      perfect: %d"

    def moved(text: str, *more: tuple[str, str]) -> Agreement:
        return terms(level=changed(("    judged", text), *more))

    none = ("    expected: {at_least: 99}\n", "")
    lower = ("{at_least: 99}", "{at_most: 99}")
    site = "    each_subject: true\n    subjects: [north]\n"
    ways = ("99.4", "99.6", None, "99.8", "99.9", 99, 98)
    north: dict[str | tuple[str, str], object] = {("uptime", "north"): "99.8"}
    return [
        (moved(ratchet % ("better", "exact", "starts_anew", "")), monthly(*ways)),
        (moved(ratchet % ("met", "exact", "is_passed_over", "")), monthly(*ways)),
        (moved(ratchet % ("any_result", "{decimals: 1, mode: up}", "starts_anew", "")),
         monthly(*ways)),
        (moved(ratchet % ("met", "exact", "starts_anew", gap % 100)), monthly(100, 100, "99.1")),
        (moved(ratchet % ("met", "exact", "starts_anew", gap % 0), lower), monthly(10, 20, 90)),
        (moved(ratchet % ("met", "exact", "starts_anew", gap % 0), lower), monthly(98, 98, 98)),
        (moved(site + ratchet % ("met", "exact", "starts_anew", "")),
         monthly(None, None, None, figures=north)),
        *((moved(baseline % (tie, minimum), none), monthly(97, None, "98.04", "99.03", 98, 97))
          for tie, minimum in (("at_least", "worst"), ("above", "none"), ("above", "worst"),
                               ("at_most", "worst"), ("below", "worst"))),
    ]  # fmt: skip


@story
def judgements() -> list[Story]:
    low = ("expected: {at_least: 99}", MINIMUM)
    window = "{kind: misses_in_window, misses: 2, of_last: 3, below_minimum_counts: %s}"
    mean = "    averaged: {periods: 2, missing_period: %s}\n    judged"
    quiet = "    averaged: {periods: 3, missing_period: use_what_is_there}\n    judged"

    def judged(*changes: tuple[str, str]) -> Agreement:
        return terms(level=changed(*changes))

    return [
        *((judged(low, ("{kind: every_miss}", window % counts)),
           monthly(98, 99, 98, 94, 98, 99, 99, 98)) for counts in ("true", "false")),
        (judged(low, ("{kind: every_miss}", "{kind: below_minimum}")), monthly(98, 95, "94.9")),
        (judged(("{kind: every_miss}", "{kind: never}")), monthly(98)),
        *((judged(("no_data: no_result", f"no_data: {said}")), monthly(None))
          for said in ("miss", "met", "no_result", "{counts_as: 12.5}")),
        *((judged(("    judged", mean % missing)), monthly(98, 100, None, 100, 97))
          for missing in ("no_result", "use_what_is_there")),
        (judged(("    judged", quiet), ("judged: exact", "judged: {decimals: 1, mode: half_even}")),
         monthly("98.91", "99.02", "98.9", None, "98.95")),
        (judged(("{at_least: 99}", "{at_least: 99}\n    measured: month")),
         monthly(98, 100)),
        (judged(("    judged", "    each_subject: true\n    subjects: [north, a]\n    judged")),
         monthly(None, figures={("uptime", "south"): 99, ("uptime", "north"): 98})),
        (judged(("metric: uptime", "metric: unknown")), monthly(99)),
    ]  # fmt: skip


@story
def reliefs() -> list[Story]:
    def relief(text: str, *facts: tuple[str, dict[str, Any]], volume: object = 30) -> Story:
        level = changed(("    judged", f"    relief: [{text}]\n    judged"))
        return terms(level=level), monthly(98, figures={"volume": volume}, circumstances=facts)

    storm = "{kind: circumstance, circumstance: storm}"
    volume = "{kind: volume, metric: volume, times_normal: {above: 2}, %s}"
    proofs = "{kind: proofs, circumstance: excuse, proofs: [notice, record], within_%s}"
    late = datetime(2025, 2, 11, tzinfo=UTC)
    noticed = ("excuse", {"values": {"failed_on": "2025-01-31", "notice": True}})
    recorded = ("excuse", {"values": {"record": True}})
    return [
        relief(storm, ("storm", {"level": "uptime"})),
        relief(storm, ("storm", {"level": "repair"})),
        relief(storm, ("storm", {"subject": "north"})),
        relief(storm, ("storm", {}), ("storm", {"level": "uptime", "values": {"holds": False}})),
        relief(storm, ("storm", {"value": 0})),
        relief(volume % "normal: 14"),
        relief(volume % "normal: 15"),
        relief(volume % "normal: 14", volume=None),
        relief(volume % "normal_from: usual", ("usual", {"value": 10})),
        relief(volume % "normal_from: usual"),
        relief(volume % "normal: 10, notice: told", ("told", {})),
        relief(volume % "normal: 10, notice: told"),
        relief(proofs % "days: 10", noticed, recorded),
        relief(proofs % "months: 1", noticed, recorded),
        relief(proofs % "days: 10", noticed, ("excuse", {**recorded[1], "at": late})),
        relief(proofs % "days: 11", noticed, ("excuse", {**recorded[1], "at": late})),
        relief(proofs % "days: 10", noticed),
        relief(proofs % "days: 10", recorded),
        relief(f"{storm}, {volume % 'normal: 10'}"),
    ]


@story
def quantities() -> list[Story]:
    def of(quantity: str, value: object = 98, **more: Any) -> Story:
        return terms(level=priced(quantity)), monthly(value, **more)

    def time(said: str, *minutes: object, **more: Any) -> Story:
        text = f"{{kind: duration, metric: outages, unit: 60, {said}}}"
        return terms(level=priced(text)), outages(*minutes, **more)

    each = "of: each, counted: elapsed, part_unit: "
    steps = "counted_from: 99, step: 0.3, part_step: %s"
    outside = "{kind: outside_range, highest: high, lowest: low, at_most: 25, at_least: 18}"
    bench = "{kind: against_benchmark, metric: volume, benchmark: 2, per: 100}"
    way = "{kind: by_direction, vendor_owes: 5, buyer_owes: 3}"
    return [
        *(of(f"{{kind: {kind}, {steps % how}}}", value)
          for kind, value in (("shortfall", 98), ("excess, in_percent_of_start: false", 100))
          for how in ("counts_in_full", "does_not_count", "in_proportion")),
        of("{kind: excess, in_percent_of_start: true, counted_from: 80, step: 5, "
           "part_step: in_proportion}"),
        of("{kind: shortfall, metric: other, counted_from: 99, step: 1, part_step: in_proportion}",
           figures={"other": "97.5"}),
        of("{kind: shortfall, metric: other, counted_from: 99, step: 1, part_step: in_proportion}",
           figures={"other": None}),
        of("{kind: figure, metric: failures}", figures={"failures": "2.5"}),
        of("{kind: figure, metric: failures}", figures={"failures": None}),
        of("{kind: figure, metric: failures}"),
        of("{kind: circumstance, circumstance: kilos}", circumstances=[("kilos", {"value": 7})]),
        of("{kind: circumstance, circumstance: kilos}",
           circumstances=[("kilos", {"value": 7}), ("kilos", {"level": "repair", "value": 9})]),
        of("{kind: circumstance, circumstance: kilos}"),
        *(of(outside, figures={"high": high, "low": low})
          for high, low in ((27, 17), (26, 15), (25, 18), (None, 15), (30, None), (None, None))),
        *((terms(level=changed(("is_a: service_credit", "is_a: two_way"),
                               text=priced(bench, way))),
           monthly(value, figures={"volume": volume}))
          for value, volume in ((3, 100), (2, 100), (1, 100), (3, 0), (3, None), (None, 100))),
        *(time(each + how, 90, 30, 0) for how in ("counts_in_full", "does_not_count",
                                                  "in_proportion")),
        time("of: total, counted: elapsed, part_unit: does_not_count", 90, 30),
        time(each + "in_proportion, grace: {units: 1, kind: deductible}", 90, 60, 30),
        time(each + "in_proportion, grace: {units: 1, kind: threshold}", 90, 60, 30),
        time(each + "in_proportion, shorter_than_a_unit: nothing", 90, 60, 30),
        time(each + "does_not_count, shorter_than_a_unit: only_if_asked, asked: please", 90, 60, 30,
             20, circumstances=[("please", {"subject": "o2"})]),
        time(each + "in_proportion, block: 2, part_block: counts_in_full", 150, 120),
        time(each + "in_proportion, block: 2, part_block: in_proportion", 150, 120),
        (terms(level=priced("{kind: duration, metric: outages, unit: 1, of: each, "
                            "counted: calendar_days, part_unit: in_proportion}")),
         outages(26 * 60)),
        (terms(level=priced("{kind: duration, metric: outages, unit: 1, of: each, "
                            "counted: elapsed, part_unit: in_proportion}")), monthly(98)),
        (terms(level=priced("{kind: shortfall, counted_from: 99, step: 0.3, "
                            "part_step: in_proportion}",
                            more="        rounded_quantity: {decimals: 2, mode: half_up}\n")),
         monthly(98)),
    ]  # fmt: skip


@story
def rates() -> list[Story]:
    def worth(rate: str, value: object = 98, more: str = "", **facts: Any) -> Story:
        return terms(level=priced("{kind: figure, metric: failures}", rate, more=more)), monthly(
            value, figures={"failures": facts.pop("failures", 3)}, fee="1000.01", **facts
        )

    def run(rate: str, due: str, *values: object) -> Story:
        return terms(level=priced(rate=rate, due=due)), monthly(*values)

    bands = "{kind: by_band, of: %s, gives: %s, bands: [{name: few, below: 3, gives: 1}, "
    bands += "{at_least: 3, gives: 2.5}]%s}"
    gaps = "{kind: by_band, of: quantity, gives: amount, otherwise: 7, "
    gaps += "rounded: {decimals: 0, mode: half_up}, bands: [{at_least: 1, at_most: 2, gives: 1}]}"
    by_run = "{kind: by_run, amounts: [10, 20, 40], no_data: %s}"
    over = "{kind: percent_of, percent: 5, base: fee, over: run}"
    full = "{kind: on_run, misses: 2, no_data: %s}"
    return [
        *(worth(rate, failures=failures)
          for failures in (1, 3)
          for rate in (
              "{kind: percent_of, percent: 0.5, base: fee}",
              "{kind: fraction_of, fraction: 1/720, base: fee}",
              "{kind: day_of, base: fee}",
              "{kind: amount, amount: 2.50}",
          )),
        *(worth(bands % ("quantity", gives, more), failures=failures)
          for failures in (2, 3)
          for gives, more in (("amount", ""), ("points", ""), ("percent", ", base: fee"))),
        *(worth(bands % ("result", gives, more), value)
          for value in (2, 3)
          for gives, more in (("amount", ""), ("points", ""), ("percent", ", base: fee"))),
        *(worth(gaps, failures=failures) for failures in ("0.4", "0.5", "2.4", "2.5")),
        (terms(level=priced("{kind: duration, metric: outages, unit: 60, of: each, "
                            "counted: elapsed, part_unit: in_proportion}",
                            "{kind: worth_of, percent: 10}",
                            more="        at_most: {kind: worth_of, percent: 15}\n")),
         outages(60, 120, 30)),
        *(run(by_run % no_data, "{kind: on_default}", 98, 98, None, 98, 98, 98, 99, 98)
          for no_data in ("ends_the_run", "is_passed_over")),
        *(run(over, full % no_data, 98, None, 98, 98, 98, 98)
          for no_data in ("ends_the_run", "is_passed_over")),
        *(run("{kind: amount, amount: 1}", due, 99, "98.01", 98, None)
          for due in ("{kind: on_trigger, result: {at_most: 98}}", "{kind: every_period}")),
    ]  # fmt: skip


@story
def worths() -> list[Story]:
    """Deliveries that are late by days, each with its own worth; ceilings of all and of each."""
    late = (
        "{kind: duration, metric: late, unit: 1, of: each, counted: elapsed, "
        "part_unit: counts_in_full}"
    )
    worth = "{kind: worth_of, percent: 0.5}"

    def under(limit: str, rate: str, *deliveries: tuple[object, object], more: str = "") -> Story:
        parts = [part(f"d{number}", *one) for number, one in enumerate(deliveries)]
        figures: dict[str, Any] = {"figures": {"late": len(parts)}, "parts": {"late": parts}}
        ceiling = f"        at_most: {limit}\n{more}"
        return terms(level=priced(late, rate, more=ceiling)), monthly(98, **figures)

    each, together = "{kind: worth_of_each, percent: 5}", "{kind: worth_of, percent: 5}"
    long_and_short = ((20, 1000), (1, 9000))
    return [
        under(together, worth, *long_and_short),
        under(each, worth, *long_and_short),
        under(each, worth, (10, 1000), (11, 1000), (-2, 1000)),
        under(each, "{kind: amount, amount: 20}", *long_and_short),
        under(each, "{kind: percent_of, percent: 1, base: fee}", (6, 1000), (4, 1000)),
        under(
            each, worth, *long_and_short, more="        factors: [{kind: constant, factor: 3}]\n"
        ),
        under(each, worth, (3, 1000), (4, None)),
        under(each, worth, (3, 1000), (-4, None)),
        under(together, "{kind: amount, amount: 20}", (3, 1000), (4, None)),
        under(each, worth, (-1, 1000)),
        under(each, worth),
    ]


@story
def factors_and_ceilings() -> list[Story]:
    def times(*factors: str, **more: Any) -> Story:
        text = f"        factors: [{', '.join(factors)}]\n"
        return terms(level=priced(rate="{kind: amount, amount: 30}", more=text)), monthly(
            98, **more
        )

    def under(limit: str, amount: int = 1000) -> Story:
        text = f"        at_most: {limit}\n"
        head = HEAD + "at_risk: [{at_risk: pool, percent: 7.5, base: fee}]\n"
        rate = f"{{kind: amount, amount: {amount}}}"
        return terms(level=priced(rate=rate, more=text), head=head), monthly(98, fee=310)

    used = "{kind: when, circumstance: used, factor: 0.5, otherwise: 2}"
    banded = "{kind: by_figure, metric: failures, bands: [{at_most: 4, gives: 1}, "
    banded += "{above: 4, gives: 3}]}"
    repeat = "        factors: [{kind: repeat, factor: 2, no_data: %s}]\n"
    return [
        times("{kind: constant, factor: 1/3}"),
        times(used, circumstances=[("used", {"level": "uptime"})]),
        times(used, circumstances=[("used", {"level": "repair"})]),
        times(used, circumstances=[("used", {"subject": "north"})]),
        *(times(banded, figures={"failures": failures}) for failures in (4, 5, None)),
        *(times("{kind: figure, metric: failures}", figures={"failures": failures})
          for failures in (4, None)),
        times("{kind: constant, factor: 3}", used),
        *((terms(level=priced(due="{kind: on_default}", more=repeat % no_data)),
           monthly(98, 98, None, 98, 99, 98)) for no_data in ("ends_the_run", "is_passed_over")),
        *(under(limit) for limit in (
            "{kind: amount, amount: 30}",
            "{kind: percent_of, percent: 10, base: fee}",
            "{kind: days_of, days: 3, base: fee}",
            "{kind: at_risk, at_risk: pool}",
            "{kind: amount, amount: 1000}",
        )),
        under("{kind: amount, amount: 30}", 29),
    ]  # fmt: skip


@story
def points() -> list[Story]:
    def scored(term: str, each: int = 50, value: object = 98) -> Story:
        level = priced(rate=f"{{kind: points, points: {each}}}")
        second = level.split("levels:\n")[1].replace("uptime", "repair")
        return terms(term, level=level + second), monthly(value, figures={"repair": value})

    bands = """points:
  kind: marginal_bands
  point_value: 3
  per: %s
  bands: [{above: 0, up_to: 20, factor: 0}, {above: 20, up_to: 90, factor: 1},
    {above: 90, factor: 1.2}]
"""
    table = """points:
  kind: point_table
  table: {kind: by_band, of: quantity, gives: %s, bands: [{below: 50, gives: 1},
    {at_least: 50, gives: 2}]}
"""
    return [
        scored(""),
        scored(bands % "agreement"),
        scored(bands % "subject"),
        scored(bands % "agreement", 9),
        scored(bands % "agreement", 10),
        scored(bands % "agreement", 45),
        scored(table % "amount", 24),
        scored(table % "percent, base: fee", 25),
        scored("points: {kind: percent_per_point, percent: 0.1, base: fee}\n", 7),
        scored("points: {kind: percent_per_point, percent: 0.1, base: fee}\n", value=None),
    ]


@story
def claims_and_disputes() -> list[Story]:
    def claimed(term: str, *facts: tuple[str, dict[str, Any]], value: object = 98) -> Story:
        return terms(f"claim: {term}\n"), monthly(value, circumstances=facts)

    days = "{within_days: 10}"
    working = "{within_working_days: 5, holidays: [2025-02-03]}"
    return [
        *(claimed(term, ("claim", {"values": {"on": day}}))
          for term, last in ((days, 10), (working, 10))
          for day in (f"2025-02-{last}", f"2025-02-{last + 1}")),
        claimed("{within_months: 2}", ("claim", {"values": {"on": "2025-03-31"}})),
        claimed("{within_months: 2}", ("claim", {"values": {"on": "2025-04-01"}})),
        claimed(days, ("claim", {"at": datetime(2025, 2, 10, 23, 59, tzinfo=UTC)})),
        claimed(days, ("claim", {"values": {"on": "2025-02-11"}}),
                ("claim", {"values": {"on": "2025-02-09"}, "subject": "north"})),
        claimed(days, ("claim", {"values": {"on": "soon"}})),
        claimed(days),
        claimed(days, value=99),
    ]  # fmt: skip


@story
def retainages() -> list[Story]:
    text = """retainages:
  - {retainage: kept, amount: 90, whole: uptime, released_on_pass: 40, parts: repair, number: 3,
     without_result: %s}
"""
    level = LEVEL + TWO.replace("    judged", "    each_subject: true\n    judged")

    def kept(without: str, whole: object, *sites: object) -> Story:
        figures: dict[str | tuple[str, str], object] = {
            ("repair", f"s{number}"): value for number, value in enumerate(sites)
        }
        return terms(text % without, level=level), monthly(whole, figures=figures)

    return [
        kept("lost", 99, 99, 99, 99),
        kept("lost", 99, 99, 98, None),
        kept("released", 99, 99, 98, None),
        kept("released", 99, 99),
        kept("lost", 98, 99, 99, 99),
        kept("lost", None, 99, 99, 99),
        kept("released", None, 99, 99, 99),
    ]


@story
def rounding() -> list[Story]:
    def rounds(mode: str, where: str, fee: str, currency: str = "EUR") -> Story:
        head = changed(
            ("half_up", mode), ("rounded_at: total", f"rounded_at: {where}"), text=HEAD
        ).replace("currency: EUR", f"currency: {currency}")
        known = monthly(98, fee=fee, figures={"repair": 97})
        if currency != "EUR":
            known = [
                one.model_copy(update={"charges": tuple(
                    fact.model_copy(update={
                        "charge": fact.charge.model_copy(update={"currency": currency})
                    }) for fact in one.charges
                )}) for one in known
            ]  # fmt: skip
        return agreement(head + LEVEL + TWO), known

    modes = ("half_up", "half_down", "half_even", "up", "down")
    return [
        *(rounds(mode, where, fee)
          for mode in modes for where in ("line", "total") for fee in ("0.15", "0.25", "0.333")),
        *(rounds("half_up", where, "15.5", "JPY") for where in ("line", "total")),
        *(rounds("half_up", where, "0.0155", "KWD") for where in ("line", "total")),
    ]  # fmt: skip


@story
def charges() -> list[Story]:
    following = HEAD.replace("of_period: same", "of_period: next")
    zero = HEAD.replace("if_missing: wait", "if_missing: zero")
    days = HEAD.replace("full_charge", "by_days_in_use")

    def used(**values: object) -> Story:
        told = [("service_in_use", {"values": values})]
        return terms(head=days), monthly(98, circumstances=told)

    second = terms(head=HEAD.replace("version: 1", "version: 2").replace("-01-01", "-03-01"))
    ended = agreement(ENDING + LEVEL)
    return [
        (terms(head=following), monthly(98, 98)),
        (terms(head=zero), monthly(98, fee=None)),
        (terms(), monthly(98, fee=None)),
        (terms(head=days), monthly(98)),
        used(days_in_use=10, days_in_period=31),
        used(days_in_use=10, days_in_period=0),
        used(days_in_use=True, days_in_period=31),
        used(cancelled=True),
        ([terms(), second], monthly(98, 98, 98)),
        (ended, monthly(98, 98, 98, 98)),
        (terms("caps: [{cap: top, window: term, limit: {kind: amount, amount: 1}}]\n"),
         monthly(98, 98, 98)[1:]),
        (terms("caps: [{cap: top, window: term, limit: {kind: amount, amount: 1}}]\n"),
         [monthly(98, 98, 98)[0], monthly(98, 98, 98)[2]]),
    ]  # fmt: skip


def charged(
    known: PeriodEvaluation, amounts: Mapping[str | None, object], currency: str = "EUR"
) -> PeriodEvaluation:
    """The same evaluation with these charges, by subject."""
    (usual,) = known.charges
    return known.model_copy(
        update={
            "charges": tuple(
                usual.model_copy(
                    update={
                        "event": usual.event.model_copy(update={"id": f"fee-{subject}"}),
                        "charge": usual.charge.model_copy(
                            update={
                                "subject": subject,
                                "amount": Fraction(str(amount)),
                                "currency": currency,
                            }
                        ),
                    }
                )
                for subject, amount in amounts.items()
            )
        }
    )


@story
def conversions() -> list[Story]:
    """Charges and amounts of another currency: agreed rates, rates of a day, of a period."""
    bank = "Central bank"
    usual = f"quoted: foreign_for_own, source: {bank}, rounded: {{decimals: 4, mode: half_up}}"
    direct = f"quoted: own_for_foreign, source: {bank}, rounded: exact"
    of_day = "{currency: USD, kind: of_day, circumstance: usd, day: %s, no_rate: %s, %s}"
    agreed = (
        "{currency: USD, kind: agreed, rate: %s, quoted: %s, source: Schedule 4, rounded: %s%s}"
    )
    mean = "{currency: USD, kind: of_period, circumstance: usd-mean, %s}"
    within = "{previous_within_days: 3}"
    cent = "{decimals: 2, mode: half_up}"
    cap = "caps: [{cap: top, window: %s, limit: {kind: amount, amount: 80, currency: USD}}]\n"
    following = HEAD.replace("of_period: same", "of_period: next")
    fixed = LEVEL.replace("{kind: percent_of, percent: 10, base: fee}",
                          "{kind: amount, amount: 30, currency: USD}")  # fmt: skip
    ceiling = "        at_most: {kind: amount, amount: 70, currency: USD}\n"
    points = priced(rate="{kind: points, points: 2}")
    per_point = "points: {kind: percent_per_point, percent: 1, base: fee}\n"
    critical = (
        "critical_failure: {circumstance: fire, decision: withhold, "
        "withheld_at_most: {kind: amount, amount: 500, currency: USD}}\n"
    )
    fee = (
        "fees: [{fee: shared, cost: fee, target_cost: 900, target_fee: 50, share_of_overrun: 10, "
        "share_of_underrun: 10, at_least: null, at_most: null}]\n"
    )

    def under(rule: str, *more: str, head: str = HEAD, level: str = LEVEL) -> Agreement:
        return terms(f"conversions: [{rule}]\n", *more, head=head, level=level)

    def rate(value: object, on: str | None = None, **more: Any) -> tuple[str, dict[str, Any]]:
        values = {**({} if on is None else {"on": on}), **more.pop("values", {})}
        return "usd", {"value": value, "values": values, **more}

    def month(label: str, *rates: tuple[str, dict[str, Any]], amount: object = "1000.10",
              currency: str = "USD", dated: str | None = None,
              result: object = 98) -> PeriodEvaluation:  # fmt: skip
        known = charged(evaluation(label, result, circumstances=rates), {None: amount}, currency)
        (one,) = known.charges
        charge = one.charge.model_copy(update={"dated": dated})
        return known.model_copy(update={"charges": (one.model_copy(update={"charge": charge}),)})

    end, start = of_day % ("period_end", "wait", usual), of_day % ("period_start", "wait", usual)
    back = of_day % ("period_end", within, usual)
    begins = of_day % ("period_start", within, usual)
    dated = of_day % ("invoice_date", "wait", usual)
    dated_or_before = of_day % ("invoice_date", within, usual)
    second = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-02-01")
    looking_back = (
        "caps: [{cap: top, window: trailing, periods: 2, limit: {kind: percent_of, percent: 5, "
        "base: fee}}]\n"
    )
    yen = HEAD.replace("currency: EUR", "currency: JPY")
    dinar = HEAD.replace("currency: EUR", "currency: BHD")
    jan = "2025-01-31"
    return [
        (under(agreed % ("0.92", "own_for_foreign", "exact", "")), [month("2025-01")]),
        (under(agreed % ("1.25", "foreign_for_own", cent, "")), [month("2025-01", amount="0.03")]),
        (under(agreed % ("92.5", "own_for_foreign", cent, ", for_units: 100")),
         [month("2025-01")]),
        (under(agreed % ("0.92", "own_for_foreign", "exact", "")),
         [month("2025-01", currency="EUR")]),
        (under(agreed % ("0.92", "own_for_foreign", "exact", "")),
         [month("2025-01", currency="GBP")]),
        (under(agreed % ("156.35", "own_for_foreign", "{decimals: 0, mode: down}", ""), head=yen),
         [month("2025-01")]),
        (under(agreed % ("0.376", "own_for_foreign", "{decimals: 3, mode: up}", ""), head=dinar),
         [month("2025-01")]),
        (under(end), [month("2025-01", rate("1.0393", jan)), month("2025-02")]),
        (under(end), [month("2025-01", rate("1.03", jan), rate("1.0393", jan))]),
        (under(end), [month("2025-01", rate("1.0393", period=jan, values={"source": bank}))]),
        (under(end), [month("2025-01", rate("1.0393", jan, values={"source": "A bank"}))]),
        (under(end), [month("2025-01", rate("1.0393", jan, at=MARCH), rate("9", jan))]),
        (under(of_day % ("period_end", "wait", direct)),
         [month("2025-01", rate("0.962186086788", jan), amount="123456789012.10")]),
        (under(of_day % ("period_end", "wait", direct)), [month("2025-01", rate("1/3", jan))]),
        (under(end), [month("2025-01", rate(0, jan))]),
        (under(end), [month("2025-01", ("usd", {"values": {"on": jan}}))]),
        (under(end), [month("2025-01", rate("1.0393"))]),
        (under(start), [month("2025-01", rate("1.0321", "2025-01-01"))]),
        (under(back), [month("2025-01", rate("1.05", "2025-01-28"), rate("1.06", "2025-01-27"))]),
        (under(back), [month("2025-01", rate("1.05", "2025-01-27"))]),
        (under(begins), [month("2025-01", rate("1.0389", "2024-12-31")),
                         month("2025-02")]),
        (under(begins), [month("2025-01", rate("1.0321", "2025-01-01"), rate("1.05", "2025-01-30")),
                         month("2025-02")]),
        (under(dated), [month("2025-01")]),
        (under(dated), [month("2025-01", dated="2025-02-03")]),
        (under(dated), [month("2025-01", rate("1.0274", "2025-02-03"), dated="2025-02-03")]),
        (under(dated_or_before), [month("2025-01", rate("1.0393", jan), dated="2025-02-02")]),
        (under(dated_or_before),
         [month("2025-01", rate("1.0393", jan), dated="2025-02-02"), month("2025-02", result=99)]),
        (agreement(ENDING.replace("-04-", "-02-") + LEVEL + f"conversions: [{dated_or_before}]\n"),
         [month("2025-01", rate("1.0393", jan), dated="2025-02-02")]),
        (under(mean % usual), [month("2025-01", ("usd-mean", {"value": "1.0354"}))]),
        (under(mean % usual), [month("2025-01", ("usd-mean", {"value": "1", "period": jan}))]),
        (under(end, head=following),
         [month("2025-01"), month("2025-02", rate("1.04", "2025-02-28"))]),
        (under(end, cap % "period"), [month("2025-01", rate("1.0393", jan))]),
        (under(end, cap % "period"), [month("2025-01", currency="EUR", result=99)]),
        (under(end, cap % "period"), [month("2025-01", currency="EUR")]),
        (under(end, level=fixed), [month("2025-01", rate("1.0393", jan), currency="EUR")]),
        (under(end, level=LEVEL + ceiling), [month("2025-01", rate("1.0393", jan))]),
        (under(end, per_point, level=points), [month("2025-01", rate("1.0393", jan))]),
        (under(end, critical), [month("2025-01", rate("1.0393", jan), ("fire", {}),
                                      ("withhold", {"value": 600}), currency="EUR")]),
        (under(end, fee), [month("2025-01", rate("1.0393", jan), result=99)]),
        (under(end, fee, level=fixed), [month("2025-01", rate("1.0393", jan))]),
        (under(end, "payable: {base: fee, percent: 100, at_least_zero: true}\n"),
         [month("2025-01", rate("1.0393", jan), result=99)]),
        ([under(end, looking_back), terms(looking_back, head=second)],
         [month("2025-01", rate("1.0393", jan)), month("2025-02", currency="EUR")]),
    ]  # fmt: skip


@story
def subjects() -> list[Story]:
    """Every term that may speak of one subject alone, over three months of two sites."""
    head = HEAD.replace("{base: fee,", "{base: fee, per_subject: true,") + (
        "at_risk: [{at_risk: pool, percent: 10, base: fee}]\n"
    )
    days = head.replace("full_charge", "by_days_in_use")
    each = ("    judged", "    each_subject: true\n    judged")

    def sites(text: str, *facts: tuple[str, dict[str, Any]], head: str = head,
              relief: str = "", **figures: object) -> Story:  # fmt: skip
        level = changed(each, text=text)
        if relief:
            level = changed(("    judged", f"    relief: [{relief}]\n    judged"), text=level)
        known = []
        for month, north, south in zip(months(3), (98, 97, 98), (99, 98, 98), strict=True):
            told: dict[str | tuple[str, str], object] = {
                ("uptime", "north"): north,
                ("uptime", "south"): south,
                "volume": 7,
                ("volume", "north"): 5,
                **figures,
            }
            usual = evaluation(month, figures=told, circumstances=facts)
            known.append(charged(usual, {"north": 310, "south": "77.5", "west": 1000}))
        return terms(level=level, head=head), known

    due = "{kind: on_default}"
    one = "{kind: one}"
    limit = "        at_most: %s\n"
    hundred = "{kind: amount, amount: 100}"
    of_north = {"subject": "north"}
    volume = "{kind: volume, metric: volume, times_normal: {at_least: 3}, normal_from: usual, "
    volume += "notice: told}"
    repeat = "        factors: [{kind: repeat, factor: 2, no_data: ends_the_run}]\n"
    when = "        factors: [{kind: when, circumstance: used, factor: 0.5, otherwise: 2}]\n"
    return [
        *(sites(priced(one, rate, due)) for rate in (
            "{kind: percent_of, percent: 10, base: fee}",
            "{kind: fraction_of, fraction: 1/100, base: fee}",
            "{kind: day_of, base: fee}",
            "{kind: at_risk_share, at_risk: pool, shares: [50]}",
            "{kind: by_run, amounts: [10, 20, 40], no_data: ends_the_run}",
        )),
        *(sites(priced(one, hundred, due, limit % term)) for term in (
            "{kind: percent_of, percent: 10, base: fee}",
            "{kind: days_of, days: 3, base: fee}",
            "{kind: at_risk, at_risk: pool}",
        )),
        sites(priced("{kind: figure, metric: volume}", hundred, due)),
        sites(priced("{kind: circumstance, circumstance: kilos}", hundred, due),
              ("kilos", {"value": 2}), ("kilos", {"value": 3, **of_north})),
        sites(priced(one, hundred, due, repeat)),
        sites(priced(one, hundred, due, when), ("used", of_north)),
        sites(priced(one, hundred, due), ("storm", of_north),
              relief="{kind: circumstance, circumstance: storm}"),
        sites(priced(one, hundred, due), ("usual", {"value": 1, **of_north}),
              ("usual", {"value": 2, "subject": "south"}), relief=volume),
        sites(priced(one, hundred, due), ("usual", {"value": 1}), ("told", of_north),
              relief=volume),
        sites(priced(one, "{kind: percent_of, percent: 10, base: fee}", due),
              ("service_in_use", {"values": {"days_in_use": 10, "days_in_period": 20}, **of_north}),
              head=days),
        sites(priced(one, "{kind: percent_of, percent: 5, base: fee, over: run}",
                     "{kind: on_run, misses: 2, no_data: ends_the_run}")),
    ]  # fmt: skip


@story
def currencies() -> list[Story]:
    """Money with no decimals and with three, in every term that turns whole units into amounts."""
    ending = "effective_until: 2025-04-01\n"
    bank = "banks: [{bank: surplus, usable: next_period, lasts: 3, opening: brought}]\n"
    run = (
        "earn_backs: [{kind: after_good_run, earn_back: run, periods: 1, asks: met, percent: 50, "
        "barred_below_minimum: false, no_data: breaks_the_run, given_as: %s}]\n"
    )
    year = (
        "earn_backs: [{kind: yearly_average, earn_back: year, percent: 50, "
        "barred_below_minimum: false, no_data: is_passed_over}]\n"
    )
    bill = (
        "invoicing: {invoice: invoice, deducted_from: next_period, "
        "rest: {kind: carried, at_end: lapses}}\n"
    )
    later = (
        "earn_backs: [{kind: deferred, earn_back: later, periods: 2, asks: met, "
        "barred_below_minimum: false, no_data: breaks_the_run, at_end: payable}]\n"
    )
    cap = "caps: [{cap: top, window: term, limit: {kind: amount, amount: 150}}]\n"
    small = "small_amounts: {kind: drop, only_above: 102, compared: rounded}\n"

    def months_of(currency: str, text: str, *values: object, end: str = "") -> Story:
        head = HEAD.replace("currency: EUR", f"currency: {currency}") + end
        known = [
            charged(
                evaluation(month, value, circumstances=[
                    ("invoice", {"values": {"charges": 60, "date": f"{month}-28"}}),
                    *([("brought", {"value": "12.3456"})] if month == "2025-01" else ()),
                ]),
                {None: "1023.4567"},
                currency,
            )
            for month, value in zip(months(len(values)), values, strict=True)
        ]  # fmt: skip
        return terms(text, head=head), known

    return [
        told
        for currency in ("JPY", "KWD")
        for told in (
            months_of(currency, "", 98),
            months_of(currency, cap, 98, 98),
            months_of(currency, small, 98),
            months_of(currency, bank, 98, 98),
            months_of(currency, run % "amount", 98, 99),
            months_of(currency, run % "balance", 98, 99, 98),
            months_of(currency, year, 98, *["99.5"] * 10, 98),
            months_of(currency, later, 98, 98, 99),
            months_of(currency, bill, 98, 99, 99, end=ending),
            months_of(currency, "deposit: {periods: 2}\n", 98, 98, 99, end=ending),
        )
    ]


@story
def corners() -> list[Story]:
    """Where two rules meet."""

    def every(rate: str, quantity: str = "{kind: one}") -> list[Story]:
        factors = "        factors: [{kind: constant, factor: 2}]\n"
        limit = "        at_most: {kind: amount, amount: 3}\n"
        return [
            (terms(level=priced(quantity, rate, "{kind: on_default}", factors + limit)),
             monthly(98, figures={"failures": 3})),
        ]  # fmt: skip

    begun = HEAD.replace("2025-01-01", "2024-07-01")
    year_cap = "caps: [{cap: top, window: contract_year, limit: {kind: amount, amount: 150}}]\n"
    waits = "caps: [{cap: top, window: period, limit: {kind: percent_of, percent: 5, base: fee}}]\n"
    some = priced(rate="{kind: amount, amount: %s}", due="{kind: on_default}")
    storm = "    relief: [{kind: circumstance, circumstance: storm}]\n    judged"
    trigger = priced(due="{kind: on_trigger, result: {below: 99}}")
    quarter = HEAD.replace("settled: month", "settled: quarter")
    measured = changed(
        ("    judged", "    measured: month\n    judged"),
        text=priced(due="{kind: on_default}",
                    rate="{kind: by_run, amounts: [10, 20, 40, 80], no_data: ends_the_run}"),
    )  # fmt: skip
    figures = [
        evaluation(f"2025-Q{1 + place // 3}").model_copy(update={"figures": tuple(
            figure
            for month, value in zip(months(3, f"2025-{place + 1:02}"), values, strict=True)
            for figure in evaluation(month, value).figures
        )})
        for place, values in ((0, (99, 98, 98)), (3, (98, 97, 99)))
    ]  # fmt: skip
    unended = part("o0", 60).model_copy(update={"end": None})
    calendar = priced("{kind: duration, metric: outages, unit: 1, of: each, "
                      "counted: calendar_days, part_unit: in_proportion}")  # fmt: skip
    open_ended = evaluation("2025-01", 98, figures={"outages": 60}, parts={"outages": [unended]})
    ratchet = """    minimum: {at_least: 95}
    moves:
      kind: ratchet
      periods: 2
      asks: better
      way_to_mean: 50
      rounded: exact
      no_data: starts_anew
    judged"""
    no_credit = (
        "earn_backs: [{kind: after_good_run, earn_back: run, levels: [%s], periods: 1, "
        "asks: no_credit, percent: 50, barred_below_minimum: false, no_data: breaks_the_run, "
        "given_as: %s}]\n"
    )
    bonus = """      - name: more
        is_a: penalty
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: amount, amount: 7}
"""
    met = no_credit.replace("no_credit", "met").replace("levels: [%s], ", "")
    only_repair = (
        "earn_backs: [{kind: yearly_average, earn_back: year, levels: [repair], percent: 50, "
        "barred_below_minimum: false, no_data: is_passed_over}]\n"
    )
    mixed = [
        evaluation(month, one, figures={"repair": other})
        for month, one, other in zip(
            months(5), (98, 99, 98, 99, 99), (97, 98, 99, 99, 97), strict=True
        )
    ]
    whole_year = [
        evaluation(month, one, figures={"repair": other})
        for month, one, other in zip(
            months(12), (98, *[99] * 11), (98, *["99.5"] * 11), strict=True
        )
    ]
    return [
        *(told for rate in (
            "{kind: percent_of, percent: 5, base: fee}",
            "{kind: fraction_of, fraction: 1/720, base: fee}",
            "{kind: day_of, base: fee}",
            "{kind: amount, amount: 2.50}",
            "{kind: by_run, amounts: [10, 20, 40], no_data: ends_the_run}",
            "{kind: by_band, of: quantity, gives: amount, bands: [{below: 3, gives: 1}, "
            "{at_least: 3, gives: 2.5}]}",
            "{kind: by_band, of: quantity, gives: percent, base: fee, bands: [{below: 3, gives: 1},"
            " {at_least: 3, gives: 2.5}]}",
            "{kind: points, points: 2}",
        ) for told in every(rate)),
        (terms(year_cap, head=begun),
         [evaluation(month, value) for month, value in
          zip(months(14, "2024-07"), (98, 98, *[99] * 9, 98, 98, 98), strict=True)]),
        *((terms(waits, level=some % amount), monthly(98, fee=None)) for amount in (0, "0.5", 1)),
        *((terms(level=changed(("    judged", storm), text=trigger)),
           monthly(98, circumstances=facts)) for facts in ([("storm", {})], [])),
        (agreement(quarter + measured), figures),
        (terms(level=calendar), [open_ended]),
        (terms(level=changed(("    judged", ratchet))), monthly("99.5", 99, "99.5", "99.6", 94)),
        *((terms(no_credit % (level, given), level=LEVEL + bonus + TWO), mixed)
          for level, given in (("uptime", "amount"), ("repair", "balance"),
                               ("uptime, repair", "balance"))),
        *((terms(met % given, level=LEVEL + bonus + TWO), mixed)
          for given in ("amount", "balance")),
        (terms(only_repair, level=LEVEL + TWO), whole_year),
    ]  # fmt: skip


@story
def narrow_corners() -> list[Story]:
    """One story for each condition that only a rare contract or month brings out."""
    ratchet = """    moves:
      kind: ratchet
      periods: 2
      asks: met
      way_to_mean: 50
      rounded: exact
      no_data: starts_anew
    judged"""
    pools = HEAD + (
        "at_risk: [{at_risk: large, percent: 20, base: fee}, {at_risk: small, percent: 1, "
        "base: fee}]\n"
    )
    share = "{kind: at_risk_share, at_risk: %s, shares: [%d]}"
    rate = "{kind: percent_of, percent: 10, base: fee}"
    shares = LEVEL.replace(rate, share % ("small", 90)) + TWO.replace(rate, share % ("large", 10))
    event = "single_event: {circumstance: by, keep: %s}\n"
    both = [("by", {"level": name, "values": {"event": "x"}}) for name in ("uptime", "repair")]
    unnamed = [("by", {"level": name}) for name in ("uptime", "repair")]
    storm = "    relief: [{kind: circumstance, circumstance: storm}]\n    judged"
    scaled = (
        "        factors: [{kind: constant, factor: 2}]\n"
        "        at_most: {kind: amount, amount: 3}\n"
    )
    by_run = "{kind: by_run, amounts: [10, 20], no_data: ends_the_run}"
    band = "{kind: by_band, of: quantity, gives: amount, bands: [{below: 3, gives: 1}, "
    band += "{at_least: 3, gives: 2}]}"
    other = "{kind: shortfall, metric: other, counted_from: 99, step: 1, part_step: in_proportion}"
    duration = "{kind: duration, metric: outages, unit: 60, of: each, counted: elapsed, "
    duration += "part_unit: in_proportion}"
    run = (
        "earn_backs: [{kind: after_good_run, earn_back: run, periods: %d, asks: %s, percent: 50, "
        "barred_below_minimum: false, no_data: breaks_the_run, given_as: %s}]\n"
    )
    each = ("    judged", "    each_subject: true\n    judged")
    sites: list[dict[str | tuple[str, str], object]] = [
        {("uptime", "north"): north, ("uptime", "south"): south}
        for north, south in ((98, 99), (99, None), (99, 99))
    ]
    year = (
        "earn_backs: [{kind: yearly_average, earn_back: year, percent: 50, "
        "barred_below_minimum: %s, no_data: no_earn_back}]\n"
    )

    def both_levels(*values: tuple[object, object]) -> list[PeriodEvaluation]:
        return [
            evaluation(month, one, figures={"repair": repair})
            for month, (one, repair) in zip(months(len(values)), values, strict=True)
        ]

    low = LEVEL.replace("expected: {at_least: 99}", MINIMUM) + TWO
    year_cap = (
        "caps: [{cap: top, window: contract_year, limit: {kind: percent_of, percent: 5, "
        "base: fee}}]\n"
    )
    short = HEAD + "effective_until: 2025-02-01\n"
    begun = HEAD.replace("2025-01-01", "2024-07-01")
    met = ("no_data: no_result", "no_data: met")
    return [
        (terms(level=changed(("    judged", ratchet))), monthly(99, "99.5", 99, 99)),
        *((terms(event % keep, level=shares, head=pools),
           monthly(98, figures={"repair": 97}, circumstances=both))
          for keep in ("highest_share", "largest_credit")),
        (terms(event % "largest_credit", level=shares, head=pools),
         monthly(98, figures={"repair": 97}, circumstances=unnamed)),
        (terms(level=changed(("    judged", storm), text=priced())),
         monthly(98, circumstances=[("storm", {})])),
        (terms(level=priced(rate="{kind: worth_of, percent: 10}")), monthly(98)),
        (terms(level=priced(rate=by_run, more=scaled)), monthly(99, 98)),
        (terms(level=priced(other, band, more=scaled)), monthly(98, figures={"other": None})),
        (terms(level=priced(rate="{kind: at_risk_share, at_risk: large, shares: [], "
                                 "unallocated: true}", more=scaled), head=pools), monthly(98)),
        (terms(level=priced(rate=share % ("large", 10), more=scaled), head=pools), monthly(98)),
        (terms(level=priced(duration, "{kind: worth_of, percent: 10}")), outages(60, 0, 30)),
        (terms(run % (1, "no_credit", "balance")), monthly(98, 99, 98, 99, 98)),
        (terms(run % (2, "no_credit", "amount")), monthly(98, 98, 99, 99, 99)),
        (terms(run % (2, "met", "amount"), level=changed(each)),
         [evaluation(month, None, figures=figures).model_copy(update={"figures": tuple(
             figure for figure in evaluation(month, None, figures=figures).figures
             if figure.subject is not None
         )}) for month, figures in zip(months(3), sites, strict=True)]),
        (terms(run % (1, "better", "amount"), level=changed(met)), monthly(98, None, 98, "99.5")),
        (terms(year % "false", level=LEVEL + TWO),
         both_levels((98, 98), *[(99, "99.5")] * 11)),
        (terms(year % "true", level=low), both_levels((94, 98), *[(100, "99.5")] * 11)),
        (terms(year % "false", level=LEVEL + TWO),
         both_levels((98, 98), (None, 99), *[(100, "99.5")] * 10)),
        (terms(year_cap, head=begun),
         [evaluation(month, value) for month, value in
          zip(months(8, "2024-07"), (98, *[99] * 6, 98), strict=True)]),
        (agreement(short + LEVEL + "deposit: {periods: 1}\n"), monthly(98)),
    ]  # fmt: skip


@story
def holes() -> list[Story]:
    """Terms that look back wait for the months before; the others do not."""
    looks = {
        "averaged": "    averaged: {periods: 2, missing_period: no_result}\n    judged",
        "moves": "    moves: {kind: ratchet, periods: 2, asks: met, way_to_mean: 50, "
        "rounded: exact, no_data: starts_anew}\n    judged",
    }
    window = "{kind: misses_in_window, misses: 2, of_last: 3, below_minimum_counts: true}"
    low = LEVEL.replace("expected: {at_least: 99}", MINIMUM)
    by_run = "{kind: by_run, amounts: [1], no_data: ends_the_run}"
    repeat = "        factors: [{kind: repeat, factor: 2, no_data: ends_the_run}]\n"
    constant = "        factors: [{kind: constant, factor: 2}]\n"
    cap = "caps: [{cap: top, window: %s, limit: {kind: amount, amount: 150}}]\n"
    levels = [
        LEVEL,
        *(changed(("    judged", text)) for text in looks.values()),
        changed(("{kind: every_miss}", window), text=low),
        priced(due="{kind: on_run, misses: 2, no_data: ends_the_run}"),
        priced(rate=by_run),
        priced(more=repeat),
        priced(more=constant),
    ]
    more = [
        cap % "period",
        cap % "trailing, periods: 2",
        "earn_backs: [{kind: yearly_average, earn_back: year, percent: 50, "
        "barred_below_minimum: false, no_data: is_passed_over}]\n",
        "terminations: [{kind: misses, term: often, level: uptime, misses: 2, of_last: 3}]\n",
        "banks: [{bank: surplus, usable: next_period, opening: brought}]\n",
        "deposit: {periods: 2}\n",
        "invoicing: {invoice: invoice, deducted_from: same_period, rest: {kind: lapses}}\n",
    ]
    late = monthly(98, 98)[1:]
    return [
        *((terms(level=level), late) for level in levels),
        *((terms(text), late) for text in more),
    ]


@story
def several_banks() -> list[Story]:
    """Balances that pay for one level, for another, and for all, in one month."""
    text = (
        "banks: [{bank: a, usable: same_period, pays_for: [uptime], opening: one}, "
        "{bank: b, usable: same_period, pays_for: [repair], opening: two}, "
        "{bank: c, usable: same_period, opening: three}]\n"
    )
    run = (
        "earn_backs: [{kind: after_good_run, earn_back: run, levels: [uptime], periods: 2, "
        "asks: no_credit, percent: 50, barred_below_minimum: false, no_data: breaks_the_run, "
        "given_as: amount}]\n"
    )
    rate = "{kind: percent_of, percent: 10, base: fee}"
    banded = "{kind: by_band, of: quantity, gives: percent, base: fee, "
    banded += "bands: [{below: 3, gives: 5}, {at_least: 3, gives: 6}]}"
    tenth = "        factors: [{kind: constant, factor: 0.1}]\n"
    highest = LEVEL.replace(rate, banded) + tenth + TWO.replace("percent: 10", "percent: 4")
    event = "single_event: {circumstance: by, keep: highest_share}\n"
    by = [("by", {"level": name, "values": {"event": "x"}}) for name in ("uptime", "repair")]
    told = [("one", {"value": 60}), ("two", {"value": 70}), ("three", {"value": 500})]
    mixed = [
        evaluation(month, one, figures={"repair": other})
        for month, one, other in zip(months(3), (98, 99, 99), (99, 98, 99), strict=True)
    ]
    return [
        (terms(text, level=LEVEL + TWO), monthly(98, figures={"repair": 98}, circumstances=told)),
        (terms(text, level=LEVEL + TWO), monthly(99, figures={"repair": 98}, circumstances=told)),
        (terms(run, level=LEVEL + TWO), mixed),
        (terms(event, level=highest), monthly(98, figures={"repair": 98}, circumstances=by)),
    ]


@story
def conditions() -> list[Story]:
    """Credits that are due where a condition holds, with what it read."""
    reads = (
        "{kind: stated, name: strike, circumstance: strike}, "
        "{kind: figure, name: delay, metric: delay}, "
        "{kind: circumstance, name: alarm, circumstance: alarm}, "
        "{kind: text, name: cause, circumstance: alarm, value: cause}"
    )
    names = {"strike": 0, "delay": 1, "alarm": 2, "cause": 3}

    def on(text: str, unknown: str = "wait", level: str = LEVEL) -> Agreement:
        used = [place for name, place in names.items() if name in text]
        listed = ", ".join(f"{{{reads.split('}, {')[place].strip('{}')}}}" for place in used)
        when = f'        when: {{holds: "{text}", reads: [{listed}], unknown: {unknown}}}\n'
        return terms(level=changed(("        quantity", when + "        quantity"), text=level))

    texts = (
        "true", "result < 98.5", "standing == 'below_expected'", "subject == ''",
        "period == '2025-02'", "year == 2025 && month in [2, 3]", "settlement > 1", "strike",
        "!strike", "delay >= 5", "alarm > 2.5 || delay > 9", "cause == 'flood'",
        "!(cause in ['fire', 'storm'])", "false", "false || strike",
    )  # fmt: skip
    facts: list[tuple[str, Mapping[str, Any]]] = [
        ("strike", {}), ("alarm", {"value": "3", "values": {"cause": "flood"}})]  # fmt: skip
    known = [
        evaluation(month, 98, figures={"delay": delay}, circumstances=facts if delay == 5 else ())
        for month, delay in zip(months(3), (5, 4, 10), strict=True)
    ]
    each = changed(("    judged", "    each_subject: true\n    judged"))
    sites: dict[str | tuple[str, str], object] = {
        ("uptime", "north"): 98, ("uptime", "south"): 97, "delay": 5}  # fmt: skip
    of_one: list[tuple[str, Mapping[str, Any]]] = [
        ("strike", {"level": "uptime", "subject": "north"}),
        ("alarm", {"level": "uptime", "subject": "south", "value": "3"})]  # fmt: skip
    by_site = [evaluation("2025-01", None, figures=sites, circumstances=of_one)]
    by_site = [one.model_copy(update={"figures": tuple(
        figure for figure in one.figures if figure.metric == "delay" or figure.subject is not None
    )}) for one in by_site]  # fmt: skip
    return [
        *((on(text), known) for text in texts),
        *((on(text, unknown), known) for text in ("alarm > 2 && delay < 9", "cause == 'x'")
          for unknown in ("due", "not_due")),
        *((on(text, "not_due", each), by_site)
          for text in ("strike", "alarm > 2", "subject == 'south'")),
        *((on("alarm > 2 && cause == 'x'", unknown), monthly(98)) for unknown in ("due", "wait")),
        *((on("delay >= 5", unknown), monthly(98)) for unknown in ("due", "wait")),
        *((on("cause == 'x'", "due"), monthly(98, circumstances=[("alarm", {"values": values})]))
          for values in ({"cause": True}, {"cause": 5})),
    ]  # fmt: skip


@story
def edges() -> list[Story]:
    """One story for each edge of a rule that no other page comes to."""
    of_one = (
        "caps: [{cap: top, window: trailing, periods: 2, levels: [repair], limit: {kind: amount, "
    )
    of_one += "amount: 150}}]\n"
    fee = (
        "fees: [{fee: incentive, cost: fee, target_cost: 1000, target_fee: 100, "
        "share_of_overrun: 30, share_of_underrun: 20, at_least: null, at_most: null}]\n"
    )
    ratchet = """    moves:
      kind: ratchet
      periods: 3
      asks: met
      way_to_mean: 50
      rounded: exact
      no_data: is_passed_over
    judged"""
    days = "caps: [{cap: top, window: trailing, periods: 2, limit: {kind: days_of, days: 3, base: "
    days += "fee}}]\n"
    event = "single_event: {circumstance: by, keep: largest_credit, adds: [[repair, uptime], "
    event += "[late, uptime]]}\n"
    late = (
        TWO.replace("repair", "late").replace("Repair", "Late").replace("percent: 10", "percent: 4")
    )
    three = LEVEL + TWO.replace("percent: 10", "percent: 3") + late
    by = [
        ("by", {"level": name, "values": {"event": "x"}}) for name in ("uptime", "repair", "late")
    ]
    each = changed(("    judged", "    each_subject: true\n    judged"))
    alone = "single_event: {circumstance: by, keep: largest_credit}\n"
    sites: dict[str | tuple[str, str], object] = {
        ("uptime", "north"): 98, ("uptime", "south"): 97, "repair": 98}  # fmt: skip
    of_north = [
        ("by", {"level": "uptime", "subject": "north", "values": {"event": "x"}}),
        ("by", {"level": "uptime", "subject": "south", "values": {"event": "y"}}),
        ("by", {"level": "repair", "values": {"event": "x"}}),
    ]
    rates = "{previous_within_days: %d}"
    converts = (
        "conversions: [{currency: USD, kind: of_day, circumstance: usd, quoted: own_for_foreign, "
        "day: period_end, no_rate: %s, rounded: exact, source: Bank}]\n"
        "caps: [{cap: top, window: period, limit: {kind: amount, amount: 50, currency: USD}}]\n"
    )
    fees = (1000, 1000, 2000, 3100)
    return [
        (terms(of_one, level=LEVEL + TWO), monthly(98, 98, 98, figures={"repair": 98})),
        *((terms(fee), monthly(99, fee=cost)) for cost in ("1000.50", "999.50")),
        (terms(level=changed(("    judged", ratchet))),
         monthly("99.4", "99.6", None, "99.8", None, None, 99)),
        (terms(days), [evaluation(month, 98, fee=cost)
                       for month, cost in zip(months(4), fees, strict=True)]),
        (terms(event, level=three),
         monthly(98, figures={"repair": 98, "late": 98}, circumstances=by)),
        (terms(alone, level=each + TWO), [
            one.model_copy(update={"figures": tuple(
                figure for figure in one.figures if figure.metric == "repair" or figure.subject
            )}) for one in monthly(None, figures=sites, circumstances=of_north)]),
        *((terms(converts % no_rate), monthly(98))
          for no_rate in ("wait", rates % 1, rates % 2)),
    ]  # fmt: skip


@story
def rare_terms() -> list[Story]:
    """Terms that few contracts have, with the words and facts that only they look at."""
    later = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-03-01")
    latest = HEAD.replace("version: 1", "version: 3").replace("-01-01", "-04-01")
    deferred = (
        "earn_backs: [{kind: deferred, earn_back: later, periods: 3, asks: met, %s"
        "barred_below_minimum: false, no_data: breaks_the_run, at_end: dropped}]\n"
    )
    run = (
        "earn_backs: [{kind: after_good_run, earn_back: run, periods: 1, asks: met, percent: 50, "
        "%sbarred_below_minimum: false, no_data: breaks_the_run, given_as: amount}]\n"
    )
    reward = """      - name: reward
        is_a: bonus
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: amount, amount: 30}
"""
    ratchet = """    moves: {kind: ratchet, periods: 2, asks: met, way_to_mean: 50, rounded: exact,
      no_data: starts_anew}
    judged"""
    moving = changed(("    judged", ratchet)) + TWO
    still = LEVEL.replace("uptime", "repair").replace("Uptime", "Repair")
    event = "single_event: {circumstance: by, keep: %s}\n"
    names = ("uptime", "repair", "late")
    by = [("by", {"level": name, "values": {"event": "x"}}) for name in names]
    rate = "{kind: percent_of, percent: 10, base: fee}"
    free = TWO.replace("repair", "late").replace("Repair", "Late").replace(
        rate, "{kind: amount, amount: 0}")  # fmt: skip
    tenth = "        factors: [{kind: constant, factor: 0.1}]\n"
    small = LEVEL + tenth + TWO.replace("percent: 10", "percent: 4")
    each = changed(("    judged", "    each_subject: true\n    judged"))
    ending = (
        "terminations: [{kind: misses, term: often, level: uptime, misses: 2, of_last: 3}, "
        "{kind: mean, term: low, level: uptime, of_last: 2, region: {at_most: 98.5}, "
        "missing_period: not_opened}]\n"
    )
    pool = (
        "at_risk: [{at_risk: pool, percent: 10, base: fee}]\n"
        "caps: [{cap: top, window: trailing, periods: 2, limit: {kind: at_risk, at_risk: pool}}]\n"
    )
    low = LEVEL.replace("expected: {at_least: 99}", MINIMUM)
    on_run = priced(due="{kind: on_run, misses: 2, no_data: ends_the_run}")
    term = "caps: [{cap: top, window: term, limit: {kind: amount, amount: 150}, earned_back: %s}]\n"
    bench = "{kind: against_benchmark, metric: volume, benchmark: 2, per: 100}"
    way = "{kind: by_direction, vendor_owes: 5, buyer_owes: 3}"
    scaled = "        factors: [{kind: constant, factor: 2}]\n        at_most: {kind: amount, "
    both_ways = changed(("is_a: service_credit", "is_a: two_way"), text=priced(bench, way))
    dollars = "{kind: amount, amount: %s, currency: USD}"
    converts = (
        "conversions: [{currency: USD, kind: of_day, circumstance: usd, quoted: own_for_foreign, "
        "day: period_end, no_rate: wait, rounded: exact, source: Bank}]\n"
    )
    pounds = converts.replace("USD", "GBP").replace("usd", "gbp").split("[")[1]
    two = converts.replace("}]\n", "}, ") + pounds
    rates: list[tuple[str, dict[str, Any]]] = [
        (name, {"value": value, "values": {"on": "2025-01-31"}})
        for name, value in (("usd", "0.9"), ("gbp", "1.2"))
    ]
    fire: list[tuple[str, dict[str, Any]]] = [("fire", {}), ("withhold", {"value": 700})]
    second = """      - name: more
        is_a: penalty
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: amount, amount: 40, currency: GBP}
        at_most: {kind: amount, amount: 35, currency: GBP}
"""
    critical = (
        "critical_failure: {circumstance: fire, replaces: [uptime], decision: withhold, "
        "withheld_at_most: {kind: amount, amount: 500, currency: GBP}}\n"
    )
    relief = "    relief: [%s]\n    judged"
    volume = (
        "{kind: volume, metric: volume, times_normal: {at_least: 3}, normal_from: usual, "
        "notice: told}"
    )
    proof = "{kind: proofs, circumstance: excuse, proofs: [notice], within_days: 10}"

    def sites(*rows: tuple[object, object]) -> list[PeriodEvaluation]:
        found = []
        for month, (north, south) in zip(months(len(rows)), rows, strict=True):
            told: dict[str | tuple[str, str], object] = {
                ("uptime", "north"): north, ("uptime", "south"): south}  # fmt: skip
            one = evaluation(month, figures=told)
            kept = tuple(figure for figure in one.figures if figure.subject is not None)
            found.append(one.model_copy(update={"figures": kept}))
        return found

    def excused(text: str, *facts: tuple[str, dict[str, Any]]) -> Story:
        level = changed(("    judged", relief % text))
        return terms(level=level), monthly(98, figures={"volume": 30}, circumstances=facts)

    both = [("99.5", 99), (99, 99), ("99.7", 99), ("99.9", 99), (99, 99)]

    def noticed(name: str) -> tuple[str, dict[str, Any]]:
        return "excuse", {"level": name, "values": {"failed_on": "2025-01-31", "notice": True}}

    ten = {"value": 10}
    return [
        # deferred by a term that the next version no longer has, or has still
        *(([terms(deferred % ""), terms(text, head=later)], monthly(98, 99, 99, 99))
          for text in ("", deferred % "")),
        (terms(deferred % "levels: [repair], ", level=LEVEL + TWO),
         monthly(98, 97, figures={"repair": 98})),
        (terms(deferred.replace("minimum: false", "minimum: true") % "",
               level=LEVEL + TWO.replace("expected: {at_least: 99}", MINIMUM)),
         monthly(98, figures={"repair": 94})),
        (terms(run % "", level=LEVEL + reward), monthly(98, 99)),
        (terms(run % "levels: [repair], ", level=LEVEL + TWO + reward),
         [evaluation(month, value, figures={"repair": value})
          for month, value in zip(months(2), (98, 99), strict=True)]),
        # a run that did not move the level goes on; one with a month without a site does not
        (terms(level=changed(("    judged", ratchet))), monthly(99, 99, 100, "99.5", 99)),
        (terms(level=changed(("    judged", ratchet), text=each)), [
            *sites(("99.5", 99)),
            *(one.model_copy(update={"figures": one.figures[1:]}) for one in sites(*both)[1:2]),
            *sites(*both)[2:]]),
        # a level that a version in between does not have begins anew
        ([terms(level=moving), terms(level=still, head=later), terms(level=moving, head=latest)],
         monthly("99.5", "99.7", "99.9", 99, 99, figures={"repair": 99})),
        *((terms(event % keep, level=LEVEL + TWO + free),
           monthly(98, figures={"repair": 97, "late": 98}, circumstances=facts))
          for keep, facts in (("largest_credit", by), ("largest_credit", by[2:]))),
        (terms(event % "highest_share", level=small),
         monthly(98, figures={"repair": 97}, circumstances=by)),
        (terms(ending, level=each), sites((98, 99), (99, 98), (98, 99), (99, 98))),
        (terms(pool, level=LEVEL), [evaluation(month, 98, fee=fee) for month, fee in
                                    zip(months(4), (1000, 500, 2000, 100), strict=True)]),
        (terms(level=changed(("expected: {at_least: 99}", MINIMUM), text=on_run)),
         monthly(94, 94, 98, 94)),
        (terms(run % "", level=low), monthly(94, 99)),
        (terms(run.replace("asks: met", "asks: no_credit") % "levels: [uptime], ",
               "banks: [{bank: saved, usable: same_period, pays_for: [repair], "
               "opening: brought}]\n",
               level=LEVEL + TWO),
         [evaluation(month, value, figures={"repair": value},
                     circumstances=[("brought", {"value": 30})] if value == 98 else ())
          for month, value in zip(months(2), (98, 99), strict=True)]),
        (terms(run.replace("minimum: false", "minimum: true") % "",
               level=LEVEL + TWO.replace("expected: {at_least: 99}", MINIMUM)),
         [evaluation(month, value, figures={"repair": other})
          for month, value, other in zip(months(2), (98, 99), (94, 99), strict=True)]),
        *((terms(run.replace("as: amount", f"as: balance, lasts: {lasts}") % ""),
           monthly(98, 99, 99, 98, 98, 99, 99, 99, 99, 98)) for lasts in (1, 3)),
        *((terms(run % "", term % word), monthly(98, 99, 98, 98))
          for word in ("frees_the_cap", "still_counts")),
        *((terms(level=both_ways + scaled + f"amount: {limit}}}\n"),
           monthly(value, figures={"volume": 100})) for limit in (1, 90) for value in (3, 1)),
        (terms(two, level=LEVEL.replace(rate, dollars % 30) + second),
         monthly(98, circumstances=rates)),
        (terms(two, critical, level=LEVEL.replace(rate, dollars % 30) + TWO),
         monthly(98, figures={"repair": 98}, circumstances=[*rates, *fire])),
        *(excused(volume, ("usual", {"level": usual, **ten}), ("told", {"level": told}))
          for usual, told in (("uptime", "repair"), ("uptime", "uptime"), ("repair", "repair"))),
        *(excused(proof, noticed(name)) for name in ("uptime", "repair")),
    ]  # fmt: skip


@story
def dispute_admissions() -> list[Story]:
    """Disputes in time and a day late, with and without an error, of every effect."""
    terms_of = (
        "disputes: {circumstance: dispute, working_days: %d, holidays: [%s], "
        "effect: {at_least: 100}, needs_error: %s, disputed_amount: stays_due}\n"
    )

    def disputed(days: int, holidays: str, needs: str, *facts: dict[str, Any]) -> Story:
        usual = {"run_on": "2025-02-06", "raised_on": "2025-02-10", "error": True, "effect": 100}
        told = [
            ("dispute", {"subject": f"d{number}", "values": usual | fact})
            for number, fact in enumerate(facts)
        ]
        return terms(terms_of % (days, holidays, needs)), monthly(98, circumstances=told)

    late = [{"raised_on": f"2025-02-{day}"} for day in ("06", "07", "10", "11")]
    effects = [{"effect": effect} for effect in ("99.99", 100, 101)]
    unnamed = ("dispute", {"values": {"run_on": "2025-02-06", "raised_on": "2025-02-07",
                                      "error": True, "effect": 100}})  # fmt: skip
    return [
        *(disputed(days, holidays, "true", *late)
          for days, holidays in ((0, ""), (1, ""), (2, ""), (1, "2025-02-07"), (2, "2025-02-08"))),
        disputed(2, "", "true", *effects),
        *(disputed(2, "", needs, {"error": False}, {"error": True}) for needs in ("true", "false")),
        disputed(2, "", "true"),
        (terms(terms_of % (2, "", "true")), monthly(98, circumstances=[unnamed])),
        disputed(2, "", "true", {"raised_on": "soon"}),
        disputed(2, "", "true", {"effect": True}),
    ]  # fmt: skip


@story
def single_cents() -> list[Story]:
    """Every rule that asks whether there is anything at all, with a cent."""
    run = (
        "earn_backs: [{kind: after_good_run, earn_back: run, periods: 1, asks: %s, percent: 100, "
        "barred_below_minimum: false, no_data: breaks_the_run, given_as: %s}]\n"
    )
    deferred = (
        "earn_backs: [{kind: deferred, earn_back: later, periods: 2, asks: met, "
        "barred_below_minimum: false, no_data: breaks_the_run, at_end: payable}]\n"
    )
    year = (
        "earn_backs: [{kind: yearly_average, earn_back: year, percent: 100, "
        "barred_below_minimum: false, no_data: is_passed_over}]\n"
    )
    bank = "banks: [{bank: surplus, usable: next_period, opening: brought, lasts: 2}]\n"
    event = "single_event: {circumstance: by, keep: %s}\n"
    cap = "caps: [{cap: top, window: %s, limit: {kind: amount, amount: %s}}]\n"
    right = "terminations: [{kind: cap_reached, term: full, cap: top}]\n"
    bill = "invoicing: {invoice: invoice, deducted_from: same_period, rest: %s}\n"
    carried = "{kind: carried, at_end: cash, cash_within_days: 5}"
    critical = (
        "critical_failure: {circumstance: fire, decision: withhold, "
        "withheld_at_most: {kind: percent_of, percent: 10, base: fee}}\n"
    )
    fee = (
        "fees: [{fee: incentive, cost: fee, target_cost: 0.10, target_fee: 0.01, "
        "share_of_overrun: 30, share_of_underrun: 20, at_least: 0.01, at_most: 0.01}]\n"
    )
    by = [("by", {"level": name, "values": {"event": "x"}}) for name in ("uptime", "repair")]
    invoice = [("invoice", {"values": {"charges": "0.005", "date": "2025-01-28"}})]
    claim = [("claim", {"values": {"on": "2025-02-10"}})]
    share = "{kind: at_risk_share, at_risk: pool, shares: [50]}"
    pool = "at_risk: [{at_risk: pool, percent: 20, base: fee}]\n"

    def cents(text: str, *values: object, cents: object = "0.10", level: str = LEVEL,
              head: str = HEAD, **more: Any) -> Story:  # fmt: skip
        return terms(text, level=level, head=head), monthly(*values, fee=cents, **more)

    return [
        *(cents(run % (asks, given), 98, 99, 98)
          for asks in ("met", "no_credit") for given in ("amount", "balance")),
        cents(deferred, 98, 98, 99, 99),
        cents(year, 98, *["99.5"] * 10, 98),
        cents(bank, 98, 98, circumstances=[("brought", {"value": "0.01"})]),
        cents(bank, 98, 98, circumstances=[("brought", {"value": "0.009"})]),
        *(cents(event % keep, 98, level=LEVEL + TWO, figures={"repair": 98}, circumstances=by)
          for keep in ("largest_credit", "highest_share")),
        *(cents(cap % (window, limit) + right, 98, 98)
          for window in ("period", "term") for limit in ("0.01", "0.02")),
        cents("small_amounts: {kind: raise_to, amount: 0.02, compared: exact}\n", 98),
        cents("small_amounts: {kind: drop, only_above: 0.01, compared: exact}\n", 98),
        *(cents(bill % rest, 98, circumstances=invoice, head=ENDING.replace("-04-", "-02-"))
          for rest in ("{kind: lapses}", "{kind: cash, within_days: 3}", carried)),
        cents("deposit: {periods: 2}\n", 98, 98, 98, head=ENDING),
        cents(critical, 98, circumstances=[("fire", {}), ("withhold", {"value": "0.01"})]),
        cents(fee, 98),
        *(cents("claim: {within_days: 10}\n", 98, circumstances=facts) for facts in (claim, [])),
        cents(pool, 98, level=LEVEL.replace("{kind: percent_of, percent: 10, base: fee}", share)),
        cents("payable: {base: fee, percent: 10, at_least_zero: true}\n", 98, 99),
        # nothing at all
        *(cents(text, 98, 99, 98, cents=0)
          for text in (deferred, run % ("met", "balance"), run % ("no_credit", "balance"),
                       cap % ("period", 0) + right, event % "largest_credit",
                       "small_amounts: {kind: raise_to, amount: 1, compared: exact}\n")),
        cents(year, 98, *["99.5"] * 11, cents=0),
    ]  # fmt: skip


if __name__ == "__main__":
    for old in PAGES.glob("*.txt"):
        old.unlink()
    write_anew(PAGES, {name: partial(page, name) for name in STORIES})
