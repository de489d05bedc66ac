"""What stands in a statement for what is another vendor's: a reference that says nothing.

A vendor's amounts may rest on events of others, of a metric that they share. Its statement names
none of them. A reference is a number in order of appearance in the evaluation: without the
evaluation nobody finds out what it stands for, and no guess can be tried on it. With it, `things`
says what each one stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from schemas.evaluation import (
    WITHHELD,
    EventRef,
    IncompleteOccurrence,
    MetricFigure,
    Part,
    PeriodEvaluation,
    WithheldThing,
)
from services.core.visibility.extent import Belonging, Viewer, extent
from services.core.visibility.parties import Parties

AnyOccurrence = Part | IncompleteOccurrence


class _Named(NamedTuple):
    """The same occurrence in whatever window: its name, whose share it is, who reports it."""

    name: str
    vendor: str | None
    source: str | None


@dataclass(slots=True)
class References:
    """What stands for what, in the statement of one evaluation of a vendor's agreement."""

    evaluation: PeriodEvaluation
    vendor: str
    parties: Parties
    _numbered: dict[EventRef | _Named, WithheldThing] | None = field(default=None, init=False)
    _shares: Mapping[EventRef, str] | None = field(default=None, init=False)
    _by_name: dict[str, AnyOccurrence] | None = field(default=None, init=False)

    def is_others(self, source: str) -> bool:
        """Whether a source is neither the vendor's nor one of the buyer's side."""
        if source == WITHHELD or not self.parties.sources:
            return False
        known = self.parties.knows(source)
        return self._hidden(self.parties.vendor_of(source) if known else "")

    def is_others_event(self, event: EventRef) -> bool:
        """The same of an event; also where the buyer reports it of another vendor alone."""
        return self.is_others(event.source) or event in self.others_shares

    def is_others_occurrence(self, one: AnyOccurrence) -> bool:
        """Whether it is another vendor's share, or all that is known of it others report."""
        if isinstance(one, Part) and one.vendor is not None:
            return self._hidden(one.vendor)
        return bool(one.events) and all(map(self.is_others_event, one.events))

    def event(self, event: EventRef) -> EventRef:
        """The event, or its reference."""
        if not self.is_others_event(event):
            return event
        found = self._numbers().get(event)  # none: it is of another period's evaluation
        return EventRef(source=WITHHELD, id=found.reference if found else "withheld")

    def events(self, events: Iterable[EventRef]) -> tuple[EventRef, ...]:
        """The events, each by itself or by its reference."""
        return tuple(self.event(event) for event in events)

    def occurrence(self, one: AnyOccurrence) -> str:
        """The name of an occurrence, or its reference."""
        if not self.is_others_occurrence(one):
            return one.part
        return self._numbers()[_named(one)].reference

    def name(self, name: str) -> str:
        """The name of an occurrence; its reference where only others' occurrences have it."""
        if self._by_name is None:
            self._by_name = {}
            for one in chain.from_iterable(map(_occurrences, self.evaluation.figures)):
                held = self._by_name.get(one.part)
                if held is None or self.is_others_occurrence(held):
                    self._by_name[one.part] = one
        found = self._by_name.get(name)
        return name if found is None else self.occurrence(found)

    def source(self, source: str) -> str:
        """A source by its name, where it is the vendor's or of the buyer's side."""
        return "a source of another vendor" if self.is_others(source) else source

    def party(self, party: str) -> str:
        """A party by its name, where it is no other vendor."""
        return "another vendor" if party in self.parties.vendors - {self.vendor} else party

    def things(self) -> tuple[WithheldThing, ...]:
        """What each reference stands for, in order."""
        return tuple(self._numbers().values())

    def _hidden(self, owner: str | None) -> bool:
        thing = Belonging(self.parties.buyer, owner, frozenset({self.vendor}))
        return extent(Viewer(self.vendor, "vendor"), thing) != "whole"

    def _numbers(self) -> dict[EventRef | _Named, WithheldThing]:
        if self._numbered is None:
            self._numbered = {}
            for figure in self.evaluation.figures:
                self._add_events(figure.evidence.telling)
                for one in _occurrences(figure):
                    self._add_occurrence(one)
                    self._add_events(one.events)
                self._add_events(other.event for other in figure.others)
            self._add_events(fact.event for fact in self.evaluation.charges)
            self._add_events(fact.event for fact in self.evaluation.circumstances)
        return self._numbered

    def _add_events(self, events: Iterable[EventRef]) -> None:
        for event in events:
            if self.is_others_event(event):
                vendor = self.parties.vendor_of(event.source) or self.others_shares.get(event)
                self._add(event, vendor=vendor, source=event.source, event=event.id)

    def _add_occurrence(self, one: AnyOccurrence) -> None:
        if self.is_others_occurrence(one):
            key = _named(one)
            vendor = key.vendor or self.parties.vendor_of(key.source or "")
            self._add(key, vendor=vendor, source=key.source, occurrence=key.name)

    def _add(self, key: EventRef | _Named, **what: str | None) -> None:
        assert self._numbered is not None, "it is being filled"
        if key not in self._numbered:
            reference = f"withheld-{len(self._numbered) + 1}"
            self._numbered[key] = WithheldThing.model_validate({"reference": reference, **what})

    @property
    def others_shares(self) -> Mapping[EventRef, str]:
        """Events that say something of another vendor's share alone, with that vendor."""
        if self._shares is None:
            others: dict[EventRef, str] = {}
            own: set[EventRef] = set()
            for figure in self.evaluation.figures:
                for part in (*figure.parts, *figure.touching):
                    if part.vendor is not None and self._hidden(part.vendor):
                        others |= dict.fromkeys(part.events, part.vendor)
                    else:
                        own.update(part.events)
            self._shares = {event: each for event, each in others.items() if event not in own}
        return self._shares


def _occurrences(figure: MetricFigure) -> Iterator[AnyOccurrence]:
    yield from figure.parts
    yield from figure.touching
    yield from figure.incomplete


def _named(one: AnyOccurrence) -> _Named:
    vendor = one.vendor if isinstance(one, Part) else None
    return _Named(one.part, vendor, one.events[0].source if one.events else None)
