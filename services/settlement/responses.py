"""What the API answers with: nouns of the field, with amounts also as text and places in lists."""

from __future__ import annotations

from datetime import date
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Instant, Noun, Number, Text
from schemas.dispute import Contested, Dispute, DisputeAct, DisputeState
from schemas.evaluation import EventRef, PeriodEvaluation, Proposal, WithheldThing
from schemas.finance import EntryBooked
from schemas.ledger_entry import SettlementRun
from schemas.money import MoneyAmount
from schemas.period import PeriodLabel, Window
from schemas.programme import SourceUri
from schemas.statement import LevelResult, LineKind, SettlementStatement, Step
from services.core.events.whose_word import ProposalState

Item = TypeVar("Item", bound=Noun)


class UnreadItem(Noun):
    """Something of a list that cannot be shown."""

    what: str = Field(description="What it is, by its id.")
    reason: str


class Page(Noun, Generic[Item]):
    """Part of a list. ``next`` is the cursor of the rest; null at the end."""

    items: tuple[Item, ...]
    next: str | None
    unread: tuple[UnreadItem, ...] = Field(
        (), description="What of this part cannot be shown, and why; all else of it is."
    )


class VersionSummary(Noun):
    """One version of an agreement. ``rules_from``: since when settlement lets it rule."""

    version: int
    effective_from: date
    effective_until: date | None
    rules_from: date | None = Field(
        description="Null: not met by settlement yet. Later than effective_from where periods "
        "were settled before the version came."
    )


class AgreementSummary(Noun):
    """An agreement and its versions, oldest first."""

    agreement: str
    programme: str
    vendor: str
    buyer: str
    name: str
    currency: str
    versions: tuple[VersionSummary, ...]


class AgreementApplied(Noun):
    """What applying came to. ``already``: the very same version was there before."""

    agreement: str
    version: int
    already: bool
    rules_from: date = Field(
        description="Since when this version rules. Later than effective_from where periods were "
        "settled before the version came: what is settled is not settled by other rules."
    )


class EvaluationSummary(Noun):
    """One revision of what was counted for a period."""

    agreement: str
    period: str
    revision: int
    reason: str
    sha256: str
    received_at: Instant


class EvaluationAnswer(EvaluationSummary):
    """An evaluation in full. ``withheld``: how much of other vendors stands as a reference."""

    evaluation: PeriodEvaluation
    withheld: int
    references: tuple[WithheldThing, ...] = Field(
        (),
        description="What the references in the period's statement and in what it waits for stand "
        "for; none where that is not for the asker.",
    )


class StatementSummary(Noun):
    """One revision of a statement."""

    agreement: str
    period: str
    revision: int
    supersedes: int | None
    programme: str
    version: int
    vendor: str
    buyer: str
    total: MoneyAmount
    withheld: MoneyAmount | None = Field(
        description="What of it is not due, as it is disputed and the contract lets it be withheld."
        " Null: a later revision stands in its place."
    )
    due: MoneyAmount | None = Field(
        description="The total without what is withheld. Null: of a later revision, too."
    )
    run_id: UUID
    sha256: str
    recorded_at: Instant
    position: int | None = Field(
        description="Its number in the book, which holds what is others' too: null but for admin."
    )


class StatementAnswer(StatementSummary):
    """A statement in full."""

    statement: SettlementStatement


class EntryAnswer(EntryBooked):
    """A ledger entry with the moment it was booked."""

    position: int | None = Field(  # type: ignore[assignment]  # finance's topic has it always
        description="Its number in the book, which holds what is others' too: null but for admin."
    )
    recorded_at: Instant


class AccountBalance(Noun):
    """Debits minus credits of one account."""

    account: str
    balance: MoneyAmount


