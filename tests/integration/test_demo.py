"""The demo as a person runs it: to the end, with the right figures, and without leftovers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import blocks, page

MOST_BYTES = 1_500_000_000
SECONDS = 400
END = "Who owes what"


@dataclass(frozen=True)
class Run:
    """A finished demo: its exit code, what it printed, and what its processes needed at most."""

    code: int
    printed: str
    seconds: float
    most_bytes: int
    processes: frozenset[int]


def environment(folder: Path) -> dict[str, str]:
    """Ours without the addresses of any server, a wide terminal, and a folder of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("EARNBACK_")}
    return {**own, "COLUMNS": "200", "NO_COLOR": "1", "TMPDIR": str(folder)}


def start(folder: Path) -> subprocess.Popen[str]:
    """``earnback demo`` in a process group of its own, as a shell would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli.app", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(folder),
        start_new_session=True,
    )


def tree(root: int) -> set[int]:
    """A process with all its descendants, by /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
    found, grown = {root}, True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found}
        grown = not children <= found
        found |= children
    return found


def of_session(folder: Path) -> set[int]:
    """Every process that was started with the demo's own folder, whoever is its parent now."""
    mark = f"TMPDIR={folder}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def proportional_bytes(pids: set[int]) -> int:
    """Memory of processes with shared pages counted once among them."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


def output_of(process: subprocess.Popen[str]) -> tuple[list[str], threading.Thread]:
    """What a process prints, as it grows."""
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reader.start()
    return lines, reader


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One demo, watched from beginning to end."""
    folder = tmp_path_factory.mktemp("demo")
    began = time.monotonic()
    process = start(folder)
    try:
        lines, reader = output_of(process)
        most, seen = 0, set()
        while process.poll() is None:
            assert time.monotonic() - began < SECONDS, "".join(lines[-20:])
            now = tree(process.pid)
            seen |= now
            most = max(most, proportional_bytes(now))
            time.sleep(0.3)
        reader.join()
        seconds = time.monotonic() - began
        yield Run(process.returncode, "".join(lines), seconds, most, frozenset(seen))
    finally:
        process.kill()
    assert not of_session(folder)


def test_the_demo_runs_to_its_end(run: Run) -> None:
    assert run.code == 0, run.printed[-2000:]
    assert END in run.printed


# By hand, from the numbers at the top of the story (probes every five minutes, UTC+1 and UTC+2):
# January has 8928 probes, 48 down and 30 of them taken back: 18 down, 99.798 %. February has 8064
# with 6 down, 99.926 %; March 8916 (an hour is skipped) with 6 down, 99.933 %.
# Hosting, invoice 50,000: each month 4 % for the portal, and a percent for each begun point of the
# batches under 98 (2, 3 and 4 late nights with 6 of 10 late: 96.13, 93.57 and 92.26 %: 2, 5 and 6).
# Monthly ceiling 5,000; the ceiling over three months 3,500 each at first. The late correction
# takes January from 8 % to 4 %: 2,000 + 1,000 = 3,000 instead of 8 + 2 % cut to the 3,500 that
# the quarter's ceiling allows; February may then have 4,000 and March the 3,500 that remain.
# Network, invoice 80,000: 10 % at risk, shares of 50 and 40 %: 1,600 for January, half of it earned
# back by two good months. Desk, invoice 30,000: 30 of 270 late in January, 88.89 %: 1.11 points
# at half a percent are 166.50; February over 97 % earns a bonus of 2 %, 600.
TOTALS = {
    ("cloudhaus", "2025-01"): "cloudhaus owes acme 3000.00 EUR",
    ("cloudhaus", "2025-02"): "cloudhaus owes acme 4000.00 EUR",
    ("cloudhaus", "2025-03"): "cloudhaus owes acme 3500.00 EUR",
    ("deskline", "2025-01"): "deskline owes acme 166.50 EUR",
    ("deskline", "2025-02"): "acme owes deskline 600.00 EUR",
    ("deskline", "2025-03"): "nobody owes anything 0.00 EUR",
    ("northnet", "2025-01"): "northnet owes acme 1600.00 EUR",
    ("northnet", "2025-02"): "nobody owes anything 0.00 EUR",
    ("northnet", "2025-03"): "acme owes northnet 800.00 EUR",
}


