"""The way of production, without its servers: contract text and CloudEvents to statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.event import CloudEvent
from schemas.period import PeriodLabel, first_day, label_of
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.core.calendar.windows import labels_between, microseconds
from services.core.contracts.check import check
from services.core.contracts.reading import Refusal, read_documents
from services.core.counting.evaluation import evaluate
from services.core.events.acceptance import accept
from services.core.events.facts import Row, columns, payload_before_of
from services.core.events.rejections import Rejection
from services.core.events.rules import Rules, rules_of
from services.core.settling.one_period import Unsettled
from services.core.settling.settlement import settle
from services.core.visibility.parties import parties_of

CONTRACTS = Path(__file__).parent / "contracts"
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Contracts:
    """A file of agreements beside the programme, as accepted or refused."""

    programme: Programme
    agreements: tuple[Agreement, ...]
    refusals: tuple[Refusal, ...]

    @cached_property
    def rules(self) -> Rules:
        """What the door judges events by: made once, as a service makes it."""
        return rules_of([self.programme], self.agreements, numbers(self.programme))

    def names(self) -> list[str]:
        """The agreements, each once, in the file's order."""
        return list(dict.fromkeys(agreement.agreement for agreement in self.agreements))

    def versions(self, name: str) -> list[Agreement]:
        """All versions of an agreement."""
        return [agreement for agreement in self.agreements if agreement.agreement == name]


@cache
def load(name: str) -> Contracts:
    """Read and check a contract file together with the programme."""
    programme = _programme()
    text = (CONTRACTS / f"{name}.yaml").read_text(encoding="utf-8")
    documents, refusals = read_documents(text, f"{name}.yaml")
    for document in documents.documents:
        refusals += check(document, programme, documents.agreements)
    return Contracts(programme, documents.agreements, refusals)


@cache
def _programme() -> Programme:
    text = (CONTRACTS / "programme.yaml").read_text(encoding="utf-8")
    programmes, broken = read_documents(text, "programme.yaml")
    assert not broken, [refusal.text() for refusal in broken]
    (programme,) = programmes.programmes
    return programme


class Refused(Exception):
    """An event that the door does not take."""


def rows(contracts: Contracts, events: Iterable[Event]) -> Iterator[Row]:
    """The events as the door takes them. Raises Refused with the problem."""
    for raw in events:
        event = CloudEvent.model_validate(raw)
        found = accept(
            contracts.rules,
            event.source,
            event.id,
            event.type,
            microseconds(event.time),
            event.data,
            None,
            None,
        )
        if isinstance(found, Rejection):
            raise Refused(f"{found.field}: {found.reason}; {found.remedy}")
        yield found


def numbers(programme: Programme) -> dict[tuple[str, str], int]:
    """Metric numbers as a catalogue would give them."""
    return {
        (programme.programme, metric.metric): number
        for number, metric in enumerate(programme.metrics)
    }


def evaluations(
    contracts: Contracts,
    name: str,
    events: Sequence[Event],
    through: PeriodLabel,
    revision: int = 1,
    *,
    stored_before: bool = False,
) -> list[PeriodEvaluation]:
    """Every settlement period from the agreement's beginning through the one named.

    ``stored_before``: by a release that kept 64 bits of a payload's hash.
    """
    versions = contracts.versions(name)
    taken = list(rows(contracts, events))
    if stored_before:
        named = {number: metric for (_, metric), number in numbers(contracts.programme).items()}
        taken = [
            row._replace(payload=payload_before_of(row, named.get(row.metric, ""))) for row in taken
        ]
    facts = columns(taken)
    begin = min(version.effective_from for version in versions)
    settled = versions[0].settled
    last = label_of(first_day(through), settled)
    return [
        evaluate(
            [contracts.programme],
            versions,
            period,
            facts,
            numbers(contracts.programme),
            revision,
            "closed",
        )
        for period in labels_between(label_of(begin, settled), last)
    ]


def settled(
    contracts: Contracts, name: str, known: Sequence[PeriodEvaluation]
) -> tuple[SettlementStatement | Unsettled, ...]:
    """What the evaluations come to."""
    programme = contracts.programme
    return settle(
        contracts.versions(name),
        known,
        parties=parties_of([programme]),
        time_zone=programme.time_zone,
    )
