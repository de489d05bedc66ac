"""Settling agreements: their whole history replayed, one statement per period.

Nothing is carried in from outside: the same versions and evaluations give the same statements,
byte for byte, in whatever order the evaluations are handed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from schemas.agreement import Agreement
from schemas.ceiling import SharedCap
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day, label_of, next_label
from schemas.programme import Programme
from services.core.adjusting.shared_caps import CappedAgreement, OpenPeriod, apply_shared_caps
from services.core.contracts.versions import caps_for, covers, version_for
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.inputs.blockers import Blockers, InvalidDeclaration
from services.core.inputs.charges import Charges
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import SettledPeriod, SettlementHistory
from services.core.inputs.known import PeriodInputs, stated_beyond
from services.core.inputs.occurrences import unfinished, waits_for
from services.core.inputs.places import unknown_places
from services.core.settling.one_period import PeriodOutcome, not_settled, settled, up_to_caps
from services.core.visibility.parties import Parties
from services.core.visibility.references import References


@dataclass(frozen=True, slots=True)
class FailedAgreement:
    """Why an agreement could not be worked out, and from which period on.

    ``period``: empty where not even its history could be read.
    """

    period: str
    error: Exception


@dataclass(frozen=True, slots=True)
class SettledTogether:
    """What agreements come to that were settled together, by name: each in one of the two."""

    outcomes: Mapping[str, tuple[PeriodOutcome, ...]]
    failed: Mapping[str, FailedAgreement]

    def of(self, agreement: str) -> tuple[PeriodOutcome, ...]:
        """What one of them comes to. Raises what working it out raised."""
        if agreement in self.failed:
            raise self.failed[agreement].error
        return self.outcomes[agreement]


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of one agreement, in any order.

    Of several revisions of a period's evaluation the latest counts.
    """

    versions: Sequence[Agreement]
    evaluations: Sequence[PeriodEvaluation]


def settle(
    versions: Sequence[Agreement],
    evaluations: Sequence[PeriodEvaluation],
    *,
    parties: Parties,
    time_zone: str,
) -> tuple[PeriodOutcome, ...]:
    """Settle an agreement that shares no cap with another; otherwise as `settle_together`."""
    alone = {"": History(versions, evaluations)}
    return settle_together(alone, (), parties=parties, time_zone=time_zone)[""]


def settle_together(
    histories: Mapping[str, History],
    programmes: Sequence[Programme],
    *,
    parties: Parties,
    time_zone: str,
) -> dict[str, tuple[PeriodOutcome, ...]]:
    """As `settle_each`, where all can be worked out. Raises the first failure."""
    found = settle_each(histories, programmes, parties=parties, time_zone=time_zone)
    return {name: found.of(name) for name in sorted(histories)}


def settle_each(
    histories: Mapping[str, History],
    programmes: Sequence[Programme],
    *,
    parties: Parties,
    time_zone: str,
    unread: Mapping[str, str] = MappingProxyType({}),
    budget: Budget = UNBOUNDED,
) -> SettledTogether:
    """One outcome per settlement period known of each agreement, in order, from its beginning.

    ``histories``: by agreement, all that may share a cap with one another. ``programmes``: the
    versions of their programme, whose shared caps cut. The version in force on a period's first
    day decides it; counters, runs and balances go on across versions. ``parties``: of their
    programme; what is another vendor's stands in an outcome as a reference. ``time_zone``: the
    programme's, for terms that speak of days. ``unread``: agreements of which nothing can be read,
    with their vendors.

    Whatever working out one agreement raises is its own failure: it has no outcome, and what
    depends on it under a cap waits as for one that is not evaluated. ``budget``: of all together.
    """
    members = _Members(dict(unread), parties, budget)
    for name in sorted(histories):
        members.begin(name, histories[name])
    known = {each for one in members.own.values() for each in one.known}
    for period in sorted(known, key=_order):
        members.settle(period, programmes, time_zone)
    outcomes = {
        name: tuple(member.outcomes)
        for name, member in members.own.items()
        if name not in members.failed
    }
    return SettledTogether(outcomes, members.failed)


def _order(period: str) -> tuple[object, str]:
    return first_day(period), period


