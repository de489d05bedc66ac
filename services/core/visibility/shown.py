"""What a party sees of what was counted and settled for one agreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.evaluation import (
    WITHHELD,
    EventRef,
    IncompleteOccurrence,
    MetricFigure,
    OtherFigure,
    Part,
    PeriodEvaluation,
    Proposal,
)
from schemas.programme import VendorsSee
from schemas.statement import LevelResult, SettlementStatement
from services.core.visibility.extent import Belonging, Viewer, Visibility, extent


@dataclass(slots=True)
class _References:
    """References to what is withheld, each with a number of its own in order of appearance."""

    known: dict[object, str] = field(default_factory=dict)

    def of(self, thing: object) -> str:
        """The reference to a thing: the same each time."""
        return self.known.setdefault(thing, f"withheld-{len(self.known) + 1}")


@dataclass(frozen=True, slots=True)
class AgreementView:
    """What a viewer sees of the facts, figures and statements of an agreement.

    ``buyer``, ``vendor``: its parties. ``revealed``: as the programme states it today. ``parties``:
    source to the vendor it reports for; to the buyer where that is none.
    """

    viewer: Viewer
    buyer: str
    vendor: str
    revealed: VendorsSee
    parties: Mapping[str, str]

    def of_party(self, party: str) -> Visibility:
        """How much is seen of what a party stated or owes, where the agreement rests on it."""
        owner = None if party == self.buyer else party
        settles = frozenset({self.vendor})
        return extent(self.viewer, Belonging(self.buyer, owner, settles, self.revealed))

    def of_source(self, source: str) -> Visibility:
        """How much is seen of a source's event. What names an event no more is shown to all."""
        if source == WITHHELD:
            return "whole"
        party = self.parties.get(source)
        if party is None:
            return extent(self.viewer, Belonging("", ""))  # of no party of the programme
        return self.of_party(party)

    def of_occurrence(self, vendor: str | None, events: Iterable[EventRef]) -> Visibility:
        """How much is seen of an occurrence: whole where it is of the agreement's vendor or the
        buyer, or either of them stated a part of it."""
        if vendor is not None and vendor != self.vendor:
            return self.of_party(vendor)
        extents = [self.of_source(event.source) for event in events]
        return min(extents, key=_ORDER.index, default="whole")

    def events(
        self, events: Iterable[EventRef], references: _References | None = None
    ) -> tuple[tuple[EventRef, ...], int]:
        """The events as they are seen, and how many of them are references."""
        references = references or _References()
        shown = []
        withheld = 0
        for event in events:
            match self.of_source(event.source):
                case "whole":
                    shown.append(event)
                case "reference":
                    withheld += 1
                    shown.append(EventRef(source=WITHHELD, id=references.of(event)))
                case "nothing":
                    pass
        return tuple(shown), withheld

    def statement(self, statement: SettlementStatement) -> SettlementStatement:
        """The statement without what is not for the viewer."""
        references = _References()
        results = tuple(self.result(one, references) for one in statement.results)
        lines = tuple(
            line.model_copy(update={"events": self.events(line.events, references)[0]})
            for line in statement.lines
        )
        return statement.model_copy(update={"results": results, "lines": lines})

    def result(self, result: LevelResult, references: _References | None = None) -> LevelResult:
        """A result without what is not for the viewer."""
        if result.evidence is None:
            return result
        telling, _ = self.events(result.evidence.telling, references or _References())
        evidence = result.evidence.model_copy(update={"telling": telling})
        return result.model_copy(update={"evidence": evidence})

    def evaluation(self, evaluation: PeriodEvaluation) -> tuple[PeriodEvaluation, int]:
        """The evaluation without what is not for the viewer; how much stands as a reference."""
        references = _References()
        found = [self._figure(figure, references) for figure in evaluation.figures]
        shown = {
            "figures": tuple(figure for figure, _ in found),
            "charges": tuple(
                one for one in evaluation.charges if self.of_source(one.event.source) == "whole"
            ),
            "circumstances": tuple(
                one
                for one in evaluation.circumstances
                if self.of_source(one.event.source) == "whole"
            ),
            "proposals": tuple(
                self._proposal(one)
                for one in evaluation.proposals
                if self.of_source(one.event.source) == "whole"
            ),
        }
        return evaluation.model_copy(update=shown), sum(withheld for _, withheld in found)

    def _proposal(self, proposal: Proposal) -> Proposal:
        """A proposal that is seen, with the answers to it that are."""
        answers = tuple(
            one for one in proposal.answers if self.of_source(one.event.source) == "whole"
        )
        return proposal.model_copy(update={"answers": answers})

    def _figure(self, figure: MetricFigure, references: _References) -> tuple[MetricFigure, int]:
        telling, withheld = self.events(figure.evidence.telling, references)
        parts = [self._part(one, references) for one in figure.parts]
        touching = [self._part(one, references) for one in figure.touching]
        halves = [self._half(one, references) for one in figure.incomplete]
        names = {
            one.part: shown.part
            for one, shown in zip(
                (*figure.parts, *figure.touching), (*parts, *touching), strict=True
            )
            if shown is not None
        }
        shown = {
            "evidence": figure.evidence.model_copy(update={"telling": telling}),
            "parts": tuple(one for one in parts if one is not None),
            "touching": tuple(one for one in touching if one is not None),
            "incomplete": tuple(one for one in halves if one is not None),
            "unfinished": tuple(names[name] for name in figure.unfinished if name in names),
            "compared": tuple(
                one for one in figure.compared if self.of_source(one.source) == "whole"
            ),
            "others": tuple(self._other(one, references) for one in figure.others),
        }
        withheld += sum(name != told for name, told in names.items())
        return figure.model_copy(update=shown), withheld

    def _part(self, part: Part, references: _References) -> Part | None:
        """The occurrence; of another vendor's its time and amount alone, or nothing."""
        match self.of_occurrence(part.vendor, part.events):
            case "nothing":
                return None
            case "reference":
                name = references.of((part.part, part.vendor, part.events))
                bare = {"part": name, "vendor": None, "subject": None, "value": None}
                return part.model_copy(update={**bare, "events": _bare(part.events, references)})
            case "whole":
                return part

    def _half(
        self, half: IncompleteOccurrence, references: _References
    ) -> IncompleteOccurrence | None:
        match self.of_occurrence(None, half.events):
            case "nothing":
                return None
            case "reference":
                name = references.of((half.part, half.events))
                events = _bare(half.events, references)
                return half.model_copy(update={"part": name, "subject": None, "events": events})
            case "whole":
                return half

    def _other(self, other: OtherFigure, references: _References) -> OtherFigure:
        shown, _ = self.events((other.event,), references)
        event = shown[0] if shown else EventRef(source=WITHHELD, id="withheld")
        return other.model_copy(update={"event": event})


def _bare(events: Iterable[EventRef], references: _References) -> tuple[EventRef, ...]:
    """References in place of all events of what is another's, whoever stated them."""
    return tuple(EventRef(source=WITHHELD, id=references.of(event)) for event in events)


_ORDER: tuple[Visibility, ...] = ("whole", "reference", "nothing")
"""Of several statements of an occurrence, the one that shows most decides."""
