"""What a party sees of what was counted and settled for one agreement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.evaluation import (
    WITHHELD,
    EventRef,
    IncompleteOccurrence,
    MetricFigure,
    OtherFigure,
    Part,
    PeriodEvaluation,
    Proposal,
    WithheldThing,
)
from schemas.programme import VendorsSee
from schemas.statement import LevelResult, SettlementStatement
from services.core.visibility.extent import Belonging, Viewer, Visibility, extent
from services.core.visibility.parties import Parties
from services.core.visibility.references import References

_UNNUMBERED = EventRef(source=WITHHELD, id="withheld")


@dataclass(frozen=True, slots=True)
class AgreementView:
    """What a viewer sees of the facts and figures of an agreement.

    ``vendor``: the agreement's. ``revealed``: as the programme states it today.
    """

    viewer: Viewer
    vendor: str
    revealed: VendorsSee
    parties: Parties

    def of_vendor(self, vendor: str | None) -> Visibility:
        """How much is seen of what is a vendor's, None: the buyer's, and settles the agreement."""
        settles = frozenset({self.vendor})
        return extent(self.viewer, Belonging(self.parties.buyer, vendor, settles, self.revealed))

    @property
    def of_others(self) -> Visibility:
        """How much is seen of what is another vendor's, and settles the agreement."""
        return self.of_vendor("")

    def of_source(self, source: str) -> Visibility:
        """How much is seen of a source's event. What names an event no more is shown to all."""
        if source == WITHHELD:
            return "whole"
        if not self.parties.knows(source):
            return extent(self.viewer, Belonging("", ""))  # of no party of the programme
        return self.of_vendor(self.parties.vendor_of(source))

    def references(self, evaluation: PeriodEvaluation) -> References:
        """What stands for what in the statement of an evaluation."""
        return References(evaluation, self.vendor, self.parties)

    def things(self, evaluation: PeriodEvaluation) -> tuple[WithheldThing, ...]:
        """What the references in the statement stand for, where the viewer sees all of it."""
        return self.references(evaluation).things() if self.of_others == "whole" else ()

    def statement(self, statement: SettlementStatement) -> SettlementStatement:
        """A statement of a release that still named other vendors' events, without these.

        One that has references in their place stays as it is.
        """
        results = tuple(self.result(one) for one in statement.results)
        lines = tuple(
            line.model_copy(update={"events": self.named(line.events)}) for line in statement.lines
        )
        return statement.model_copy(update={"results": results, "lines": lines})

    def result(self, result: LevelResult) -> LevelResult:
        """The same of one result."""
        if result.evidence is None:
            return result
        evidence = result.evidence.model_copy(
            update={"telling": self.named(result.evidence.telling)}
        )
        return result.model_copy(update={"evidence": evidence})

    def named(self, events: Iterable[EventRef]) -> tuple[EventRef, ...]:
        """Events that a statement names, without those that are not for the viewer."""
        return tuple(
            event if self.of_source(event.source) == "whole" else _UNNUMBERED for event in events
        )

    def evaluation(self, evaluation: PeriodEvaluation) -> tuple[PeriodEvaluation, int]:
        """The evaluation without what is not for the viewer; how much stands as a reference."""
        references = self.references(evaluation)
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

    def _figure(self, figure: MetricFigure, references: References) -> tuple[MetricFigure, int]:
        telling = self._events(figure.evidence.telling, references)
        parts = [self._part(one, references) for one in figure.parts]
        touching = [self._part(one, references) for one in figure.touching]
        halves = [self._half(one, references) for one in figure.incomplete]
        shown = {
            "evidence": figure.evidence.model_copy(update={"telling": telling}),
            "parts": tuple(one for one in parts if one is not None),
            "touching": tuple(one for one in touching if one is not None),
            "incomplete": tuple(one for one in halves if one is not None),
            "unfinished": self._names(figure.unfinished, references),
            "compared": tuple(
                one for one in figure.compared if self.of_source(one.source) == "whole"
            ),
            "others": tuple(self._other(one, references) for one in figure.others),
        }
        withheld = sum(one.source == WITHHELD for one in telling)
        if self.of_others == "reference":
            known = (*figure.parts, *figure.touching)
            withheld += sum(map(references.is_others_occurrence, known))
        return figure.model_copy(update=shown), withheld

    def _events(self, events: Iterable[EventRef], references: References) -> tuple[EventRef, ...]:
        """The events as they are seen: each, its reference, or nothing."""
        match self.of_others:
            case "whole":
                return tuple(events)
            case "reference":
                return references.events(events)
            case "nothing":
                return tuple(one for one in events if not references.is_others_event(one))

    def _names(self, names: Iterable[str], references: References) -> tuple[str, ...]:
        """The same of the names of occurrences."""
        if self.of_others == "whole":
            return tuple(names)
        told = ((name, references.name(name)) for name in names)
        return tuple(
            shown for name, shown in told if shown == name or self.of_others == "reference"
        )

    def _part(self, part: Part, references: References) -> Part | None:
        """The occurrence; of another vendor's its time and amount alone, or nothing."""
        match self.of_others if references.is_others_occurrence(part) else "whole":
            case "nothing":
                return None
            case "reference":
                bare = {"vendor": None, "subject": None, "value": None, "events": ()}
                name = references.occurrence(part)
                return part.model_copy(update={"part": name, **bare})
            case "whole":
                seen: dict[str, object] = {"events": self._events(part.events, references)}
                if self.of_others == "nothing":  # what is cut out of it may be another's outage
                    seen["pieces"] = ()
                return part.model_copy(update=seen)

    def _half(
        self, half: IncompleteOccurrence, references: References
    ) -> IncompleteOccurrence | None:
        match self.of_others if references.is_others_occurrence(half) else "whole":
            case "nothing":
                return None
            case "reference":
                name = references.occurrence(half)
                return half.model_copy(update={"part": name, "subject": None, "events": ()})
            case "whole":
                return half.model_copy(update={"events": self._events(half.events, references)})

    def _other(self, other: OtherFigure, references: References) -> OtherFigure:
        (event,) = self._events((other.event,), references) or (_UNNUMBERED,)
        return other.model_copy(update={"event": event})
