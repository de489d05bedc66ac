"""How many subjects a party may report: each is counted and kept by itself where a level is judged
for each subject.

Of each metric that a level judges so, a party has a number of subjects. A fact of one beyond them
is set aside with the reason. Which ones a party has is kept in the database, since its sources may
lie in several partitions; a step asks it only for those that it has not seen before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from schemas.composites import Composite
from schemas.frame import Int8s, Int32s
from services.catalogue.snapshot import Catalogue
from services.evaluator.columns import CORRECTION, Columns
from services.evaluator.identity_index import BEYOND, CONFLICT, DUPLICATE, NEW, Indices
from services.shell.postgres import Connection

Group = tuple[str, int]
"""A party and the number of a metric."""


MOST_HELD = 1_000_000
"""Subjects that a process holds between two steps, of all parties together."""


@dataclass(slots=True)
class KnownSubjects:
    """The subjects that a process has seen of each group: all are in the database, so that any of
    it may be forgotten and is read again."""

    of: dict[Group, set[str]] = field(default_factory=dict)
    most: int = MOST_HELD

    def add(self, new: Mapping[Group, Collection[str]]) -> None:
        """Remember what was committed."""
        for group, subjects in new.items():
            self.of.setdefault(group, set()).update(subjects)

    def forget(self) -> None:
        """Keep what all parties together may take up. Whoever has the most is forgotten first: its
        next step reads what it has, and nobody else's does."""
        held = sum(map(len, self.of.values()))
        for group in sorted(self.of, key=lambda each: (-len(self.of[each]), each)):
            if held <= self.most:
                return
            held -= len(self.of.pop(group))


@dataclass(frozen=True, slots=True)
class SubjectLimits:
    """``metrics``: numbers of those with a limit. ``parties``: by source. ``numbers``: by source's
    programme and metric. ``most``: subjects of a party and metric."""

    metrics: frozenset[int]
    parties: Mapping[str, tuple[str, str]]
    numbers: Mapping[tuple[str, str], int]
    most: int

    @classmethod
    def of(cls, catalogue: Catalogue, most: int) -> SubjectLimits:
        """As the catalogue has them at one revision."""
        parties = {name: (one.party, one.programme) for name, one in catalogue.sources.items()}
        found = frozenset(_judged_by_subject(catalogue))
        return cls(found, parties, catalogue.numbers, most)


def _judged_by_subject(catalogue: Catalogue) -> Iterator[int]:
    """The metrics that a level judges for each subject, and the parts that these are made of."""
    for agreement in catalogue.agreement_versions:
        waiting = [level.metric for level in agreement.levels if level.each_subject]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            number = catalogue.numbers.get((agreement.programme, name))
            if number is not None:
                yield number
            for programme in catalogue.programmes.get(agreement.programme, ()):
                metric = programme.metric(name)
                if metric is not None and isinstance(metric.measure, Composite):
                    waiting.extend(metric.measure.parts)


@dataclass(frozen=True, slots=True)
class _SubjectRows:
    """Rows that name a subject of a limited metric, in order."""

    rows: Indices
    group: Group
    subject: str


async def judge(
    connection: Connection,
    known: KnownSubjects,
    columns: Columns,
    verdict: Int8s,
    limits: SubjectLimits,
) -> dict[Group, set[str]]:
    """Turn NEW rows of a subject too many into BEYOND in ``verdict``, in order; gives new subjects.

    What is of the same identity in the step becomes BEYOND as well: nothing of it is accepted.
    """
    named = [
        one
        for one in _named(columns, verdict, limits)
        if one.subject not in known.of.get(one.group, ())
    ]
    asked = {one.group for one in named if len(known.of.get(one.group, ())) < limits.most}
    if asked:
        known.add(await _stored(connection, asked))
    new: dict[Group, set[str]] = {}
    for one in sorted(named, key=lambda one: int(one.rows[0])):
        own, fresh = known.of.get(one.group, set()), new.setdefault(one.group, set())
        if one.subject in own or one.subject in fresh:
            continue
        if len(own) + len(fresh) < limits.most:
            fresh.add(one.subject)
        else:
            verdict[one.rows] = BEYOND
    _with_the_same(columns, verdict)
    if any(new.values()):
        await _store(connection, new)
    return new


