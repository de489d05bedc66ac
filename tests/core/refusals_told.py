"""What is refused, and in which words: contracts that cannot hold, and events that cannot count.

The pages in ``refusals/`` are the approved wording. After a change that is meant, write them anew
and read the difference before it is committed:

    python -m tests.core.refusals_told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

from pydantic import ValidationError

from schemas.programme import Programme
from services.core.contracts.check import check
from services.core.contracts.conditions import Unfit, checked
from services.core.contracts.reading import read_documents
from services.core.events.facts import Row
from services.core.events.rejections import Rejection
from services.core.events.rules import rules_of
from tests.core.approved import in_lines, write_anew
from tests.core.contracts.test_conditions import NO_CONDITIONS, condition
from tests.core.contracts.test_contract_check import GOOD, PROGRAMME
from tests.core.events.test_acceptance import AT, BAD, CHARGE, NOW, SAMPLE
from tests.core.events.test_acceptance import GOOD as GOOD_EVENTS
from tests.core.said import (
    DESK,
    FINANCE,
    NUMBERS,
    PROBE,
    Said,
    agreement,
    judged,
    moment,
    programme,
    usual_rules,
)
from tests.core.told import LEVEL

PAGES = Path(__file__).parent / "refusals"
TICK = timedelta(microseconds=1)

METRICS = """\
  - {metric: down, name: Down, unit: minutes, better: lower, measure: {kind: outage_time,
     overlap: merged, part: exact,
     silence: up, incomplete: left_out}}
  - {metric: failures, name: Failures, unit: count, better: lower, measure:
     {kind: outage_count, silence: up, incomplete: left_out, across_periods: begins}}
  - {metric: late, name: Late, unit: days, better: lower, measure:
     {kind: delivery_delay, nothing_to_count: no_data, across_periods: ends}}
