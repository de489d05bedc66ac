"""The page on effects: every field that may be left out is there, by the schemas."""

from __future__ import annotations

from re import findall

from tests.docs.facts_page import terms
from tests.docs.pages import page, rows, section

ALWAYS = "## Fields that may be left out and always have an effect"


def left_out() -> set[tuple[str, str]]:
    """Term and field, of every field that a contract file may leave out."""
    return {
        (name, field)
        for name, term in terms().items()
        for field, info in term.model_fields.items()
        if not info.is_required() and field != "kind"
    }


def always() -> set[tuple[str, str]]:
    """Those that the page says have an effect wherever they stand."""
    listed = rows(section(page("terms/effects.md"), ALWAYS))
    found = [
        (findall(r"`([^`]+)`", term)[0], field)
        for term, fields, _ in listed
        for field in findall(r"`([^`]+)`", fields)
    ]
    assert len(found) == len(set(found)), "a field stands twice"
    return set(found)


def elsewhere() -> set[str]:
    """The fields that the rest of the page speaks of."""
    text = page("terms/effects.md").replace(section(page("terms/effects.md"), ALWAYS), "")
    return {word for code in findall(r"`([^`]+)`", text) for word in findall(r"\w+", code)}


def test_every_field_that_may_be_left_out_is_refused_where_idle_or_never_is() -> None:
    untold = {(term, field) for term, field in left_out() - always() if field not in elsewhere()}
    assert not untold, "say in docs/terms/effects.md where it has no effect, or that it always has"


def test_the_page_names_no_field_that_is_not_there() -> None:
    assert always() <= left_out()
