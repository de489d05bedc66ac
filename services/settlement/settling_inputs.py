"""What settling an agreement depends on, read beside all work and compared when it is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.statement import canonical
from services.catalogue.parked import RELEASE
from services.core.inputs.evaluated import EvaluationOutline
from services.core.settling.checkpoints import Chain, Checkpoint, PeriodState, terms_digest
from services.core.settling.fold import Continuation
from services.core.settling.member import History
from services.settlement import checkpoint_store, store
from services.settlement.checkpoint_store import EvaluationRevision
from services.settlement.effective_versions import EffectiveVersions, read_effective_versions
from services.settlement.store import LatestRevision, SettlementTerms
from services.shell.postgres import Connection, Overtaken

LOOKED_BACK = (16, 128, None)
"""So many of the latest states are read at first, so many where a period looks further back, all of
them where that is not enough."""


@dataclass(frozen=True, slots=True)
class SettlingInputs:
    """What an agreement, and all that share a cap with it, are settled from.

    By agreement: ``revisions``, the latest evaluation of each period; ``checkpoints``, without
    their states; ``standing``, the latest statement of each period.
    """

    contract: SettlementTerms
    ruling: EffectiveVersions
    revisions: Mapping[str, Mapping[str, EvaluationRevision]]
    checkpoints: Mapping[str, Mapping[str, Checkpoint]]
    standing: Mapping[str, Mapping[str, LatestRevision]]

    def key(self) -> tuple[Any, ...]:
        """What is the same wherever the same comes out and the same is to be posted."""
        links = {
            name: {period: one.link for period, one in each.items()}
            for name, each in self.checkpoints.items()
        }
        return self.digest(self.contract.unread), self.revisions, links, self.standing

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


async def read_inputs(
    connection: Connection, agreement: str, also: PeriodEvaluation | None = None
) -> SettlingInputs | None:
    """What an agreement would be settled from now; None where it is not applied.

    ``also``: an evaluation that is taken as received. Raises what reading its contract raises.
    """
    contract = await store.contract(connection, agreement)
    if contract is None:
        return None
    names = list(contract.agreements)
    standing = await store.standings(connection, names)
    ruling = await read_effective_versions(connection, contract, standing)
    revisions = await checkpoint_store.latest_revisions(connection, names)
    if also is not None:
        held = revisions[agreement].get(also.period)
        if held is None or held.revision < also.revision:
            digest = sha256(canonical(also)).digest()
            revisions[agreement][also.period] = EvaluationRevision(also.revision, digest)
    checkpoints = await checkpoint_store.checkpoints(connection, names)
    return SettlingInputs(contract, ruling, revisions, checkpoints, standing)


@dataclass(frozen=True, slots=True)
class OpenHistories:
    """Agreements that are settled together, read as far as they are to be worked out.

    ``contract``: with those unread that cannot be.
    """

    contract: SettlementTerms
    ruling: EffectiveVersions
    going_on: Continuation
    evaluations: Mapping[str, Mapping[str, PeriodEvaluation]]

    def histories(self, states: Mapping[str, Mapping[str, PeriodState]]) -> dict[str, History]:
        """The histories to settle. ``states``: of checkpoints, as far as they are read."""
        return {
            name: History(
                self.ruling.agreements[name],
                [self.evaluations[name][each] for each in self.going_on.to_read(name)],
                self.going_on.before(name, states.get(name, {})),
            )
            for name in self.contract.agreements
        }

    async def states(
        self, connection: Connection, latest: int | None
    ) -> dict[str, dict[str, PeriodState]]:
        """So many of the latest states of each agreement, and those that speak of other time.

        Raises Overtaken where one was replaced meanwhile.
        """
        wanted = {name: self._wanted(name, latest) for name in self.contract.agreements}
        found = await checkpoint_store.states(connection, wanted)
        if any(len(found.get(name, ())) < len(each) for name, each in wanted.items()):
            raise Overtaken("a checkpoint was replaced while it was read")
        return found

    def _wanted(self, name: str, latest: int | None) -> list[Checkpoint]:
        kept = self.going_on.before(name, {})
        first = 0 if latest is None else max(len(kept) - latest, 0)
        return [one for place, one in enumerate(kept) if place >= first or one.outline.beyond]


async def open_histories(
    connection: Connection, inputs: SettlingInputs, agreement: str, also: PeriodEvaluation | None
) -> OpenHistories:
    """Read the evaluations that are to be worked out.

    Another agreement whose evaluations cannot be read is among the unread ones. Raises what reading
    those of the agreement itself raises.
    """
    reader = _EvaluationReader(connection, inputs, also)
    outlines: dict[str, dict[str, EvaluationOutline]] = {}
    unread = dict(inputs.contract.unread)
    for name, versions in inputs.contract.agreements.items():
        try:
            outlines[name] = await reader.outlines(name)
        except ValidationError:
            if name == agreement:
                raise
            unread[name] = versions[-1].vendor
    contract = replace(
        inputs.contract,
        agreements={name: inputs.contract.agreements[name] for name in outlines},
        unread=unread,
    )
    ruling = replace(
        inputs.ruling, agreements={name: inputs.ruling.agreements[name] for name in outlines}
    )
    going_on = Continuation.of(Chain(inputs.digest(unread), outlines), inputs.checkpoints)
    for name in outlines:
        await reader.read(name, going_on.to_read(name))
    return OpenHistories(contract, ruling, going_on, reader.evaluations)


class _EvaluationReader:
    """Reads the evaluations of agreements, each once."""

    def __init__(
        self, connection: Connection, inputs: SettlingInputs, also: PeriodEvaluation | None
    ) -> None:
        self._connection, self._inputs = connection, inputs
        self.evaluations: dict[str, dict[str, PeriodEvaluation]] = {
            name: {} for name in inputs.contract.agreements
        }
        if also is not None:
            held = inputs.revisions[also.agreement][also.period]
            if held.revision == also.revision:
                self.evaluations[also.agreement][also.period] = also

    async def outlines(self, name: str) -> dict[str, EvaluationOutline]:
        """The outlines of all evaluations of an agreement: stored ones, where they are the same."""
        stored, revisions = self._inputs.checkpoints[name], self._inputs.revisions[name]
        known = {
            period: stored[period].outline
            for period, one in revisions.items()
            if period in stored and stored[period].outline.digest == one.digest
        }
        await self.read(name, [period for period in revisions if period not in known])
        own = self.evaluations[name]
        read = {
            period: EvaluationOutline.of(own[period], one.digest)
            for period, one in revisions.items()
            if period not in known
        }
        return known | read

    async def read(self, name: str, periods: Iterable[str]) -> None:
        """Read the evaluations of these periods that are not read yet."""
        own, revisions = self.evaluations[name], self._inputs.revisions[name]
        missing = {each: revisions[each].revision for each in periods if each not in own}
        if missing:
            own |= await store.evaluations_of(self._connection, name, missing)
