"""What the dashboard shows, as a table; `python -m infra.grafana.dashboard` writes earnback.json.

Import the document into Grafana, or leave it where Grafana provisions dashboards from. It asks for
a Prometheus data source. What each metric means: docs/operating.md, "Metrics".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("earnback.json")
SOURCE = {"type": "prometheus", "uid": "${source}"}
COLUMNS, WIDTH, HEIGHT = 3, 8, 7


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. ``unit``: Grafana's name of it. ``asks``: PromQL, with the name of each line."""

    title: str
    unit: str
    asks: tuple[tuple[str, str], ...]
    about: str = ""


SECTIONS: dict[str, tuple[Panel, ...]] = {
    "Does it work": (
        Panel(
            "Parts that are not ready",
            "short",
            (("max by (instance, part) (earnback_not_ready)", "{{instance}} {{part}}"),),
            "Above 0 for minutes: /readyz of that process says why.",
        ),
        Panel(
            "Close alarms",
            "short",
            (("max(earnback_close_alarms)", "periods"),),
            "Above 0: tallies and stored facts differ; call someone.",
        ),
        Panel(
            "Parked work",
            "short",
            (("max by (service, what) (earnback_parked)", "{{service}} {{what}}"),),
            "Single agreements that could not be worked out; everything else goes on.",
        ),
    ),
    "How far it is behind": (
        Panel(
            "Records not yet applied",
            "short",
            (
                (
                    "sum by (app, topic) (max by (app, topic, partition) (earnback_lag_records))",
                    "{{app}} {{topic}}",
                ),
            ),
        ),
        Panel(
            "Vendors' records not yet read",
            "short",
            (
                (
                    "sum by (topic) (max by (topic, partition) (earnback_intake_lag_records))",
                    "{{topic}}",
                ),
            ),
            "A vendor's topic keeps its records for seven days.",
        ),
        Panel(
            "Outbox: rows not yet published",
            "short",
            (("max by (topic) (earnback_outbox_depth)", "{{topic}}"),),
        ),
    ),
    "What it does": (
        Panel(
            "Events by outcome",
            "eps",
            (
                (
                    "sum by (service, outcome) (rate(earnback_events_total[5m]))",
                    "{{service}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            "A step, 99th percentile",
            "s",
            (
                (
                    "histogram_quantile(0.99,"
                    " sum by (app, topic, le) (rate(earnback_step_seconds_bucket[5m])))",
                    "{{app}} {{topic}}",
                ),
            ),
        ),
        Panel(
            "Compiled loops of ingest",
            "short",
            (("min by (instance) (earnback_ingest_compiled)", "{{instance}}"),),
            "Below 0: they can't be compiled, and events are judged one by one; right, and slower.",
        ),
        Panel(
            "Batches that were not simply applied",
            "ops",
            (
                (
                    "sum by (app, topic, outcome)"
                    ' (rate(earnback_steps_total{outcome!="applied"}[5m]))',
                    "{{app}} {{topic}} {{outcome}}",
                ),
            ),
            "jumped: records were skipped on the way and read again.",
        ),
    ),
    "Periods and money": (
        Panel(
            "Statement revisions an hour",
            "short",
            (("sum by (outcome) (increase(earnback_statements_total[1h]))", "{{outcome}}"),),
        ),
        Panel(
            "Closed periods that wait to be settled",
            "short",
            (
                ("max(earnback_settlement_pending)", "wait for something"),
                ("max(earnback_restatements_held)", "held for a restatement"),
            ),
        ),
        Panel(
            "The book kept from others, 99th percentile",
            "s",
            (
                (
                    "histogram_quantile(0.99,"
                    " sum by (le) (rate(earnback_book_held_seconds_bucket[1h])))",
                    "until the commit",
                ),
            ),
        ),
        Panel(
            "Closing a period, 95th percentile",
            "s",
            (
                (
                    "histogram_quantile(0.95,"
                    " sum by (le) (rate(earnback_close_seconds_bucket[1h])))",
                    "recount included",
                ),
            ),
        ),
    ),
    "HTTP and memory": (
        Panel(
            "Requests by status",
            "reqps",
            (
                (
                    "sum by (service, status) (rate(earnback_request_seconds_count[5m]))",
                    "{{service}} {{status}}",
                ),
            ),
        ),
        Panel(
            "Refused before authentication",
            "reqps",
            (
                (
                    "sum by (service, reason) (rate(earnback_http_refused_early_total[5m]))",
                    "{{service}} {{reason}}",
                ),
            ),
            "Rises: someone tries the limits.",
        ),
        Panel(
            "Identities in memory",
            "short",
            (("sum by (instance) (earnback_identities_held)", "{{instance}}"),),
            "Times 28 bytes.",
        ),
    ),
}


def document() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    return {
        "uid": "earnback",
        "title": "earnback",
        "tags": ["earnback"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource"}
                | {"query": "prometheus"}
            ]
        },
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in SECTIONS.items():
        number += 1
        place = {"x": 0, "y": y, "w": COLUMNS * WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        y += 1
        for index, panel in enumerate(panels):
            number += 1
            place = {"x": index % COLUMNS * WIDTH, "y": y, "w": WIDTH, "h": HEIGHT}
            yield _panel(panel, number, place)
            if index % COLUMNS == COLUMNS - 1 or index == len(panels) - 1:
                y += HEIGHT


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": letter, "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for letter, (expr, legend) in zip("ABCDEFGH", panel.asks, strict=False)
        ],
    }


def text() -> str:
    """The document as it is kept."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