class VendorBalance(Noun):
    """Who owes what between a vendor and a buyer, in one currency."""

    vendor: str
    buyer: str
    owes: Literal["vendor", "buyer", "nobody"]
    owed: MoneyAmount = Field(description="Never negative; see owes.")
    withheld: MoneyAmount = Field(
        description="Of lines in dispute: what the vendor withholds, less what the buyer does."
    )
    due: MoneyAmount = Field(
        description="What is owed without what is withheld; below zero: by the buyer."
    )
    accounts: tuple[AccountBalance, ...]


class Balances(Noun):
    """All balances as the book stood at a position."""

    position: int | None = Field(description="Of the book; null but for admin.")
    as_of: Instant | None
    items: tuple[VendorBalance, ...]


class ContractTerm(Noun):
    """The term a step refers to, as the agreement's version has it."""

    path: str
    text: Any = Field(description="The term itself; null where the path names no single term.")


class FigureSource(Noun):
    """A figure that an amount rests on: what was counted, in which window, from how many facts."""

    metric: str
    subject: str | None
    period: str
    window: Window
    value: Number | None
    good: Number | None
    total: Number | None
    facts: int
    digest: str
    telling: tuple[EventRef, ...]
    revision: int = Field(description="Revision of the evaluation that holds it.")


class FigureEvent(Noun):
    """An event that moved a figure, as it stands now."""

    source: str
    id: str
    type: str
    time: Instant
    metric: str | None = Field(description="Of a composite's figure: the part's metric.")
    subject: str | None
    payload: str | None = Field(
        description="Hash of what it says after corrections; null of what is withheld. SHA-256 "
        "over identities and hashes of all that were counted, in order of identity, is the "
        "figure's digest."
    )
    corrects: str | None = Field(
        description="The id of the event that it corrects; null for one that was counted itself."
    )
    figure: int = Field(description="Which of the explanation's figures it moved, from 0.")


class FactsPage(Noun):
    """The events that moved the figures, figure by figure: also corrections, and what began before.

    ``unavailable``: why the evaluator could not be asked; the figures and their digests stand.
    ``changed_since``: of which figures other events are counted now than the statement's, as facts
    came since.
    """

    items: tuple[FigureEvent, ...]
    withheld: int
    next: str | None
    unavailable: str | None
    changed_since: tuple[int, ...] = ()


class ListedProposal(Noun):
    """What a party has proposed: without effect until it is accepted."""

    proposal_id: UUID
    agreement: str
    period: str = Field(description="That it is for.")
    evaluated: str = Field(description="The settlement period whose evaluation lists it.")
    states: Literal["charge", "circumstance", "figure", "correction"]
    name: str = Field(description="Base, circumstance or metric.")
    state: Literal["open", "accepted", "rejected"]
    amount: MoneyAmount | None = Field(description="Of a charge. Null: it states no amount.")
    proposal: Proposal
    first_at: Instant
    changed_at: Instant


class ProposalEffect(Noun):
    """What the statement would change by, by the facts that are stored now."""

    period: str = Field(description="The settlement period.")
    without: MoneyAmount | None = Field(description="Its total where it is not accepted.")
    accepted: MoneyAmount | None = Field(description="Its total where it is.")
    change: MoneyAmount | None = Field(description="Null: one of the two cannot be settled yet.")
    waits_for: tuple[str, ...] = Field(
        (), description="Why the period cannot be settled where it is not accepted."
    )
    references: tuple[WithheldThing, ...] = Field(
        (),
        description="What the references in `waits_for` stand for, where that is for the asker.",
    )
    accepted_waits_for: tuple[str, ...] = Field(
        (), description="Why the period cannot be settled where it is."
    )
    accepted_references: tuple[WithheldThing, ...] = Field(
        (),
        description="What those in `accepted_waits_for` stand for: it is counted otherwise, so "
        "that they have numbers of their own.",
    )


class ProposalDetail(ListedProposal):
    """A proposal with its amount."""

    effect: ProposalEffect


class ProposalDecision(Noun):
    """Why a proposal is accepted or rejected, and from which source of one's own."""

    reason: Text
    source: SourceUri | None = Field(
        None, description="The source of the answer. Needed where several report for you."
    )


