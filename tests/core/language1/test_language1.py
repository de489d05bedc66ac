"""An upgraded contract settles every period as language 1 did, byte for byte."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from services.core.contracts.check import check
from services.core.contracts.language import upgraded as upgraded_body
from services.core.contracts.reading import read_documents
from services.core.contracts.upgrading import Upgrade, upgrade_text
from tests.core.golden.production import Contracts, evaluations, settled
from tests.core.language1.worked import Record, contract, records, said, upgraded
from tests.core.told import outcomes

CASES = records("cases")
STORIES = records("stories")

ATTRIBUTED = "the statement says to whom an occurrence that counts nothing is attributed"

EVIDENCE = "who says whom an occurrence is attributed to is evidence of the line"

NO_WAIT = "a month that takes 0 % of the next bill no longer waits for it"

BOOKED = "what is payable is at least zero, and so is what is booked"

DROPPED = "the last statement says what is dropped of credits that were put off"

NOT_OVER = "the result names what is not over at the end of its period"

NOBODY = "a statement of a level or subject that is not there makes the period wait"

MENDED: dict[str, str] = {
    "G40 g40": ATTRIBUTED,
    "G40 an incident of the operator alone g40": ATTRIBUTED,
    "G41a g41": EVIDENCE,
    "G41a equal to the benchmark nobody pays g41": EVIDENCE,
    "G41a below the benchmark the operator pays g41": EVIDENCE,
    "G37a g37": NO_WAIT,
    "G37a between two rows takes the lower g37": NO_WAIT,
    "G37a fewer than the first row is nothing g37": NO_WAIT,
    "G37c g37": NO_WAIT,
    "payments 9": BOOKED,
    "factors_and_ceilings 3": NOBODY,
    "factors_and_ceilings 4": NOBODY,
    "quantities 14": NOBODY,
    "rare_terms 12": NOBODY,
    "rare_terms 29": NOBODY,
    "rare_terms 31": NOBODY,
    "rare_terms 33": NOBODY,
    "reliefs 2": NOBODY,
    "reliefs 3": NOBODY,
    "single_events 7": NOBODY,
    "E17 e17": NOT_OVER,
    "E17 below the minimum e17": NOT_OVER,
    "earn_backs 13": DROPPED,
    "earn_backs 15": DROPPED,
    "corners 16": "days of the calendar of an occurrence that is not over were none",
    "claims_and_disputes 8": "a claim of one subject pays no line that is not that subject's",
}
"""Where today's rules give another statement, and why; docs/language.md tells each."""


def _name(record: Record) -> str:
    if "page" in record:
        return f"{record['page']} {record['number']}"
    return " ".join(filter(None, (record["case"], record["variant"], record.get("agreement"))))


@cache
def _programme() -> Programme:
    programmes, broken = read_documents(upgraded("programme"), "programme.yaml")
    assert not broken, [refusal.text() for refusal in broken]
    (programme,) = programmes.programmes
    return programme


@cache
def _load(name: str) -> Contracts:
    programme = _programme()
    documents, refusals = read_documents(upgraded(name), f"{name}.yaml")
    for document in documents.documents:
        refusals += check(document, programme, documents.agreements)
    assert not refusals, [refusal.text() for refusal in refusals]
    return Contracts(programme, documents.agreements, refusals)


@pytest.mark.parametrize("record", CASES, ids=_name)
def test_a_worked_case_comes_to_the_same(record: Record) -> None:
    contracts = _load(record["contract"])
    if "refused" in record:
        return
    given = record["agreement"], record["events"], record["through"], record["run"]
    known = evaluations(contracts, *given, stored_before=True)
    _same(record, said(settled(contracts, record["agreement"], known)))


@pytest.mark.parametrize("record", STORIES, ids=_name)
def test_a_stored_contract_comes_to_the_same(record: Record) -> None:
    versions = [
        Agreement.model_validate_json(json.dumps(upgraded_body(one)))
        for one in record["agreements"]
    ]
    known = [PeriodEvaluation.model_validate_json(json.dumps(one)) for one in record["evaluations"]]
    _same(record, said(outcomes(versions, known)))


def _same(record: Record, now: list[Record]) -> None:
    if _name(record) in MENDED:
        assert now != record["outcomes"], f"it is the same again: {_name(record)}"
    else:
        assert now == record["outcomes"]


def test_every_difference_belongs_to_a_record() -> None:
    assert set(MENDED) <= set(map(_name, CASES + STORIES))


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (Path(__file__).parent / "contracts").glob("*.yaml"))
)
def test_an_upgraded_file_is_the_same_text_with_more_in_it(name: str) -> None:
    before, after = contract(name), upgraded(name)
    rest = iter(after)
    assert all(sign in rest for sign in before), "nothing of the text is lost or moved"
    again = upgrade_text(after, name)
    assert isinstance(again, Upgrade)
    assert (again.text, again.added) == (after, ()), "an upgraded file is upgraded once"


LAID_OUT = """# heading
kind: agreement   # which kind
levels:
  - level: up   # first
    credits:
      - quantity: {kind: one}   # braces
      - quantity: {
          kind: one,
        }
    note: >
      folded
      text
"""


def test_fields_are_written_where_a_person_would() -> None:
    from services.core.contracts import language

    def rule(document: Any) -> Any:
        for path, _ in language.each(document, "levels"):
            yield language.Addition(path, "silence", "up", "is silence up?")
        for path, _ in language.each(document, "levels", "credits", "quantity"):
            yield language.Addition(path, "absent", {"counts_as": 0}, "what if there is none?")
        for path, _ in language.each(document, "levels", "credits"):
            yield language.Addition(path, "way", "a: b")

    was = language.RULES
    language.RULES = (rule,)
    try:
        found = upgrade_text(LAID_OUT, "x.yaml")
    finally:
        language.RULES = was
    assert isinstance(found, Upgrade)
    assert (
        found.text
        == """# heading
kind: agreement   # which kind
language: 2
levels:
  - level: up   # first
    # decide: is silence up?
    silence: up
    credits:
      # decide: what if there is none?
      - quantity: {kind: one, absent: {counts_as: 0}}   # braces
        way: "a: b"
      # decide: what if there is none?
      - quantity: {
          kind: one, absent: {counts_as: 0}
        }
        way: "a: b"
    note: >
      folded
      text
"""
    )


def test_a_file_of_language_1_is_refused_with_the_remedy() -> None:
    _, refusals = read_documents(contract("E01"), "E01.yaml")
    assert [one.text() for one in refusals] == [
        "E01.yaml:1:1: language: the document is in language 1 of contracts; this release reads 2; "
        "run: earnback contract upgrade E01.yaml"
    ]


def test_the_programme_of_the_worked_contracts_is_upgraded_as_stored_too() -> None:
    body = json.loads(
        (Path(__file__).parents[2] / "catalogue/stored/language-1.jsonl").open().readline()
    )
    Programme.model_validate_json(json.dumps(upgraded_body(body)))
