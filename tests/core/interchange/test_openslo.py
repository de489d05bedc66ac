"""OpenSLO: what an objective says becomes a metric and a level, and the rest must be stated."""

from __future__ import annotations

import pytest

from schemas.programme import WithinLimit
from services.core.contracts.interchange.carried import Imported, written_as_yaml
from services.core.contracts.interchange.openslo import from_openslo, to_openslo
from tests.core.interchange.filling import documents, filled, sample

MILLISECONDS = {"search_latency": {"unit": "milliseconds"}}


def open_places(imported: Imported) -> set[str]:
    """The paths that reading refuses."""
    return {one.path for one in imported.must_be_stated}


def losses(imported: Imported) -> dict[str, str]:
    """What is lost, by place."""
    return {one.where: one.what for one in imported.lost}


def test_values_under_a_limit_become_a_share_within_it() -> None:
    programme, (agreement,) = documents(from_openslo(sample("openslo-occurrences.yaml")))
    assert programme["metrics"] == [
        {
            "metric": "search-latency",
            "name": "Latency of user searches",
            "better": "higher",
            "measure": {"kind": "within_limit", "limit": "500", "equal_is_within": False},
        }
    ]
    assert agreement["levels"][0]["expected"] == {"at_least_or_above": "99"}


def test_slices_of_time_become_samples_and_each_objective_a_level() -> None:
    programme, (agreement,) = documents(from_openslo(sample("openslo-timeslices.yaml")))
    (metric,) = programme["metrics"]
    assert metric["measure"] == {"kind": "availability_by_samples"}
    assert programme["time_zone"] == "America/New_York"
    assert [(one["level"], one["expected"], one["metric"]) for one in agreement["levels"]] == [
        ("service-availability-1", {"at_least_or_above": "99.5"}, "web-availability"),
        ("service-availability-2", {"at_least_or_above": "99"}, "web-availability"),
    ]


def test_what_an_objective_does_not_say_must_be_stated() -> None:
    imported = from_openslo(sample("openslo-occurrences.yaml"))
    assert {
        "vendor", "vendors", "buyer", "sources", "currency", "settled", "conventions", "time_zone",
        "metrics[0].unit", "levels[0].judged", "levels[0].no_data", "levels[0].defaults",
        "levels[0].expected.at_least_or_above",
    } <= open_places(imported)  # fmt: skip


def test_a_window_that_is_no_calendar_period_is_refused_until_one_is_stated() -> None:
    rolling = from_openslo(sample("openslo-occurrences.yaml"))
    assert losses(rolling)["SLO search-slo.timeWindow"].startswith("a rolling window of 2w")
    minutes = from_openslo(sample("openslo-timeslices.yaml"))
    (refusal,) = (one for one in minutes.must_be_stated if one.path == "settled")
    assert refusal.reason == "'1m' is not a choice here"


def test_a_calendar_month_is_a_month() -> None:
    text = sample("openslo-timeslices.yaml").replace("duration: 1m #", "duration: 1M #")
    assert "settled" not in open_places(from_openslo(text))


def test_windows_of_several_lengths_become_the_levels_own() -> None:
    month = sample("openslo-timeslices.yaml").replace("duration: 1m #", "duration: 1M #")
    day = month.replace("service-availability", "daily").replace("1M #", "1d #")
    _, (agreement,) = documents(from_openslo(f"{month}\n---\n{day}"))
    assert [one["measured"] for one in agreement["levels"]] == ["month", "month", "day", "day"]
    assert "settled" not in agreement


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("openslo-occurrences.yaml", "SLO search-slo.alertPolicies"),
        ("openslo-occurrences.yaml", "indicator search-latency.thresholdMetric"),
        ("openslo-timeslices.yaml", "indicator web-availability.good"),
        ("openslo-timeslices.yaml", "SLO service-availability.timeWindow.startTime"),
        ("openslo-timeslices.yaml", "SLO service-availability.objectives[0].timeSliceTarget"),
    ],
)
def test_what_has_no_place_is_reported(name: str, where: str) -> None:
    assert where in losses(from_openslo(sample(name)))


