"""The bench's figures for people."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from services.cli.show import out


def machine() -> dict[str, Any]:
    """What ran it. Without its name: figures are compared by size."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def show(found: Mapping[str, Any]) -> None:
    """A table of the rounds, the processor's share, memory, the door, and what was checked."""
    size = found["machine"]
    out.print(
        f"{found['events']:,} events a round, {found['duplicates']:.0%} of them repetitions; "
        f"{size['cores']} cores for servers, chain and client together; {size['system']}, "
        f"Python {size['python']}"
    )
    out.print(_rounds(found["rounds"]))
    out.print(_processes(found))
    if found["door"] is not None:
        out.print(_door(found["door"]))
        took = ", ".join(f"{part} {each:.2f}" for part, each in found["door"]["cpu_us"].items())
        out.print(f"processor µs/event over HTTP: {took}")
    for line in found["checked"]:
        out.print(f"checked  {line}")


def _rounds(rounds: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Kafka to durable windows", title_justify="left", show_edge=False)
    for column in ("", "median", "min", "max"):
        table.add_column(column, justify="left" if not column else "right")
    rows = (
        ("raw limit: librdkafka + msgspec, events/s", "raw_per_second", "{:,.0f}"),
        ("the same, librdkafka as it comes, events/s", "raw_as_it_comes_per_second", "{:,.0f}"),
        ("the same with Python's json, events/s", "raw_json_per_second", "{:,.0f}"),
        ("chain, events/s", "chain_per_second", "{:,.0f}"),
        ("chain / raw limit", "ratio", "{:.1%}"),
        ("chain / raw with Python's json", "ratio_json", "{:.1%}"),
        ("chain / raw, librdkafka as it comes", "ratio_as_it_comes", "{:.1%}"),
        ("raw limit, processor µs/event", "raw_cpu_us", "{:.2f}"),
        ("load average before", "load_average_before", "{:.1f}"),
    )
    for name, key, form in rows:
        table.add_row(name, *(form.format(each) for each in _spread([r[key] for r in rounds])))
    return table


def _processes(found: Mapping[str, Any]) -> Table:
    table = Table(title="Processes", title_justify="left", show_edge=False)
    for column in ("", "µs/event, median", "min", "max", "peak MiB"):
        table.add_column(column, justify="left" if not column else "right")
    rounds = found["rounds"]
    for part, memory in found["memory_peak_mib"].items():
        took = _spread([each["chain_cpu_us"].get(part, 0.0) for each in rounds])
        table.add_row(part, *(f"{each:.2f}" for each in took), f"{memory:.0f}")
    whole = _spread([sum(each["chain_cpu_us"].values()) for each in rounds])
    table.add_row("together", *(f"{each:.2f}" for each in whole))
    return table


def _door(door: Mapping[str, Any]) -> Table:
    table = Table(title="HTTP door, batches of 500", title_justify="left", show_edge=False)
    for column in ("", "events/s", "p50 ms", "p99 ms", "max ms", "not 202"):
        table.add_column(column, justify="left" if not column else "right")
    for name, key in (("as fast as it answers", "full"), ("at half that load", "half")):
        run = door[key]
        table.add_row(
            name,
            f"{run['events_per_second']:,.0f}",
            *(f"{run[each]:.1f}" for each in ("p50_ms", "p99_ms", "max_ms")),
            str(run["other_than_202"]),
        )
    return table


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)
