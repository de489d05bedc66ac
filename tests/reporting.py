"""Programmes of tests that are not about who reports what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_reporters(programme: Mapping[str, Any]) -> dict[str, Any]:
    """A programme in which each source without a list reports every metric, all of them added."""
    metrics = [
        one if isinstance(one, Mapping) else one.model_dump(mode="json")
        for one in programme["metrics"]
    ]
    every = [
        one["metric"] for one in metrics if one["measure"]["kind"] not in ("series", "parallel")
    ]
    sources = [{"metrics": every, **one} for one in programme["sources"]]
    listed = [name for one in sources for name in one["metrics"]]
    stated = [
        {**one, "several_sources": one.get("several_sources") or "added"}
        if one["metric"] in every and listed.count(one["metric"]) > 1
        else one
        for one in metrics
    ]
    return {**programme, "sources": sources, "metrics": stated}
