"""Whom circumstances speak of: levels and subjects that what reads them does not have are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from schemas.agreement import Agreement
from schemas.credit import Duration
from schemas.evaluation import CircumstanceFact, PeriodEvaluation
from schemas.level import Level
from schemas.nested import names_in, nouns_in
from schemas.period import first_day, label_of, next_label
from services.core.calendar.windows import labels_between, overlaps
from services.core.contracts.versions import version_for
from services.core.events.stated_numbers import IN_USE
from services.core.exact.arithmetic import listed
from services.core.inputs.charges import Charges
from services.core.inputs.known import MeasuredSeries
from services.core.inputs.stated import named

_NARROWED = ("circumstance", "normal_from", "notice", "asked", "choice")
"""The fields of terms whose circumstance may name a level or a subject."""
_ELSEWHERE = ("conversions", "disputes")
"""Terms whose circumstances have no place, or any."""


def unknown_places(
    versions: Sequence[Agreement], charges: Charges, evaluation: PeriodEvaluation
) -> Iterator[str]:
    """Why a period waits for the correction of circumstances that speak of nobody.

    ``versions`` in order of their first day. ``charges``: knows all periods that are evaluated. A
    subject is known of a level that is judged for it, or of whose metric it was measured or
    charged in whatever period, where the level is judged for each subject.
    """
    reach: dict[tuple[str, tuple[int, ...]], _Reach] = {}
    for fact in evaluation.circumstances:
        said = fact.circumstance
        if said.level is None and said.subject is None:
            continue
        if overlaps(evaluation.period, said.period):
            in_force = _in_force(versions, fact, evaluation.period)
            key = said.circumstance, tuple(one.version for one in in_force)
            if key not in reach:
                reach[key] = _Reach.of(in_force, charges, said.circumstance)
            yield from _unknown(reach[key], fact)


@dataclass(frozen=True)
class _Reach:
    """Whom a circumstance can speak of, by the versions in force.

    ``everyone``: all levels. ``readers``: those for whose results or lines it is looked at.
    ``subjects``: by the level that a statement names, or None, what `_subjects` said of it.
    """

    name: str
    everyone: Sequence[Level]
    readers: Sequence[Level]
    charges: Charges
    subjects: dict[str | None, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, in_force: Sequence[Agreement], charges: Charges, name: str) -> _Reach:
        everyone = [level for version in in_force for level in version.levels]
        readers = [level for version in in_force for level in _readers(version, name)]
        return cls(name, everyone, readers, charges)

    def known(self, name: str | None, levels: Sequence[Level]) -> list[str]:
        """The subjects that it can be of, of the levels that a statement speaks of."""
        if name not in self.subjects:
            self.subjects[name] = _subjects(levels, self.charges, self.name)
        return self.subjects[name]

    @cached_property
    def heard_of(self) -> frozenset[str | None]:
        """The subjects of which anything is measured, charged or agreed, in whatever period."""
        measured = {subject for _, subject in _measured(self.charges)}
        return frozenset(_agreed(self.everyone) | measured | _charged(self.charges))


def _unknown(reach: _Reach, fact: CircumstanceFact) -> Iterator[str]:
    """What is unknown of the level and the subject that one statement names."""
    said = fact.circumstance
    if not reach.readers:
        return
    of_level = [level for level in reach.readers if said.level in (None, level.level)]
    if not of_level:
        yield _level_text(reach, fact)
        of_level = list(reach.readers)
    if said.subject is None or any(_of_occurrences(one, reach.name) for one in of_level):
        return
    known = reach.known(said.level, of_level)
    if said.subject not in known:
        yield _subject_text(known, said.subject in reach.heard_of, fact)


def _level_text(reach: _Reach, fact: CircumstanceFact) -> str:
    name = fact.circumstance.level
    if any(level.level == name for level in reach.everyone):
        reading = listed(sorted({level.level for level in reach.readers}), 20)
        told = f"of which no term reads it then (it is read of {reading})"
    else:
        levels = listed(sorted({level.level for level in reach.everyone}), 20)
        told = f"which the agreement does not have then (it has {levels})"
    return f"{named(fact)} names the level {name}, {told}; correct the name, or leave 'level' out"


def _subject_text(known: Sequence[str], elsewhere: bool, fact: CircumstanceFact) -> str:
    has = f"known are {listed(known, 20)}" if known else "none is known"
    told = (
        "which no level that reads it is judged for"
        if elsewhere
        else "of which nothing is measured, charged or agreed"
    )
    return (
        f"{named(fact)} names the subject {fact.circumstance.subject}, {told} ({has}); correct "
        "the name, or leave 'subject' out"
    )


def _in_force(
    versions: Sequence[Agreement], fact: CircumstanceFact, period: str
) -> list[Agreement]:
    """The versions in force at any time that a statement speaks of, in order."""
    stated = fact.circumstance.period
    ruling = version_for(versions, period)
    length = (ruling or versions[0]).settled
    begins = max(first_day(stated), versions[0].effective_from)
    last = label_of(first_day(next_label(stated)) - timedelta(days=1), length)
    labels = {period, *labels_between(label_of(begins, length), last)}
    found = [one for label in labels if (one := version_for(versions, label)) is not None]
    return [version for version in versions if version in found]


def _readers(version: Agreement, name: str) -> Sequence[Level]:
    """The levels for whose results or lines a circumstance is looked at."""
    whole = names_in(version, _NARROWED, ("levels", *_ELSEWHERE))
    of_all = any(found == name for _, found in whole)
    of_subjects = name == IN_USE and any(base.per_subject for base in version.bases)
    if of_all or of_subjects or name == "claim":
        return version.levels
    return [
        level
        for level in version.levels
        if any(found == name for _, found in names_in(level, _NARROWED))
    ]


def _of_occurrences(level: Level, name: str) -> bool:
    """Whether the subject of a circumstance is the name of an occurrence to what reads it."""
    if level.attributed is not None and level.attributed.circumstance == name:
        return True
    return any(
        isinstance(term, Duration) and term.asked == name and term.of == "each"
        for term in nouns_in(level)
    )


def _subjects(levels: Sequence[Level], charges: Charges, name: str) -> list[str]:
    """All subjects that a circumstance of the levels can be of, in order of name."""
    each = {level.metric for level in levels if level.each_subject}
    found = _agreed(levels) | {subject for metric, subject in _measured(charges) if metric in each}
    if each or name == IN_USE:
        found |= _charged(charges)
    return sorted(filter(None, found))


def _agreed(levels: Sequence[Level]) -> set[str | None]:
    return {subject for level in levels for subject in (level.subject, *level.subjects)}


def _measured(charges: Charges) -> Iterator[MeasuredSeries]:
    return (one for inputs in charges.everything() for one in inputs.measured)


def _charged(charges: Charges) -> set[str | None]:
    return {
        fact.charge.subject for inputs in charges.everything() for fact in inputs.evaluation.charges
    }