class ProposalAnswered(Noun):
    """An answer that was sent. It takes effect once it is counted."""

    proposal_id: UUID
    answer: Literal["accept", "reject"]
    event: EventRef = Field(description="The event that answers.")


class CorrectedEvent(Noun):
    """An event as it was sent, before any correction."""

    source: str
    id: str
    type: str
    time: Instant
    data: dict[str, Any]


class ShownCorrection(Noun):
    """A correction: who made it, when and why, and what of."""

    source: str
    id: str
    party: str = Field(description="Whose source it is: who made it.")
    time: Instant = Field(description="When it was made, as its event says.")
    stored_at: Instant = Field(description="When it was taken in.")
    reason: str
    corrects: str = Field(
        description="The `id` that it names: of the event, or of a correction of it."
    )
    event: CorrectedEvent = Field(description="What it was: the event at the end of the chain.")
    takes_back: bool = Field(description="What it `corrects` is to be as if it never came.")
    data: dict[str, Any] | None = Field(
        description="What it became: in place of the data of what it `corrects`. Null: that stays."
    )
    moved_to: Instant | None = Field(description="Its new time. Null: that stays.")
    proposed: ProposalState | None = Field(
        description="How it stands where it is a proposal: it works only once it is `accepted`. "
        "Null: it is none, or no evaluation has looked at it yet."
    )


class CorrectionsPage(Noun):
    """Corrections of events that count for a period, before its close and after. ``next`` is the
    cursor of the rest; a page may be shorter than asked for, or empty."""

    agreement: str
    period: str
    items: tuple[ShownCorrection, ...]
    withheld: int = Field(description="How many of this page are another vendor's.")
    next: str | None


class Explanation(Noun):
    """From an amount to the events behind it."""

    agreement: str
    period: str
    revision: int
    line: str
    kind: LineKind
    level: str | None
    for_period: str
    amount: MoneyAmount
    steps: tuple[Step, ...]
    contract_version: int
    terms: tuple[ContractTerm, ...]
    results: tuple[LevelResult, ...]
    figures: tuple[FigureSource, ...]
    events: tuple[EventRef, ...] = Field(description="Events that the line itself names.")
    disputes: tuple[Dispute, ...] = Field(
        (), description="Of the line, and of what it rests on: figures, measurements, absences."
    )
    references: tuple[WithheldThing, ...] = Field(
        (), description="What the references in it stand for, where that is for the asker."
    )
    proposals: tuple[ListedProposal, ...] = Field(
        (), description="Open ones of the periods of the line and its statement, up to 100."
    )
    unread: tuple[str, ...] = Field(
        (),
        description="Evaluations, as period#revision, disputes and proposals that this release "
        "cannot read: what they say is not shown.",
    )
    facts: FactsPage


class Preview(Noun):
    """What an open period would come to if it ended with what is known. Nothing is stored."""

    preview: Literal[True] = True
    agreement: str
    period: str
    total: MoneyAmount | None
    statement: SettlementStatement | None
    waits_for: tuple[str, ...] = Field(description="Why it could not be settled yet.")
    references: tuple[WithheldThing, ...] = Field(
        (), description="What the references in it stand for, where that is for the asker."
    )


class ParkedWork(Noun):
    """Work that failed for a reason of its own, and is tried again when its inputs change."""

    what: str = Field(
        description="programme, agreement: the contract cannot be read. close: the period cannot "
        "be counted. late_facts: facts cannot be held against it. evaluation: it cannot be "
        "settled. restatement: it cannot be worked out by today's rules."
    )
    programme: str
    error: str = Field(description="The class of what was raised.")
    place: str = Field(description="Where in earnback it was raised.")
    input: str = Field(description="Digest of what it was tried with.")
    trace_id: str = Field(description="The `correlation_id` of its log lines.")
    attempts: int
    last_at: Instant


