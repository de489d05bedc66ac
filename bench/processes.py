"""What processes take: time on the processor and memory, as Linux counts them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def known() -> bool:
    """Whether this system tells."""
    return (PROC / "self" / "smaps_rollup").exists()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for each in PROC.iterdir():
        if each.name.isdigit():
            fields = _stat(int(each.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(each.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting.extend(children.get(found[-1], ()))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of these processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        ticks += sum(int(each) for each in fields[11:15]) if fields else 0
    return ticks / _TICKS


def peak_mib(pid: int) -> float:
    """The most memory that a process has ever held (resident)."""
    return _kib(PROC / str(pid) / "status", "VmHWM:") / 1024


def share_mib(pids: Iterable[int]) -> float:
    """Memory of several processes that share some of it, the shared part counted once."""
    return sum(_kib(PROC / str(pid) / "smaps_rollup", "Pss:") for pid in pids) / 1024


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; none when the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _kib(path: Path, name: str) -> int:
    try:
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
