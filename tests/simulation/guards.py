"""The guards of the protocol, each to be taken out of the product's own code.

A cut names a function and the text in it that is the guard. Where the code is changed, the text is
not found, and the test says so.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from unittest.mock import patch

from services.shell import outbox, progress, relay, steps, taken_over
from tests.simulation.plan import KINDS, Plan, plan


@dataclass(frozen=True, slots=True)
class Cut:
    """``old`` is replaced by ``new`` in the source of ``owner.name``."""

    owner: Any
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Guard:
    """What is taken out, and in which worlds that may show. ``kinds``: of disturbances in them.
    ``at_once``: see `Database.at_once`."""

    cuts: tuple[Cut, ...] = ()
    shows: Callable[[Plan], bool] = lambda made: not made.calm
    at_once: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS

    def plans(self) -> Iterator[Plan]:
        """The worlds in which it may show, by their seeds."""
        return filter(self.shows, (plan(seed, self.kinds) for seed in count()))


def _restored(plan: Plan) -> bool:
    return plan.restore is not None and not plan.forgotten


def _crashing(plan: Plan) -> bool:
    return plan.crash_points > 0 and not plan.restore


_BETWEEN = (
    "await progress.advance(",
    "applied.committed and applied.committed()\n            await progress.advance(",
)
_IN_ONE = "async with connection.transaction():"
_IN_SEVERAL = "async with __import__('contextlib').nullcontext():"

GUARDS: dict[str, Guard] = {
    "epoch of a claim": Guard(
        (
            Cut(progress, "hold", " and epoch = $4", ""),
            Cut(progress, "advance", " and epoch = $4", ""),
            Cut(progress, "has_moved", " and epoch = $4", ""),
        ),
        lambda made: made.adders + made.settlers > 3 and not made.calm,
        kinds=("rebalance", "cut connections", "database away"),
    ),
    "progress moves by compare-and-swap": Guard(
        (
            Cut(progress, "hold", " and next_offset = $5", ""),
            Cut(progress, "advance", " and next_offset = $5", ""),
        ),
        lambda made: made.alone and "cut connections" in {each.kind for each in made.disturbances},
    ),
    "an unknown outcome is looked up": Guard(
        (Cut(progress, "has_moved", "return bool(found == new)", "return False"),),
        lambda made: made.alone,
    ),
    "effect and progress commit together": Guard(
        (Cut(steps._PendingStep, "_transaction", _IN_ONE, _IN_SEVERAL),)
    ),
    "memory changes after the commit": Guard((Cut(steps._PendingStep, "_transaction", *_BETWEEN),)),
    "records are dense": Guard(
        (Cut(steps, "unbroken", "if expected is not None and number != expected:", "if False:"),)
    ),
    "numbers are taken under a lock until the commit": Guard(at_once=("outbox_head",)),
    "fence of the transactional id": Guard(
        (
            Cut(
                relay.Relay,
                "_turn",
                "transactional_id=self._settings.transactional_id(topic)",
                "transactional_id=self._holder",
            ),
        ),
        lambda made: made.adders > 1 and any(each.kind == "pause" for each in made.disturbances),
    ),
    "the relay's place is read from the topic": Guard(
        (
            Cut(
                relay.Relay,
                "_recover",
                'head["published"] if tail is None else tail',
                'head["published"]',
            ),
        ),
        _crashing,
    ),
    "the relay's place is that of committed records": Guard(
        (
            Cut(
                relay,
                "log_reader",
                'isolation_level="read_committed"',
                'isolation_level="read_uncommitted"',
            ),
        ),
        _crashing,
    ),
    "lease of the relay": Guard(
        (
            Cut(
                relay.Relay,
                "_take_lease",
                '" where held.expires_at < clock_timestamp() or held.holder = excluded.holder"',
                '""',
            ),
        ),
        lambda made: made.calm and made.adders > 1,
    ),
    "an older database is refused": Guard(
        (
            Cut(
                relay.Relay,
                "_recover",
                'if tail is not None and tail >= head["next_seq"]:',
                "if False:",
            ),
        ),
        lambda made: made.forgotten,
    ),
    "numbers go on after what was published": Guard(
        (Cut(taken_over, "_go_on", "state.published + 1,", "state.given_out + 1,"),), _restored
    ),
    "what was published is not enqueued again": Guard(
        (Cut(outbox, "enqueue_many", "if published:", "if False:"),), _restored
    ),
}


@contextmanager
def without(name: str) -> Iterator[None]:
    """While this is open, our code lacks a guard."""
    with ExitStack() as stack:
        for cut in GUARDS[name].cuts:
            stack.enter_context(patch.object(cut.owner, cut.name, _altered(cut)))
        yield


def _altered(cut: Cut) -> Any:
    function = inspect.unwrap(getattr(cut.owner, cut.name))
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(cut.old) != 1:
        raise LookupError(f"{cut.name} does not hold {cut.old!r} once: the guard has moved")
    found: dict[str, Any] = {}
    exec(source.replace(cut.old, cut.new), function.__globals__, found)
    return found[cut.name]