def _with_the_same(columns: Columns, verdict: Int8s) -> None:
    """What hangs on an identity of which the first row is set aside."""
    beyond = np.flatnonzero(verdict == BEYOND)
    if len(beyond):
        again = np.isin(columns.high, columns.high[beyond])
        again &= np.isin(columns.low, columns.low[beyond])
        again[: int(beyond[0])] = False
        verdict[again & np.isin(verdict, (DUPLICATE, CONFLICT))] = BEYOND


def _named(columns: Columns, verdict: Int8s, limits: SubjectLimits) -> Iterator[_SubjectRows]:
    """What names a subject of a limited metric among the NEW rows; corrections may give one."""
    limited = (verdict == NEW) & np.isin(columns.metric, sorted(limits.metrics))
    corrects = (verdict == NEW) & (columns.kind == CORRECTION)
    if not limits.metrics or not (limited.any() or corrects.any()):
        return
    offset = 0
    for batch in columns.batches:
        rows = slice(offset, offset + batch.num_rows)
        own = np.flatnonzero(limited[rows])
        if len(own):
            yield from _of_batch(batch, own, offset, columns.metric[rows], limits)
        for place in np.flatnonzero(corrects[rows]).tolist():
            source, text = (
                batch.column("source")[place].as_py(),
                batch.column("data")[place].as_py(),
            )
            yield from _of_correction(limits, source, text, offset + place)
        offset += batch.num_rows


def _of_batch(
    batch: Any, own: Indices, offset: int, metric: Int32s, limits: SubjectLimits
) -> Iterator[_SubjectRows]:
    """Each source, metric and subject of these rows of a batch once, with its rows."""
    source, subject = batch.column("source"), batch.column("subject")
    sources = source.indices.to_numpy()[own].astype(np.int64)
    subjects = subject.indices.fill_null(-1).to_numpy()[own].astype(np.int64)
    metrics, ranks = np.unique(metric[own], return_inverse=True)
    key = (sources * (len(subject.dictionary) + 1) + subjects + 1) * len(metrics) + ranks
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(key[order]) != 0])
    names, owners = subject.dictionary.to_pylist(), source.dictionary.to_pylist()
    for rows in np.split(order, starts[1:]):
        first = int(rows[0])
        party = limits.parties.get(owners[int(sources[first])])
        if party is not None and subjects[first] >= 0:
            group = party[0], int(metrics[ranks[first]])
            yield _SubjectRows(own[rows] + offset, group, names[int(subjects[first])])


def _of_correction(
    limits: SubjectLimits, source: str, text: str, row: int
) -> Iterator[_SubjectRows]:
    """The subject that a correction gives its event."""
    data = msgspec.json.decode(text).get("data")
    while isinstance(data, dict) and "corrects" in data:
        data = data.get("data")
    party = limits.parties.get(source)
    if not isinstance(data, dict) or party is None:
        return
    metric = limits.numbers.get((party[1], str(data.get("metric"))))
    subject = data.get("subject")
    if metric in limits.metrics and metric is not None and isinstance(subject, str):
        yield _SubjectRows(np.array([row], np.intp), (party[0], metric), subject)


async def _stored(connection: Connection, groups: Collection[Group]) -> dict[Group, set[str]]:
    """What the database has of these groups."""
    ordered = sorted(groups)
    rows = await connection.fetch(
        "select party, metric, subject from known_subject"
        "  join unnest($1::text[], $2::int[]) as own(party, metric) using (party, metric)",
        [party for party, _ in ordered],
        [metric for _, metric in ordered],
    )
    found: dict[Group, set[str]] = {group: set() for group in ordered}
    for row in rows:
        found[row["party"], row["metric"]].add(row["subject"])
    return found


async def _store(connection: Connection, new: Mapping[Group, Collection[str]]) -> None:
    """Keep them and count them, in order, so that two steps cannot lock crosswise."""
    rows = sorted((*group, subject) for group, subjects in new.items() for subject in subjects)
    await connection.execute(
        "with fresh as (insert into known_subject (party, metric, subject)"
        "   select * from unnest($1::text[], $2::int[], $3::text[])"
        "   on conflict do nothing returning party, metric)"
        " insert into subject_count as c (party, metric, subjects)"
        " select party, metric, count(*) from fresh group by 1, 2 order by 1, 2"
        " on conflict (party, metric) do update set subjects = c.subjects + excluded.subjects",
        *([row[place] for row in rows] for place in range(3)),
    )
