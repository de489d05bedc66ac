"""Which events are decisions that two have to want, where a programme's `four_eyes` says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.event import Circumstance, Correction, ProposalAnswer
from schemas.four_eyes import FourEyes
from services.core.events.facts import (
    ANSWER,
    CIRCUMSTANCE,
    CORRECTION,
    Row,
    identity_of,
    payload_before_of,
)
from services.core.events.rules import Rules
from services.core.events.whose_word import decisions_of, parties_of


@dataclass(frozen=True, slots=True)
class DecidedByEvent:
    """What an event decides. ``agreement``, ``period``: None where it does not say so itself."""

    rule: FourEyes
    programme: str
    party: str
    name: str
    agreement: str | None
    period: str | None


class AgreedDecisions:
    """Identity and payload, in one, of each event with a decision that two have agreed on.

    They become more while events are judged by them, and never fewer.
    """

    __slots__ = ("_events", "_identities")

    def __init__(self, events: Iterable[bytes] = ()) -> None:
        self._events: set[bytes] = set()
        self._identities: set[bytes] = set()
        self.add(events)

    def add(self, events: Iterable[bytes]) -> None:
        """Take in further ones."""
        for each in events:
            self._events.add(each)
            self._identities.add(each[:16])

    def __len__(self) -> int:
        return len(self._events)

    def __contains__(self, event: bytes) -> bool:
        return event in self._events

    def has(self, row: Row) -> bool:
        """Whether two have agreed on exactly this event, in this release or one before."""
        if row.identity not in self._identities:
            return False
        payloads = row.payload, payload_before_of(row, "")
        return any(row.identity + payload in self for payload in payloads)

    def has_identity(self, identity: bytes) -> bool:
        """Whether an event of this identity was agreed on, with whatever payload."""
        return identity in self._identities


@dataclass(frozen=True, slots=True)
class TwoForDecisions:
    """The rules of acceptance, and what was agreed."""

    rules: Rules
    agreed: AgreedDecisions
    _decisions: dict[str, frozenset[str]] = field(default_factory=dict, init=False)

    def lacks_second(self, row: Row) -> DecidedByEvent | None:
        """What an event decides that nobody else has agreed to; None where it needs nobody.

        A correction is taken for a decision where its data is, or where it corrects one that two
        have agreed on.
        """
        if row.kind not in _KINDS or self.agreed.has(row):
            return None
        versions = self.rules.sources[row.source]
        newest = versions[0]
        rule = newest.four_eyes
        if rule is None or "decisions" not in rule.acts:
            return None
        party = parties_of(versions)[row.source]
        found = self._found(row)
        if found is None:
            return None
        name, agreement, period = found
        return DecidedByEvent(rule, newest.programme, party, name, agreement, period)

    def _found(self, row: Row) -> tuple[str, str | None, str | None] | None:
        """Name, agreement and period of a decision."""
        if row.kind == CIRCUMSTANCE:
            said = Circumstance.model_validate_json(row.data)
            return self._if_decision(said.circumstance, said.agreement, said.period)
        if row.kind == ANSWER:
            answer = ProposalAnswer.model_validate_json(row.data)
            if answer.states != "circumstance":
                return None
            return self._if_decision(answer.name, answer.agreement, answer.period)
        correction = Correction.model_validate_json(row.data)
        if self.agreed.has_identity(identity_of(row.source, correction.corrects)):
            return f"correction of {correction.corrects}", None, None
        data = correction.data or {}
        named = [data.get(key) for key in ("circumstance", "name")]
        agreement, period = data.get("agreement"), data.get("period")
        for name in named:
            if isinstance(name, str) and isinstance(agreement, str):
                of_period = period if isinstance(period, str) else None
                if found := self._if_decision(name, agreement, of_period):
                    return found
        return None

    def _if_decision(
        self, name: str, agreement: str, period: str | None
    ) -> tuple[str, str, str | None] | None:
        if agreement not in self._decisions:
            versions = (self.rules.agreements or {}).get(agreement, ())
            self._decisions[agreement] = _all(decisions_of(one) for one in versions)
        return (name, agreement, period) if name in self._decisions[agreement] else None


_KINDS = frozenset({CIRCUMSTANCE, CORRECTION, ANSWER})


def _all(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
