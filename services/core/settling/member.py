"""An agreement on the way through its periods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day, label_of, next_label
from services.core.adjusting.shared_caps import CappedAgreement, OpenPeriod
from services.core.contracts.versions import version_for
from services.core.exact.budget import Budget
from services.core.inputs.blockers import Blockers, InvalidDeclaration
from services.core.inputs.charges import AT, Charges
from services.core.inputs.context import PeriodContext
from services.core.inputs.evaluated import EvaluatedPeriods
from services.core.inputs.history import SettledPeriod, SettlementHistory
from services.core.inputs.known import PeriodInputs, stated_beyond
from services.core.inputs.occurrences import unfinished, waits_for
from services.core.inputs.places import unknown_places
from services.core.settling.checkpoints import (
    AfterPeriod,
    Ahead,
    Checkpoint,
    Past,
    PeriodFacts,
    PeriodRecord,
    PeriodState,
    after_of,
    facts_of,
    in_order,
    written,
)
from services.core.settling.one_period import PeriodOutcome, not_settled, settled
from services.core.visibility.parties import Parties
from services.core.visibility.references import References

NOTHING = Past()


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of one agreement, in any order.

    Of several revisions of a period's evaluation the latest counts. ``before``: what is left of the
    periods before those, where they are not worked out again.
    """

    versions: Sequence[Agreement]
    evaluations: Sequence[PeriodEvaluation]
    before: Past = NOTHING


@dataclass(frozen=True, slots=True)
class PeriodStep:
    """One period as it was worked out: what is left of it, and what it looked at elsewhere."""

    period: str
    facts: PeriodFacts
    after: AfterPeriod
    ahead: frozenset[Ahead]
    looked_back: int

    def state(self) -> PeriodState:
        """What is stored of it."""
        return written(self.facts, self.after)


@dataclass(slots=True)
class Member:
    """An agreement on the way through its periods."""

    versions: Sequence[Agreement]
    known: EvaluatedPeriods
    to_settle: frozenset[str]
    charges: Charges
    history: SettlementHistory
    outcomes: list[PeriodOutcome] = field(default_factory=list)
    steps: list[PeriodStep] = field(default_factory=list)
    lacks: str | None = None
    """Why the history so far is not whole, if it is not."""

    @classmethod
    def of(cls, history: History, parties: Parties) -> Member:
        """An agreement before the first of its periods that is to be worked out."""
        ordered = sorted(history.versions, key=lambda one: (one.effective_from, one.version))
        vendor = ordered[-1].vendor
        known, past, lacks = _taken_up(history.before, ordered, parties)
        latest = _latest(history.evaluations)
        for period in sorted(latest, key=in_order):
            evaluation = latest[period]
            known.add(period, PeriodInputs(evaluation, References(evaluation, vendor, parties)))
        until = ordered[-1].effective_until
        after_end = None if until is None else label_of(until, ordered[-1].settled)
        beyond = stated_beyond(known.with_more(_before(after_end)), after_end)
        charges = Charges(known, beyond)
        return cls(ordered, known, frozenset(latest), charges, past, lacks=lacks)

    def context(
        self, version: Agreement, period: str, time_zone: str, budget: Budget
    ) -> PeriodContext:
        """The context in which a period is worked out."""
        begins = self._begins()
        until = self.versions[-1].effective_until
        ends_with = None if until is None else next_label(label_of(until, version.settled), -1)
        blockers = Blockers()
        lacks = self.lacks or self._not_evaluated(period)
        begun = [one for one in self.versions if one.effective_from <= version.effective_from]
        if lacks and any(map(looks_back, begun)):
            blockers.add(f"{lacks}, and terms look back at it")
        for name in unfinished(self.known[period].evaluation):
            blockers.add(waits_for(self.known[period].references.name(name)))
        for reason in self._unknown_places(period):
            blockers.add(reason)
        return PeriodContext(
            version,
            period,
            self.known[period],
            self.charges,
            self.history,
            begins,
            ends_with,
            time_zone,
            blockers,
            budget,
        )

    def _unknown_places(self, period: str) -> list[str]:
        """Why circumstances of a period speak of nobody.

        Whom its own evaluation knows need not be looked for in others: those only know more.
        """
        own = EvaluatedPeriods()
        own.add(period, self.known[period])
        evaluation = self.known[period].evaluation
        if not any(unknown_places(self.versions, Charges(own), evaluation)):
            return []
        return list(unknown_places(self.versions, self.charges, evaluation))

    def under(self, open_period: OpenPeriod | None) -> CappedAgreement:
        """The agreement as a cap that it shares sees it."""
        return CappedAgreement(self.versions, self.charges, self.history, open_period)

    def close(self, open_period: OpenPeriod | None, buyer: str) -> None:
        """Work a period out to its end and remember it."""
        assert open_period is not None, "an open period stays open until here"
        outcome, remembered = _ended(open_period, buyer)
        self.outcomes.append(outcome)
        if self.lacks is None:
            self.lacks = self._not_evaluated(remembered.period)
        if self.lacks is None and remembered.lines is None:
            self.lacks = f"{remembered.period} is not settled yet"
        self.history.add(remembered)

    def note(self, period: str, ahead: frozenset[Ahead]) -> None:
        """Note what is left of a period that was worked out, or that no version covers."""
        last = self.history.last if self.history.last_label == period else None
        record = None if last is None else PeriodRecord.of(last)
        facts = PeriodFacts.of(self.known[period])
        after = AfterPeriod(record, self.lacks)
        self.steps.append(PeriodStep(period, facts, after, ahead, self.history.furthest))
        self.history.furthest = 0

    def looked_ahead(self, name: str, period: str) -> Iterator[Ahead]:
        """What was looked at, since it was last asked, that a later evaluation can change."""
        for how, what in self.charges.looked_at:
            at_hand = how == AT and what in self.known
            if not at_hand or in_order(what) > in_order(period):
                yield name, (how, what)
        self.charges.looked_at.clear()

    def _begins(self) -> str:
        """The first period of the agreement."""
        return label_of(self.versions[0].effective_from, self.versions[0].settled)

    def _not_evaluated(self, period: str) -> str | None:
        """The first period left out before this one: a settlement never guesses what was in it.

        What no version covers, between two of them, is not left out.
        """
        last = self.history.last_label
        label = self._begins() if last is None else next_label(last)
        while first_day(label) < first_day(period):
            if version_for(self.versions, label) is not None:
                return f"{label} is not evaluated yet"
            label = next_label(label)
        return None


