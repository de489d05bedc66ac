"""The page on facts: every term and every name in the schemas has its answers there."""

from __future__ import annotations

from re import findall, match

import pytest

from tests.docs.facts_page import QUESTIONS, alone, answers, bases, names_in, others, terms

WORDS = ("waits", "refused", "stated", "counts", "holds", "nothing", "none")


def test_every_name_in_a_contract_is_on_the_page() -> None:
    wanted = {f"{name}: {field}" for name, term in terms().items() for field in names_in(term)}
    told = {f"{term}: {field}" for term, fields in others().items() for field in fields}
    facts = {key for key in answers() if ": " in key}
    assert facts | bases() | told == wanted
    assert not facts & told
    assert not facts & bases()


def test_every_term_is_on_the_page() -> None:
    told = {key.split(": ")[0] for key in (*answers(), *bases())} | set(others()) | alone()
    assert told == set(terms())


@pytest.mark.parametrize("key", answers())
def test_every_question_has_an_answer(key: str) -> None:
    for question in QUESTIONS:
        cell = answers()[key][question]
        said = match(r"(?:longer |the level is what is chosen; )?`(\w+)`", cell)
        assert cell.startswith(("as ", "tells ")) or (said and said[1] in WORDS), (question, cell)


@pytest.mark.parametrize("key", answers())
def test_a_field_that_states_it_is_there(key: str) -> None:
    """What stands in backticks after the first word is a field of the term, or of one beside it."""
    fields = {field for term in terms().values() for field in term.model_fields}
    values = {"service_in_use"}
    for cell in answers()[key].values():
        words = set(findall(r"`(\w+)`", cell)) - set(WORDS)
        assert words <= fields | values, cell
