"""An amount changes with a fact only where the contract says so; else the period waits.

Every stated fact of the worked contracts, and one of each generated one, is taken out, moved over
a boundary, lengthened, shortened, narrowed or put into another currency. A period that then comes
to something else must be one whose terms say what that means, by the page on facts; all others
wait, or the fact is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from re import findall
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.agreement import Agreement
from schemas.base import Noun
from schemas.composites import Composite
from schemas.statement import SettlementStatement
from services.core.settling.one_period import Unsettled
from tests.core import generated_contracts
from tests.core.golden.given import TELLERS
from tests.core.golden.production import Contracts, Event, Refused, evaluations, load, settled
from tests.core.golden.test_golden import CASES
from tests.core.settling.altered_facts import Altered, alterations
from tests.docs.facts_page import answers, terms

QUESTION = {"absent": "absent", "longer": "longer or shorter", "shorter": "longer or shorter",
            "narrowed": "narrowed", "boundary": "boundary", "currency": "currency"}  # fmt: skip
NAMES = {term: name for name, term in terms().items()}
FIXED = {"claim": "claim", "service_in_use": "bases"}
"""Circumstances that no field names, and the term that reads them."""

SETTLED = [name for name in TELLERS if not CASES[name]["expect"].get("refused")]

Outcomes = dict[str, SettlementStatement | Unsettled]


@pytest.mark.parametrize("name", SETTLED)
def test_no_amount_changes_in_silence(name: str) -> None:
    story = TELLERS[name](CASES[name]["given"]["facts"])
    contracts = load(story.contract)
    events = story.runs[-1]
    for agreement in contracts.names():
        before = _outcomes(contracts, agreement, events, story.through)
        assert before is not None
        for altered in alterations(events):
            after = _outcomes(contracts, agreement, altered.events, story.through)
            if after is not None and _comes_to_something_else(before, after):
                said = _what_says_so(contracts, agreement, altered)
                assert said, (agreement, altered.how, altered.fact["data"])


@given(generated_contracts.contracts(), generated_contracts.facts(), st.data())
@settings(max_examples=400, deadline=None)
def test_no_amount_of_a_generated_contract_changes_in_silence(
    contracts: Contracts, events: list[dict[str, Any]], data: st.DataObject
) -> None:
    altered = data.draw(st.sampled_from(list(alterations(events))))
    through = generated_contracts.MONTHS[-1]
    before = _outcomes(contracts, "generated", events, through)
    after = _outcomes(contracts, "generated", altered.events, through)
    if before is not None and after is not None and _comes_to_something_else(before, after):
        assert _what_says_so(contracts, "generated", altered), (altered.how, altered.fact["data"])


def _outcomes(
    contracts: Contracts, agreement: str, events: Sequence[Event], through: str
) -> Outcomes | None:
    """What each period comes to; None where an event is refused."""
    try:
        known = evaluations(contracts, agreement, events, through)
    except Refused:
        return None
    return {one.period: one for one in settled(contracts, agreement, known)}


def _comes_to_something_else(before: Outcomes, after: Outcomes) -> bool:
    return any(
        isinstance(now, SettlementStatement)
        and isinstance(before[period], SettlementStatement)
        and now.total_minor != before[period].total_minor
        for period, now in after.items()
    )


def _what_says_so(contracts: Contracts, agreement: str, altered: Altered) -> list[str]:
    """The terms by which the change is what the contract states."""
    found = []
    for version in contracts.versions(agreement):
        for noun, key in _readers(contracts, version, altered.fact):
            if _allows(noun, key, altered):
                found.append(key)
    return found


def _allows(noun: Noun, key: str, altered: Altered) -> bool:
    cells = [answers()[key][QUESTION[altered.how]]]
    if altered.how in ("boundary", "narrowed"):
        cells.append(answers()[key]["absent"])  # it is absent where it was
    words = {word for cell in cells for word in findall(r"`(\w+)`", cell)}
    if getattr(noun, "if_absent", "wait") != "wait":
        return True
    if altered.how in ("longer", "shorter"):
        return bool(words & {"stated", "counts"}) or _is_yes_or_no(cells[0], altered)
    return bool(words & {"stated", "counts", "nothing"})


def _is_yes_or_no(cell: str, altered: Altered) -> bool:
    """What holds for longer than it was stated for may hold where it did not before."""
    return altered.how == "longer" and "longer `holds`" in cell


def _readers(contracts: Contracts, version: Agreement, fact: Event) -> Iterator[tuple[Noun, str]]:
    """The terms of an agreement that read a fact, with their names on the page."""
    data = fact["data"]
    if fact["type"] == "earnback.charge.v1":
        yield from ((base, "bases") for base in version.bases if base.base == data["base"])
        return
    if "circumstance" in data and data["circumstance"] in FIXED:
        yield version, FIXED[data["circumstance"]]
        return
    wanted = {data.get("circumstance") or data["metric"]}
    for metric in contracts.programme.metrics:
        if isinstance(metric.measure, Composite) and wanted & set(metric.measure.parts):
            wanted.add(metric.metric)
            yield metric.measure, "measure series/parallel: parts"
    yield from _naming(version, wanted)


def _naming(noun: Any, wanted: set[str]) -> Iterator[tuple[Noun, str]]:
    if isinstance(noun, tuple):
        for one in noun:
            yield from _naming(one, wanted)
    if isinstance(noun, Noun):
        for field in type(noun).model_fields:
            value = getattr(noun, field)
            key = f"{NAMES.get(type(noun))}: {field}"
            if key in answers() and isinstance(value, str) and value in wanted:
                yield noun, key
            yield from _naming(value, wanted)
