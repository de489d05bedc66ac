"""Figures made of others, through `settle`: each value is worked out by hand beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.core.contracts.reading import read_documents
from tests.cases.settling import settle

OUTAGES = "{kind: availability_by_outages, silence: up, incomplete: wait}"
RATIO = "{kind: ratio, nothing_to_count: no_data}"
MEAN = "{kind: mean}"


def contract(made: str, *parts: str, unit: str = "percent", better: str = "higher") -> str:
    """A programme of some parts a, b, c and one figure of them, and an agreement that reads it."""
    names = [chr(ord("a") + place) for place in range(len(parts))]
    metrics = "".join(
        f"  - {{metric: {name}, name: Part, unit: {unit}, better: {better}, measure: {measure}}}\n"
        for name, measure in zip(names, parts, strict=True)
    )
    return f"""\
kind: programme
language: 2
programme: p
version: 1
effective_from: 2024-01-01
buyer: buyer
name: P
time_zone: Etc/UTC
restated_for_days: 400
whose_word: {{charges: either, circumstances: either, decisions: either, figures: either}}
vendors: [{{vendor: vendor, name: V}}]
sources: [{{source: urn:probe, reports_for: vendor, metrics: [{", ".join(names)}]}}]
metrics:
{metrics}  - metric: whole
    name: Whole
    unit: {unit}
    better: {better}
    measure: {{parts: [{", ".join(names)}], {made}}}
---
kind: agreement
language: 2
agreement: a
version: 1
programme: p
type: service
vendor: vendor
name: A
currency: EUR
effective_from: 2025-01-01
settled: month
lateness_hours: 0
conventions: {{money_rounding: half_up, rounded_at: total}}
levels:
  - level: whole
    name: Whole
    metric: whole
    judged: exact
    no_data: no_result
    defaults: {{kind: never}}
