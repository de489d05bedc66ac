"""Ceilings over several agreements together: what each owes is cut so that the sum stays under.

An agreement's share of what a cap leaves depends on what the others owe. So whoever owes something
is settled only when all that the sum takes is known; whoever owes nothing waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import takewhile
from math import floor

from schemas.agreement import Agreement
from schemas.ceiling import OfAgreements, SharedCap
from schemas.credit import AmountLimit, PercentLimit
from schemas.money import exponent
from schemas.period import first_day, label_of, next_label
from schemas.programme import Programme
from schemas.statement import LineKind
from services.core.adjusting.caps import kinds_given, scaled
from services.core.calendar.days import contract_year
from services.core.calendar.windows import labels_between
from services.core.contracts.versions import covers, version_for
from services.core.exact.arithmetic import ZERO, money_text, percent_of, rounded
from services.core.exact.sharing import largest_remainder
from services.core.inputs.blockers import Blockers, InvalidDeclaration
from services.core.inputs.charges import Charges
from services.core.inputs.context import PeriodContext
from services.core.inputs.evaluated import EvaluatedPeriods
from services.core.inputs.history import SettlementHistory
from services.core.inputs.openings import (
    LookBack,
    is_stated,
    looks_before,
    money_of,
    openings_in,
    unstated,
)
from services.core.inputs.worksheet import Worksheet

_UNREAD = "what is stored of it cannot be read"


@dataclass(frozen=True, slots=True)
class OpenPeriod:
    """A period in the making. Without a worksheet it waits, and the context says for what."""

    context: PeriodContext
    worksheet: Worksheet | None


@dataclass(frozen=True, slots=True)
class CappedAgreement:
    """An agreement as a cap sees it: what it owed, and what it owes in the period at hand.

    ``versions`` in order of their first day. ``open_period``: None until the period is evaluated,
    and where it cannot be worked out. ``unread``: the vendor of an agreement of which nothing
    else is known, as what is stored of it cannot be read; None for any other.
    """

    versions: Sequence[Agreement]
    charges: Charges
    history: SettlementHistory
    open_period: OpenPeriod | None
    unread: str | None = None

    @classmethod
    def unreadable(cls, vendor: str) -> CappedAgreement:
        """An agreement that is applied and cannot be read: no sum that it is part of is known."""
        return cls((), Charges(EvaluatedPeriods()), SettlementHistory(), None, vendor)

    @property
    def vendors(self) -> set[str]:
        """The vendor of each version; there is one but for mistakes."""
        return {one.vendor for one in self.versions} if self.unread is None else {self.unread}


_WINDOWS: dict[str, Callable[[SharedCap, str], Sequence[str]]] = {
    "period": lambda _, period: (period,),
    "trailing": lambda cap, period: labels_between(
        next_label(period, 1 - (cap.periods or 1)), period
    ),
    "contract_year": lambda cap, period: contract_year(_begins(cap), period, cap.period_belongs_to),
    "term": lambda cap, period: labels_between(label_of(_begins(cap), cap.settled), period),
}


def apply_shared_caps(
    cap: SharedCap, term: str, period: str, under: MutableMapping[str, CappedAgreement]
) -> None:
    """Cut one period's credits of the agreements under a cap; ``under`` gets their new desks.

    ``term``: the cap's place in the programme. What is waited for is noted in the cases of those
    that owe something.
    """
    window = _WINDOWS[cap.window](cap, period)
    covered = {name: under[name] for name in _served(cap, under)}
    dues = {
        name: _due(party)
        for name, party in covered.items()
        if party.unread is not None or _bound(cap, name, party, period)
    }
    if not window or not any(dues.values()):
        return
    pool = _CapAllowance(cap, term, window, covered, Blockers())
    headroom = pool.headroom()
    ready = {} if pool.blockers.reasons else _ready(cap, dues)
    for name in (name for name, due in dues.items() if due and name not in ready):
        pool.wait(name, [other for other, due in dues.items() if due is None])
    shares = _SPLITS[cap.split](list(ready.values()), headroom)
    for name, share in zip(ready, shares, strict=True):
        under[name] = replace(
            covered[name],
            open_period=pool.cut(name, ready[name], share, sum(ready.values()), headroom),
        )


def sharing(
    programmes: Sequence[Programme], agreements: Mapping[str, Sequence[Agreement]], agreement: str
) -> tuple[str, ...]:
    """The agreements of the programme under shared caps, where this one is among them; else none.

    ``programmes`` and ``agreements``: all versions of the programme and of its agreements, by name.
    """
    caps = [cap for programme in programmes for cap in programme.shared_caps]
    under = {
        name
        for name, versions in agreements.items()
        if any(covers(cap, name, one.vendor) for cap in caps for one in versions)
    }
    return tuple(sorted(under)) if agreement in under else ()


def _bound(cap: SharedCap, name: str, party: CappedAgreement, period: str) -> Agreement | None:
    """The version of an agreement that is in force in a period and under the cap."""
    version = version_for(party.versions, period)
    return version if version is not None and covers(cap, name, version.vendor) else None


def _served(cap: SharedCap, under: Mapping[str, CappedAgreement]) -> Iterator[str]:
    """The agreements that a cap is over at any time, in the order in which they are served."""
    listed = cap.over.agreements if isinstance(cap.over, OfAgreements) else sorted(under)
    for name in listed:
        if name in under and any(covers(cap, name, one) for one in under[name].vendors):
            yield name


def _due(party: CappedAgreement) -> int | None:
    """What is owed before the cap, in whole minor units; None while it is not known."""
    open_period = party.open_period
    if open_period is None or open_period.worksheet is None or open_period.context.blockers.reasons:
        return None
    version = open_period.context.version
    places = exponent(version.currency)
    owed = rounded(open_period.worksheet.owed(), places, version.conventions.money_rounding)
    return int(owed * 10**places)


def _ready(cap: SharedCap, dues: Mapping[str, int | None]) -> dict[str, int]:
    """Who owes something that can be cut now: in proportion all or none, in order the first."""
    known = dict(takewhile(lambda one: one[1] is not None, dues.items()))
    if cap.split == "in_proportion" and len(known) < len(dues):
        return {}
    return {name: due for name, due in known.items() if due}


def _in_proportion(dues: Sequence[int], headroom: int) -> list[int]:
    together = sum(dues)
    if together <= headroom:
        return list(dues)
    return largest_remainder([Fraction(due * headroom, together) for due in dues], headroom)


def _in_order(dues: Sequence[int], headroom: int) -> list[int]:
    shares = []
    for due in dues:
        shares.append(min(due, headroom))
        headroom -= shares[-1]
    return shares


_SPLITS = {"in_proportion": _in_proportion, "in_order": _in_order}


@dataclass(frozen=True, slots=True)
class _CapAllowance:
    """What a cap leaves in one period. ``covered``: all agreements ever under it, as served."""

    cap: SharedCap
    term: str
    window: Sequence[str]
    covered: Mapping[str, CappedAgreement]
    blockers: Blockers

    def headroom(self) -> int:
        """Whole minor units that may still be given; what is not known is noted as missing."""
        self._note_unread()
        left = max(self._ceiling() - self._given(), ZERO)
        return floor(left * self._scale())

    def wait(self, name: str, unknown: Sequence[str]) -> None:
        """Note what an agreement waits for: of the sums, and of what others owe."""
        open_period = self.covered[name].open_period
        assert open_period is not None, "it owes something"
        ahead = list(self.covered)[: list(self.covered).index(name)]
        for other in unknown:
            if self.cap.split == "in_proportion" or other in ahead:
                unread = self.covered[other].unread is not None
                owed = f"what is owed for {self.window[-1]} is not known yet"
                self._lacks(other, _UNREAD if unread else owed)
        for reason in self.blockers.reasons:
            open_period.context.blockers.add(reason)

    def cut(self, name: str, due: int, share: int, together: int, headroom: int) -> OpenPeriod:
        """The agreement's open period with its credits cut to its share."""
        open_period = self.covered[name].open_period
        assert open_period is not None, "it owes something"
        assert open_period.worksheet is not None, "it owes something"
        worksheet = open_period.worksheet
        if self._one_vendor():
            worksheet = worksheet.with_figures(
                {f"shared-headroom/{self.cap.cap}": self._main(headroom)}
            )
        if share < due:
            text = self._told(due, share, together, headroom)
            worksheet = scaled(worksheet, (), self._main(share), "cap", self.term, text)
        return replace(open_period, worksheet=worksheet)

    def _told(self, due: int, share: int, together: int, headroom: int) -> str:
        """The cut in words. A statement tells a vendor no other vendor's figures."""
        own = f"{self._money(due)} of this agreement cut to {self._money(share)}"
        if not self._one_vendor():
            return f"cap {self.cap.cap}, shared with agreements of other vendors: {own}"
        return (
            f"cap {self.cap.cap}, shared by {', '.join(self.covered)}: {own} (together "
            f"{self._money(together)}, left under the cap {self._money(headroom)}, split "
            f"{self.cap.split.replace('_', ' ')})"
        )

    def _note_unread(self) -> None:
        """Note whom the sums lack altogether: in a cap of one period that is an amount, nobody."""
        sums = isinstance(self.cap.limit, PercentLimit) or self.cap.opening is not None
        for name, party in self.covered.items():
            if party.unread is not None and (sums or len(self.window) > 1):
                self._lacks(name, _UNREAD)

    def _ceiling(self) -> Fraction:
        limit = self.cap.limit
        if isinstance(limit, AmountLimit):
            return limit.amount
        charges = sum((self._charge(limit, *one) for one in self._in_force()), ZERO)
        return percent_of(limit.percent, charges + self._opening("charges"))

    def _charge(self, limit: PercentLimit, name: str, version: Agreement, label: str) -> Fraction:
        blockers = Blockers()
        amount = ZERO
        try:
            amount = self.covered[name].charges.base(version, limit.base, label, None, blockers)
        except InvalidDeclaration as misstated:
            blockers.add(str(misstated))
        for reason in blockers.reasons:
            self._lacks(name, reason)
        return amount

    def _given(self) -> Fraction:
        """Credits given in the window before this period, in main units."""
        kinds = kinds_given(self.cap.earned_back)
        given = sum(
            self._posted(name, label, kinds)
            for name, _, label in self._in_force()
            if label != self.window[-1]
        )
        return self._main(given) + self._put_off() + self._opening("credits")

    def _put_off(self) -> Fraction:
        """Credits of earlier periods that are not payable yet: they use up the cap as well."""
        earlier = self.window[:-1]
        last = (party.history.last for party in self.covered.values())
        return sum((one.put_off(earlier) for one in last if one is not None), ZERO)

    def _posted(self, name: str, label: str, kinds: frozenset[LineKind]) -> int:
        settled = self.covered[name].history.of(label)
        if settled is not None and settled.lines is not None:
            return settled.amount(kinds)
        self._lacks(name, f"{label} is not settled yet")
        return 0

    def _opening(self, what: str) -> Fraction:
        """What the agreements state of the window's time before it was settled here."""
        if self.cap.opening is None:
            return ZERO
        if self.cap.if_absent == "wait":
            self._await(self.cap.opening)
        return sum((self._stated(name, self.cap.opening, what) for name in self._read()), ZERO)

    def _await(self, opening: str) -> None:
        """Note that the opening is not known, where no agreement under the cap states it.

        The time before is the one before the first of them is settled here. The reason names
        nobody, so that it can be read by all.
        """
        first = min((self._look(name) for name in self._read()), key=lambda one: one.begins)
        stated = (is_stated(one.charges, opening, first.period) for one in self.covered.values())
        if looks_before(first) and not any(stated):
            share = isinstance(self.cap.limit, PercentLimit)
            values = "'charges' and 'credits'" if share else "'credits'"
            self.blockers.add(unstated(opening, self.term, values, first))

    def _look(self, name: str) -> LookBack:
        begins = label_of(self.covered[name].versions[0].effective_from, self.cap.settled)
        first_year = self.cap.begins or first_day(begins)
        since = first_day(self.window[0])
        return LookBack(self.cap.window, self.window[-1], begins, first_year, since)

    def _stated(self, name: str, opening: str, what: str) -> Fraction:
        party, period, blockers = self.covered[name], self.window[-1], Blockers()
        version = _bound(self.cap, name, party, period) or party.versions[-1]
        amount = ZERO
        try:
            facts = openings_in(party.charges, opening, self._look(name))
            amount = money_of(party.charges, version, blockers, facts, what)
        except InvalidDeclaration as misstated:
            blockers.add(str(misstated))
        for reason in blockers.reasons:
            self._lacks(name, reason)
        return amount

    def _read(self) -> Iterator[str]:
        return (name for name, party in self.covered.items() if party.unread is None)

    def _in_force(self) -> Iterator[tuple[str, Agreement, str]]:
        """Each agreement under the cap with its version, in each period of the window."""
        for name, party in self.covered.items():
            for label in self.window:
                version = _bound(self.cap, name, party, label)
                if version is not None:
                    yield name, version, label

    def _lacks(self, name: str, reason: str) -> None:
        """Note what is not known, without a word of it where others must not see it."""
        if self._one_vendor():
            self.blockers.add(f"cap {self.cap.cap} is shared with {name}: {reason}")
        else:
            self.blockers.add(
                f"cap {self.cap.cap} is shared with an agreement of which not all is known yet"
            )

    def _one_vendor(self) -> bool:
        return len(set().union(*(party.vendors for party in self.covered.values()))) == 1

    def _main(self, minor: int) -> Fraction:
        return Fraction(minor, self._scale())

    def _scale(self) -> int:
        return int(10 ** exponent(self.cap.currency))

    def _money(self, minor: int) -> str:
        return money_text(self._main(minor), self.cap.currency)


def _begins(cap: SharedCap) -> date:
    assert cap.begins is not None, "the schema asks for it"
    return cap.begins