"""
RATE = "{kind: percent_of, percent: 10, base: fee}"
ONE = "{kind: one}"
DURATION = (
    "{kind: duration, metric: %s, of: %s, counted: elapsed, unit: 1, part_unit: in_proportion}"
)
BANDS = "{kind: by_band, of: result, gives: amount, bands: [%s]}"
BANK = "{bank: later, usable: next_period%s}"
MINIMUM = "expected: {at_least: 99}\n    minimum: {at_least: %s}"

CHANGES: list[tuple[str, str]] = [
    ("programme: campus", "programme: campsu"),
    ("vendor: nimbus", "vendor: nimbsu"),
    ("vendor: nimbus", "vendor: quite-another"),
    ("metric: uptime", "metric: uptmie"),
    ("metric: uptime", "metric: quite-another"),
    (RATE, RATE.replace("fee", "fees")),
    (RATE, RATE.replace("fee", "quite-another")),
    (RATE, "{kind: at_risk_share, at_risk: pool, shares: [10]}"),
    (RATE, RATE.replace("{kind", "{over: run, kind")),
    (RATE, "{kind: worth_of, percent: 5}"),
    (RATE, f"{RATE}\n        at_most: {{kind: worth_of, percent: 5}}"),
    (RATE, f"{RATE}\n        at_most: {{kind: worth_of_each, percent: 5}}"),
    (RATE, BANDS % "{above: 100, gives: 9}, {at_most: 100, gives: 5}"),
    (RATE, BANDS % "{below: 0, gives: 9}, {at_least: 0, gives: 5}"),
    (RATE, BANDS % "{at_most: 0, gives: 9}, {above: 0, gives: 5}"),
    (RATE, BANDS % "{at_least: 100, gives: 9}, {below: 100, gives: 5}"),
    (RATE, BANDS % "{at_least: 99, gives: 9}, {below: 99, gives: 5}"),
    (RATE, BANDS % "{above: 99, gives: 9}, {at_most: 99, gives: 5}"),
    (RATE, BANDS % "{at_least: 98.9, gives: 9}, {below: 98.9, gives: 5}"),
    (RATE, BANDS % "{at_least: 99, gives: 9}, {at_least: 97, below: 98, gives: 5}"),
    (RATE, BANDS % "{at_least: 98, gives: 9}, {below: 99, gives: 5}"),
    (ONE, DURATION % ("uptime", "each")),
    (ONE, DURATION % ("uptime", "total")),
    (ONE, DURATION % ("failures", "total")),
    (ONE, DURATION % ("failures", "each")),
    (ONE, DURATION % ("down", "each")),
    ("{at_least: 99}", "{at_most: 99}"),
    ("{at_least: 99}", "{at_least: 101}"),
    ("{at_least: 99}", "{at_least: 100}"),
    ("{at_least: 99}", "{at_least: 100.5}"),
    ("{at_least: 99}", "{at_least: 0}"),
    ("{at_least: 99}", "{at_least: 0.5}"),
    ("{at_least: 99}", "{at_least: -0.5}"),
    ("{at_least: 99}", "{at_least: -1}"),
    ("{at_least: 99}", "{at_least: 99, below: 100}"),
    ("metric: uptime\n    expected: {at_least: 99}", "metric: delay\n    expected: {at_least: 9}"),
    ("metric: uptime\n    expected: {at_least: 99}", "metric: delay\n    expected: {at_most: 900}"),
    ("expected: {at_least: 99}", MINIMUM % "99.5"),
    ("expected: {at_least: 99}", MINIMUM % "99"),
    ("expected: {at_least: 99}", MINIMUM % "101"),
    ("metric: uptime\n    expected: {at_least: 99}",
     "metric: delay\n    expected: {at_most: 9}\n    minimum: {at_most: 8}"),
    ("    expected: {at_least: 99}\n", ""),
    ("{kind: every_miss}", "{kind: never}"),
    ("{kind: every_miss}", "{kind: below_minimum}"),
    ("    judged", "    measured: quarter\n    judged"),
    ("    judged", "    measured: week\n    judged"),
    ("    judged",
     "    low_volume: {below_total: 20, left_out: 1, nothing_left: no_data}\n    judged"),
    ("    judged", "    attributed: {circumstance: cause, unattributed: wait, "
     "shares: [{attributed_to: vendor, percent: 100}]}\n    judged"),
    ("    expected: {at_least: 99}\n", "    moves: {kind: baseline, periods: 2, tie: at_most, "
     "minimum: none, rounded: exact, no_data: starts_anew}\n"),
    ("currency: EUR", "currency: EUX"),
    ("version: 1", "version: none"),
    ("version: 1", "version: 1\nversion: 2"),
    ("settled: month", "settled: monthly"),
    ("settled: month", "settled: [month"),
    ("judged: exact", "judgd: exact"),
    ("judged: exact", "judged: roughly"),
    ("name: Hosting", "name: 365"),
    ("effective_from: 2025-01-01", "effective_from: 2025-01-02"),
    ("effective_from: 2025-01-01", "effective_from: 2025-13-01"),
    ("is_a: service_credit", "is_a: banked"),
    ("percent: 10", "percent: 1e3"),
    ("lateness_hours: 0", "lateness_hours: -1"),
    (", rounded_at: total", ""),
    ("kind: agreement", "kind: agrement"),
    ("no_data: no_result", "no_data: true"),
    ("is_a: service_credit", "is_a:"),
    ("kind: every_miss", "kind:"),
    ("metric: uptime", "metric: [a]"),
    ("level: uptime", "level: a b"),
]  # fmt: skip

MORE: list[str] = [
    "single_event: {circumstance: by, keep: largest_credit, adds: [[uptime], []]}",
    "caps: uptime",
    "points: {kind: percent_per_point, percent: 1, base: fee}",
    "caps: [{cap: a, window: period, levels: [uptim], limit: {kind: amount, amount: 1}}]",
    "caps: [{cap: a, window: trailing, limit: {kind: amount, amount: 1}}]",
    "caps: [{cap: a, window: period, limit: {kind: amount, amount: 1}}, "
    "{cap: a, window: period, limit: {kind: amount, amount: 1}}]",
    "caps: [{cap: a, window: period, limit: {kind: worth_of, percent: 5}}]",
    "caps: [{cap: a, window: period, limit: {kind: worth_of_each, percent: 5}}]",
    "critical_failure: {level: uptime, decision: withhold, "
    "withheld_at_most: {kind: worth_of, percent: 5}}",
    "at_risk: [{at_risk: a, percent: 1, base: fee}, {at_risk: a, percent: 2, base: fee}]",
    "terminations: [{kind: cap_reached, term: full, cap: year}]",
    "categories: [{category: a, allocations_total: exactly, percent: 100}]",
    "categories: [{category: a, allocations_total: at_most, percent: 100}]",
    "deposit: {periods: 2}",
    f"banks: [{BANK % ''}]",
    f"banks: [{BANK % ', opening: brought'}]",
    "critical_failure: {level: uptime, decision: withhold, "
    "withheld_at_most: {kind: amount, amount: 1}}",
    "critical_failure: {level: other, decision: withhold, "
    "withheld_at_most: {kind: amount, amount: 1}}",
    "retainages: [{retainage: kept, amount: 1, whole: uptime, released_on_pass: 50, "
    "parts: uptime, number: 2, without_result: lost}]",
    "earn_backs: [{kind: yearly_average, earn_back: y, levels: [uptime], percent: 50, "
    "barred_below_minimum: false, no_data: is_passed_over}]",
    "earn_backs: [{kind: yearly_average, earn_back: y, levels: [other], percent: 50, "
    "barred_below_minimum: false, no_data: is_passed_over}]",
    "claim: {within_days: 3, within_months: 2}",
    "order: [levels, credits, rounding]",
    "framework: true",
    "inherits: {agreement: corporate, version: 1}",
]
AGREED = "currency: %s, kind: agreed, rate: %s, quoted: %s, rounded: exact, source: Schedule 4"
OF_DAY = (
    "conversions: [{currency: USD, kind: of_day, circumstance: usd, day: invoice_date, "
    "no_rate: %s, quoted: own_for_foreign, rounded: exact, source: Schedule 4}]"
)
DOLLARS = "caps: [{cap: a, window: period, limit: {kind: amount, amount: 1, currency: USD}}]"
MORE += [
    DOLLARS,
    OF_DAY % "wait" + "\n" + DOLLARS,
    OF_DAY % "guess",
    OF_DAY % "{previous_within_days: 0}",
    "conversions: [{%s}]" % (AGREED % ("EUR", 1, "own_for_foreign")),
    "conversions: [{%s}]" % (AGREED % ("USX", 1, "own_for_foreign")),
    "conversions: [{%s}]" % (AGREED % ("USD", 0, "own_for_foreign")),
    "conversions: [{%s}]" % (AGREED % ("USD", 1, "foreign_for_own")),
    "conversions: [{%s, for_units: 7}]" % (AGREED % ("USD", 1, "own_for_foreign")),
    "conversions: [{%s}, {%s}]" % ((AGREED % ("USD", 1, "own_for_foreign"),) * 2),
    "conversions: [{currency: USD, kind: of_day}]",
]
TWICE = {
    "banks": BANK % ", opening: brought",
    "categories": "{category: a, allocations_total: at_most, percent: 9}",
    "clauses": "{clause: law, about: governing_law, text: The law}",
    "terminations": "{kind: misses, term: often, level: uptime, misses: 2, of_last: 3}",
    "earn_backs": "{kind: yearly_average, earn_back: y, percent: 50, "
    "barred_below_minimum: false, no_data: is_passed_over}",
    "retainages": "{retainage: kept, amount: 1, whole: uptime, released_on_pass: 50, "
    "parts: uptime, number: 2, without_result: lost}",
    "fees": "{fee: gain, cost: fee, target_cost: 1, target_fee: 1, share_of_overrun: 5, "
    "share_of_underrun: 5, at_least: null, at_most: null}",
}
MORE += [f"{section}: [{term}, {term}]" for section, term in TWICE.items()]
MORE += [
    "terminations: [{kind: misses, term: often, level: uptmie, misses: 2, of_last: 3}]",
    "terminations: [{kind: misses, term: often, level: x, misses: 4, of_last: 3}]",
    "at_risk: [{at_risk: a, percent: 1, base: fees}]",
    "levels: []",
    "banks: [{bank: a, usable: next_period, opening: brought, pays_for: [uptim, x]}]",
    "inherits: {agreement: corporate}",
    "small_amounts: {below: one}",
    "unknown_term: 1",
    "claim: {}",
    "payable: {kind: carrry}",
    "clauses: [{clause: 'Two Words', about: other, text: x}]",
    "clauses: [{clause: law, about: weather, text: 5}]",
    "clauses: law",
    "disputes: true",
    "disputes: {circumstance: told, working_days: 5, holidays: [], effect: {at_least: 1}, "
    "needs_error: true}",
]  # fmt: skip
ALLOCATED = (
    "at_risk: [{at_risk: pool, percent: 10, base: fee}]\n"
    "categories: [{category: a, allocations_total: %s, percent: %s}]\n"
)
SHARE = "{kind: at_risk_share, at_risk: pool, category: a, shares: [%s]}"
PLAIN = LEVEL.split("levels:\n")[1].replace("level: uptime", "level: plain")
NO_LEVEL = ("    expected: {at_least: 99}\n", "")
RUN = "{kind: on_run, misses: 2, no_data: ends_the_run}"
WHEN = "        when: {holds: %s, reads: [%s]}\n"
SEVERAL: list[list[tuple[str, str]]] = [
    [NO_LEVEL, ("{kind: on_default}", RUN)],
    [NO_LEVEL, ("{kind: on_default}", "{kind: every_period}")],
    [("{kind: every_miss}", "{kind: never}"), ("{kind: on_default}", RUN)],
    [("{kind: every_miss}", "{kind: misses_in_window, misses: 4, of_last: 3, "
      "below_minimum_counts: true}")],
    [("{kind: every_miss}", "{kind: misses_in_window, misses: 3, of_last: 3, "
      "below_minimum_counts: true}")],
    [("metric: uptime", "metric: failures"), ("{at_least: 99}", "{at_most: 200}")],
    *([("expected: {at_least: 99}", MINIMUM % 95), ("{kind: every_miss}", "{kind: misses_in_window,"
      f" misses: {misses}, of_last: 3, below_minimum_counts: true}}")] for misses in (3, 4)),
    [("levels:\n", "levels:\n" + PLAIN), ("level: uptime\n    name: Uptime\n    metric: uptime\n"
      "    expected: {at_least: 99}", "level: uptime\n    name: Uptime\n    metric: uptime\n    "
      + MINIMUM % "99.5")],
    [(RATE, RATE + "\n        when: {holds: 'true', unknown: wait, reads: [{kind: stated, "
      "name: storm, circumstance: storm}]}")],
    [(RATE, RATE + "\n        when: {holds: 'storm >', unknown: wait, reads: [{kind: stated, "
      "name: storm, circumstance: storm}]}")],
    [("metric: uptime", "metric: down"), ("{at_least: 99}", "{at_least: 5}"),
     (ONE, DURATION % ("down", "total"))],
    [("metric: uptime", "metric: delay"), ("{at_least: 99}", "{at_most: 9}"),
     (RATE, BANDS % "{below: 9, gives: 5}, {at_least: 9, gives: 9}")],
    [("metric: uptime", "metric: delay"), ("{at_least: 99}", "{below: 9}"),
     (RATE, BANDS % "{below: 8, gives: 5}, {at_least: 8, below: 9, gives: 1}, "
      "{at_least: 9, gives: 9}")],
    [("metric: uptime", "metric: delay"),
     ("    expected: {at_least: 99}\n", "    moves: {kind: baseline, periods: 2, tie: below, "
      "minimum: none, rounded: exact, no_data: starts_anew}\n")],
    [("metric: uptime", "metric: delay"),
     ("    expected: {at_least: 99}\n", "    moves: {kind: baseline, periods: 2, tie: above, "
      "minimum: none, rounded: exact, no_data: starts_anew}\n")],
    [(RATE, RATE + "\n" + WHEN.rstrip() % ("storm", "storm"))],
    [(RATE, RATE + "\n" + WHEN.rstrip() % ("storm && calm", "storm"))],
    [(RATE, RATE + "\n" + WHEN.rstrip() % ("'result < 99'", "storm"))],
    [(RATE, BANDS.replace("result", "quantity") % "{below: 98, gives: 5}")],
    [("    judged", "    each_subject: true\n    subject: north\n    judged")],
    [("    judged", "    averaged: {periods: 1, missing_period: no_result}\n    judged")],
    [("vendor: nimbus", "vendor: x"), ("metric: uptime", "metric: x"), ("fee}", "x}")],
    [("conventions: {money_rounding: half_up, rounded_at: total}", "conventions: half_up")],
    [("levels:\n", "levels:\n  - 7\n")],
    [("levels:\n", "levels:\n  - {level: Uptime}\n")],
    [("effective_from: 2025-01-01", "effective_from: 2025-01-01\neffective_until: 2024-01-01")],
    [("effective_from: 2025-01-01", "effective_from: 2025-01-01\neffective_until: 2025-01-01")],
    [("effective_from: 2025-01-01", "effective_from: 2025-01-01\neffective_until: 2025-02-01")],
    [("name: Hosting", "name: true")],
    [("name: Hosting", "name: null")],
    [("name: Hosting", "name: {a: b}")],
    [("name: Hosting", "name: ''")],
    [("name: Hosting", "name: &a Hosting\npoints: *b")],
    [("name: Hosting", "name: Hosting\n  vendor: x")],
    [("name: Hosting", "name: \tHosting\n\tvendor: x")],
    [("name: Hosting", "name: !!python/object Hosting")],
    [("agreement: hosting", "agreement: Hosting Two")],
    [("agreement: hosting", "agreement: 7")],
]  # fmt: skip
RATCHET = (
    "    moves: {kind: ratchet, periods: 2, asks: met, way_to_mean: 50, rounded: exact, "
    "no_data: starts_anew}\n"
)
LATE = DURATION % ("late", "each")
EACH_AT_MOST = "\n        at_most: {kind: worth_of_each, percent: 5}"
SEVERAL += [
    # what is not refused: points by band, a charge over the run that the credit is due on
    [(RATE, BANDS.replace("amount", "points").replace("of: result", "of: quantity")
      % "{below: 3, gives: 1}, {at_least: 3, gives: 2}"),
     ("levels:\n", "points: {kind: percent_per_point, percent: 1, base: fee}\nlevels:\n")],
    [(RATE, RATE.replace("{kind", "{over: run, kind")), ("{kind: on_default}", RUN)],
    [(RATE, BANDS % "{above: 100.5, gives: 9}, {at_most: 100.5, gives: 5}")],
    [("{at_least: 99}", "{above: 99}"),
     (RATE, BANDS % "{at_least: 99, gives: 9}, {below: 99, gives: 5}")],
    [("{at_least: 99}", "{above: 99}"),
     (RATE, BANDS % "{above: 99, gives: 9}, {at_most: 99, gives: 5}")],
    [("metric: uptime", "metric: delay"), ("{at_least: 99}", "{below: 9}"),
     (RATE, BANDS % "{at_most: 9, gives: 1}, {above: 9, gives: 5}")],
    [("metric: uptime", "metric: delay"), ("{at_least: 99}", "{below: 9}"),
     (RATE, BANDS % "{below: 9, gives: 1}, {at_least: 9, gives: 5}")],
    [(RATE, BANDS % "{below: -0.5, gives: 9}, {at_least: -0.5, gives: 5}")],
    [(ONE, LATE), (RATE, BANDS.replace("result", "quantity")
                   % "{below: 3, gives: 1}, {at_least: 3, gives: 2}" + EACH_AT_MOST)],
    [(ONE, LATE), (RATE, "{kind: worth_of, percent: 1}" + EACH_AT_MOST)],
    [(ONE, LATE.replace("metric: late, ", "")), ("{kind: every_miss}", "{kind: never}"),
     ("    expected: {at_least: 99}\n", ""), ("{kind: on_default}", "{kind: every_period}"),
     ("metric: uptime", "metric: failures"), (RATE, "{kind: worth_of, percent: 1}")],
    [(ONE, LATE.replace("metric: late, ", "")), ("    expected: {at_least: 99}\n", ""),
     ("{kind: on_default}", "{kind: every_period}"), ("metric: uptime", "metric: late"),
     (RATE, "{kind: worth_of, percent: 1}")],
    *([("is_a: service_credit", f"is_a: banked\n        bank: {name}"),
       ("levels:\n", f"banks: [{BANK % ''}]\nlevels:\n")] for name in ("later", "latr", "x")),
    [("levels:\n", "levels:\n" + PLAIN + PLAIN)],
    [("bases:\n", "bases:\n  - {base: fee, of_period: next, if_missing: zero, "
      "part_of_period: full_charge, longer_charge: refused}\n")],
    # terms that are within reach
    *([("is_a: service_credit", f"is_a: {is_a}"), ("levels:\n", "earn_backs: [{kind: "
       "yearly_average, earn_back: y, levels: [uptime], percent: 50, barred_below_minimum: false, "
       "no_data: is_passed_over}]\nlevels:\n")] for is_a in ("penalty", "bonus")),
    *([("levels:\n", "critical_failure: {level: uptime, decision: withhold, withheld_at_most: "
        "{kind: amount, amount: 1}}\nlevels:\n"), change]
      for change in (("{at_least: 99}", "{at_least: 99}\n    minimum: {at_least: 95}"),
                     ("    judged", RATCHET + "    judged"))),
    [("levels:\n", "retainages: [{retainage: kept, amount: 1, whole: uptime, released_on_pass: 50, "
      "parts: uptime, number: 2, without_result: lost}]\nlevels:\n"),
     ("    judged", "    each_subject: true\n    judged")],
    *([("metric: uptime", f"metric: {metric}"), ("{at_least: 99}", "{at_most: 9}"),
       ("    judged", "    attributed: {circumstance: cause, unattributed: wait, shares: "
        "[{attributed_to: vendor, percent: 100}]}\n    judged")]
      for metric in ("failures", "down", "late", "delay", "x")),
    *([("    expected: {at_least: 99}\n", f"    moves: {{kind: baseline, periods: 2, tie: {tie}, "
        "minimum: none, rounded: exact, no_data: starts_anew}\n")]
      for tie in ("at_least", "above", "below")),
    [(RATE, SHARE % 40), ("levels:\n", ALLOCATED % ("exactly", 40) + "levels:\n"),
     ("percent: 40}", "percent: 40}, {category: b, allocations_total: exactly, percent: 5}"),
     ("levels:\n", "levels:\n" + PLAIN.replace(RATE, SHARE.replace("a, ", "b, ") % 5))],
    [(RATE, SHARE % 40), ("levels:\n", ALLOCATED % ("at_most", 30) + "levels:\n"),
     ("percent: 30}", "percent: 30}, {category: b, allocations_total: at_most, percent: 5}"),
     ("levels:\n", "levels:\n" + PLAIN.replace(RATE, SHARE.replace("a, ", "b, ") % 6))],
    # what stands where something else is wanted
    [("expected: {at_least: 99}", "minimum: {at_least: 99}")],
    [("expected: {at_least: 99}", "expected: {at_least: 99}\n    minimum: {at_most: 95}")],
    *([("name: Hosting", f"name: {said}")] for said in ("[a]", "false", "~", "1.5", "'5'")),
    *([("conventions: {money_rounding: half_up, rounded_at: total}", f"conventions: {said}")]
      for said in ("[a]", "null", "false", "7")),
    *([("levels:\n", f"{section}: {said}\nlevels:\n")] for section in ("caps", "points")
      for said in ("null", "true", "{a: b}", "[]", "7", "['7']")),
    *([("version: 1", f"version: {said}")] for said in ("'1'", "+1", "0x1")),
    *([("name: Hosting", f"name: Hosting\nframework: {said}")]
      for said in ("FALSE", "TRUE")),
    # a field that has the name of its kind
    *([(RATE, rate)] for rate in ("{kind: amount, amount: x}", "{kind: amount}",
                                  "{kind: amount, amount: 1, amuont: 2}",
                                  "{kind: points, points: x}", "{amount: 1}")),
    *([(ONE, quantity)] for quantity in ("{kind: circumstance, circumstance: The Storm}",
                                         "{kind: circumstance}", "{kind: one, one: 1}")),
    *([("settled: month", f"settled: {said}")] for said in ("yaer", "half_yaer", "x")),
    # choices, and fields of what was chosen
    [("{kind: on_default}", "{kind: zzz}")],
    [("{kind: on_default}", "{kind: on_run, misses: 2, no_data: ends_the_run, zzz: 1}")],
    [("{kind: on_default}", "{kind: on_run, misses: 2}")],
    [("{kind: on_default}", "{kind: on_run, misses: 1, no_data: x}")],
    [("{kind: on_default}", "{kind: on_trigger, result: {zzz: 1}}")],
    [("{kind: on_default}", "{kind: on_trigger, result: 5}")],
    [("{kind: on_default}", "on_default")],
    [(RATE, RATE.replace("base", "zzz"))],
    [(RATE, "{kind: at_risk_share, at_risk: pool, shares: [ten, 5]}")],
    [(RATE, "{kind: at_risk_share, at_risk: pool, shares: 10}")],
    [(RATE, BANDS % "7, {zzz: 1, gives: x}")],
    [(ONE, "{kind: duration, of: each, counted: elapsed, unit: 1, part_unit: in_proportion, "
      "grace: {units: -1, kind: zzz}}")],
    [("levels:\n", "claim: {within_working_days: 5, holidays: [soon]}\nlevels:\n")],
    [("levels:\n", "claim: {within_working_days: none, holidays: [2025-01-01, never]}\n"
      "levels:\n")],
    [("levels:\n", "single_event: {circumstance: by, keep: largest_credit, "
      "adds: [[a, b], [b, C]]}\nlevels:\n")],
    [("levels:\n", "order: [levels, creditz]\nlevels:\n")],
    [("    judged", "    subjects: [two words]\n    judged")],
    [("    judged: exact", "    judged: {decimals: many, mode: half_up}")],
    [("no_data: no_result", "no_data: {counts_as: x}")],
    [("no_data: no_result", "no_data: {counts: 5}")],
    [("no_data: no_result", "no_data: 5")],
]  # fmt: skip
IN_ORDER: list[tuple[list[tuple[str, str]], list[tuple[str, str]]]] = [
    # a level to which a check does not apply goes before one that it refuses
    ([], [("    judged", "    measured: week\n    judged")]),
    ([], [("    judged", "    measured: year\n    judged")]),
    ([("metric: uptime", "metric: x")], [("{at_least: 99}", "{at_most: 99}")]),
    ([("metric: uptime", "metric: x")], [("{at_least: 99}", "{at_least: 101}")]),
    ([(ONE, DURATION % ("x", "each"))], [(ONE, DURATION % ("uptime", "each"))]),
    ([(ONE, DURATION % ("x", "total"))], [(ONE, DURATION % ("failures", "total"))]),
    ([], [("    judged",
           "    low_volume: {below_total: 20, left_out: 1, nothing_left: no_data}\n    judged")]),
    ([], [(RATE, BANDS % "{above: 100, gives: 9}, {at_most: 100, gives: 5}")]),
    ([("metric: uptime", "metric: x")],
     [NO_LEVEL, ("    judged", "    moves: {kind: baseline, periods: 2, tie: at_most, minimum: "
                 "none, rounded: exact, no_data: starts_anew}\n    judged")]),
    ([], [(RATE, f"{RATE}\n        when: {{holds: '7', unknown: wait, reads: []}}")]),
    ([(RATE, f"{RATE}\n        when: {{holds: '7', unknown: wait, reads: []}}")],
     [(RATE, f"{RATE}\n        when: {{holds: 'true', unknown: wait, reads: [{{kind: stated, "
       "name: storm, circumstance: storm}]}")]),
    ([("is_a: service_credit", "is_a: bonus")], [(RATE, "{kind: amount, amount: 1}")]),
    ([], [("{kind: every_miss}", "{kind: never}")]),
    ([], [("{kind: every_miss}", "{kind: misses_in_window, misses: 4, of_last: 3, "
           "below_minimum_counts: true}"), ("expected: {at_least: 99}", MINIMUM % 95)]),
]  # fmt: skip
OF_PROGRAMME = [
    ("source: urn:nimbus", "source: urn nimbus"),
    ("source: urn:nimbus, ", ""),
    ("buyer: town", "buyer: The Town"),
    ("version: 1", "version: one"),
    ("vendors: [{vendor: nimbus, name: Nimbus}]", "vendors: nimbus"),
    ("name: Nimbus}", "nam: Nimbus}"),
    ("{kind: mean}", "{kind: means}"),
    ("{kind: mean}", "{}"),
    ("{kind: mean}", "mean"),
    ("{kind: mean}", "{kind: mean, of: x}"),
    ("{kind: mean}", "{kind: percentile}"),
    ("unit: minutes", "unit: minute"),
    ("{kind: mean}", "{kind: tickets_in_time, limit_minutes: 60, equal_is_in_time: true, "
     "across_periods: ends, late_counts: once, nothing_to_count: no_data, "
     "incomplete: from_first_change, "
     "stops_in: [], open_past_limit: late, business_hours: {time_zone: Europe/Berlin, hours: "
     "[{days: [mon, tues], opens: '8:00', closes: '17:00'}]}}"),
    ("restated_for_days: 90", "restated_for_days: -1"),
    ("[{vendor: nimbus, name: Nimbus}]", "[]"),
    ("name: Campus", "name: ''"),
    ("measure: {kind: mean}}", "measure: {kind: mean}}\n"
     "shared_caps: [{cap: all, over: {kind: agreements, agreements: [a]}, window: period, "
     "settled: month, split: in_proportion, currency: EUR, "
     "limit: {kind: amount, amount: 1}}]"),
    ("effective_from: 2020-01-01", "effective_from: 1 January"),
]  # fmt: skip
NOTHING = ["", "---\n", "[1, 2]\n", "text\n", "kind: [agreement]\n", "kind:\n",
           "x: " + "[" * 41 + "]" * 41,
           "- kind: agreement\n",
           "name: x\n",
           "kind: agreement\nlanguage: 2\n",
           "kind: programme\nlanguage: 2\n",
           "\x00",
           "a: b: c",
           "kind: agreement\nlanguage: 2\nkind: agreement\n",
           "kind: weather\n",
           "name: x\nkind: weather\n",
           "? [a]\n: b\n", "1: 2\n"]  # fmt: skip
HIGHEST = "single_event: {circumstance: by, keep: highest_share}\n"
SECOND = """\
      - name: more
        is_a: %s
        due: {kind: on_default}
        quantity: {kind: one}
        rate: %s
