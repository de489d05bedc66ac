"""The alerting rules name nothing that the services do not expose, and fire when they are to."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

from services.evaluator import gauges as evaluator_gauges
from services.ingest import lag
from services.settlement import gauges as settlement_gauges
from services.shell import metrics
from tests.docs.pages import ROOT, page, section

RULES: list[dict[str, Any]] = YAML(typ="safe").load(
    (ROOT / "infra/alerts.yaml").read_text(encoding="utf-8")
)["groups"][0]["rules"]
TESTS = ("alerts_test.yaml", "alerts_of_days_test.yaml")
PROMTOOL = shutil.which("promtool")
ENDINGS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OF_PROMETHEUS = {"job", "instance", "le"}


def series() -> dict[str, set[str]]:
    """The name of every series that the services expose, with its labels."""
    collectors = [
        each
        for module in (metrics, lag, evaluator_gauges, settlement_gauges)
        for each in vars(module).values()
        if isinstance(each, MetricWrapperBase)
    ]
    return {
        one._name + ending: set(one._labelnames)
        for one in collectors
        for ending in ENDINGS[one._type]
    }


EXPOSED = series()


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_asks_for_metrics_and_labels_that_there_are(rule: dict[str, Any]) -> None:
    expr = rule["expr"]
    named = re.findall(r"earnback_[a-z_]+", expr)
    assert named
    assert set(named) <= EXPOSED.keys()
    labels = {label for name in named for label in EXPOSED[name]} | OF_PROMETHEUS
    grouped = {one.strip() for by in re.findall(r"by \(([^)]*)\)", expr) for one in by.split(",")}
    for name, matchers in re.findall(r"(earnback_[a-z_]+)\{([^}]*)\}", expr):
        assert set(re.findall(r"([a-z_]+)[=!]", matchers)) <= EXPOSED[name]
    assert grouped <= labels
    told = set(re.findall(r"\$labels\.([a-z_]+)", rule["annotations"]["summary"]))
    assert told <= grouped, "a label that the grouping drops is empty in the message"
    for opening, closing in ("()", "{}", "[]"):
        assert expr.count(opening) == expr.count(closing)
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_the_outcomes_asked_for_are_counted() -> None:
    """Counted under these names: see `Frames._count` and `services.settlement.gauges.count`."""
    asked = {
        one
        for rule in RULES
        for values in re.findall(r'outcome=~?"([^"]*)"', rule["expr"])
        for one in values.split("|")
    }
    page_rows = section(page("operating.md"), "## Metrics")
    assert asked == {"refused", "conflict", "review", "unreadable", "rejected", "jumped"}
    assert all(f"`{one}`" in page_rows for one in ("rejected", "conflict", "refused", "jumped"))


def test_the_page_says_where_the_rules_are_and_means_each_alert() -> None:
    alarms = section(page("operating.md"), "## Alarms")
    assert "infra/alerts.yaml" in alarms
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(re.findall(r"`(Earnback[A-Za-z]+)`", alarms)) == set(names)


def _cases() -> list[dict[str, Any]]:
    read = [
        YAML(typ="safe").load((ROOT / "infra" / name).read_text(encoding="utf-8")) for name in TESTS
    ]
    return [case for one in read for test in one["tests"] for case in test["alert_rule_test"]]


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    names = {rule["alert"] for rule in RULES}
    assert {each["alertname"] for each in _cases() if each["exp_alerts"]} == names
    assert {each["alertname"] for each in _cases() if not each["exp_alerts"]} == names


def test_a_case_expects_the_severity_and_the_labels_that_the_rule_gives() -> None:
    """As far as this can be told without Prometheus."""
    rules = {rule["alert"]: rule for rule in RULES}
    for case in _cases():
        for expected in case["exp_alerts"]:
            rule = rules[case["alertname"]]
            said = re.sub(r"\{\{[^}]*\}\}", "@", rule["annotations"]["summary"])
            pattern = "(.+)".join(re.escape(part) for part in said.split("@"))
            assert re.fullmatch(pattern, expected["exp_annotations"]["summary"]), case
            assert expected["exp_labels"]["severity"] == rule["labels"]["severity"]
            grouped = re.search(r"by \(([^)]*)\)", rule["expr"])
            labels = {one.strip() for one in grouped[1].split(",")} if grouped else set()
            assert expected["exp_labels"].keys() - {"severity"} == labels - {"le"}, case


def test_series_of_the_cases_are_exposed() -> None:
    for name in TESTS:
        text = (ROOT / "infra" / name).read_text(encoding="utf-8")
        for metric, matchers in re.findall(r"series: '(earnback_[a-z_]+)\{([^}]*)\}", text):
            labels = set(re.findall(r"([a-z_]+)=", matchers))
            assert labels - OF_PROMETHEUS == EXPOSED[metric] - OF_PROMETHEUS, metric


@pytest.mark.skipif(
    PROMTOOL is None,
    reason="promtool is not installed (Debian: prometheus): the cases of infra/alerts_test.yaml "
    "are held to the rules' names, labels and texts alone, and are not run",
)
@pytest.mark.parametrize("name", TESTS)
def test_prometheus_itself_finds_that_the_alerts_fire_as_the_cases_say(name: str) -> None:
    command = [str(PROMTOOL), "test", "rules", str(ROOT / "infra" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
