"""The protocol in simulated worlds: nothing is lost or doubled, and each guard is needed for that.

In full: `make simulate`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

import pytest

from tests.simulation.guards import GUARDS, without
from tests.simulation.plan import Plan, plan
from tests.simulation.shrinking import shrunk
from tests.simulation.substitutes import substituted
from tests.simulation.world import run

WORLDS = 40
WITHIN = 80
"""So many of the worlds in which a guard may show are run without it, at most."""


@pytest.fixture(autouse=True)
def _simulated() -> Iterator[None]:
    with warnings.catch_warnings(), substituted():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what is closed before it began
        yield


def test_nothing_is_lost_or_doubled() -> None:
    wrong = {seed: faults for seed in range(WORLDS) if (faults := run(plan(seed)).faults)}
    assert not wrong, "python -m tests.simulation --seed N shows what happened"


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_a_fault_is_found(name: str) -> None:
    guard = GUARDS[name]
    plans = islice(guard.plans(), WITHIN)
    with without(name):
        assert any(run(each, guard.at_once).faults for each in plans), f"{name} guards nothing"


def test_the_same_seed_gives_the_same_trace() -> None:
    here = run(plan(7)).digest()
    assert run(plan(7)).digest() == here
    assert run(plan(8)).digest() != here
    # Nor does the order in which Python keeps what is hashed decide anything.
    said = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "7", "--digest"],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert here in said


def test_what_is_disturbed_comes_to_what_is_not() -> None:
    disturbed = next(each for each in map(plan, count()) if len(each.disturbances) > 4)
    calm = replace(disturbed, disturbances=(), crash_points=0.0, restore=None, adders=1, settlers=1)
    assert run(disturbed).outcome() == run(calm).outcome()


def test_a_failing_world_is_made_smaller_and_fails_still() -> None:
    def fails(each: Plan) -> bool:
        return bool(run(each).faults)

    with without("progress moves by compare-and-swap"):
        plans = GUARDS["progress moves by compare-and-swap"].plans()
        failing = next(each for each in plans if len(each.disturbances) > 2 and fails(each))
        small = shrunk(failing, fails)
        assert fails(small)
    assert len(small.disturbances) < len(failing.disturbances)
    assert not fails(small), "with the guard nothing is wrong"


def test_a_relay_that_refuses_to_go_on_says_what_is_to_be_done() -> None:
    forgotten = filter(lambda each: each.forgotten, map(plan, count()))
    assert any(
        "Stop all processes and run" in fields
        for each in islice(forgotten, 5)
        for _, fields in run(each).exits
    )
