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

from schemas.whose_word import SAID
from services.core.contracts.wording import FieldPath

LANGUAGE = 2
"""The version of the contract language that this release reads."""

ContractBody = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Addition:
    """A field that a document leaves unsaid. ``path``: the mapping that gets it.

    ``decide``: what a person should decide, as language 1 left it open; None where only one
    meaning is possible.
    """

    path: FieldPath
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
    the rules would add to one of language 1, where it does not state it. An empty list said
    nothing in language 1.
    """
    first = language_of(document) == 1
    if not first and not anew:
        return ()
    found = [
        Addition((), "language", LANGUAGE, None),
        *(one for rule in RULES for one in rule(document)),
    ]
    return tuple(one for one in found if _unsaid(mapping_at(document, one.path), one.key, first))


def _unsaid(mapping: ContractBody, key: str, first: bool) -> bool:
    return key not in mapping or (first and mapping[key] == [])


def upgraded(document: ContractBody) -> dict[str, Any]:
    """A copy of a document in today's language."""
    copy: dict[str, Any] = deepcopy(dict(document))
    for one in additions(document):
        mapping_at(copy, one.path)[one.key] = deepcopy(one.value)
    return copy


def lifted(document: ContractBody) -> dict[str, Any]:
    """A copy of a body that an earlier release stored, in today's language.

    As `upgraded`; a body of language 2 gets what language 2 asks for since.
    """
    copy = upgraded(document)
    for rule in LATER:
        for one in rule(copy):
            mapping_at(copy, one.path).setdefault(one.key, deepcopy(one.value))
    return copy


def mapping_at(document: Any, path: FieldPath) -> Any:
    """The mapping at a path of a document."""
    for part in path:
        document = document[part]
    return document


def each(document: Any, *keys: str) -> Iterator[tuple[FieldPath, Mapping[str, Any]]]:
    """Every mapping below a chain of keys, with its path; lists are walked, what is absent is not.

    ``each(agreement, "levels", "credits", "quantity")``: the quantity of every credit.
    """
    yield from _each(document, (), keys)


def _each(
    node: Any, path: FieldPath, keys: tuple[str, ...]
) -> Iterator[tuple[FieldPath, Mapping[str, Any]]]:
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


_COUNTED_FROM_OUTAGES = ("availability_by_outages", "outage_time", "outage_count")
_COUNTED_FROM_PARTS = ("ratio", "tickets_in_time", "delivery_delay")


def _silence(document: ContractBody) -> Iterator[Addition]:
    """Language 1: where nobody reports an outage there is none, and 0 of 0 is no data."""
    for path, measure in each(document, "metrics", "measure"):
        if measure.get("kind") in _COUNTED_FROM_OUTAGES:
            said = "a time of which nobody reports counts as without outage; or not_observed"
            yield Addition(path, "silence", "up", said)
        if measure.get("kind") in _COUNTED_FROM_PARTS:
            said = "0 of 0 is as if nothing had been reported; or no_result, or {counts_as: N}"
            yield Addition(path, "nothing_to_count", "no_data", said)
    for path, _ in each(document, "levels", "low_volume"):
        said = "a period of which every one is left out is without data; or no_result"
        yield Addition(path, "nothing_left", "no_data", said)


def _halves(document: ContractBody) -> Iterator[Addition]:
    """Language 1: what lacks its other half counts as it can, and nobody is told."""
    for path, measure in each(document, "metrics", "measure"):
        if measure.get("kind") in _COUNTED_FROM_OUTAGES:
            said = "an outage that closes and was never opened counts nothing; or wait"
            yield Addition(path, "incomplete", "left_out", said)
        if measure.get("kind") == "tickets_in_time":
            said = "a ticket resolved and never opened was in time with 0 minutes; or wait"
            yield Addition(path, "incomplete", "from_first_change", said)


_ABSENT = "what is not reported or stated counts so; without if_absent the period waits for it"

_COUNTS_AS_NOTHING: Mapping[str, Any] = {
    "figure": {"counts_as": 0},
    "circumstance": {"counts_as": 0},
    "outside_range": "nothing",
    "against_benchmark": "nothing",
}
"""Quantities whose reading counts nothing in language 1 where it is absent."""


def _absent_readings(document: ContractBody) -> Iterator[Addition]:
    """Language 1: a reading that is not there counts as 0, or as no."""
    for at, level in each(document, "levels"):
        for path, credit in each(level, "credits"):
            yield from _absent_in_credit((*at, *path), credit, level)
        for path, relief in each(level, "relief"):
            if relief.get("kind") == "volume":
                yield Addition((*at, *path), "if_absent", "does_not_hold", _ABSENT)
    for path, base in each(document, "bases"):
        if base.get("part_of_period") == "by_days_in_use":
            yield Addition(path, "if_absent", {"counts_as": 1}, _ABSENT)
    for path, term in each(document, "terminations"):
        if term.get("kind") == "occurrence":
            yield Addition(path, "if_absent", "does_not_hold", _ABSENT)
    for path, term in each(document, "single_event"):
        if term.get("keep") == "chosen":
            yield Addition(path, "if_absent", "largest_credit", _ABSENT)
    for path, _ in each(document, "critical_failure"):
        yield Addition(path, "if_absent", {"counts_as": 0}, _ABSENT)
    for path, _ in each(document, "invoicing"):
        yield Addition(path, "if_absent", "carried", _ABSENT)


