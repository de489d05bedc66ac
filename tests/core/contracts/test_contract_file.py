"""Reading contract files: exact numbers, and every refusal at its line with a remedy."""

from __future__ import annotations

from fractions import Fraction

import pytest

from services.core.contracts.reading import (
    MOST_CHARACTERS,
    MOST_DEPTH,
    MOST_NODES,
    Refusal,
    read_documents,
)
from tests.core.interchange.written_told import PROGRAMME
from tests.core.told import HEAD, LEVEL

GOOD = HEAD.lstrip() + LEVEL


def refusals(text: str) -> tuple[Refusal, ...]:
    """The refusals of a text; nothing may be accepted beside them."""
    documents, found = read_documents(text, "c.yaml")
    assert documents.documents == ()
    return found


def only(text: str) -> Refusal:
    """The one refusal of a text."""
    (found,) = refusals(text)
    return found


def changed(old: str, new: str) -> str:
    """The good contract with one change."""
    assert old in GOOD, old
    return GOOD.replace(old, new)


def line_of(text: str, word: str) -> int:
    """The line of a text that holds a word, counted from 1."""
    return next(n for n, line in enumerate(text.splitlines(), start=1) if word in line)


def test_a_good_contract_is_accepted() -> None:
    documents, found = read_documents(GOOD, "c.yaml")
    assert found == ()
    assert [one.agreement for one in documents.agreements] == ["hosting"]


def test_numbers_are_taken_as_written() -> None:
    text = changed("at_least: 99", "at_least: 99.900000000000000001")
    documents, _ = read_documents(text, "c.yaml")
    expected = documents.agreements[0].levels[0].expected
    assert expected is not None
    assert expected.at_least == Fraction("99.900000000000000001")


def test_a_ratio_is_a_number() -> None:
    text = changed("percent: 10", "percent: 1/30")
    documents, _ = read_documents(text, "c.yaml")
    rate = documents.agreements[0].levels[0].credits[0].rate
    assert getattr(rate, "percent", None) == Fraction(1, 30)


@pytest.mark.parametrize("number", ["1e3", ".5", "1_000", "0x10", "nan"])
def test_what_is_no_exact_number_is_refused(number: str) -> None:
    found = only(changed("percent: 10", f"percent: {number}"))
    assert found.path == "levels[0].credits[0].rate.percent"
    assert "not an exact number" in found.reason


def test_a_missing_term_is_named_with_its_place_and_meaning() -> None:
    found = only(changed(", rounded_at: total", ""))
    assert (found.line, found.path) == (line_of(GOOD, "conventions"), "conventions.rounded_at")
    assert "one of total, line" in found.remedy


def test_an_unknown_term_is_refused_with_the_nearest_name() -> None:
    found = only(changed("judged: exact", "judgd: exact\n    judged: exact"))
    assert found.reason == "'judgd' is not a term that is known here"
    assert found.remedy == "did you mean 'judged'?"


def test_an_unknown_kind_is_refused_with_the_nearest_kind() -> None:
    found = only(changed("kind: on_default", "kind: on_defalt"))
    assert found.path == "levels[0].credits[0].due.kind"
    assert "did you mean 'on_default'?" in found.remedy


def test_a_missing_kind_is_told_with_all_kinds() -> None:
    found = only(changed("due: {kind: on_default}", "due: {}"))
    assert found.reason == "'kind' is not stated"
    assert "every_period" in found.remedy


def test_a_time_zone_that_is_none_is_refused() -> None:
    text = PROGRAMME.lstrip().replace("America/New_York", "Berlin")
    refused = only(text)
    assert refused.line == line_of(text, "time_zone")
    assert "'Berlin' is not an IANA zone; write one such as Europe/Berlin or UTC" in refused.text()


def test_a_choice_is_told_with_what_can_be_written() -> None:
    found = only(changed("settled: month", "settled: monthly"))
    assert found.remedy.startswith("did you mean 'month'?")


def test_a_choice_between_a_word_and_terms_is_refused_once() -> None:
    assert only(changed("judged: exact", "judged: roughly")).path == "levels[0].judged"
    assert only(changed("judged: exact", "judged: {decimals: 2}")).path == "levels[0].judged.mode"


def test_a_name_that_is_a_number_must_be_quoted() -> None:
    assert only(changed("name: Hosting", "name: 365")).remedy == "put it in quotes"
    assert read_documents(changed("name: Hosting", "name: '365'"), "c.yaml")[1] == ()


def test_a_currency_that_is_none_is_not_told_to_be_a_name() -> None:
    found = only(changed("currency: EUR", "currency: EURO"))
    assert found.reason == "'EURO' is no currency code"
    assert found.remedy == "write the three capital letters of ISO 4217, such as EUR"


def test_every_refusal_of_a_file_is_told_in_order() -> None:
    text = changed("version: 1", "version: 0").replace("currency: EUR", "currency: EUX")
    assert [one.path for one in refusals(text)] == ["version", "currency"]


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    found = only(changed("version: 1", "version: 1\nversion: 2"))
    assert found.reason == f"'version' is stated twice; first in line {line_of(GOOD, 'version')}"
    assert found.line == line_of(GOOD, "version") + 1


