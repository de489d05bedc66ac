"""An agreement beside its programme, as the checks look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from schemas.agreement import Agreement
from schemas.credit import Credit
from schemas.level import Level
from schemas.programme import Metric, Programme
from services.core.contracts.wording import FieldPath, Finding


@dataclass(frozen=True, slots=True)
class ContractUnderCheck:
    """An agreement with the programme it belongs to."""

    agreement: Agreement
    programme: Programme

    def metric(self, name: str) -> Metric | None:
        """A metric of the programme."""
        return self.programme.metric(name)

    def levels(self) -> Iterator[tuple[FieldPath, Level]]:
        """The levels with their paths."""
        for index, level in enumerate(self.agreement.levels):
            yield ("levels", index), level

    def credits(self) -> Iterator[tuple[FieldPath, Level, Credit]]:
        """The credits with their paths and levels."""
        for path, level in self.levels():
            for index, credit in enumerate(level.credits):
                yield (*path, "credits", index), level, credit


Check = Callable[[ContractUnderCheck], Iterator[Finding]]
"""Looks at one thing of an agreement; gives every place where it is wrong."""

WITH_PARTS = frozenset(
    {"outage_time", "outage_count", "availability_by_outages", "tickets_in_time", "delivery_delay"}
)
"""The measures whose figures are made of single occurrences."""
