"""Changes between versions, in words: terms by name, rows by the values they hold."""

from __future__ import annotations

import pytest

from schemas.agreement import Agreement
from services.core.contracts.diff import contract_diff
from services.core.contracts.inheritance import resolve
from services.core.contracts.reading import read_documents
from tests.core.adjusting.test_shared_caps import cap
from tests.core.adjusting.test_shared_caps import programme as under_caps
from tests.core.said import programme
from tests.core.told import HEAD, LEVEL, agreement, terms

TABLE = """
levels:
  - level: uptime
    name: Uptime
    metric: uptime
    judged: exact
    no_data: no_result
    defaults: {kind: never}
    credits:
      - is_a: service_credit
        due: {kind: every_period}
        quantity: {kind: one}
        rate:
          kind: by_band
          of: result
          gives: amount
          bands:
            - {at_least: 99, gives: 0}
            - {at_least: 98, below: 99, gives: 10}
            - {below: 98, gives: 20}
"""
DESK = """  - level: desk
    name: Desk
    metric: desk
    expected: {at_least: 90}
    judged: {decimals: 1, mode: half_up}
    no_data: no_result
    defaults: {kind: never}
"""


def lines(old: Agreement, new: Agreement) -> list[str]:
    """All changes as people read them."""
    return [change.text() for change in contract_diff(old, new)]


def changed(old: str, new: str, level: str = LEVEL) -> list[str]:
    """The changes when a text becomes another one."""
    before = agreement(HEAD + level)
    return lines(before, agreement((HEAD + level).replace(old, new)))


def test_equal_documents_have_no_changes() -> None:
    assert contract_diff(terms(), terms()) == ()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("at_least: 99", "at_least: 99.5", "level uptime, expected: at least 99 → at least 99.5"),
        ("at_least: 99", "above: 99", "level uptime, expected: at least 99 → above 99"),
        ("percent: 10", "percent: 1/3", "level uptime, credit 1, rate, percent: 10 → 1/3"),
        ("version: 1", "version: 2", "version: 1 → 2"),
        ("2025-01-01", "2025-02-01", "effective from: 2025-01-01 → 2025-02-01"),
        ("half_up", "down", "conventions, money rounding: half_up → down"),
        ("judged: exact", "judged: {decimals: 2, mode: half_even}",
         "level uptime, judged: exact → 2 decimals, half even"),
        ("kind: every_miss", "kind: never", "level uptime, defaults: every miss → never"),
        ("kind: percent_of, percent: 10, base: fee", "kind: amount, amount: 5",
         "level uptime, credit 1, rate: percent of, percent 10, base fee → amount, amount 5"),
        ("wait, part_of", "zero, part_of", "base fee, if missing: wait → zero"),
        ("refused}", "refused, per_subject: true}", "base fee, per subject: no → yes"),
    ],
)  # fmt: skip
def test_a_change_is_said_in_words(old: str, new: str, line: str) -> None:
    assert changed(old, new) == [line]


def test_a_path_has_names_in_place_of_positions() -> None:
    other = terms(level=LEVEL.replace("percent: 10", "percent: 11"))
    (change,) = contract_diff(terms(), other)
    assert change.path == "levels[uptime].credits[1].rate.percent"


def test_a_level_put_before_another_changes_nothing_else() -> None:
    both = LEVEL.replace("levels:\n", f"levels:\n{DESK}")
    (line,) = lines(terms(), terms(level=both))
    assert line.startswith("level desk: added, level desk, name Desk, metric desk, expected at lea")
    (line,) = lines(terms(level=both), terms())
    assert line.startswith("level desk: left out (was level desk, name Desk")


def test_the_order_of_terms_is_a_change_of_its_own() -> None:
    first = "  - {cap: a, window: period, limit: {kind: amount, amount: 1}}\n"
    second = first.replace("cap: a", "cap: b")
    old, new = (terms(f"caps:\n{text}") for text in (first + second, second + first))
    assert lines(old, new) == ["order of caps: a, b → b, a"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("below: 99, gives: 10", "below: 99, gives: 12",
         ["row 'at least 98, below 99': at least 98, below 99: gives 10 → "
          "at least 98, below 99: gives 12"]),
        ("98", "97",
         ["row 'at least 98, below 99': at least 98, below 99: gives 10 → "
          "at least 97, below 99: gives 10",
          "row 'below 98': below 98: gives 20 → below 97: gives 20"]),
        ("            - {below: 98, gives: 20}",
         "            - {at_least: 90, below: 98, gives: 20}\n"
         "            - {below: 90, gives: 30, name: worst}",
         ["row 'below 98': below 98: gives 20 → at least 90, below 98: gives 20",
          "row 'below 90': added, below 90: gives 30 (worst)"]),
    ],
)  # fmt: skip
def test_tables_are_compared_row_by_row(old: str, new: str, expected: list[str]) -> None:
    before = "level uptime, credit 1, rate, "
    assert changed(old, new, TABLE) == [before + line for line in expected]


