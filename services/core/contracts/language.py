"""The versions of the contract language, and how a document of an earlier one is said in today's.

Language 1 left some conventions unsaid. Language 2 asks for each of them. A rule here writes one of
them out loud, with the value that means what language 1 meant in silence, so that an upgraded
document settles every period as before. What was a defect and not a meaning is mended for all
languages; docs/language.md lists it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from services.core.contracts.wording import Path

LANGUAGE = 2
"""The version of the contract language that this release reads."""

ContractBody = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Addition:
    """A field that a document leaves unsaid. ``path``: the mapping that gets it.

    ``decide``: what a person should decide, as language 1 left it open; None where only one
    meaning is possible.
    """

    path: Path
    key: str
    value: Any
    decide: str | None = None


LanguageRule = Callable[[ContractBody], Iterator[Addition]]


def language_of(document: ContractBody) -> Any:
    """The language that a document states; 1 where it states none."""
    return document.get("language", 1)


def additions(document: ContractBody, *, anew: bool = False) -> tuple[Addition, ...]:
    """What is to be written into a document of an earlier language, in the order of the rules.

    A document of today's language gets nothing: it is read as it stands. ``anew``: it gets what
    the rules would add to one of language 1, where it does not state it.
    """
    if language_of(document) != 1 and not anew:
        return ()
    found = [
        Addition((), "language", LANGUAGE, None),
        *(one for rule in RULES for one in rule(document)),
    ]
    return tuple(one for one in found if one.key not in mapping_at(document, one.path))


def upgraded(document: ContractBody) -> dict[str, Any]:
    """A copy of a document in today's language."""
    copy: dict[str, Any] = deepcopy(dict(document))
    for one in additions(document):
        mapping_at(copy, one.path)[one.key] = deepcopy(one.value)
    return copy


def mapping_at(document: Any, path: Path) -> Any:
    """The mapping at a path of a document."""
    for part in path:
        document = document[part]
    return document


def each(document: Any, *keys: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every mapping below a chain of keys, with its path; lists are walked, what is absent is not.

    ``each(agreement, "levels", "credits", "quantity")``: the quantity of every credit.
    """
    yield from _each(document, (), keys)


def _each(node: Any, path: Path, keys: tuple[str, ...]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _each(item, (*path, index), keys)
    elif isinstance(node, Mapping):
        if not keys:
            yield path, node
        elif keys[0] in node:
            yield from _each(node[keys[0]], (*path, keys[0]), keys[1:])


def _last_credit(document: ContractBody) -> Iterator[Addition]:
    """The last period's credit, for which there is no next invoice, was in no figure."""
    for path, invoicing in each(document, "invoicing"):
        rest = invoicing.get("rest")
        kind = rest.get("kind") if isinstance(rest, Mapping) else None
        if invoicing.get("deducted_from") == "next_period" and kind in ("cash", "lapses"):
            yield Addition(
                path,
                "at_end",
                "lapses",
                "the last period's credit has no next invoice: lapses, or cash with "
                "cash_within_days",
            )


_TIME_ONLY = ("merged", "exact")
"""Outage time that adds up to the same however an outage is cut."""
_OVER_AN_END = (
    "does {what} over the end of a period count where it begins, where it ends, or split?"
)


def _across_periods(document: ContractBody) -> Iterator[Addition]:
    """Where occurrences over the end of a period count.

    Language 1 cut outages at the end, counted them where they begin, tickets where they are
    resolved and deliveries where they are due.
    """
    for path, measure in each(document, "metrics", "measure"):
        kind = measure.get("kind")
        how = _ACROSS.get(kind) if isinstance(kind, str) else None
        if how is None:
            continue
        value, what = how
        as_wholes = kind not in ("availability_by_outages", "outage_time") or (
            kind == "outage_time" and (measure.get("overlap"), measure.get("part")) != _TIME_ONLY
        )
        decide = _OVER_AN_END.format(what=what) if as_wholes else None
        yield Addition(path, "across_periods", value, decide)
        if kind == "tickets_in_time" and measure.get("open_past_limit") == "late":
            decide = "is a ticket that stays open late in each period or once?"
            yield Addition(path, "late_counts", "in_each_period", decide)
        if kind == "delivery_delay":
            decide = "does the price of a delay wait for the delivery, or is it late so far?"
            yield Addition(path, "until_delivered", "late_so_far", decide)


_ACROSS = {
    "availability_by_outages": ("split", "an outage"),
    "outage_time": ("split", "an outage"),
    "outage_count": ("begins", "an outage"),
    "tickets_in_time": ("ends", "a ticket"),
    "delivery_delay": ("begins", "a delay"),
}
"""Kind of measure to what language 1 did, and to what it counts."""


def _rights_by_occurrence(document: ContractBody) -> Iterator[Addition]:
    """Whether the time of an occurrence goes on over the end of a period."""
    for path, term in each(document, "terminations"):
        if term.get("kind") == "occurrence":
            yield Addition(path, "across_periods", "goes_on", _GOES_ON)


_GOES_ON = "does the time of an occurrence go on over the end of a period, or start anew?"


def _longer_charges(document: ContractBody) -> Iterator[Addition]:
    """A charge for more than a settlement period was the whole base of the first one."""
    for path, _ in each(document, "bases"):
        yield Addition(
            path,
            "longer_charge",
            "refused",
            "is a charge for more than a settlement period spread, by_days or in equal_parts?",
        )


RULES: tuple[LanguageRule, ...] = (
    _last_credit,
    _across_periods,
    _rights_by_occurrence,
    _longer_charges,
)
"""The rules that bring a document of language 1 to language 2, in order."""