def _openings(document: ContractBody) -> Iterator[Addition]:
    """Language 1: an opening that nobody states is nothing, whatever was given before."""
    for section in ("caps", "shared_caps", "banks"):
        for path, term in each(document, section):
            if term.get("opening") is not None:
                yield Addition(path, "if_absent", "nothing", _UNSTATED)


_UNSTATED = "an opening that nobody states is nothing; without if_absent the period waits for it"


def _vendors_see(document: ContractBody) -> Iterator[Addition]:
    """Language 1: of other vendors' events that count in its figures, a vendor sees no identity."""
    vendors = document.get("vendors")
    if isinstance(vendors, list | tuple) and len(vendors) > 1:
        said = "of events of other vendors in its levels a vendor sees figures; or nothing, events"
        yield Addition((), "vendors_see", "figures", said)


def _absent_in_credit(
    path: FieldPath, credit: ContractBody, level: ContractBody
) -> Iterator[Addition]:
    for at, quantity in each(credit, "quantity"):
        kind = str(quantity.get("kind"))
        if kind in _COUNTS_AS_NOTHING:
            yield Addition((*path, *at), "if_absent", _COUNTS_AS_NOTHING[kind], _ABSENT)
        elif kind in ("shortfall", "excess", "duration") and _may_lack(quantity, level):
            yield Addition((*path, *at), "if_absent", "nothing", _ABSENT)
    for at, rate in each(credit, "rate"):
        if rate.get("of") == "result" and level.get("no_data") == "met":
            yield Addition((*path, *at), "if_absent", "nothing", _ABSENT)
    for at, factor in each(credit, "factors"):
        if factor.get("kind") in ("figure", "by_figure"):
            yield Addition((*path, *at), "if_absent", {"counts_as": 0}, _ABSENT)


def _may_lack(quantity: ContractBody, level: ContractBody) -> bool:
    """Whether a quantity can be asked for while its figure is absent.

    The level's own is absent only where a period without data has a standing all the same.
    """
    if "metric" in quantity:
        return True
    if quantity.get("kind") == "duration":
        return level.get("no_data") != "no_result"
    return level.get("no_data") == "met"


def _whose_word(document: ContractBody) -> Iterator[Addition]:
    """Language 1: what any party of the agreement states counts at once."""
    if document.get("kind") == "programme":
        said = "whose word counts, for each: buyer, vendor, either, both, or a third party"
        yield Addition((), "whose_word", dict.fromkeys(SAID, "either"), said)


_COMPOSITES = ("series", "parallel")
"""Measures that are made of others and that no source reports."""


def _reported(document: ContractBody) -> list[str]:
    """The metrics of a programme that sources may report."""
    measures = {
        str(metric.get("metric")): metric.get("measure") for _, metric in each(document, "metrics")
    }
    return [
        name
        for name, measure in measures.items()
        if not (isinstance(measure, Mapping) and measure.get("kind") in _COMPOSITES)
    ]


def _reporting(document: ContractBody) -> Iterator[Addition]:
    """Language 1: a source that lists no metrics may report every one."""
    for path, source in each(document, "sources"):
        if not source.get("metrics"):
            said = "which of them does it report? a period waits for each source that lists one"
            yield Addition(path, "metrics", _reported(document), said)


def _several_sources(document: ContractBody) -> Iterator[Addition]:
    """Language 1: events of all sources of a metric count together."""
    every = _reported(document)
    listed = [source.get("metrics") or every for _, source in each(document, "sources")]
    for path, metric in each(document, "metrics"):
        name = metric.get("metric")
        if name in every and sum(name in names for names in listed) > 1:
            said = "all its sources count together; or {binding: SOURCE}, others are compared"
            yield Addition(path, "several_sources", "added", said)


def _disputed_amount(document: ContractBody) -> Iterator[Addition]:
    """Language 1: what is disputed stays due."""
    for path, _ in each(document, "disputes"):
        said = "is the disputed amount of a line due while the dispute is open: stays_due, withheld"
        yield Addition(path, "disputed_amount", "stays_due", said)


RULES: tuple[LanguageRule, ...] = (
    _last_credit,
    _across_periods,
    _rights_by_occurrence,
    _longer_charges,
    _silence,
    _halves,
    _absent_readings,
    _openings,
    _vendors_see,
    _whose_word,
    _reporting,
    _several_sources,
    _disputed_amount,
)
"""The rules that bring a document of language 1 to language 2, in order."""

LATER: tuple[LanguageRule, ...] = (_disputed_amount,)
"""Those of the rules for what language 2 did not ask for at first. A file of it is asked now; what
was applied by then is read as it was meant."""
