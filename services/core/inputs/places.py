"""Whom circumstances speak of: levels and subjects that the agreement does not have are told."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from schemas.agreement import Agreement
from schemas.evaluation import CircumstanceFact, PeriodEvaluation
from schemas.nested import names_in
from schemas.period import first_day, label_of, next_label
from services.core.calendar.windows import labels_between, overlaps
from services.core.contracts.versions import version_for
from services.core.events.stated_numbers import IN_USE
from services.core.exact.arithmetic import listed
from services.core.inputs.charges import Charges
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
    subject is known once anything was measured, charged or agreed of it, in whatever period.
    """
    facts = [
        fact
        for fact in evaluation.circumstances
        if (fact.circumstance.level is not None or fact.circumstance.subject is not None)
        and overlaps(evaluation.period, fact.circumstance.period)
    ]
    if not facts:
        return
    read = {"claim"}.union(*(_circumstances(version, _NARROWED) for version in versions))
    if any(base.per_subject for version in versions for base in version.bases):
        read.add(IN_USE)
    free = _free_subjects(versions)
    subjects = _subjects(versions, charges)
    for fact in facts:
        said = fact.circumstance
        if said.circumstance not in read:
            continue
        levels = _levels(versions, fact, evaluation.period)
        if said.level is not None and said.level not in levels:
            has = f"it has {listed(levels, 20)}" if levels else "it has none"
            yield (
                f"{named(fact)} names the level {said.level}, which the agreement does not have "
                f"then ({has}); correct the name, or leave 'level' out"
            )
        if said.circumstance in free or said.subject is None or said.subject in subjects:
            continue
        has = f"known are {listed(subjects, 20)}" if subjects else "none is known"
        yield (
            f"{named(fact)} names the subject {said.subject}, of which nothing is measured, "
            f"charged or agreed ({has}); correct the name, or leave 'subject' out"
        )


def _circumstances(version: Agreement, fields: Collection[str]) -> set[str]:
    """The circumstances that a version's terms read in these fields."""
    return {name for _, name in names_in(version, fields, _ELSEWHERE)}


def _free_subjects(versions: Sequence[Agreement]) -> set[str]:
    """Circumstances whose subject is the name of an occurrence."""
    levels = [level for version in versions for level in version.levels]
    free = {level.attributed.circumstance for level in levels if level.attributed is not None}
    return free.union(*(_circumstances(version, ("asked",)) for version in versions))


def _levels(versions: Sequence[Agreement], fact: CircumstanceFact, period: str) -> list[str]:
    """The levels in force at any time that a statement speaks of, in order of name."""
    stated = fact.circumstance.period
    ruling = version_for(versions, period)
    length = (ruling or versions[0]).settled
    begins = max(first_day(stated), versions[0].effective_from)
    last = next_label(label_of(first_day(next_label(stated)), length), -1)
    labels = {period, *labels_between(label_of(begins, length), last)}
    found = [one for label in labels if (one := version_for(versions, label)) is not None]
    return sorted({level.level for one in found for level in one.levels})


def _subjects(versions: Sequence[Agreement], charges: Charges) -> list[str]:
    """All subjects that are known of the agreement, in order of name."""
    agreed = {
        subject
        for version in versions
        for level in version.levels
        for subject in (level.subject, *level.subjects)
    }
    measured = {
        figure.subject for inputs in charges.stated.values() for figure in inputs.evaluation.figures
    }
    charged = {
        fact.charge.subject
        for inputs in charges.stated.values()
        for fact in inputs.evaluation.charges
    }
    return sorted(filter(None, agreed | measured | charged))
