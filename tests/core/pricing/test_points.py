"""Service points of several subjects, and the amounts that are converted beside them."""

from __future__ import annotations

from typing import Any

from schemas.statement import SettlementStatement
from tests.core.rules_told import changed, priced
from tests.core.told import HEAD, agreement, evaluation, settled

SCORED = priced(rate="{kind: points, points: 10}", due="{kind: on_default}")
EACH = changed(
    ("level: uptime", "level: sites"),
    ("    judged", "    each_subject: true\n    judged"),
    text=SCORED.split("levels:\n")[1],
)
SITES: dict[str | tuple[str, str], Any] = {("uptime", "East"): 98, ("uptime", "west"): 98}


def january(points: str) -> SettlementStatement:
    """January below the level as a whole and at two sites: ten points for each."""
    (found,) = settled(agreement(HEAD + SCORED + EACH + points), [
        evaluation("2025-01", 98, figures=SITES)])  # fmt: skip
    return found


def test_a_percentage_per_point_is_of_the_points_of_all_subjects() -> None:
    found = january("points: {kind: percent_per_point, percent: 1, base: fee}\n")
    assert [(line.line, line.minor_units) for line in found.lines] == [("points", 30000)]


def test_a_table_is_read_at_the_points_of_all_subjects() -> None:
    found = january(
        "points: {kind: point_table, table: {kind: by_band, of: quantity, gives: amount, bands: "
        "[{below: 30, gives: 1}, {at_least: 30, gives: 2}]}}\n"
    )
    assert [(line.line, line.minor_units) for line in found.lines] == [("points", 200)]


def test_points_without_a_subject_come_first_and_then_subjects_by_name() -> None:
    found = january(
        "points: {kind: marginal_bands, point_value: 3, per: subject, "
        "bands: [{above: 0, factor: 1}]}\n"
    )
    assert [(line.line, line.minor_units) for line in found.lines] == [
        ("points", 3000),
        ("points/East", 3000),
        ("points/west", 3000),
    ]


def test_points_of_the_agreement_are_those_of_all_subjects_in_one_line() -> None:
    found = january(
        "points: {kind: marginal_bands, point_value: 3, per: agreement, "
        "bands: [{above: 0, factor: 1}]}\n"
    )
    assert [(line.line, line.minor_units) for line in found.lines] == [("points", 9000)]


BESIDE = """
      - name: dollars
        is_a: service_credit
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: amount, amount: 5, currency: USD}
points: {kind: percent_per_point, percent: 1, base: fee}
conversions:
  - {currency: USD, kind: agreed, rate: 0.92, quoted: own_for_foreign, rounded: exact,
     source: Schedule 4}
"""


def test_the_line_of_the_points_does_not_tell_what_a_credit_beside_it_converted() -> None:
    scored = changed(("      - is_a", "      - name: scored\n        is_a"), text=SCORED)
    (found,) = settled(agreement(HEAD + scored.rstrip() + BESIDE), [evaluation("2025-01", 98)])
    rules = {line.line: [each.rule for each in line.steps] for line in found.lines}
    assert "conversion" in rules.pop("uptime/dollars")
    assert rules == {"points": ["points", "percent", "points-to-money"]}
