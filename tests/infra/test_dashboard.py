"""The dashboard asks for nothing that no service exposes, and its document is the table's."""

from __future__ import annotations

import json
import re

import pytest

from infra.grafana.dashboard import FILE, SECTIONS, Panel, document, text
from tests.infra.test_alerts import EXPOSED, OF_PROMETHEUS

PANELS = [panel for panels in SECTIONS.values() for panel in panels]


def test_the_document_is_the_one_that_the_table_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run: python -m infra.grafana.dashboard"
    assert json.loads(text()) == document()


@pytest.mark.parametrize("panel", PANELS, ids=[panel.title for panel in PANELS])
def test_a_panel_asks_for_metrics_and_labels_that_there_are(panel: Panel) -> None:
    for expr, legend in panel.asks:
        named = set(re.findall(r"earnback_[a-z_]+", expr))
        assert named
        assert named <= EXPOSED.keys()
        labels = {label for name in named for label in EXPOSED[name]} | OF_PROMETHEUS
        by = re.findall(r"by \(([^)]*)\)", expr)
        grouped = [{one.strip() for one in each.split(",")} for each in by]
        assert set().union(*grouped) <= labels
        for matchers in re.findall(r"\{([^}]*)\}", expr):
            assert set(re.findall(r"([a-z_]+)[=!]", matchers)) <= labels
        kept = grouped[0] if grouped else set()
        assert set(re.findall(r"\{\{([a-z_]+)\}\}", legend)) <= kept, "the line has no name"
        assert expr.count("(") == expr.count(")")


def test_every_metric_to_watch_is_shown() -> None:
    shown = {
        name
        for panel in PANELS
        for expr, _ in panel.asks
        for name in re.findall(r"earnback_[a-z_]+", expr)
    }
    endings = ("_bucket", "_sum", "_count")
    all_of_them = {re.sub("|".join(f"{one}$" for one in endings), "", name) for name in EXPOSED}
    unshown = all_of_them - {
        re.sub("|".join(f"{one}$" for one in endings), "", name) for name in shown
    }
    assert unshown == {
        "earnback_applied_offset",
        "earnback_outbox_published_total",
        "earnback_windows_open",
    }


def test_no_panel_lies_upon_another() -> None:
    places = [panel["gridPos"] for panel in document()["panels"]]
    cells = [
        (x, y)
        for each in places
        for x in range(each["x"], each["x"] + each["w"])
        for y in range(each["y"], each["y"] + each["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in document()["panels"]]
    assert len(set(ids)) == len(ids)
