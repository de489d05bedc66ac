"""What the closer has to do next, kept in tables: the next period of each agreement, and what the
counted periods were counted from.

Both follow from contracts and evaluations. They are written when a period is closed, in the same
transaction, and when contracts have changed; so a pass of the closer reads what is due and what
was touched, and nothing of what stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from itertools import islice

from schemas.agreement import Agreement
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import instant
from services.evaluator import queue_store, recount
from services.evaluator.queue_store import NOTHING_TOLD, ContractVersions, NextClose, PeriodNeeds
from services.evaluator.recount import RecountTarget
from services.evaluator.watermark import (
    begun_count,
    due_at_us,
    latest_of_programmes,
    periods,
    version_of,
)
from services.shell.faults import faultpoint
from services.shell.postgres import Connection, is_of_the_work

AT_ONCE = 100
"""Counted periods that are worked out anew in one pass, whole agreements of them."""
_LABELS = 32
"""Periods that are looked up together, to find the first that is not closed."""
NEVER_TOLD_US = -(2**62)
"""Due at once: the pass that looks at the period finds out why that cannot be told."""


def versions_of(catalogue: Catalogue, agreement: str) -> ContractVersions:
    """The versions of an agreement and its programme that a catalogue has."""
    own = catalogue.agreements[agreement]
    return ContractVersions(len(own), len(catalogue.programmes[own[-1].programme]))


class ClosingQueue:
    """The queue of one closer: which agreements are worked out as the catalogue has them."""

    def __init__(self) -> None:
        self._revision = -1
        self._changed: list[str] = []
        self._failed: dict[str, Exception] = {}
        self._told: list[str] = []

    def again(self, agreement: str) -> None:
        """Have an agreement worked out at the next pass."""
        self._changed.append(agreement)

    def news(self) -> tuple[list[str], dict[str, Exception]]:
        """Since this was asked last: agreements that were worked out, and those of which nothing
        can be told."""
        taken = self._told, self._failed
        self._told, self._failed = [], {}
        return taken

    async def follow(self, connection: Connection, catalogue: Catalogue) -> bool:
        """Work out what has changed with the contracts; whether all of it is done.

        So many periods at a time: what does not rest on it may go on in between.
        """
        if self._revision != catalogue.revision:
            self._changed = await _changed(connection, catalogue)
            self._revision = catalogue.revision
        done = 0
        while self._changed and done < AT_ONCE:
            agreement = self._changed[-1]
            try:
                done += 1 + await _work_out(connection, catalogue, agreement)
                self._told.append(agreement)
            except Exception as error:
                if not is_of_the_work(error):
                    raise
                await _leave_untold(connection, agreement)
                self._failed[agreement] = error
            self._changed.pop()
        return not self._changed


async def _changed(connection: Connection, catalogue: Catalogue) -> list[str]:
    """Agreements that were worked out from other versions, or not at all."""
    known = await queue_store.followed(connection)
    gone = [each for each in known if each not in catalogue.agreements]
    for agreement in gone:  # left out of the catalogue: any fact may change what was counted
        if known[agreement] != NOTHING_TOLD:
            await _leave_untold(connection, agreement)
    return [
        agreement
        for agreement in sorted(catalogue.agreements, reverse=True)
        if known.get(agreement) != versions_of(catalogue, agreement)
    ]


async def _work_out(connection: Connection, catalogue: Catalogue, agreement: str) -> int:
    """Write down the next period of an agreement, and what its counted ones need; how many."""
    own = catalogue.agreements[agreement]
    zone = catalogue.programmes[own[-1].programme][-1].time_zone
    counted = await queue_store.periods_of(connection, agreement)
    needed = await asyncio.to_thread(_needed, catalogue, agreement, counted)
    async with connection.transaction():
        await queue_store.lock(connection, agreement)
        since = set(await queue_store.periods_of(connection, agreement)).difference(counted)
        needed += _needed(catalogue, agreement, sorted(since))
        await queue_store.put_counted(connection, agreement, needed)
        found = await _next_open(connection, own, zone, None)
        versions = versions_of(catalogue, agreement)
        await queue_store.put_next(connection, agreement, versions, found)
        faultpoint("follow.before-commit")
    faultpoint("follow.after-commit")
    return len(needed)


async def _leave_untold(connection: Connection, agreement: str) -> None:
    """Write down that nothing can be told of an agreement: any fact may change what was counted."""
    async with connection.transaction():
        await queue_store.lock(connection, agreement)
        counted = await queue_store.periods_of(connection, agreement)
        unknown = [PeriodNeeds(each, None, (date.min, date.max)) for each in counted]
        await queue_store.put_counted(connection, agreement, unknown)
        await queue_store.put_next(connection, agreement, NOTHING_TOLD, None)


def _needed(catalogue: Catalogue, agreement: str, counted: Sequence[str]) -> list[PeriodNeeds]:
    versions = catalogue.agreements[agreement]
    programmes = catalogue.programmes[versions[-1].programme]
    name = programmes[-1].programme
    found = []
    for period in counted:
        try:
            wanted = recount.spans_of(programmes, versions, period)
            spans = {
                catalogue.numbers[name, metric]: span
                for metric, span in wanted.items()
                if (name, metric) in catalogue.numbers
            }
            found.append(PeriodNeeds(period, spans, recount.days_of(versions, period)))
        except Exception as error:
            if not is_of_the_work(error):
                raise
            found.append(PeriodNeeds(period, None, (date.min, date.max)))
    return found


async def _next_open(
    connection: Connection, versions: Sequence[Agreement], zone: str, since: str | None
) -> NextClose | None:
    """The first period from one on that is not closed, and when it closes."""
    following = periods(versions, zone, since)
    while labels := list(islice(following, _LABELS)):
        closed = await queue_store.closed_among(connection, versions[-1].agreement, labels)
        for label in labels:
            if label not in closed:
                return NextClose(label, _due_us(versions, label, zone))
    return None


def _due_us(versions: Sequence[Agreement], period: str, zone: str) -> int:
    try:
        return _due_at_us(versions, period, zone)
    except (ValueError, OverflowError):
        return NEVER_TOLD_US


def _due_at_us(versions: Sequence[Agreement], period: str, zone: str) -> int:
    version = version_of(versions, period)
    assert version is not None, "it is one of the agreement's periods"
    due_us = due_at_us(version, period, zone)
    instant(due_us)
    return due_us


def check_due(target: RecountTarget) -> None:
    """Raise what kept it from being told when a period is due."""
    _due_at_us(target.agreements, target.period, target.programmes[-1].time_zone)


async def register(connection: Connection, target: RecountTarget) -> bool:
    """Write down what a period needs before its facts are read, so that none is missed that comes
    meanwhile. Whether the target is of the contracts that the queue knows."""
    if await queue_store.is_counted(connection, target.place):
        return True
    agreement, period = target.place
    async with connection.transaction():
        known = await queue_store.lock(connection, agreement)
        if known not in (None, NOTHING_TOLD, _versions(target)):
            return False
        needed = PeriodNeeds(period, target.spans, target.days)
        await queue_store.put_counted(connection, agreement, [needed])
        faultpoint("register.before-commit")
    faultpoint("register.after-commit")
    return True


async def move_on(connection: Connection, target: RecountTarget) -> None:
    """Go on to the period after one that was closed for the first time, in its transaction."""
    agreement, period = target.place
    known = await queue_store.lock(connection, agreement)
    if known is None:
        return
    found = await queue_store.period_of(connection, agreement)
    if known == _versions(target) and found is not None and found.period == period:
        zone = target.programmes[-1].time_zone
        found = await _next_open(connection, target.agreements, zone, period)
    await queue_store.go_on(connection, agreement, found)


def _versions(target: RecountTarget) -> ContractVersions:
    return ContractVersions(len(target.agreements), len(target.programmes))


async def open_periods(connection: Connection, catalogue: Catalogue) -> int:
    """How many periods have begun and are not closed, as far as events were heard."""
    heard, found = await latest_of_programmes(connection), 0
    for agreement, closed in (await queue_store.closed_counts(connection)).items():
        versions = catalogue.agreements.get(agreement)
        latest_us = heard.get(versions[-1].programme) if versions else None
        if versions and latest_us is not None:
            zone = catalogue.programmes[versions[-1].programme][-1].time_zone
            found += max(begun_count(versions, zone, latest_us) - closed, 0)
    return found
