"""How far event time has come for an agreement, and who holds it back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from schemas.agreement import Agreement
from schemas.period import first_day, label_of, next_label, period_length
from schemas.programme import Programme
from services.core.calendar.windows import bounds_us, window_of
from services.shell.frames import partition_of

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How far one partition has come.

    ``max_event_us``: latest event time applied, None for none. ``silent_s``: seconds of the wall
    clock since a record was last applied. ``behind``: records wait that are not applied.
    """

    partition: int
    max_event_us: int | None
    silent_s: float
    behind: bool


@dataclass(frozen=True, slots=True)
class Watermark:
    """``at_us``: no partition that counts is behind it; None while one has said nothing.

    ``held_by``: the partition that holds it there. ``idle``: partitions that were passed over.
    """

    at_us: int | None
    held_by: int | None
    idle: tuple[int, ...]


def watermark(marks: Iterable[PartitionProgress], idle_after_s: float) -> Watermark:
    """The least event time over the partitions that are not idle.

    A partition is idle when everything it holds is applied and nothing has come for
    ``idle_after_s`` seconds. Where all are idle the latest of them counts: none can hold back the
    others any more.
    """
    every = sorted(marks, key=lambda mark: mark.partition)
    idle = [mark for mark in every if not mark.behind and mark.silent_s >= idle_after_s]
    live = [mark for mark in every if mark not in idle]
    passed_over = tuple(mark.partition for mark in idle)
    if not live:
        times = [mark.max_event_us for mark in idle if mark.max_event_us is not None]
        return Watermark(max(times, default=None), None, passed_over)
    least = min(live, key=lambda mark: -(2**63) if mark.max_event_us is None else mark.max_event_us)
    return Watermark(least.max_event_us, least.partition, passed_over)


def feeding(
    programmes: Iterable[Programme], metrics: Collection[str], partitions: int
) -> frozenset[int]:
    """The partitions whose sources may report one of the metrics."""
    return frozenset(
        partition_of(source.source, partitions)
        for programme in programmes
        for source in programme.sources
        if not source.metrics or not set(source.metrics).isdisjoint(metrics)
    )


def begun(versions: Sequence[Agreement], zone: str, at_us: int) -> list[str]:
    """The settlement periods that have begun at an instant, in order, of all versions.

    ``versions`` are sorted. A version ends where it says, or where the next one begins.
    """
    labels: list[str] = []
    for version in versions:
        label = label_of(version.effective_from, version.settled)
        while _start_us(label, zone) <= at_us and _may_hold(version, label):
            if version_of(versions, label) is version and label not in labels:
                labels.append(label)
            label = next_label(label)
    return labels


def version_of(versions: Sequence[Agreement], period: str) -> Agreement | None:
    """The version whose settlement period this is; None when it is none."""
    day = first_day(period)
    in_force = [each for each in versions if each.effective_from <= day]
    if not in_force:
        return None
    version = in_force[-1]
    fits = period_length(period) == version.settled and _may_hold(version, period)
    return version if fits else None


def due_at_us(version: Agreement, period: str, zone: str) -> int:
    """The event time at which a period is closed without being told."""
    return bounds_us(window_of(period, zone))[1] + version.lateness_hours * HOUR_US


def _may_hold(version: Agreement, label: str) -> bool:
    return version.effective_until is None or first_day(label) < version.effective_until


def _start_us(label: str, zone: str) -> int:
    return bounds_us(window_of(label, zone))[0]
