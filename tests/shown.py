"""What a process shows of itself at /metrics."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families


def shown(url: str, name: str, **labels: str) -> list[float]:
    """The values of a collector, of those of its series that have these labels."""
    text = httpx.get(f"{url}/metrics", timeout=30).text
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
