"""The how-to pages: every contract on them holds, and every output is what comes out."""

from __future__ import annotations

from pathlib import Path
from re import DOTALL, findall

import pytest

from schemas.agreement import Agreement
from services.core.contracts.check import check
from services.core.contracts.diff import contract_diff
from services.core.contracts.inheritance import Resolution, resolve, whence
from services.core.contracts.reading import Document, read_documents
from services.core.contracts.underpinning import gaps
from tests.core.test_terms_pages import PROGRAMME
from tests.core.told import HEAD, LEVEL, agreement, evaluation, outcomes, totals

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
SHARED = (PAGES / "share-terms-between-agreements.md").read_text(encoding="utf-8")
CHANGED = (PAGES / "change-a-contract.md").read_text(encoding="utf-8")
INHERITED, UNDERPINNED = findall(r"```yaml documents\n(.*?)```", SHARED, DOTALL)


def resolved(text: str) -> Resolution:
    """The documents of an example with what they inherit."""
    found, refusals = read_documents(text, "example.yaml")
    assert not refusals, [one.text() for one in refusals]
    resolution = resolve(found.documents)
    assert not resolution.refusals, [one.text() for one in resolution.refusals]
    return resolution


def nouns(documents: tuple[Document, ...]) -> list[Agreement]:
    """The agreements among documents."""
    return [one.noun for one in documents if isinstance(one.noun, Agreement)]


@pytest.mark.parametrize("text", [INHERITED, UNDERPINNED], ids=["inherited", "underpinned"])
def test_an_example_is_without_fault(text: str) -> None:
    (programme,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    for document in resolved(text).documents:
        assert check(document, programme) == ()


def test_the_portal_of_the_shops_has_its_own_level_and_the_rest_from_above() -> None:
    (portal,) = nouns(resolved(INHERITED).documents)
    assert {one.term: one.agreement for one in whence(portal)} == {
        "levels.uptime": "shops-portal",
        "bases.fee": "group-terms",
        "caps.month": "group-terms",
        "clauses.contact": "shops-terms",
        "clauses.law": "group-terms",
    }
    # 20 % of 1,000.00 held to the group's 15 %.
    assert totals(portal, "99.9", "99.89") == [0, 15_000]


def test_the_changes_that_a_framework_brings_are_those_on_the_page() -> None:
    newer = INHERITED.replace("version: 1", "version: 2").replace("percent: 15", "percent: 20")
    (before,), (after,) = (nouns(resolved(text).documents) for text in (INHERITED, newer))
    (shown,) = findall(r"```text changes\n(.*?)```", SHARED, DOTALL)
    assert shown.splitlines() == [one.text() for one in contract_diff(before, after)]


def test_the_gaps_on_the_page_are_those_that_are_found() -> None:
    (programme,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    found = gaps(nouns(resolved(UNDERPINNED).documents), [programme])
    (shown,) = findall(r"```text\n(.*?)```", SHARED, DOTALL)
    assert shown.splitlines() == [gap.text() for gap in found]


def test_an_ola_is_measured_and_reported_without_money() -> None:
    _, servers = nouns(resolved(UNDERPINNED).documents)
    (statement,) = outcomes(servers, [evaluation("2025-02", "99.4", fee=None)])
    assert not hasattr(statement, "reasons")
    assert [one.standing for one in statement.results] == ["below_expected"]
    assert (statement.lines, statement.total_minor) == ((), 0)


def test_the_changes_on_the_page_are_those_that_are_found() -> None:
    table = """
levels:
  - level: uptime
    name: Uptime
    metric: uptime
    expected: {at_least: 99}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
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
    new = (HEAD + table).replace("version: 1", "version: 2").replace(
        "expected: {at_least: 99}", "expected: {at_least: 99.5}"
    ).replace("gives: 10", "gives: 12") + (
        "caps:\n  - {cap: month, window: period,"
        " limit: {kind: percent_of, percent: 15, base: fee}}\n"
    )
    (shown,) = findall(r"```text\n(.*?)```", CHANGED, DOTALL)
    found = contract_diff(agreement(HEAD + table), agreement(new))
    lines = [line.strip() for line in shown.strip().splitlines()]
    assert lines == [f"agreement hosting: {one.text()}" for one in found]


@pytest.mark.parametrize("kind", ["service", "customer", "corporate", "ola", "underpinning",
                                  "commitment", "target"])  # fmt: skip
def test_every_type_of_agreement_settles_by_its_terms_alone(kind: str) -> None:
    one = agreement((HEAD + LEVEL).replace("type: service", f"type: {kind}"))
    assert totals(one, "98.9", "99") == [10_000, 0]
    assert f"| `{kind}` |" in SHARED
