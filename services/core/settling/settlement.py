"""Settling agreements: their whole history replayed, one statement per period.

Nothing is carried in from outside: the same versions and evaluations give the same statements,
byte for byte, in whatever order the evaluations are handed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day, label_of, next_label
from schemas.programme import Programme
from services.core.adjusting.shared_caps import CappedAgreement, OpenPeriod, apply_shared_caps
from services.core.contracts.versions import caps_for, version_for
from services.core.inputs.blockers import Blockers, InvalidDeclaration
from services.core.inputs.charges import Charges
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import SettledPeriod, SettlementHistory
from services.core.inputs.known import PeriodInputs, stated_beyond
from services.core.inputs.occurrences import unfinished, waits_for
from services.core.inputs.places import unknown_places
from services.core.settling.one_period import PeriodOutcome, not_settled, settled, up_to_caps


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
    buyer: str,
    time_zone: str,
) -> tuple[PeriodOutcome, ...]:
    """Settle an agreement that shares no cap with another; otherwise as `settle_together`."""
    alone = {"": History(versions, evaluations)}
    return settle_together(alone, (), buyer=buyer, time_zone=time_zone)[""]


def settle_together(
    histories: Mapping[str, History],
    programmes: Sequence[Programme],
    *,
    buyer: str,
    time_zone: str,
) -> dict[str, tuple[PeriodOutcome, ...]]:
    """One outcome per settlement period known of each agreement, in order, from its beginning.

    ``histories``: by agreement, all that may share a cap with one another. ``programmes``: the
    versions of their programme, whose shared caps cut. The version in force on a period's first
    day decides it; counters, runs and balances go on across versions. ``time_zone``: the
    programme's, for terms that speak of days.
    """
    members = {name: _Member.of(histories[name]) for name in sorted(histories)}
    for period in sorted({each for one in members.values() for each in one.known}, key=_order):
        desks = dict(_desks(members, period, time_zone))
        under = {name: one.under(desks.get(name)) for name, one in members.items()}
        for place, cap in caps_for(programmes, period):
            apply_shared_caps(cap, f"shared_caps[{place}]", period, under)
        for name in desks:
            members[name].close(under[name].open_period, buyer)
    return {name: tuple(member.outcomes) for name, member in members.items()}


def _order(period: str) -> tuple[object, str]:
    return first_day(period), period


def _desks(
    members: Mapping[str, _Member], period: str, time_zone: str
) -> Iterator[tuple[str, OpenPeriod]]:
    """The agreements that settle the period, each worked out up to its own caps."""
    for name, member in members.items():
        version = version_for(member.versions, period)
        if period in member.known and version is not None:
            yield name, _begun(member.context(version, period, time_zone))


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
    def of(cls, history: History) -> _Member:
        latest = _latest(history.evaluations)
        known = {period: PeriodInputs(evaluation) for period, evaluation in latest.items()}
        ordered = sorted(history.versions, key=lambda one: (one.effective_from, one.version))
        until = ordered[-1].effective_until
        after_end = None if until is None else label_of(until, ordered[-1].settled)
        charges = Charges(known, stated_beyond(latest.values(), after_end))
        return cls(ordered, known, charges, SettlementHistory(), [])

    def context(self, version: Agreement, period: str, time_zone: str) -> PeriodContext:
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
            blockers.add(waits_for(name))
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
