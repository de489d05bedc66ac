"""`python -m tests.simulation`: worlds of the protocol, one after the other, each from its seed.

Prints each world that is wrong with what is wrong in it and with a smaller one that is wrong, too.
Ends with 1 where there is any.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager

from tests.simulation.guards import GUARDS, without
from tests.simulation.plan import KINDS, Plan, plan
from tests.simulation.shrinking import shrunk
from tests.simulation.substitutes import substituted
from tests.simulation.world import World, run

AT_ONCE = 50
"""Worlds that a process takes at once."""


@contextmanager
def _open(guard: str | None) -> Iterator[None]:
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what is closed before it began
        stack.enter_context(substituted())
        if guard is not None:
            stack.enter_context(without(guard))
        yield


def _kinds(guard: str | None) -> Sequence[str]:
    return GUARDS[guard].kinds if guard is not None else KINDS


def _world(made: Plan, guard: str | None) -> World:
    return run(made, GUARDS[guard].at_once if guard is not None else ())


def _wrong(seeds: Sequence[int], guard: str | None) -> list[tuple[Plan, list[str], Plan]]:
    found = []
    with _open(guard):
        for seed in seeds:
            made = plan(seed, _kinds(guard))
            if faults := _world(made, guard).faults:
                small = shrunk(made, lambda each: bool(_world(each, guard).faults))
                found.append((made, faults, small))
    return found


def _many(given: argparse.Namespace) -> int:
    began, wrong = time.monotonic(), 0
    seeds = range(given.first, given.first + given.worlds)
    parts = [seeds[at : at + AT_ONCE] for at in range(0, len(seeds), AT_ONCE)]
    with ProcessPoolExecutor(given.processes) as pool:
        for found in pool.map(_wrong, parts, [given.without] * len(parts)):
            for made, faults, small in found:
                wrong += 1
                print(f"seed {made.seed}: {'; '.join(faults)}\n  {made}\n  smaller: {small}")
                print(f"  python -m tests.simulation --seed {made.seed}")
    took = time.monotonic() - began
    print(f"{given.worlds} worlds, {wrong} of them wrong, in {took:.0f} s")
    return 1 if wrong else 0


def _one(given: argparse.Namespace) -> int:
    with _open(given.without):
        world = _world(plan(given.seed, _kinds(given.without)), given.without)
    print(world.plan)
    if not given.digest:
        print(world.told())
    print("\n".join(world.faults) or "all is well")
    print(f"trace {world.digest()}")
    return 1 if world.faults else 0


def main() -> int:
    reader = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    reader.add_argument("--worlds", type=int, default=10_000, help="how many")
    reader.add_argument("--first", type=int, default=0, help="the first seed")
    reader.add_argument("--processes", type=int, default=2, help="that share the worlds")
    reader.add_argument("--seed", type=int, help="only this world, with its trace")
    reader.add_argument("--digest", action="store_true", help="with --seed: of the trace its hash")
    reader.add_argument("--without", choices=GUARDS, help="a guard to be taken out of the code")
    given = reader.parse_args()
    return _many(given) if given.seed is None else _one(given)


if __name__ == "__main__":
    sys.exit(main())
