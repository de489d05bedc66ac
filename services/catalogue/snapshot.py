"""The catalogue as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from schemas.agreement import Agreement
from schemas.programme import Metric, Programme, Source
from services.catalogue.api_key import ApiKey
from services.catalogue.reading import UnreadableContract


def _empty() -> Mapping[str, ApiKey]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SourceOwner:
    """Where a source reports and for whom; the same in all versions of the programme."""

    programme: str
    party: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything applied so far, at one revision. Versions are sorted, oldest first."""

    revision: int
    programmes: Mapping[str, tuple[Programme, ...]]
    agreements: Mapping[str, tuple[Agreement, ...]]
    numbers: Mapping[tuple[str, str], int]
    """(programme, metric) to the number that frames carry."""
    metrics: Mapping[int, tuple[str, str]]
    """The same, the other way."""
    sources: Mapping[str, SourceOwner]
    keys: Mapping[str, ApiKey] = field(default_factory=_empty, repr=False)
    """Prefix to key, without the revoked ones."""
    unreadable: tuple[UnreadableContract, ...] = ()
    """What is applied and left out, as it cannot be read."""

    @property
    def programme_versions(self) -> tuple[Programme, ...]:
        """All versions of all programmes."""
        return tuple(one for versions in self.programmes.values() for one in versions)

    @property
    def agreement_versions(self) -> tuple[Agreement, ...]:
        """All versions of all agreements."""
        return tuple(one for versions in self.agreements.values() for one in versions)

    def why_unreadable(self, agreement: str) -> str | None:
        """Why an agreement that is applied is left out; None where it is not."""
        for one in self.unreadable:
            if one.item.agreement == agreement:
                return one.failure.reason
        return None

    def unread(self, programme: str) -> dict[str, str]:
        """The agreements of a programme that cannot be read, with their vendors."""
        return {
            one.item.agreement: one.vendor
            for one in self.unreadable
            if one.item.agreement and one.item.programme == programme
        }

    def programme(self, name: str) -> Programme | None:
        """The newest version of a programme."""
        versions = self.programmes.get(name)
        return versions[-1] if versions else None

    def source(self, source: str) -> Source | None:
        """What the newest version that declares a source says of it."""
        owner = self.sources.get(source)
        if owner is None:
            return None
        for programme in reversed(self.programmes.get(owner.programme, ())):
            for declared in programme.sources:
                if declared.source == source:
                    return declared
        return None

    def metric(self, number: int) -> Metric | None:
        """What the newest version that declares a metric says of it."""
        named = self.metrics.get(number)
        if named is None:
            return None
        for programme in reversed(self.programmes.get(named[0], ())):
            found = programme.metric(named[1])
            if found is not None:
                return found
        return None

    @property
    def vendors(self) -> tuple[str, ...]:
        """All vendors of all programmes, sorted: each has an intake topic."""
        return tuple(
            sorted(
                {
                    vendor.vendor
                    for programme in self.programme_versions
                    for vendor in programme.vendors
                }
            )
        )


EMPTY = Catalogue(
    revision=-1,
    programmes=MappingProxyType({}),
    agreements=MappingProxyType({}),
    numbers=MappingProxyType({}),
    metrics=MappingProxyType({}),
    sources=MappingProxyType({}),
)