class PendingPeriod(Noun):
    """A closed period that has no statement yet, work on an agreement that failed, an undecided
    dispute or an open proposal, and why."""

    agreement: str | None = Field(description="Null: the whole programme.")
    vendor: str | None
    period: str | None = Field(description="Null: the agreement as a whole.")
    state: Literal["waits", "parked", "disputed", "proposed"] = Field(
        description="waits: something that the contract asks for is missing. parked: working it "
        "out failed. disputed: a dispute of it is not decided. proposed: nobody has answered."
    )
    reasons: tuple[str, ...]
    references: tuple[WithheldThing, ...] = Field(
        (), description="What the references in the reasons stand for, where that is for the asker."
    )
    since: Instant
    run_id: UUID | None = Field(description="The run that found it waiting. Null: it is parked.")
    parked: ParkedWork | None = Field(None, description="What failed. Null: nothing did.")
    dispute_id: UUID | None = Field(None, description="Null: it is not for a dispute.")
    proposal_id: UUID | None = Field(None, description="Null: it is not for a proposal.")


class RunSummary(SettlementRun):
    """A run with what it posted."""

    recorded_at: Instant
    statements: int
    entries: int


class RunAnswer(RunSummary):
    """A run with the statements that it posted, as agreement, period and revision."""

    posted: tuple[StatementSummary, ...]


class RestatedLine(Noun):
    """A line that today's rules give another amount. Null: the statement has no such line."""

    line: str
    kind: LineKind
    level: str | None
    for_period: str
    standing: MoneyAmount | None
    today: MoneyAmount | None


class HeldRestatement(Noun):
    """A settled period that today's rules would settle otherwise. Nothing of it is posted."""

    agreement: str
    vendor: str
    period: str
    standing: MoneyAmount = Field(description="The total that stands.")
    today: MoneyAmount | None = Field(
        description="The total by today's rules; null where they wait."
    )
    difference: MoneyAmount | None = Field(
        description="What a restatement would book on top; null where today's rules wait, or "
        "settle in another currency."
    )
    rules_then: int = Field(description="The version of the rules that made what stands.")
    rules_now: int
    lines: tuple[RestatedLine, ...] = Field(description="The lines that differ.")
    other: tuple[str, ...] = Field(
        description="What differs beside them, in words: results, rights, named figures."
    )
    waits_for: tuple[str, ...] = Field(
        description="Why today's rules would wait; such a period cannot be restated yet."
    )
    references: tuple[WithheldThing, ...] = Field(
        (),
        description="What the references in `waits_for` stand for, where that is for the asker.",
    )


class RestatementRequest(Noun):
    """An order to restate settled periods of an agreement by today's rules."""

    agreement: str
    periods: tuple[PeriodLabel, ...] = Field(
        (), description="Which; absent or empty: all that can be restated."
    )
    reason: Text


class RestatedPeriod(Noun):
    """A period that an order restated: its new revision, and how many entries it booked."""

    period: str
    revision: int
    total: MoneyAmount
    entries: int


class RestatementDone(SettlementRun):
    """The run that an order made, with what it restated."""

    rules: int
    restated: tuple[RestatedPeriod, ...]


class UsageDay(Noun):
    """What was kept, and what was only counted, of a party's refused events on a day (UTC)."""

    party: str = Field(description="'operator' where it can't be told whose events they were.")
    day: date
    kept: int = Field(description="Refused events that are kept whole, for a person to see.")
    kept_bytes: int
    quota_events: int = Field(description="How many are kept a day.")
    quota_bytes: int
    beyond: int = Field(description="Refused beyond the quota: counted, with a digest and samples.")
    beyond_bytes: int
    codes: dict[str, int] = Field(description="Refusals by their code, kept or counted.")
    subjects: dict[str, int] = Field(
        description="On the row of today: how many subjects the party has reported of each metric "
        "that a level judges for each subject, by PROGRAMME/METRIC."
    )
    quota_subjects: int = Field(description="How many it may report of each of these metrics.")
    last_at: Instant
    kept_until: date = Field(description="What is kept of the day is removed after it.")


