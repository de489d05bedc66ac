"""Whose the sources of a programme are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.programme import Programme


@dataclass(frozen=True, slots=True)
class Parties:
    """The buyer of a programme, its vendors, and ``sources``: each source to whom it reports for.

    Without sources there is nobody but the agreement's own two parties, and all is theirs.
    """

    buyer: str
    vendors: frozenset[str] = frozenset()
    sources: Mapping[str, str] = field(default_factory=dict)

    def vendor_of(self, source: str) -> str | None:
        """The vendor whose a source is; None: it is the buyer's, or a third party's for it."""
        party = self.sources.get(source)
        return party if party in self.vendors else None

    def knows(self, source: str) -> bool:
        """Whether it is known whose a source is."""
        return not self.sources or source in self.sources


def parties_of(programmes: Iterable[Programme]) -> Parties:
    """The parties of the versions of one programme, oldest first. A source never moves."""
    versions = tuple(programmes)
    return Parties(
        versions[-1].buyer,
        frozenset(vendor.vendor for version in versions for vendor in version.vendors),
        {source.source: source.reports_for for version in versions for source in version.sources},
    )
