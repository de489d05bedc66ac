"""Settling as a fold: from the checkpoints that still hold, on to those after the last period.

The replay from the first period is the same fold without checkpoints, and comes to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.core.settling.checkpoints import (
    Chain,
    Checkpoint,
    PeriodState,
    in_order,
)
from services.core.settling.settlement import SettledTogether


@dataclass(frozen=True, slots=True)
class Continuation:
    """From where agreements that are settled together go on.

    ``since``: the first period to be worked out; None where all hold. ``link``: the one before it.
    """

    chain: Chain
    checkpoints: Mapping[str, Mapping[str, Checkpoint]]
    since: str | None
    link: bytes

    @classmethod
    def of(cls, chain: Chain, checkpoints: Mapping[str, Mapping[str, Checkpoint]]) -> Continuation:
        """``checkpoints``: those that are stored, by agreement and period, read or not."""
        return cls(chain, checkpoints, *chain.holds_until(checkpoints))

    def is_open(self, period: str) -> bool:
        """Whether a period is to be worked out."""
        return self.since is not None and in_order(period) >= in_order(self.since)

    def kept(self, agreement: str) -> list[str]:
        """The periods of an agreement whose checkpoints hold, oldest first."""
        evaluated = self.chain.outlines.get(agreement, {})
        return sorted((one for one in evaluated if not self.is_open(one)), key=in_order)

    def outdated(self, agreement: str) -> list[str]:
        """The periods of an agreement whose stored checkpoints do not hold."""
        kept = set(self.kept(agreement))
        return [period for period in self.checkpoints.get(agreement, {}) if period not in kept]

    def to_read(self, agreement: str) -> list[str]:
        """The periods of an agreement whose evaluations are read to go on, oldest first."""
        evaluated = self.chain.outlines.get(agreement, {})
        return sorted(filter(self.is_open, evaluated), key=in_order)

    def before(self, agreement: str, states: Mapping[str, PeriodState]) -> list[Checkpoint]:
        """The checkpoints to go on from. ``states``: those that are read, by period."""
        own = self.checkpoints.get(agreement, {})
        return [own[period].with_state(states.get(period)) for period in self.kept(agreement)]

    def after(self, found: SettledTogether) -> dict[str, list[Checkpoint]]:
        """The checkpoints of what was worked out, by agreement, oldest first.

        None where one of them failed: how far that went depends on more than what is known.
        """
        if found.failed:
            return {}
        steps = {name: {step.period: step for step in each} for name, each in found.steps.items()}
        made: dict[str, list[Checkpoint]] = {}
        link = self.link
        for period in filter(self.is_open, self.chain.periods()):
            evaluated = list(self.chain.evaluated(period))
            ahead = {each for name in evaluated for each in steps[name][period].ahead}
            link = self.chain.link(link, period, ahead)
            for name in evaluated:
                step, outline = steps[name][period], self.chain.outlines[name][period]
                covered = step.after.record is not None
                one = Checkpoint(period, outline, step.ahead, link, covered, step.state())
                made.setdefault(name, []).append(one)
        return made