@dataclass(slots=True)
class _Members:
    """The agreements that are settled together, and what failed of them."""

    unread: dict[str, str]
    parties: Parties
    budget: Budget
    own: dict[str, _Member] = field(default_factory=dict)
    failed: dict[str, FailedAgreement] = field(default_factory=dict)

    def begin(self, name: str, history: History) -> None:
        """Take up an agreement before its first period."""
        with self._or_failed(name, ""):
            self.own[name] = _Member.of(history, self.parties)
        if name not in self.own and history.versions:
            self.unread[name] = history.versions[-1].vendor

    @contextmanager
    def _or_failed(self, name: str, period: str) -> Iterator[None]:
        """Keep what is raised as the failure of the agreement, and go on."""
        try:
            yield
        except Exception as error:
            self.failed.setdefault(name, FailedAgreement(period, error))

    def settle(self, period: str, programmes: Sequence[Programme], time_zone: str) -> None:
        """Work out one period of all that settle it."""
        desks = self._desks(period, time_zone)
        under = {
            **{name: CappedAgreement.unreadable(vendor) for name, vendor in self.unread.items()},
            **{name: one.under(desks.get(name)) for name, one in self.own.items()},
        }
        for place, cap in caps_for(programmes, period):
            self._cut(cap, f"shared_caps[{place}]", period, under)
        for name in desks:
            if name not in self.failed:
                with self._or_failed(name, period):
                    self.own[name].close(under[name].open_period, self.parties.buyer)

    def _cut(
        self, cap: SharedCap, term: str, period: str, under: dict[str, CappedAgreement]
    ) -> None:
        """Cut by one cap. What that raises is the failure of all that it would have cut."""
        try:
            apply_shared_caps(cap, term, period, under)
        except Exception as error:
            for name, party in under.items():
                if party.open_period and any(covers(cap, name, one) for one in party.vendors):
                    self.failed.setdefault(name, FailedAgreement(period, error))
                    under[name] = replace(party, open_period=None)

    def _desks(self, period: str, time_zone: str) -> dict[str, OpenPeriod]:
        """The agreements that settle the period, each worked out up to its own caps."""
        desks = {}
        for name, member in self.own.items():
            version = version_for(member.versions, period)
            if period in member.known and version is not None and name not in self.failed:
                with self._or_failed(name, period):
                    self.budget.spend()
                    desks[name] = _begun(member.context(version, period, time_zone, self.budget))
        return desks


def _begun(context: PeriodContext) -> OpenPeriod:
    try:
        return OpenPeriod(context, up_to_caps(context))
    except InvalidDeclaration as misstated:
        context.blockers.add(str(misstated))
        return OpenPeriod(context, None)


@dataclass(slots=True)
class _Member:
    """An agreement on the way through its periods."""

    versions: Sequence[Agreement]
    known: Mapping[str, PeriodInputs]
    charges: Charges
    history: SettlementHistory
    outcomes: list[PeriodOutcome]
    lacks: str | None = None
    """Why the history so far is not whole, if it is not."""

    @classmethod
    def of(cls, history: History, parties: Parties) -> _Member:
        ordered = sorted(history.versions, key=lambda one: (one.effective_from, one.version))
        known = {
            period: PeriodInputs(evaluation, References(evaluation, ordered[-1].vendor, parties))
            for period, evaluation in _latest(history.evaluations).items()
        }
        until = ordered[-1].effective_until
        after_end = None if until is None else label_of(until, ordered[-1].settled)
        charges = Charges(known, stated_beyond(known.values(), after_end))
        return cls(ordered, known, charges, SettlementHistory(), [])

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
        for reason in unknown_places(self.versions, self.charges, self.known[period].evaluation):
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

    def _begins(self) -> str:
        """The first period of the agreement."""
        return label_of(self.versions[0].effective_from, self.versions[0].settled)

    def _not_evaluated(self, period: str) -> str | None:
        """The first period left out before this one: a settlement never guesses what was in it.

        What no version covers, between two of them, is not left out.
        """
        label = next_label(self.history[-1].period) if self.history else self._begins()
        while first_day(label) < first_day(period):
            if version_for(self.versions, label) is not None:
                return f"{label} is not evaluated yet"
            label = next_label(label)
        return None


def _ended(open_period: OpenPeriod, buyer: str) -> tuple[PeriodOutcome, SettledPeriod]:
    if open_period.worksheet is None:
        return not_settled(open_period.context)
    try:
        return settled(open_period.context, open_period.worksheet, buyer)
    except InvalidDeclaration as misstated:
        return not_settled(open_period.context, str(misstated))


def _latest(evaluations: Sequence[PeriodEvaluation]) -> dict[str, PeriodEvaluation]:
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