def test_broken_yaml_is_refused_at_its_place() -> None:
    found = only(changed("settled: month", "settled: [month"))
    assert found.reason.startswith("not readable as YAML")


def test_an_alias_that_multiplies_is_refused() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for here, there in zip("bcdefg", "abcdef", strict=True):
        bomb += f"{here}: &{here} [{', '.join([f'*{there}'] * 10)}]\n"
    assert "repeats too much" in only(bomb).reason


def test_an_alias_of_itself_is_refused() -> None:
    assert "too deep" in only("kind: agreement\nlanguage: 2\nlevels: &l [*l]\n").reason


def test_a_large_file_is_refused_unread() -> None:
    assert "characters" in only("#" * (MOST_CHARACTERS + 1)).reason


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a list\n", "kind: contract\n", "a: 1\n"])
def test_what_is_no_document_is_refused(text: str) -> None:
    assert only(text).remedy


def test_several_documents_stand_in_one_file() -> None:
    other = GOOD.replace("agreement: hosting", "agreement: network")
    documents, found = read_documents(f"{GOOD}---\n{other}", "c.yaml")
    assert found == ()
    assert [one.agreement for one in documents.agreements] == ["hosting", "network"]


def test_a_good_document_is_accepted_beside_a_refused_one() -> None:
    documents, found = read_documents(f"{GOOD}---\nkind: agrement\n", "c.yaml")
    assert len(documents.documents) == 1
    assert found[0].remedy == "write kind: agreement"


def test_the_order_must_name_every_step_once() -> None:
    found = only(GOOD + "order: [levels, credits, rounding]\n")
    assert "order must name every step once" in found.reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{at_least: 99}", "{at_least: 99, below: 100}", "exactly one of"),
        ("no_data: no_result", "no_data: miss\n    minimum: {at_most: 95}", "different directions"),
        ("effective_from: 2025-01-01", "effective_from: 2025-01-02", "not the first day"),
        ("is_a: service_credit", "is_a: banked", "banked needs 'bank'"),
        ("{kind: every_miss}", "{kind: below_minimum}", "needs a minimum level"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(old: str, new: str, reason: str) -> None:
    assert reason in only(changed(old, new)).reason


def test_no_data_as_a_miss_needs_a_result_where_the_price_depends_on_it() -> None:
    priced = changed(
        "quantity: {kind: one}",
        "quantity: {kind: shortfall, counted_from: 99, step: 1, part_step: in_proportion}",
    )
    assert "counts_as" in only(priced.replace("no_data: no_result", "no_data: miss")).remedy
    told = priced.replace("no_data: no_result", "no_data: {counts_as: 0}")
    assert read_documents(told, "c.yaml")[1] == ()


def test_a_file_may_have_so_many_characters_and_no_more() -> None:
    reason = "the file has 1000001 characters, more than 1000000"
    remedy = "split it into several files"
    assert only("#" * (MOST_CHARACTERS + 1)) == Refusal("c.yaml", 1, 1, "", reason, remedy)
    assert only("@" * MOST_CHARACTERS).reason.startswith("not readable as YAML")


@pytest.mark.parametrize(("more", "reason"), [(0, "kind is missing"), (1, "too deep or repeats")])
def test_so_many_values_and_levels_are_read_and_no_more(more: int, reason: str) -> None:
    lists = MOST_DEPTH - 1 + more
    deep = only(f"a: {'[' * lists}x{']' * lists}\n")
    remedy = "use fewer aliases; at most 50000 values, 40 levels deep"
    assert reason in deep.reason
    assert (deep.remedy == remedy) == (more == 1)
    repeated = f"a: &a [{', '.join('x' * 998)}]\nb: [{', '.join(['*a'] * 49)}]\n"
    values = 1 + (1 + 998) + (1 + 49 * (1 + 998))
    text = f"{repeated}c: [{', '.join('x' * (MOST_NODES - values - 1 + more))}]\n"
    assert reason in only(text).reason


@pytest.mark.parametrize("kind", ["kind", "money_rounding", "half_up"])
def test_a_kind_is_refused_where_a_term_has_none(kind: str) -> None:
    found = refusals(changed("conventions: {", f"conventions: {{kind: {kind}, "))
    assert {one.line for one in found} == {line_of(GOOD, "conventions")}


def test_a_pair_of_one_is_refused_where_its_other_half_would_stand() -> None:
    event = "single_event: {circumstance: by, keep: largest_credit, adds: [[uptime]]}\n"
    assert only(GOOD + event).path == "single_event.adds[0][1]"


@pytest.mark.parametrize("text", ["", "- a list\n", "a: [\n", "? [a]\n: b\n"])
def test_a_refusal_of_a_whole_document_names_no_path(text: str) -> None:
    assert only(text).path == ""