def test_the_readme_shows_lines_that_the_demo_prints_in_their_order(run: Run) -> None:
    (excerpt,) = [one for one in blocks(page("../README.md"), "text") if "Why that" in one]
    printed = iter([" ".join(line.split()) for line in run.printed.splitlines()])
    for line in filter(None, map(str.strip, excerpt.splitlines())):
        assert " ".join(line.split()) in printed, line


def test_the_demo_prints_the_totals_that_were_calculated_by_hand(run: Run) -> None:
    found, heading = {}, None
    for line in run.printed.splitlines():
        if match := re.match(r"(\S+)  \S+ version 1  (2025-\d\d)\s*$", line):
            heading = (match[1], match[2])
        elif heading and line.startswith("total "):
            found[heading] = " ".join(line.split()[1:])
            heading = None
    assert found == TOTALS


def test_the_demo_says_who_owes_what_in_the_end(run: Run) -> None:
    balances = [line.strip() for line in run.printed.partition(END)[2].splitlines() if line.strip()]
    # 3000 + 4000 + 3500; 600 - 166.50; 1600 - 800.
    assert balances == [
        "cloudhaus owes acme 10500.00 EUR",
        "acme owes deskline 433.50 EUR",
        "northnet owes acme 800.00 EUR",
    ]


def test_the_demo_shows_a_duplicate_a_conflict_and_a_late_difference(run: Run) -> None:
    assert "duplicate: night-20250110" in run.printed
    assert "rejected: night-20250101" in run.printed
    told = run.printed.partition("takes back 30 failures")[2].partition("Statements")[0]
    assert "cloudhaus-hosting 2025-01 is adjusted: 3500.00 is now 3000.00 EUR" in told
    assert "cloudhaus-hosting 2025-02 is adjusted: 3500.00 is now 4000.00 EUR" in told
    booked = [float(one) for one in re.findall(r"credit: ([+-][0-9.]+)$", told, re.MULTILINE)]
    assert booked == [-800, 300, 222.22, 277.78]


def test_the_demo_leads_one_amount_back_to_its_events(run: Run) -> None:
    explained = run.printed.partition("Why that amount?")[2].partition("What finance reads")[0]
    assert "figure portal-availability of 2025-02 = 33575/336" in explained
    assert "urn:acme:probe:portal  portal-20250206T0300" in explained


def test_the_demo_reads_the_finance_records_back_without_holes(run: Run) -> None:
    read = run.printed.partition("What finance reads")[2].partition(END)[0]
    settlements, _, entries = read.partition("ledger-entries")
    for text, least in ((settlements, 12), (entries, 14)):
        numbers: dict[str, list[int]] = {}
        for partition, number in re.findall(r"^(\d+)/(\d+) ", text, re.MULTILINE):
            numbers.setdefault(partition, []).append(int(number))
        assert sum(map(len, numbers.values())) >= least
        for found in numbers.values():
            assert found == list(range(1, len(found) + 1))
    assert "cloudhaus-hosting 2025-01: 3000.00, booked -500.00" in settlements
    assert "cloudhaus-hosting 2025-02: 4000.00, booked 500.00" in settlements
    assert entries.count("credit northnet 800.00") == 1


def test_all_processes_of_the_demo_fit_into_one_and_a_half_gigabytes(run: Run) -> None:
    assert len(run.processes) >= 5
    assert 200_000_000 < run.most_bytes <= MOST_BYTES


def test_the_demo_leaves_no_process_running(run: Run) -> None:
    assert not [pid for pid in run.processes if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("after", ["Starting Kafka", "A quarter of measurements"])
def test_ctrl_c_in_the_middle_of_the_demo_leaves_nothing_running(
    after: str, tmp_path: Path
) -> None:
    process = start(tmp_path)
    try:
        lines, reader = output_of(process)
        until = time.monotonic() + 180
        while not _reached(after, lines, tmp_path):
            assert process.poll() is None, "".join(lines[-20:])
            assert time.monotonic() < until, f"never came to {after}: {lines[-20:]}"
            time.sleep(0.05)
        # A terminal sends it to the whole foreground group.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=120)
        reader.join()
        assert "Traceback" not in "".join(lines)
        until = time.monotonic() + 30
        while (left := of_session(tmp_path)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left
        assert not list(tmp_path.glob("earnback-demo-*"))
    finally:
        process.kill()


def _reached(after: str, lines: list[str], folder: Path) -> bool:
    """Whether a line was printed; or, while nothing is, whether the broker has begun to start."""
    if after == "Starting Kafka":
        return any(folder.glob("earnback-demo-*/kafka"))
    return any(after in line for line in lines)
