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
from schemas.programme import Programme
from services.core.adjusting.shared_caps import CappedAgreement, OpenPeriod, apply_shared_caps
from services.core.contracts.versions import caps_for, covers, version_for
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import NotRead
from services.core.settling.checkpoints import Ahead, in_order
from services.core.settling.member import History, Member, PeriodStep
from services.core.settling.one_period import PeriodOutcome, up_to_caps
from services.core.visibility.parties import Parties


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
    steps: Mapping[str, tuple[PeriodStep, ...]] = field(default_factory=dict)
    """What is left of each period that was worked out, of those that have an outcome."""

    def of(self, agreement: str) -> tuple[PeriodOutcome, ...]:
        """What one of them comes to. Raises what working it out raised."""
        if agreement in self.failed:
            raise self.failed[agreement].error
        return self.outcomes[agreement]


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

    Where a history has checkpoints, its periods are worked out from the first after these on. All
    that are settled together then have theirs up to the same period. Raises NotRead where a period
    looks back at one whose state was not read.

    Whatever working out one agreement raises is its own failure: it has no outcome, and what
    depends on it under a cap waits as for one that is not evaluated. ``budget``: of all together.
    """
    members = _Members(dict(unread), parties, budget)
    for name in sorted(histories):
        members.begin(name, histories[name])
    to_settle = {each for one in members.own.values() for each in one.to_settle}
    for period in sorted(to_settle, key=in_order):
        members.settle(period, programmes, time_zone)
    whole = {name: one for name, one in members.own.items() if name not in members.failed}
    outcomes = {name: tuple(one.outcomes) for name, one in whole.items()}
    steps = {name: tuple(one.steps) for name, one in whole.items()}
    return SettledTogether(outcomes, members.failed, steps)


@dataclass(slots=True)
class _Members:
    """The agreements that are settled together, and what failed of them."""

    unread: dict[str, str]
    parties: Parties
    budget: Budget
    own: dict[str, Member] = field(default_factory=dict)
    failed: dict[str, FailedAgreement] = field(default_factory=dict)

    def begin(self, name: str, history: History) -> None:
        """Take up an agreement before its first period."""
        with self._or_failed(name, ""):
            self.budget.spend(0)  # nobody may wait any more
            self.own[name] = Member.of(history, self.parties)
        if name not in self.own and history.versions:
            self.unread[name] = history.versions[-1].vendor

    @contextmanager
    def _or_failed(self, name: str, period: str) -> Iterator[None]:
        """Keep what is raised as the failure of the agreement, and go on."""
        try:
            yield
        except NotRead:
            raise
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
        self._note(period)

    def _note(self, period: str) -> None:
        """Note what is left of the period in each agreement of which it is evaluated.

        What was looked at ahead of an agreement of which it is not, stands with the first of them.
        """
        ahead = {name: frozenset(one.looked_ahead(name, period)) for name, one in self.own.items()}
        evaluated = [name for name, one in self.own.items() if period in one.to_settle]
        elsewhere = frozenset[Ahead]().union(
            *(ahead[name] for name in ahead if name not in evaluated)
        )
        for place, name in enumerate(evaluated):
            also = frozenset[Ahead]() if place else elsewhere
            self.own[name].note(period, ahead[name] | also)

    def _cut(
        self, cap: SharedCap, term: str, period: str, under: dict[str, CappedAgreement]
    ) -> None:
        """Cut by one cap. What that raises is the failure of all that it would have cut."""
        try:
            apply_shared_caps(cap, term, period, under)
        except NotRead:
            raise
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
            if period in member.to_settle and version is not None and name not in self.failed:
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
