"""The short form of `make chaos`: workers of all services are killed and stopped as events flow.

EARNBACK_CHAOS_SEED replays a schedule and its events. The servers are the session's and stay up:
`tests/fault` kills them.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import SystemRandom

from tests.chaos.havoc import Hands
from tests.chaos.run import Plan, carried_out
from tests.chaos.schedule import Wanted
from tests.ladder import Rung

SECONDS = 56.0
WANTED = Wanted(kills=6, sample=8, joins=1, unsent=2, unheard=4, clocks=4)


def test_killed_and_stopped_at_random_moments_the_chain_ends_up_as_a_plain_count(
    servers: Rung, empty_database: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("EARNBACK_CHAOS_SEED") or SystemRandom().randrange(10**6))
    print(f"\nEARNBACK_CHAOS_SEED={seed} on {servers}")
    plan = Plan(seed, each=16_000, seconds=SECONDS, wanted=WANTED, quiet=180.0, damages=3)
    hands = Hands(tmp_path / "hands")
    outcome = carried_out(plan, servers.kafka, empty_database, tmp_path, hands, print)
    assert outcome.figures["events sent"] >= 100_000
    assert outcome.struck["kill"] == WANTED.kills
    assert outcome.struck["stop"] == 3
    assert outcome.kills >= 10
    assert sum(outcome.lost.values()) >= WANTED.unheard
