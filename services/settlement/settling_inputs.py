"""What settling an agreement depends on, read beside all work and compared when it is committed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.statement import canonical
from services.catalogue.parked import RELEASE
from services.core.inputs.evaluated import EvaluationOutline
from services.core.settling.checkpoints import (
    Ahead,
    EvaluationChange,
    Past,
    first_touched,
    terms_digest,
)
from services.core.settling.fold import Continuation
from services.core.settling.member import NOTHING, History
from services.settlement import checkpoint_store, store
from services.settlement.checkpoint_store import ByPeriod, EvaluationRevision, NewerEvaluation
from services.settlement.effective_versions import EffectiveVersions, read_effective_versions
from services.settlement.store import LatestRevision, SettlementTerms
from services.shell.postgres import Connection, Overtaken

Changed = Mapping[ByPeriod, NewerEvaluation]


@dataclass(frozen=True, slots=True)
class SettlingTerms:
    """What an agreement, and all that share a cap with it, are settled by."""

    contract: SettlementTerms
    ruling: EffectiveVersions

    def digest(self, unread: Mapping[str, str]) -> bytes:
        """The digest of all but evaluations. ``unread``: agreements that cannot be read."""
        return terms_digest(
            self.ruling.agreements,
            self.ruling.programmes,
            self.contract.parties,
            self.contract.time_zone,
            unread,
            RELEASE,
        )


async def read_terms(connection: Connection, agreement: str) -> SettlingTerms | None:
    """What an agreement would be settled by now; None where it is not applied.

    Raises what reading its contract raises.
    """
    contract = await store.contract(connection, agreement)
    if contract is None:
        return None
    return SettlingTerms(contract, await read_effective_versions(connection, contract))


@dataclass(frozen=True, slots=True)
class OpenHistories:
    """Agreements that are settled together, read as far as they are to be worked out.

    ``contract``: with those unread that cannot be. By agreement: ``evaluations`` and ``revisions``
    from the first period on that is to be worked out; ``standing``, the statements of these.
    ``changed`` and ``heads``: what that follows from, in short.
    """

    contract: SettlementTerms
    ruling: EffectiveVersions
    going_on: Continuation
    evaluations: Mapping[str, Mapping[str, PeriodEvaluation]]
    revisions: Mapping[str, Mapping[str, EvaluationRevision]]
    standing: Mapping[str, Mapping[str, LatestRevision]]
    changed: Changed
    heads: Mapping[str, tuple[str, bytes]]

    @property
    def names(self) -> list[str]:
        """The agreements."""
        return list(self.contract.agreements)

    def histories(self, pasts: Mapping[str, Past]) -> dict[str, History]:
        """The histories to settle. ``pasts``: what is left of the periods before."""
        return {
            name: History(
                self.ruling.agreements[name],
                [self.evaluations[name][each] for each in self.going_on.to_read(name)],
                pasts.get(name, NOTHING),
            )
            for name in self.contract.agreements
        }

    async def pasts(
        self, connection: Connection, latest: int | None, circumstances: Collection[str]
    ) -> dict[str, Past]:
        """What is left of the periods before, as `checkpoint_store.pasts`.

        ``connection``: in no transaction, or in one that also read all this. Raises Overtaken where
        another run replaced checkpoints meanwhile.
        """
        names, since = self.names, self.going_on.since
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if await checkpoint_store.heads(connection, names) != self.heads:
                raise Overtaken("checkpoints were replaced while they were read")
            return await checkpoint_store.pasts(connection, names, since, latest, circumstances)

    async def still_fit(self, connection: Connection, agreement: str) -> bool:
        """Whether the same would be worked out from what is stored by now, and be posted."""
        terms = await read_terms(connection, agreement)
        if terms is None or terms.digest(self.contract.unread) != self.going_on.terms:
            return False
        names, unsaid = self.names, self.going_on.terms
        changed = await checkpoint_store.newer_evaluations(connection, names, unsaid)
        if changed != self.changed or await checkpoint_store.heads(connection, names) != self.heads:
            return False
        return await _standing(connection, self.revisions) == self.standing


async def open_histories(
    connection: Connection,
    terms: SettlingTerms,
    agreement: str,
    also: PeriodEvaluation | None = None,
    instead: Sequence[PeriodEvaluation] = (),
) -> OpenHistories:
    """Read what is to be worked out.

    ``also``: an evaluation that is taken as received. ``instead``: evaluations that are looked at
    in place of what is received of their periods, whatever its revision; they are worked out.

    Another agreement whose evaluations cannot be read is among the unread ones. Raises what reading
    those of the agreement itself raises.
    """
    return await _HistoryReader(connection, terms, agreement, also, instead).histories()


async def _standing(
    connection: Connection, revisions: Mapping[str, Mapping[str, EvaluationRevision]]
) -> dict[str, dict[str, LatestRevision]]:
    """The latest statements of these periods, by agreement."""
    wanted = sorted({period for each in revisions.values() for period in each})
    return await store.standings(connection, list(revisions), wanted)


class _HistoryReader:
    """Reads what is to be worked out of agreements that are settled together."""

    def __init__(
        self,
        connection: Connection,
        terms: SettlingTerms,
        agreement: str,
        also: PeriodEvaluation | None,
        instead: Sequence[PeriodEvaluation],
    ) -> None:
        self._connection, self._terms, self._agreement = connection, terms, agreement
        self._also, self._instead = also, instead
        contract = terms.contract
        self._unread = dict(contract.unread)
        self._evaluations: dict[str, dict[str, PeriodEvaluation]] = {
            name: {} for name in contract.agreements
        }
        for one in (*instead, *([] if also is None else [also])):
            self._evaluations[one.agreement][one.period] = one

    async def histories(self) -> OpenHistories:
        """What is read."""
        connection = self._connection
        changes = None
        while changes is None:  # as long as another agreement turns out not to be readable
            terms = self._terms.digest(self._unread)
            changed = await self._changed(terms)
            changes = await self._outlined(changed)
        names = self._names()
        since = await self._since(changes)
        outlines: dict[str, dict[str, EvaluationOutline]] = {name: {} for name in names}
        revisions: dict[str, dict[str, EvaluationRevision]] = {name: {} for name in names}
        if since is not None:
            held = await checkpoint_store.settled_since(connection, names, since)
            for (name, period), (latest, outline) in held.items():
                outlines[name][period], revisions[name][period] = outline, latest
        for one in changes:
            outlines[one.agreement][one.period] = one.now
            latest = changed[one.agreement, one.period].latest
            revisions[one.agreement][one.period] = latest
        for name in names:
            await self._read(name, revisions[name])
        before = await checkpoint_store.links_before(connection, names, since)
        contract, ruling = self._terms.contract, self._terms.ruling
        agreements = {name: contract.agreements[name] for name in names}
        return OpenHistories(
            replace(contract, agreements=agreements, unread=self._unread),
            replace(ruling, agreements={name: ruling.agreements[name] for name in names}),
            Continuation(terms, since, outlines, before),
            self._evaluations,
            revisions,
            await _standing(connection, revisions),
            changed,
            await checkpoint_store.heads(connection, names),
        )

    def _names(self) -> list[str]:
        return [name for name in self._terms.contract.agreements if name not in self._unread]

    async def _changed(self, terms: bytes) -> dict[ByPeriod, NewerEvaluation]:
        """What no checkpoint stands on by these terms; with the evaluation taken as received."""
        changed = await checkpoint_store.newer_evaluations(self._connection, self._names(), terms)
        for one in self._instead:
            before = await checkpoint_store.checkpoint_outline(
                self._connection, one.agreement, one.period
            )
            looked_at = EvaluationRevision(one.revision, sha256(canonical(one)).digest())
            changed[one.agreement, one.period] = NewerEvaluation(looked_at, before)
        if self._also is not None:
            await self._take(changed, self._also)
        return changed

    async def _take(self, changed: dict[ByPeriod, NewerEvaluation], also: PeriodEvaluation) -> None:
        """Take an evaluation as received."""
        place = also.agreement, also.period
        digest = sha256(canonical(also)).digest()
        if place in changed:
            held = changed[place]
            if held.latest.revision < also.revision:
                changed[place] = replace(held, latest=EvaluationRevision(also.revision, digest))
            return
        before = await checkpoint_store.checkpoint_outline(self._connection, *place)
        newest = await store.newest_revision(self._connection, *place)
        if before is None or (before.digest != digest and newest < also.revision):
            changed[place] = NewerEvaluation(EvaluationRevision(also.revision, digest), before)

    async def _outlined(self, changed: Changed) -> list[EvaluationChange] | None:
        """The changes with what their evaluations state; None where another one is not readable."""
        found = []
        for name in {name: None for name, _ in changed}:
            own = {period: one.latest for (of, period), one in changed.items() if of == name}
            try:
                await self._read(name, own)
            except ValidationError:
                if name == self._agreement:
                    raise
                self._unread[name] = self._terms.contract.agreements[name][-1].vendor
                return None
            for period, latest in own.items():
                now = EvaluationOutline.of(self._evaluations[name][period], latest.digest)
                found.append(EvaluationChange(name, period, changed[name, period].before, now))
        return found

    async def _since(self, changes: Collection[EvaluationChange]) -> str | None:
        """The first period that is to be worked out."""
        answered = frozenset[Ahead]().union(*(one.answered() for one in changes))
        beyond = {one.agreement for one in changes if one.beyond}
        looking, evaluated = await checkpoint_store.looking(
            self._connection, self._names(), answered, beyond
        )
        evaluated |= {(one.agreement, one.period) for one in changes}
        return first_touched(changes, looking, evaluated)

    async def _read(self, name: str, wanted: Mapping[str, EvaluationRevision]) -> None:
        """Read evaluations that are not read yet."""
        own = self._evaluations[name]
        missing = {
            period: one.revision
            for period, one in wanted.items()
            if period not in own or own[period].revision != one.revision
        }
        if missing:
            own |= await store.evaluations_of(self._connection, name, missing)
