"""Which facts belong together: corrections and their events, and what is stated of agreements.

Decided in the order in which facts are accepted, and written in the step that stores them, so that
a count looks up its agreement's own and reads nothing else. A correction that comes before its
event waits for it. One that would make a chain longer than `MOST_CHAINED`, or a circle, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec
import numpy as np

from schemas.frame import Bools, Int8s, UInt64s
from schemas.period import first_day, next_label
from services.core.calendar.windows import microseconds
from services.core.events.corrections import CIRCLE, MOST_CHAINED, TOO_LONG
from services.core.events.facts import ANSWER, CORRECTION, NO_METRIC, identity_of
from services.core.events.rejections import Rejection
from services.evaluator import link_store, refused_corrections, store
from services.evaluator.columns import Columns, identity_bytes, joined
from services.evaluator.identity_index import NEW, REFUSED, Seen
from services.evaluator.link_store import AgreementPlace, Link, LinkedPlace, MetricPlace
from services.shell.frames import numbers_of, read_batch
from services.shell.postgres import Connection

FRAMES_AT_ONCE = 64
"""So many stored frames are read together."""

Metrics = Mapping[int, tuple[str, str]]
"""A metric's number to its programme and name."""


@dataclass(slots=True)
class Linked:
    """What a step has to write. ``refused``: row to the reason.

    ``fresh``: links that get a row. ``found``: links with a row whose event is known now.
    ``awaited``: identities that corrections of this step wait for. ``answers``: what is answered,
    with the identity of the answer.
    """

    refused: dict[int, Rejection] = field(default_factory=dict)
    fresh: list[Link] = field(default_factory=list)
    found: list[Link] = field(default_factory=list)
    places: list[tuple[bytes, LinkedPlace]] = field(default_factory=list)
    awaited: list[bytes] = field(default_factory=list)
    answers: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def write(
        self, connection: Connection, partition: int, numbers: Any, stored: Bools
    ) -> None:
        """Write it. ``numbers``: of the frame that holds each row that is ``stored``."""
        if self.fresh:
            rows = np.flatnonzero(stored)
            place = np.arange(len(rows)) - np.searchsorted(numbers[rows], numbers[rows])
            places = dict(zip(rows.tolist(), place.tolist(), strict=True))
            for link in self.fresh:
                if link.row is not None:
                    link.number, link.place = int(numbers[link.row]), places[link.row]
            await link_store.insert(connection, partition, self.fresh)
        await link_store.set_roots(connection, partition, self.found)
        if self.places:
            await link_store.insert_places(connection, partition, self.places)
        if self.answers:
            await link_store.insert_answers(connection, partition, self.answers)


async def link(
    connection: Connection,
    partition: int,
    columns: Columns,
    verdict: Int8s,
    seen: Seen,
    waiting: UInt64s,
    metrics: Metrics,
) -> Linked:
    """Link the NEW rows, in order; what is refused becomes REFUSED in ``verdict``.

    ``seen``: what was accepted before. ``waiting``: high halves that stored corrections wait for,
    sorted.
    """
    stated = (columns.metric == NO_METRIC) & (verdict == NEW)
    expected = (verdict == NEW) & _among(columns.high, waiting)
    if not stated.any() and not expected.any():
        return Linked()
    again = np.isin(columns.high, columns.high[stated & (columns.kind == CORRECTION)])
    told = {
        row: _link_of(columns, row)
        for row in np.flatnonzero((columns.metric == NO_METRIC) & (stated | again)).tolist()
    }
    targets = {each.corrects for each in told.values() if each.corrects is not None}
    came = [_identity(columns, row) for row in np.flatnonzero(expected).tolist()]
    known = await link_store.around(connection, partition, sorted(targets), came)
    unknown = targets - {each.id128 for each in known}
    known += await _events(connection, partition, seen, unknown)
    named = np.isin(columns.high, _highs(targets)) & (verdict == NEW)
    linker = _Linker(known, metrics)
    for row in np.flatnonzero(stated | expected | again | named).tolist():
        each = told.get(row) or _event_of(columns, row)
        if each.metric is not None and linker.knows(each.id128):
            continue  # stored before: its frame is linked only now
        if verdict[row] == NEW or linker.was_refused(each.id128):
            each.row = row
            verdict[row] = NEW if linker.take(each, row) else REFUSED
            if columns.kind[row] == ANSWER:
                linker.linked.answers.append((_answered(each), each.id128))
    return linker.linked