def test_once_everything_is_stated_the_contract_is_without_fault() -> None:
    for name in ("openslo-occurrences.yaml", "openslo-timeslices.yaml"):
        _, (agreement,) = filled(from_openslo(sample(name)), **MILLISECONDS)
        assert agreement.levels[0].expected is not None


def test_values_over_a_limit_are_left_to_the_source_to_count() -> None:
    text = sample("openslo-occurrences.yaml").replace("op: lt", "op: gt")
    programme, _ = documents(from_openslo(text))
    assert programme["metrics"][0]["measure"] == {"kind": "ratio"}
    assert losses(from_openslo(text))["SLO search-slo.objectives[0].op"].startswith("'gt 500'")


def test_an_indicator_of_its_own_is_found_by_its_name() -> None:
    text = """apiVersion: openslo/v1
kind: SLI
metadata: {name: calls, displayName: Calls}
spec: {ratioMetric: {good: {}, total: {}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: served}
spec:
  service: shop
  indicatorRef: calls
  timeWindow: [{duration: 1Q, isRolling: false}]
  objectives: [{targetPercent: 97.5}]
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: wake-up}
"""
    imported = from_openslo(text)
    programme, (agreement,) = documents(imported)
    assert programme["metrics"][0]["measure"] == {"kind": "ratio"}
    assert (agreement["agreement"], agreement["settled"]) == ("shop", "quarter")
    assert agreement["levels"][0]["expected"] == {"at_least_or_above": "97.5"}
    assert losses(imported)["AlertPolicy wake-up"] == "has no place in a contract file"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("apiVersion: openslo/v1alpha\nkind: SLO\n", "only openslo/v1 is read"),
        ("apiVersion: openslo/v1\nkind: Service\n", "there is no document of kind SLO"),
        ("a: [", "not readable as YAML"),
        ("x" * 1_000_001, "more than 1000000 characters"),
    ],
)
def test_what_is_no_openslo_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_openslo(text)


def test_a_target_that_is_no_number_is_refused_with_its_place() -> None:
    text = sample("openslo-occurrences.yaml").replace("target: 0.99", "target: nearly all")
    with pytest.raises(ValueError, match=r"objectives\[0\]\.target: not an exact number"):
        from_openslo(text)


@pytest.mark.parametrize("name", ["openslo-occurrences.yaml", "openslo-timeslices.yaml"])
def test_out_and_in_again_gives_the_same_metrics_and_targets(name: str) -> None:
    programme, (agreement,) = filled(from_openslo(sample(name)), **MILLISECONDS)
    out = [one.document for one in to_openslo(agreement, programme)]
    again, (same,) = filled(from_openslo(written_as_yaml(out)), **MILLISECONDS)
    assert [one.measure for one in again.metrics] == [one.measure for one in programme.metrics]
    assert [(one.level, one.expected) for one in same.levels] == [
        (one.level, one.expected) for one in agreement.levels
    ]
    assert same.settled == agreement.settled


def test_what_an_slo_has_no_place_for_is_reported_on_the_way_out() -> None:
    programme, (agreement,) = filled(
        from_openslo(sample("openslo-occurrences.yaml")), **MILLISECONDS
    )
    (exported,) = to_openslo(agreement, programme)
    lost = {one.where for one in exported.lost}
    assert {"currency", "levels.search-slo.judged", "metrics.search-latency.unit"} <= lost
    assert isinstance(programme.metrics[0].measure, WithinLimit)
    lower = programme.metrics[0].model_copy(update={"better": "lower"})
    assert to_openslo(agreement, programme.model_copy(update={"metrics": (lower,)})) == ()
    assert to_openslo(agreement, programme.model_copy(update={"metrics": ()})) == ()