def _before(after_end: str | None) -> tuple[str, ...]:
    return () if after_end is None else (next_label(after_end, -1),)


def _taken_up(
    past: Past, versions: Sequence[Agreement], parties: Parties
) -> tuple[EvaluatedPeriods, SettlementHistory, str | None]:
    """What is left of earlier periods: what they state, what they came to, and what they lack."""
    since = None if past.read is None else past.read.day
    known, settled = EvaluatedPeriods(past.read), SettlementHistory(since)
    for one in past.checkpoints:
        state = partial(_stated, one, versions[-1].vendor, parties)
        known.add_stored(one.period, one.outline, state)
        if one.covered and (since is None or first_day(one.period) >= since):
            settled.add_stored(one.period, partial(_looked_back_at, one, versions))
    return known, settled, after_of(past.checkpoints[-1].state).lacks if past.checkpoints else None


def _stated(checkpoint: Checkpoint, vendor: str, parties: Parties) -> PeriodInputs:
    facts = facts_of(checkpoint.state)
    references = References(facts.evaluation, vendor, parties)
    return PeriodInputs(facts.evaluation, references, measured=frozenset(facts.measured))


def _looked_back_at(checkpoint: Checkpoint, versions: Sequence[Agreement]) -> SettledPeriod:
    record = after_of(checkpoint.state).record
    assert record is not None, "a version covers it"
    return record.settled(checkpoint.period, versions)


def _ended(open_period: OpenPeriod, buyer: str) -> tuple[PeriodOutcome, SettledPeriod]:
    if open_period.worksheet is None:
        return not_settled(open_period.context)
    try:
        return settled(open_period.context, open_period.worksheet, buyer)
    except InvalidDeclaration as misstated:
        return not_settled(open_period.context, str(misstated))


def _latest(evaluations: Sequence[PeriodEvaluation]) -> Mapping[str, PeriodEvaluation]:
    latest: dict[str, PeriodEvaluation] = {}
    for evaluation in evaluations:
        held = latest.get(evaluation.period)
        if held is None or evaluation.revision > held.revision:
            latest[evaluation.period] = evaluation
    return latest


def looks_back(version: Agreement) -> bool:
    """Whether any term of a version depends on earlier periods."""
    levels = any(
        level.averaged is not None
        or level.moves is not None
        or level.defaults.kind == "misses_in_window"
        or any(
            credit.due.kind == "on_run"
            or credit.rate.kind == "by_run"
            or any(factor.kind == "repeat" for factor in credit.factors)
            for credit in level.credits
        )
        for level in version.levels
    )
    caps = any(cap.window != "period" for cap in version.caps)
    rights = any(right.kind in ("mean", "misses") for right in version.terminations)
    terms = (version.earn_backs, rights, version.banks)
    return bool(levels or caps or any(terms) or version.deposit or version.invoicing)