async def link_backlog(
    connection: Connection, partition: int, seen: Seen, metrics: Metrics, topic: str
) -> None:
    """Link the facts that were stored before there were links, in one transaction.

    A chain that is longer than it may be keeps its first `MOST_CHAINED` corrections. The one beyond
    them, and one that closes a circle, is set aside with the reason, and told on the ``topic``.
    """
    async with connection.transaction():
        if not await link_store.is_unlinked(connection, partition):
            return
        waiting: UInt64s = np.empty(0, np.uint64)
        for number in await link_store.frames_to_link(connection, partition):
            (body,) = (await store.frame_bodies(connection, partition, [number])).values()
            columns = joined([read_batch(body)])
            verdict = np.full(len(columns), NEW, np.int8)
            linked = await link(connection, partition, columns, verdict, seen, waiting, metrics)
            numbers = np.full(len(columns), number, np.uint32)
            await linked.write(connection, partition, numbers, np.ones(len(columns), np.bool_))
            await refused_corrections.set_aside_stored(
                connection, topic, (partition, number), columns.batches[0], linked.refused
            )
            waiting = np.union1d(waiting, _highs(linked.awaited))
        await link_store.is_linked_now(connection, partition)


class _Linker:
    """Links facts one after another. ``known``: what was accepted before them."""

    def __init__(self, known: Iterable[Link], metrics: Metrics) -> None:
        self.linked = Linked()
        self._metrics = metrics
        self._links = {each.id128: each for each in known}
        self._waiting: dict[bytes, list[Link]] = {}
        self._refused: set[bytes] = set()
        for each in self._links.values():
            if each.root is None and each.corrects is not None:
                self._waiting.setdefault(each.corrects, []).append(each)

    def knows(self, identity: bytes) -> bool:
        """Whether a fact of this identity was accepted."""
        return identity in self._links

    def was_refused(self, identity: bytes) -> bool:
        """Whether the first of this identity was refused and none was accepted since."""
        return identity in self._refused and identity not in self._links

    def take(self, link: Link, row: int) -> bool:
        """Accept a fact, and link with it what waits for it; whether it was accepted."""
        problem = self._problem(link)
        if problem is not None:
            self.linked.refused[row] = problem
            self._refused.add(link.id128)
            return False
        self._links[link.id128] = link
        if link.kept:
            self.linked.fresh.append(link)
        if link.corrects is None:
            link.root = link.id128
            if link.kept:
                self._place(link, link)
        else:
            self._follow(link, link.corrects)
        self._resolve(link)
        return True

    def _problem(self, link: Link) -> Rejection | None:
        """Why a correction is refused, by what was accepted before it; None where it is not."""
        step = link
        for walked in range(1, MOST_CHAINED + 2):
            if step.corrects is None or step.corrects == link.id128:
                return None if step.corrects is None else CIRCLE
            target = self._links.get(step.corrects)
            if target is None:
                return None
            if target.root is not None:
                return TOO_LONG if target.depth + walked > MOST_CHAINED else None
            step = target
        return TOO_LONG

    def _follow(self, link: Link, corrects: bytes) -> None:
        target = self._links.get(corrects)
        if target is None or target.root is None:
            self._waiting.setdefault(corrects, []).append(link)
            self.linked.awaited.append(corrects)
        else:
            self._join(link, target)

    def _resolve(self, link: Link) -> None:
        """Give its event to all that waited for this fact, and to what waited for them."""
        stack = [link] if link.root is not None else []
        while stack:
            known = stack.pop()
            if known.depth > MOST_CHAINED:
                continue
            for waiter in self._waiting.pop(known.id128, ()):
                if waiter.row is None:
                    self.linked.found.append(waiter)
                self._join(waiter, known)
                stack.append(waiter)

    def _join(self, link: Link, target: Link) -> None:
        """A correction gets the event of what it corrects, which is known."""
        assert target.root is not None
        root = self._links[target.root]
        if not root.kept:
            root.kept = True
            self.linked.fresh.append(root)
            self._place(root, root)
        link.root, link.depth = target.root, target.depth + 1
        self._place(link, root)

    def _place(self, link: Link, root: Link) -> None:
        place = _place_of(link, root, self._metrics)
        if place is not None:
            self.linked.places.append((root.id128, place))