class QuarantineSummary(Noun):
    """Something set aside: refused by ingest, in conflict, too old, or unreadable."""

    item_id: UUID
    set_aside_by: Literal["ingest", "evaluator"]
    reason: str
    party: str | None = Field(description="Who sent it, where ingest set it aside.")
    source: str | None = Field(description="Null where it could not be read.")
    event_id: str | None
    problem: str
    times: int
    first_at: Instant
    last_at: Instant
    resolved_at: Instant | None = Field(
        description="Since when a refused correction fits its event; null for all else. Items "
        "with it are not in the list."
    )


class QuarantineItem(QuarantineSummary):
    """The same with what came: a fact, with what is held in a conflict; or bytes, as they came."""

    told: Any
    held: Any
    document: Any = Field(description="The problem document (RFC 9457) that the sender was given.")
    place: str | None = Field(description="Topic, partition and offset of an intake record.")
    headers: dict[str, str] | None
    raw_base64: str | None


class RefusedEvaluation(Noun):
    """A record of the evaluations topic that can never be settled, and why."""

    refused_id: UUID
    topic: str
    partition: int
    kafka_offset: int
    reason: str
    refused_at: Instant


class QuarantinedEvent(BaseModel):
    """What came under an event's name and does not count; /v1/quarantine/ITEM shows it whole."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    item_id: UUID
    set_aside_by: Literal["ingest", "evaluator"]
    reason: str
    problem: str
    told: Any | None = Field(description="What it says, where the evaluator set it aside.")
    times: int = Field(description="By ingest always 1: the same bytes are kept once.")
    first_at: Instant
    last_at: Instant
    resolved_at: Instant | None = Field(
        None, description="Since when a refused correction fits its event; null for all else."
    )


class EventVerdict(BaseModel):
    """What became of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    id: str
    standing: Literal["accepted", "quarantined", "not_seen"]
    accepted: dict[str, Any] | None = Field(
        description="What counts, and since when; for admin also where it is stored."
    )
    duplicates: int = Field(
        description="How many duplicates reached the evaluator. One that ingest answered with "
        "`duplicate` went no further and is not counted."
    )
    quarantined: tuple[QuarantinedEvent, ...]


class CloseOrder(Noun):
    """Close a period now, whatever the watermark says; or look at a closed one again."""

    agreement: str
    period: PeriodLabel
    reason: Text | None = Field(None, description="Why; for the audit.")


class CloseState(BaseModel):
    """An order to close and what became of it, in the evaluator's words."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    order_id: UUID
    agreement: str
    period: str
    outcome: str | None = Field(description="Null: not done yet.")
    detail: str | None = None
    revision: int | None = None
    requested_by: str | None = None
    requested_at: Instant | None = None
    done_at: Instant | None = None


class DisputeOrder(Contested):
    """A party contests one thing of a period: a line, a figure, a measurement, or that there is
    none."""

    agreement: str
    period: PeriodLabel
    revision: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Of the statement, with a line. Absent: the latest."
    )
    effect: Number | None = Field(
        None,
        description="By how much the amount is wrong, in main units. Needed where the contract has "
        "`disputes`.",
    )
    error: bool | None = Field(
        None,
        description="Whether it is an error. Needed where the contract's `disputes` needs one.",
    )
    comment: Text


class DisputeActOrder(Noun):
    """A step in a dispute."""

    act: DisputeAct
    comment: Text


DisputeActor = Literal["raiser", "other"]
"""Whose act it is: the party's that raised the dispute, or the other's."""


class DisputeTransition(Noun):
    """One row of the table of a dispute's life."""

    state: DisputeState
    act: DisputeAct
    leads_to: DisputeState
    by: DisputeActor


class DisputeTable(Noun):
    """The whole table."""

    transitions: tuple[DisputeTransition, ...]
