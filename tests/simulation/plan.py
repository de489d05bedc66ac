"""What a seed makes of a world: how many of what, and which disturbances when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

KINDS = (
    "kill",
    "pause",
    "join",
    "rebalance",
    "cut connections",
    "database away",
    "broker away",
    "slow",
    "skip",
    "clock jump",
)
LAST = 12.0
"""Seconds of the simulated clock after which nothing more is disturbed."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One thing that happens. ``seconds``: how long it lasts."""

    at: float
    kind: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before a world begins; what is decided in it comes of the seed, too."""

    seed: int
    inputs: int
    """Partitions of the first topic."""
    outputs: int
    records: int
    adders: int
    """Workers of the first topic, each with a relay of its output."""
    settlers: int
    """Workers that read the output."""
    crash_points: float
    """How likely a process dies at each named point."""
    disturbances: tuple[Disturbance, ...]
    restore: float | None = None
    """When everything is stopped and the database is restored to an earlier moment; None: never."""
    forgotten: bool = False
    """After a restore a relay is started before `earnback recover` was run."""

    @property
    def calm(self) -> bool:
        """Whether nothing is disturbed."""
        return not (self.disturbances or self.crash_points or self.restore)

    @property
    def alone(self) -> bool:
        """Whether no two workers can race for a partition, and none is started anew in a race."""
        kinds = {each.kind for each in self.disturbances}
        racing = {"kill", "pause", "join", "rebalance", "skip", "broker away", "slow"}
        disturbed = kinds & racing or self.restore or self.crash_points
        return self.adders == self.settlers == 1 and not disturbed


def plan(seed: int, kinds: Sequence[str] = KINDS) -> Plan:
    """The world of a seed. One in twelve is calm, one in ten is restored from a backup.

    ``kinds``: of disturbances, where not all shall be.
    """
    chance = Random(f"plan {seed}")
    calm = chance.random() < 1 / 12
    alone = not calm and chance.random() < 1 / 5
    kinds = ("cut connections", "database away") if alone else kinds
    restore = None if calm or alone or chance.random() > 0.1 else chance.uniform(4, 9)
    return Plan(
        seed=seed,
        inputs=chance.randint(1, 3),
        outputs=chance.randint(1, 2),
        records=chance.randint(6, 24),
        adders=1 if alone else chance.randint(1, 3),
        settlers=1 if alone else chance.randint(1, 2),
        crash_points=0.0 if calm or alone else chance.choice((0.0, 0.0, 0.02, 0.1)),
        disturbances=() if calm else _disturbances(chance, kinds),
        restore=restore,
        forgotten=restore is not None and chance.random() < 0.5,
    )


def _disturbances(chance: Random, kinds: Sequence[str]) -> tuple[Disturbance, ...]:
    def one() -> Disturbance:
        at, kind = round(chance.uniform(0.2, LAST), 2), chance.choice(kinds)
        seconds = chance.choice((0.5, 3.0, 12.0, 20.0)) * chance.uniform(0.5, 1)
        return Disturbance(at, kind, round(seconds, 2))

    found = [one() for _ in range(chance.randint(1, 8))]
    return tuple(sorted(found, key=lambda each: each.at))
