"""Makes a failing world smaller: fewer disturbances, records and processes, as long as it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.plan import Plan


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The smallest plan that is found step by step. ``fails``: whether a world of it is wrong."""
    while smaller := next((each for each in _smaller(plan) if fails(each)), None):
        plan = smaller
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    if plan.restore is not None:
        yield replace(plan, restore=None, forgotten=False)
    if plan.crash_points:
        yield replace(plan, crash_points=0.0)
    for number in range(len(plan.disturbances)):
        rest = plan.disturbances[:number] + plan.disturbances[number + 1 :]
        yield replace(plan, disturbances=rest)
    for name in ("records", "adders", "settlers", "inputs", "outputs"):
        count: int = getattr(plan, name)
        if count > 1:
            yield replace(plan, **{name: count - 1})