"""
LATER = GOOD.replace("version: 1", "version: 2").replace("2025-01-01", "2025-02-01")


def contracts() -> Iterator[str]:
    """Contracts changed in one place."""
    for old, new in CHANGES:
        assert old in GOOD, old
        yield from _contract(f"{old!r} -> {new!r}", GOOD.replace(old, new, 1))
    for more in MORE:
        yield from _contract(more, f"{GOOD}{more}\n")
    for several in SEVERAL:
        text = GOOD
        for old, new in several:
            assert old in text, old
            text = text.replace(old, new, 1)
        yield from _contract(repr(several), text)
    for text in NOTHING:
        yield from _contract(repr(text), text)
    for old, new in OF_PROGRAMME:
        assert old in PROGRAMME, old
        yield f"# programme: {old!r} -> {new!r}"
        _, refusals = read_documents(PROGRAMME.replace(old, new, 1), "programme.yaml")
        yield from (f"    {refusal.text()}" for refusal in refusals)
    for first, second in IN_ORDER:
        one, other = (_changed(changes) for changes in (first, second))
        text = GOOD.replace(LEVEL, one) + other.split("levels:\n")[1].replace(
            "level: uptime", "level: second")  # fmt: skip
        event = HIGHEST if "bonus" in one else ""
        yield from _contract(f"{first} before {second}", text + event)
    for kind, rate in (
        ("penalty", "{kind: amount, amount: 1}"),
        ("bonus", "{kind: amount, amount: 1}"),
        ("penalty", RATE.replace("10", "5")),
        ("service_credit", BANDS.replace("amount", "percent, base: fee") % "{gives: 5}"),
        ("penalty", SHARE.replace("category: a, ", "") % 5),
    ):
        pool = "at_risk: [{at_risk: pool, percent: 10, base: fee}]\n" if "pool" in rate else ""
        yield from _contract(f"highest share beside {kind} {rate}",
                             GOOD + SECOND % (kind, rate) + HIGHEST + pool)  # fmt: skip
    for total, percent, share in (
        ("exactly", 50, 40), ("exactly", 50, 60), ("exactly", 50, 50), ("at_most", 50, 40),
        ("at_most", 50, "20, 60"),
    ):  # fmt: skip
        text = GOOD.replace(RATE, SHARE % share) + ALLOCATED % (total, percent)
        yield from _contract(f"share {share}, {total} {percent}", text)
    twice = GOOD + GOOD.split("credits:\n")[1]
    yield from _contract("two credits without a name", twice)
    named = twice.replace("- is_a", "- name: one\n        is_a")
    yield from _contract("two credits of one name", named)
    for old, new in (
        ("percent: 10", "percent: 11"),
        ("version: 1", "version: 2"),
        ("version: 1\n", "version: 2\nframework: false\n"),
        ("agreement: hosting", "agreement: other"),
    ):
        yield from _contract(f"beside itself: {new!r}", GOOD.replace(old, new), GOOD)
    other = GOOD.replace("agreement: hosting", "agreement: other")
    another = GOOD.replace("percent: 10", "percent: 11")
    for why, later, others in (
        ("another agreement goes before", LATER.replace("EUR", "USD"), (other, GOOD)),
        ("itself goes before", LATER.replace("EUR", "USD"), (LATER, GOOD)),
        ("its number goes before", LATER.replace("EUR", "USD"),
         (another.replace("version: 1", "version: 2"), GOOD)),
        ("a later one is there", GOOD.replace("EUR", "USD"), (LATER,)),
        ("a later one begins before", GOOD, (LATER.replace("2025-02", "2024-12"),)),
    ):  # fmt: skip
        yield from _contract(why, later, *others)
    for old, new in (
        ("EUR", "USD"),
        ("settled: month", "settled: quarter"),
        ("2025-02", "2024-12"),
        ("2025-02", "2025-01"),
        ("programme: campus", "programme: other"),
        ("vendor: nimbus", "vendor: other"),
    ):
        yield from _contract(f"after version 1: {new!r}", LATER.replace(old, new), GOOD)


def _changed(changes: list[tuple[str, str]]) -> str:
    """The usual level with these changes."""
    text = LEVEL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@cache
def _programme() -> Programme:
    (found,) = read_documents(PROGRAMME + METRICS, "programme.yaml")[0].programmes
    return found


def _contract(why: str, text: str, *others: str) -> Iterator[str]:
    yield f"# {why}"
    documents, refusals = read_documents(text, "c.yaml")
    versions = [one for other in others for one in read_documents(other, "o.yaml")[0].agreements]
    for document in documents.documents:
        refusals += check(document, _programme(), versions)
    yield from (f"    {refusal.text()}" for refusal in refusals)


def events() -> Iterator[str]:
    """Events that cannot count."""
    rules = usual_rules()
    for kind, data, _, _ in BAD:
        yield f"# {kind} {data}"
        said = Said(PROBE, "e1", kind, AT, data)
        yield _said(judged(said, rules, party="north", received_us=NOW))
    for source, id_, kind, data in (
        ("urn:new", "e1", "sample", SAMPLE),
        (PROBE, "two words", "sample", SAMPLE),
        (PROBE, "", "charge", CHARGE),
        (DESK, "e1", "sample", SAMPLE),
        (DESK, "e1", "charge", CHARGE),
    ):
        yield f"# {kind} {id_!r} from {source}"
        yield _said(judged(Said(source, id_, kind, AT, data)))
    for event in (Said(PROBE, "e1", "sample", AT, SAMPLE), Said(PROBE, "e1", "charge", AT, CHARGE)):
        yield f"# {event.kind} of another party, in the future, long ago"
        yield _said(judged(event, rules, party="desk"))
        assert isinstance(judged(event, rules, received_us=NOW - 300_000_000), Row)
        yield _said(judged(event, rules, received_us=NOW - 300_000_001))
        yield _said(judged(event, rules, latest_us=NOW * 2))


TAKES_NOTHING = agreement([{"metric": "samples"}], bases=[])
TAKES_TWO = agreement([{"metric": "samples"}], bases=[
    {"base": base, "of_period": "same", "if_missing": "wait", "part_of_period": "full_charge",
     "longer_charge": "refused"}
    for base in ("invoice", "fee")
])  # fmt: skip
CONVERTING = agreement([{"metric": "samples"}], conversions=[
    {"currency": "USD", "kind": "of_day", "circumstance": "usd", "quoted": "own_for_foreign",
     "day": "invoice_date", "no_rate": "wait", "rounded": "exact", "source": "Bank"},
    {"currency": "JPY", "kind": "agreed", "rate": "0.006", "quoted": "own_for_foreign",
     "rounded": "exact", "source": "Schedule 4"},
])  # fmt: skip
RANGES = [{"at_least": 0}, {"at_most": 100}, {"at_most": 0}, {}]
VERSIONS = [
    programme(),
    programme(
        2,
        "2025-01-10",
        sources=[{"source": PROBE, "reports_for": "north"}],
        metrics=[
            {"metric": "samples", "name": "S", "unit": "percent", "better": "higher",
             "measure": {"kind": "availability_by_samples"}}
        ],
    ),
]  # fmt: skip


def more_events() -> Iterator[str]:
    """Events under other rules than the usual: agreements, ranges, versions of the programme."""
    for terms, changes in (
        (TAKES_TWO, [{"base": "fees"}]),
        (TAKES_NOTHING, [{}, {"amount": "1.005"}]),
        (CONVERTING, [{"currency": currency, "amount": amount, **dated}
                      for currency, amount in (("USD", 1), ("JPY", "0.5"), ("JPY", 10**18),
                                               ("CHF", 1), ("EUR", "0.005"))
                      for dated in ({}, {"dated": "2025-01-31"})]),
    ):  # fmt: skip
        rules = rules_of([VERSIONS[0]], [terms], NUMBERS)
        for change in changes:
            yield f"# charge {change} to {', '.join(base.base for base in terms.bases) or 'none'}"
            yield _verdict(judged(Said(FINANCE, "e1", "charge", AT, CHARGE | change), rules))
    for more in ({"amount": 10**17}, {"amount": 46116860184273879}, {"subject": "north"}):
        yield f"# charge {more}"
        yield _verdict(judged(Said(FINANCE, "e1", "charge", AT, CHARGE | more)))
    for good, total in ((0, 2**62), (1, 2**62), (2**62, 2**62), (0, -1), (-1, -1), (0, 0)):
        yield f"# {good} of {total}"
        data = {"metric": "ratio", "good": good, "total": total}
        yield _verdict(judged(Said(PROBE, "e1", "count", AT, data)))
    for given in RANGES:
        measured = [{"metric": "declared", "name": "D", "unit": "percent", "better": "higher",
                     "measure": {"kind": "declared", **given}}]  # fmt: skip
        only = programme(metrics=measured, sources=[{"source": PROBE, "reports_for": "north"}])
        rules = rules_of([only], [], {("acme", "declared"): 0})
        for value in (-1, 0, 100, 101):
            yield f"# {value} within {given}"
            data = {"metric": "declared", "period": "2025-01", "value": value, "unit": "percent"}
            yield _verdict(judged(Said(PROBE, "e1", "figure", AT, data), rules))
    rules = rules_of(VERSIONS, [], NUMBERS)
    begins = moment("2025-01-09 23:00")
    for at in (moment("2024-06-01 00:00"), begins - TICK, begins, begins + TICK):
        for metric in ("samples", "status"):
            yield f"# {metric} at {at.isoformat()}"
            data = {"metric": metric, "up": True}
            yield _verdict(judged(Said(PROBE, "e1", "sample", at, data), rules, party="north"))
            yield _verdict(judged(Said(PROBE, "e1", "sample", at, data), rules, party="desk"))
    yield "# to a row"
    rules = usual_rules()
    for kind, data in GOOD_EVENTS:
        yield _verdict(judged(Said(PROBE, "e1", kind, AT, data), rules))


def _verdict(found: Row | Rejection) -> str:
    if isinstance(found, Rejection):
        return _said(found)
    digest = f"{found.identity.hex()[:12]} {found.payload.hex()[:12]}"
    return (
        f"    taken: {found.kind} {found.metric} {found.at_us} {found.value} "
        f"{found.scale_or_total} {found.subject} {digest} {found.data}"
    )


CONDITIONS = [
    *NO_CONDITIONS, "strike\n  && delay", "strike\n&&\n  delay",
    "(" * 21 + "strike" + ")" * 21, "!" * 21 + "strike", "",
    " ", "strike ||", "&& strike", "true == false", "cause == true", "strike == 1", "1 == 1",
    "delay < 'a'", "cause in ['a', 1]", "strike in [true]", "cause in []", "delay in [1,]",
    "standing == 'x'", "@", "delay = 1", "strike & strike", "strike | strike", "'a' 'b'", "-1",
    "delay < -1.5", "delay <= 1.", "delay >= 01", "cause == \"it's\"", "cause == 'a", "strik",
    "x", "result", "in", "(strike", "strike)", "!", "delay !in [1]", "month in [1, 2", "delay ==",
    "delay && strike", "delay || strike", "strike && strike && delay", "strike || delay && strike",
    "strike && delay || strike", "(delay) && strike", "delay > 1 && cause",
]  # fmt: skip


def conditions() -> Iterator[str]:
    """What is no condition, and what is one."""
    for text in CONDITIONS:
        yield f"# {text!r}"
        try:
            tokens = checked(condition(text))
        except Unfit as unfit:
            yield f"    {unfit.line}:{unfit.column} {unfit.reason}; {unfit.remedy}"
        except ValidationError as error:
            yield f"    {error.errors()[0]['msg']}"
        else:
            yield f"    {' '.join(f'{one.kind}:{one.text}@{one.at}' for one in tokens)}"


def _said(found: object) -> str:
    assert isinstance(found, Rejection), found
    return f"    {found.code} {found.field}: {found.reason}; {found.remedy}"


PAGE: dict[str, Callable[[], Iterator[str]]] = {
    "contracts": contracts,
    "events": events,
    "more_events": more_events,
    "conditions": conditions,
}


def page(name: str) -> str:
    """All refusals of a page."""
    return in_lines(PAGE[name]())


if __name__ == "__main__":
    write_anew(PAGES, {name: partial(page, name) for name in PAGE})