def _place_of(link: Link, root: Link, metrics: Metrics) -> LinkedPlace | None:
    """Where an event lies as it was sent, or as one of its corrections puts it; None for nowhere.

    A correction that does not fit its event may be given any place: a count looks at it and
    refuses it.
    """
    if root.metric is None:
        return _agreement_place(msgspec.json.decode(link.said))
    assert root.at_us is not None
    programme, metric = metrics[root.metric]
    if link is root:
        return MetricPlace(programme, metric, root.at_us)
    said = msgspec.json.decode(link.said)
    if said.get("metric") is None and said.get("time_us") is None:
        return None
    return MetricPlace(
        programme, str(said.get("metric") or metric), said.get("time_us", root.at_us)
    )


def _agreement_place(said: Mapping[str, Any]) -> AgreementPlace | None:
    label, agreement = said.get("period"), said.get("agreement")
    name = said.get("base", said.get("circumstance", said.get("name")))
    if not (isinstance(label, str) and isinstance(agreement, str) and isinstance(name, str)):
        return None
    try:
        since, until = first_day(label), first_day(next_label(label))
    except ValueError:  # no period of the calendar
        return None
    if said.get("states") == "correction":  # of what may reach into all periods that follow
        until = date.max
    return AgreementPlace(agreement, label, since, until, name)


def _link_of(columns: Columns, row: int) -> Link:
    """The link of a fact that names no metric."""
    index, place = columns.place(row)
    batch = columns.batches[index]
    text, identity = batch.column("data")[place].as_py(), _identity(columns, row)
    if columns.kind[row] != CORRECTION:
        return Link(identity, None, text)
    said = msgspec.json.decode(text)
    source = batch.column("source")[place].as_py()
    return Link(identity, identity_of(source, str(said["corrects"])), _innermost(said))


def _answered(link: Link) -> bytes:
    """The identity of what an answer is given to."""
    said = msgspec.json.decode(link.said)
    return identity_of(said["of_source"], said["of_id"])


_TOLD = ("metric", "agreement", "period", "base", "circumstance", "name")


def _innermost(said: dict[str, Any]) -> str:
    """What is left of a correction, or of a correction of corrections, for the event itself."""
    while isinstance(data := said.get("data"), dict) and "corrects" in data:
        said = data
    data = said.get("data")
    kept = {name: data[name] for name in _TOLD if name in data} if isinstance(data, dict) else {}
    if isinstance(time := said.get("time"), str):
        with suppress(ValueError, TypeError):  # it does not fit, and a count says so
            kept["time_us"] = microseconds(datetime.fromisoformat(time))
    return msgspec.json.encode(kept).decode()


def _event_of(columns: Columns, row: int) -> Link:
    """The link that a fact of a metric gets once it is corrected."""
    return Link(
        _identity(columns, row),
        None,
        "",
        metric=int(columns.metric[row]),
        at_us=int(columns.at_us[row]),
        kept=False,
    )


async def _events(
    connection: Connection, partition: int, seen: Seen, wanted: set[bytes]
) -> list[Link]:
    """The stored events of metrics among these identities, as links without a row.

    What names no metric has a link of its own. Each is one lookup in memory and one read.
    """
    frames = seen.frames_with(_highs(wanted))
    halves = {int.from_bytes(each[:8], "big") for each in wanted}
    found: list[Link] = []
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        facts = await store.known_facts(
            connection, partition, frames[start : start + FRAMES_AT_ONCE], halves
        )
        places = {identity_bytes(*identity): fact for identity, fact in facts.items()}
        places = {identity: fact for identity, fact in places.items() if identity in wanted}
        numbers = sorted({fact.number for fact in places.values()})
        bodies = await store.frame_bodies(connection, partition, numbers)
        columns = {number: numbers_of(read_batch(body)) for number, body in bodies.items()}
        for identity, fact in places.items():
            metric = int(columns[fact.number]["metric"][fact.row])
            if metric != NO_METRIC:
                at_us = int(columns[fact.number]["at_us"][fact.row])
                event = Link(identity, None, "", metric, at_us, fact.number, fact.row, kept=False)
                event.root = identity
                found.append(event)
    return found


def _identity(columns: Columns, row: int) -> bytes:
    return identity_bytes(int(columns.high[row]), int(columns.low[row]))


def _highs(identities: Iterable[bytes]) -> UInt64s:
    return np.array(sorted({int.from_bytes(each[:8], "big") for each in identities}), np.uint64)


def _among(highs: UInt64s, waiting: UInt64s) -> Any:
    """Which of these are among the sorted ones."""
    if not len(waiting):
        return np.zeros(len(highs), np.bool_)
    at = np.searchsorted(waiting, highs)
    at[at == len(waiting)] = 0
    return waiting[at] == highs
