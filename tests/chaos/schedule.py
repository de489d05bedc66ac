"""What goes wrong, and when: drawn from a seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, TypeVar

T = TypeVar("T")

SERVICES = ("ingest", "evaluator", "settlement")
SOURCES = Path(__file__).parents[2] / "services"
SETTLED = 9.0
"""Who is to be stopped was left alone for so many seconds, so that it is a member of its group."""
AT_START = (
    "follow.before-commit",
    "follow.after-commit",
    "park.before-commit",
    "park.after-commit",
)
"""Points that are passed early, and seldom later: they are armed before anything starts."""

What = Literal[
    "kill",
    "point",
    "stop",
    "join",
    "unsent",
    "unheard",
    "clock",
    "kill server",
    "kill server in commit",
    "full disk",
]


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to whom, seconds after the beginning.

    ``holds``: how long a stop, a further worker or a full disk lasts; for a clock, how many seconds
    it is set forward.
    """

    at: float
    what: What
    target: str = ""
    holds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.holds:.1f} s" if self.holds else ""
        return f"{self.at:5.1f} s {self.what} {self.target}{lasting}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many of each.

    ``kills``: SIGKILLs at random moments. ``points``: how often each point that is armed kills
    whoever passes it; ``sample``: so many points, None: all. ``stops``: of each service, past its
    session. ``joins``: further workers, which leave again. ``unsent``, ``unheard``: commits, or
    answers to commits, that are lost. The others: of each server.
    """

    kills: int
    stops: int = 1
    points: int = 1
    sample: int | None = None
    joins: int = 0
    unsent: int = 0
    unheard: int = 0
    clocks: int = 0
    server_kills: int = 0
    server_kills_in_commit: int = 0
    full_disks: int = 0


def points() -> list[str]:
    """All points at which a process may be killed, as the code names them."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        found |= set(re.findall(r'faultpoint\("([^"]+)"\)', path.read_text()))
    return sorted(found)


def schedule(
    chance: Random, seconds: float, session: float, wanted: Wanted, servers: Sequence[str]
) -> list[Blow]:
    """Draw a schedule, in the order of time. ``session``: seconds of a worker's session.
    ``servers``: those that may be killed."""
    stops = list(_stops(chance, seconds, session, wanted.stops))
    blows = [*stops, *_kills(chance, seconds, wanted.kills, stops)]
    known = points()
    chosen = known if wanted.sample is None else chance.sample(known, wanted.sample)
    for at, name in _spread(chance, seconds * 0.9, chosen * wanted.points):
        blows.append(Blow(0.0 if name in AT_START else at, "point", name))
    further = [*SERVICES] * wanted.joins
    for at, service in _spread(chance, seconds * 0.8, further[: wanted.joins]):
        blows.append(Blow(at, "join", service, chance.uniform(0.05, 0.15) * seconds))
    for at, _ in _spread(chance, seconds, ["COMMIT"] * wanted.unsent):
        blows.append(Blow(at, "unsent", "COMMIT"))
    for at, _ in _spread(chance, seconds, ["COMMIT"] * wanted.unheard):
        blows.append(Blow(at, "unheard", "COMMIT"))
    for at, _ in _spread(chance, seconds, ["clock"] * wanted.clocks):
        blows.append(Blow(at, "clock", holds=chance.randrange(-36 * 3600, 36 * 3600)))
    blows += _of_servers(chance, seconds, wanted, servers)
    return sorted(blows, key=lambda blow: blow.at)


def _of_servers(
    chance: Random, seconds: float, wanted: Wanted, servers: Sequence[str]
) -> Iterator[Blow]:
    """Servers are struck one after another: one that starts is given the time for it."""
    kinds: list[tuple[What, str]] = []
    for server in servers:
        kinds += [("kill server", server)] * wanted.server_kills
        kinds += [("kill server in commit", server)] * wanted.server_kills_in_commit
        kinds += [("full disk", server)] * wanted.full_disks
    for at, (what, server) in _spread(chance, seconds * 0.95, kinds, within=0.3):
        yield Blow(at, what, server, chance.uniform(6, 10) if what == "full disk" else 0.0)


def _spread(
    chance: Random, seconds: float, items: Sequence[T], within: float = 1.0
) -> Iterator[tuple[float, T]]:
    """Items in a random order, each somewhere in a part of the time of its own."""
    part = seconds / max(len(items), 1)
    for number, item in enumerate(chance.sample(items, len(items))):
        yield part * (number + chance.uniform(0.5 - within / 2, 0.5 + within / 2)), item


def _stops(chance: Random, seconds: float, session: float, rounds: int) -> Iterator[Blow]:
    """One of each service is stopped past its session's end, so many times."""
    services = [each for _ in range(rounds) for each in chance.sample(SERVICES, len(SERVICES))]
    for part, service in enumerate(services):
        at = seconds * (part + chance.uniform(0.3, 0.7)) / len(services)
        holds = session + chance.uniform(1.5, 4.0)
        yield Blow(at, "stop", f"{service}-{chance.choice((1, 2))}", holds)


def _kills(chance: Random, seconds: float, count: int, stops: Sequence[Blow]) -> Iterator[Blow]:
    """Each of the six workers is killed equally often."""
    workers = [f"{service}-{number}" for service in SERVICES for number in (1, 2)]
    for place in range(count):
        target = workers[place % len(workers)]
        while True:
            at = chance.uniform(0.02, 0.98) * seconds
            if not any(s.target == target and s.at - SETTLED < at < s.at + s.holds for s in stops):
                yield Blow(at, "kill", target)
                break
