"""How much work may be done on one thing. The work counts its own steps: there is no clock here."""

from __future__ import annotations

from dataclasses import dataclass


class OverBudget(ValueError):
    """Work on one agreement that is more than what is set for a piece of work."""


@dataclass(slots=True, eq=False)
class Budget:
    """Steps that a piece of work may still take. None: as many as it likes, until it is stopped.

    A step is about what one occurrence, or one credit of a result, costs. ``remedy``: what
    OverBudget says besides how many there were.
    """

    most: int | None = None
    remedy: str = ""
    _spent: int = 0
    _stopped: bool = False

    def spend(self, steps: int = 1) -> None:
        """Take so many steps. Raises OverBudget where there are no more, or nobody waits."""
        if self._stopped:
            raise OverBudget("nobody waits for this work any more")
        self._spent += steps
        if self.most is not None and self._spent > self.most:
            raise OverBudget(f"this takes more than {self.most} steps; {self.remedy}")

    def stop(self) -> None:
        """Let the work end at its next step. Another thread than that of the work may ask."""
        self._stopped = True


class _Unbounded(Budget):
    """Nothing is counted and nothing stopped: for work whose size is known."""

    def spend(self, steps: int = 1) -> None:
        pass


UNBOUNDED = _Unbounded()