def test_rows_in_another_order_are_no_change_of_what_they_give() -> None:
    rows = "            - {at_least: 99, gives: 0}\n"
    moved = TABLE.replace(rows, "") + rows
    assert lines(agreement(HEAD + TABLE), agreement(HEAD + moved)) == []


def test_a_cap_and_a_clause_are_added_by_name() -> None:
    more = terms(
        "caps:\n  - {cap: month, window: period, limit: {kind: amount, amount: 100}}\n",
        "clauses:\n  - {clause: law, about: governing_law, text: German law.}\n",
    )
    assert lines(terms(), more) == [
        "cap month: added, cap month, window period, limit (amount, amount 100)",
        "clause law: added, clause law, about governing_law, text German law.",
    ]
    assert lines(more, terms())[0].startswith("cap month: left out (was cap month")


def test_programmes_are_compared_too() -> None:
    old = programme()
    better = old.metrics[0].model_copy(update={"decimals": 2})
    new = old.model_copy(update={"version": 2, "metrics": (better, *old.metrics[1:])})
    assert [one.text() for one in contract_diff(old, new)] == [
        "version: 1 → 2",
        "metric samples, decimals: 3 → 2",
    ]


def test_a_shared_cap_put_before_another_is_added_by_name() -> None:
    second, first = cap(cap="second"), cap(cap="first")
    (change,) = contract_diff(under_caps(second), under_caps(first, second))
    assert change.text().startswith("shared cap first: added")


def test_an_agreement_beside_a_programme_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        contract_diff(programme(), terms())


# --- what is inherited ----------------------------------------------------------------------------

GROUP = HEAD.replace("agreement: hosting", "agreement: group").replace(
    "type: service", "type: corporate\nframework: true"
)
CAP = "caps:\n  - {cap: month, window: period, limit: {kind: amount, amount: 50}}\n"


def inherited(framework: str, own: str = "levels: []\n") -> Agreement:
    """The usual agreement under a framework of these terms."""
    head = HEAD.replace("bases:\n", "inherits: {agreement: group, version: 1}\nbases:\n")
    found, refusals = read_documents(f"{GROUP}{framework}---\n{head}{own}", "both.yaml")
    assert not refusals, [one.text() for one in refusals]
    resolution = resolve(found.documents)
    assert not resolution.refusals, [one.text() for one in resolution.refusals]
    (document,) = resolution.documents
    assert isinstance(document.noun, Agreement)
    return document.noun


def test_a_change_of_an_inherited_term_says_where_it_comes_from() -> None:
    before, after = inherited(LEVEL), inherited(LEVEL.replace("percent: 10", "percent: 12"))
    (change,) = contract_diff(before, after)
    assert change.origin == "group version 1"
    assert change.text() == (
        "level uptime, credit 1, rate, percent: 10 → 12 (inherited from group version 1)"
    )


def test_an_inherited_term_that_comes_or_goes_is_one_line() -> None:
    without, capped = inherited(LEVEL), inherited(LEVEL + CAP)
    (came,) = lines(without, capped)
    (gone,) = lines(capped, without)
    assert came.startswith("cap month: added, cap month")
    assert gone.startswith("cap month: left out (was cap month")
    assert came.endswith("(inherited from group version 1)")
    assert gone.endswith("(inherited from group version 1)")


def test_own_terms_say_nothing_of_an_origin() -> None:
    own = CAP.replace("50", "60")
    (line,) = lines(
        inherited(LEVEL + CAP, f"levels: []\n{own}"),
        inherited(LEVEL + CAP, f"levels: []\n{own.replace('60', '70')}"),
    )
    assert line == "cap month, limit, amount: 60 → 70"


def test_a_term_that_is_now_stated_here_says_that_it_has_moved() -> None:
    found = lines(inherited(LEVEL + CAP), inherited(LEVEL + CAP, f"levels: []\n{CAP}"))
    assert found == ["origin of caps.month: group → itself"]


def test_a_change_in_words_names_no_field() -> None:
    found = contract_diff(under_caps(cap()), under_caps(cap(), cap(5, cap="second")))
    words = " ".join(change.words for change in found)
    assert words.islower()
    assert "_" not in words
