"""What a period waits for, and what it stood on."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from services.core.inputs.conversion import Converted


class InvalidDeclaration(Exception):
    """A circumstance does not state what a term looks for; somebody must correct it."""


@dataclass(frozen=True, slots=True)
class Blockers:
    """What a period's settlement still waits for, the bases and the conversions it stood on.

    Filled while the period is worked out, and only then. ``conversions`` in the order in which
    they were looked at, each as often as it was. ``spreads``: in words, the parts of charges for
    more than a settlement period.
    """

    reasons: list[str] = field(default_factory=list)
    bases: dict[str, Fraction] = field(default_factory=dict)
    conversions: list[Converted] = field(default_factory=list)
    spreads: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str) -> None:
        """Note a reason once."""
        if reason not in self.reasons:
            self.reasons.append(reason)