"""


def figure(home: Path, text: str, events: Sequence[Mapping[str, Any]]) -> str | None:
    """What the whole comes to in January."""
    facts = home / "events.ndjson"
    lines = sorted(events, key=lambda one: str(one["time"]))
    facts.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    done = settle("", "2025-01-31", home, text, events=facts)
    assert done.code == 0, done.err
    value: str | None = done.statements[0]["results"][0]["figure"]
    return value


def event(kind: str, at: str, metric: str, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"{metric}-{at}", "source": "urn:probe",
            "type": f"earnback.{kind}.v1", "time": f"2025-01-{at}:00:00Z",
            "data": {"metric": metric, **data}}  # fmt: skip


def down(metric: str, since: str, until: str) -> list[dict[str, Any]]:
    """An outage of a part, from ``10T00`` to ``10T10``."""
    outage = f"{metric}-{since}"
    return [event("outage", since, metric, outage=outage, phase="open"),
            event("outage", until, metric, outage=outage, phase="close")]  # fmt: skip


ALL = "kind: overlap, down_at_once: all"


@pytest.mark.parametrize(
    ("second", "value"),
    [
        (("20T00", "20T10"), "100"),  # on different days one of them is always up
        (("10T00", "10T10"), "9175/93"),  # 734 of 744 h: 98.6559 %
        (("10T10", "10T20"), "100"),  # the one goes as the other comes
        (("10T06", "10T16"), "9250/93"),  # 4 h at once: 740 of 744
    ],
)
def test_two_zones_of_a_region(tmp_path: Path, second: tuple[str, str], value: str) -> None:
    events = [*down("a", "10T00", "10T10"), *down("b", *second)]
    assert figure(tmp_path, contract(ALL, OUTAGES, OUTAGES), events) == value


def test_two_of_three_down_at_once(tmp_path: Path) -> None:
    events = [
        *down("a", "10T00", "10T10"),
        *down("b", "10T06", "10T16"),
        *down("c", "10T08", "10T20"),
    ]
    # Two or more from 06 to 16 h: 10 of 744 h.
    text = contract("kind: overlap, down_at_once: 2", OUTAGES, OUTAGES, OUTAGES)
    assert figure(tmp_path, text, events) == "9175/93"


def counts(*said: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [event("count", "10T12", metric, good=good, total=total) for metric, good, total in said]


def readings(*said: tuple[str, Sequence[int]], unit: str = "milliseconds") -> list[dict[str, Any]]:
    return [
        event("response", f"10T{place:02d}", metric, value=value, unit=unit)
        for metric, values in said
        for place, value in enumerate(values)
    ]


SITES = counts(("a", 90, 100), ("b", 294, 300))  # 90 % and 98 %


@pytest.mark.parametrize(
    ("made", "value"),
    [
        ("kind: weighted, weights: [3, 1]", "92"),
        ("kind: weighted, weights: counted, nothing_to_count: no_result", "96"),  # 384 of 400
        ("kind: worst", "90"),
        ("kind: best", "98"),
        ("kind: mean_of_parts", "94"),
        ("kind: series", "88.2"),
        ("kind: parallel", "99.8"),
    ],
)
def test_one_figure_of_two_sites(tmp_path: Path, made: str, value: str) -> None:
    assert figure(tmp_path, contract(made, RATIO, RATIO), SITES) == value


def test_a_site_with_nothing_to_count_weighs_nothing(tmp_path: Path) -> None:
    made = "kind: weighted, weights: counted, nothing_to_count: {counts_as: 100}"
    text = contract(made, RATIO, RATIO)
    assert figure(tmp_path, text, counts(("a", 90, 100), ("b", 0, 0))) == "90"
    assert figure(tmp_path, text, counts(("a", 0, 0), ("b", 0, 0))) == "100"
    assert figure(tmp_path, text, counts(("a", 90, 100))) is None, "of b nobody knows anything"


def test_where_less_is_better_the_worst_is_the_largest_and_times_add_up(tmp_path: Path) -> None:
    events = readings(("a", [100, 300]), ("b", [50]))
    for made, value in (("worst", "200"), ("best", "50"), ("sum_of_parts", "250")):
        text = contract(f"kind: {made}", MEAN, MEAN, unit="milliseconds", better="lower")
        assert figure(tmp_path, text, events) == value


def test_a_difference_is_of_the_first_less_the_second(tmp_path: Path) -> None:
    text = contract("kind: difference", MEAN, MEAN, unit="milliseconds", better="lower")
    text = text.replace("metric: b, name: Part, unit: milliseconds, better: lower",
                        "metric: b, name: Part, unit: milliseconds, better: higher")  # fmt: skip
    assert figure(tmp_path, text, readings(("a", [100, 300]), ("b", [50]))) == "150"


@pytest.mark.parametrize(("method", "value"), [("nearest_rank", "400"), ("interpolated", "344.5")])
def test_a_percentile_says_its_method(tmp_path: Path, method: str, value: str) -> None:
    # Interpolated: 0.95 x 3 = 2.85 steps from the first of four: 30 + 0.85 x 370.
    measure = f"{{kind: percentile, percent: 95, method: {method}}}"
    text = contract("kind: worst", measure, MEAN, unit="milliseconds", better="lower")
    assert figure(tmp_path, text, readings(("a", [10, 20, 400, 30]), ("b", [1]))) == value


REFUSED = {
    "too many at once": (
        contract("kind: overlap, down_at_once: 3", OUTAGES, OUTAGES), "can never be down at once"),
    "an overlap of counts": (contract(ALL, RATIO, OUTAGES), "does not say when it was down"),
    "one part": (contract("kind: worst", RATIO), "made of one part only"),
    "weights that are missing": (
        contract("kind: weighted, weights: [1]", RATIO, RATIO), "1 weights for 2 parts"),
    "counted and nothing counted": (
        contract("kind: weighted, weights: counted", RATIO, RATIO), "state nothing_to_count"),
    "nothing to count beside weights": (
        contract("kind: weighted, weights: [1, 1], nothing_to_count: no_data", RATIO, RATIO),
        "stated weights are never nothing"),
    "weighed by what counts nothing": (
        contract("kind: weighted, weights: counted, nothing_to_count: no_data",
                 "{kind: declared}", RATIO), "says no number to weigh it by"),
    "another unit": (
        contract("kind: worst", RATIO, RATIO).replace("Whole\n    unit: percent",
                                                      "Whole\n    unit: points"),
        "make it of parts in one unit"),
    "the other way round": (
        contract("kind: worst", RATIO, RATIO).replace("unit: percent\n    better: higher",
                                                      "unit: percent\n    better: lower"),
        "state better of it as of the part"),
    "a difference that grows with both": (
        contract("kind: difference", RATIO, RATIO), "the other way round than of the part"),
    "a difference of three": (
        contract("kind: difference", RATIO, RATIO, RATIO), "a difference is of two parts"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_parts_that_cannot_be_put_together_are_refused(what: str) -> None:
    text, said = REFUSED[what]
    _, refusals = read_documents(text, "contracts.yaml")
    assert said in " ".join(one.text() for one in refusals)
