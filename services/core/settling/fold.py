"""Settling as a fold: from the checkpoints that still hold, on to those after the last period.

The replay from the first period is the same fold without checkpoints, and comes to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.core.inputs.evaluated import EvaluationOutline
from services.core.settling.checkpoints import Checkpoint, in_order, link
from services.core.settling.settlement import SettledTogether


@dataclass(frozen=True, slots=True)
class Continuation:
    """From where agreements that are settled together go on.

    ``terms``: what `terms_digest` gives. ``since``: the first period to be worked out; None where
    all checkpoints hold. ``outlines``: of the evaluations from there on, by agreement and period.
    ``links``: of the last checkpoint before, by agreement.
    """

    terms: bytes
    since: str | None
    outlines: Mapping[str, Mapping[str, EvaluationOutline]]
    links: Mapping[str, bytes]

    def is_open(self, period: str) -> bool:
        """Whether a period is to be worked out."""
        return self.since is not None and in_order(period) >= in_order(self.since)

    def to_read(self, agreement: str) -> list[str]:
        """The periods of an agreement whose evaluations are read to go on, oldest first."""
        return sorted(self.outlines.get(agreement, {}), key=in_order)

    def after(self, found: SettledTogether) -> dict[str, list[Checkpoint]]:
        """The checkpoints of what was worked out, by agreement, oldest first.

        None where one of them failed: how far that went depends on more than what is known.
        """
        if found.failed:
            return {}
        made: dict[str, list[Checkpoint]] = {}
        for name, steps in found.steps.items():
            before = self.links.get(name, b"")
            for step in steps:
                outline, state = self.outlines[name][step.period], step.state()
                before = link(before, self.terms, step.period, outline, step.ahead, state)
                one = Checkpoint(
                    step.period,
                    outline,
                    step.ahead,
                    step.after.record is not None,
                    self.terms,
                    before,
                    step.looked_back,
                    state,
                )
                made.setdefault(name, []).append(one)
        return made
