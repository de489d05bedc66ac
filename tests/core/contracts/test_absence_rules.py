"""What language 1 left unsaid of absence is written with the value that it meant in silence."""

from __future__ import annotations

from typing import Any

import pytest

from services.core.contracts.language import additions
from services.core.contracts.wording import path_text


def added(document: dict[str, Any]) -> dict[str, Any]:
    """What is added to a document, by path."""
    return {
        path_text((*one.path, one.key)): one.value
        for one in additions(document)
        if one.key in ("if_absent", "silence", "incomplete", "nothing_to_count", "nothing_left")
    }


@pytest.mark.parametrize(
    ("kind", "stated"),
    [
        ("availability_by_outages", {"silence": "up", "incomplete": "left_out"}),
        ("outage_time", {"silence": "up", "incomplete": "left_out"}),
        ("outage_count", {"silence": "up", "incomplete": "left_out"}),
        ("tickets_in_time",
         {"nothing_to_count": "no_data", "incomplete": "from_first_change"}),
        ("ratio", {"nothing_to_count": "no_data"}),
        ("delivery_delay", {"nothing_to_count": "no_data"}),
        ("mean", {}),
    ],
)  # fmt: skip
def test_a_measure_states_silence_halves_and_nothing_to_count(
    kind: str, stated: dict[str, str]
) -> None:
    document = {"kind": "programme", "metrics": [{"metric": "m", "measure": {"kind": kind}}]}
    assert added(document) == {
        f"metrics[0].measure.{name}": value for name, value in stated.items()
    }
    assert all(one.decide for one in additions(document) if one.key in stated)


QUANTITIES: list[tuple[dict[str, Any], str, Any]] = [
    ({"kind": "one"}, "met", None),
    ({"kind": "figure", "metric": "m"}, "no_result", {"counts_as": 0}),
    ({"kind": "circumstance", "circumstance": "c"}, "no_result", {"counts_as": 0}),
    ({"kind": "outside_range"}, "no_result", "nothing"),
    ({"kind": "against_benchmark", "metric": "m"}, "no_result", "nothing"),
    ({"kind": "shortfall", "metric": "m"}, "no_result", "nothing"),
    ({"kind": "shortfall"}, "no_result", None),
    ({"kind": "excess"}, "met", "nothing"),
    ({"kind": "duration"}, "no_result", None),
    ({"kind": "duration"}, "miss", "nothing"),
    ({"kind": "duration", "metric": "m"}, "no_result", "nothing"),
]


@pytest.mark.parametrize(("quantity", "no_data", "stated"), QUANTITIES)
def test_a_quantity_states_what_absence_meant_where_its_figure_can_be_absent(
    quantity: dict[str, Any], no_data: str, stated: Any
) -> None:
    level = {"level": "l", "no_data": no_data, "credits": [{"quantity": quantity}]}
    where = "levels[0].credits[0].quantity.if_absent"
    assert added({"kind": "agreement", "levels": [level]}) == (
        {} if stated is None else {where: stated}
    )


def test_every_other_reading_states_it_too() -> None:
    credit = {
        "rate": {"kind": "by_band", "of": "result"},
        "factors": [
            {"kind": "constant"}, {"kind": "figure"}, {"kind": "by_figure"}, {"kind": "when"},
        ],
    }  # fmt: skip
    document = {
        "kind": "agreement",
        "levels": [
            {"no_data": "met", "credits": [credit], "low_volume": {"left_out": 1},
             "relief": [{"kind": "volume"}, {"kind": "circumstance"}, {"kind": "proofs"}]},
        ],
        "bases": [{"part_of_period": "by_days_in_use"}, {"part_of_period": "full_charge"}],
        "terminations": [{"kind": "occurrence"}, {"kind": "misses"}],
        "single_event": {"keep": "chosen"},
        "critical_failure": {"decision": "withhold"},
        "invoicing": {"invoice": "bill"},
    }  # fmt: skip
    assert added(document) == {
        "levels[0].low_volume.nothing_left": "no_data",
        "levels[0].credits[0].rate.if_absent": "nothing",
        "levels[0].credits[0].factors[1].if_absent": {"counts_as": 0},
        "levels[0].credits[0].factors[2].if_absent": {"counts_as": 0},
        "levels[0].relief[0].if_absent": "does_not_hold",
        "bases[0].if_absent": {"counts_as": 1},
        "terminations[0].if_absent": "does_not_hold",
        "single_event.if_absent": "largest_credit",
        "critical_failure.if_absent": {"counts_as": 0},
        "invoicing.if_absent": "carried",
    }


@pytest.mark.parametrize("keep", ["largest_credit", "highest_share"])
def test_an_event_that_nobody_chooses_for_reads_no_choice(keep: str) -> None:
    assert added({"kind": "agreement", "single_event": {"keep": keep}}) == {}
