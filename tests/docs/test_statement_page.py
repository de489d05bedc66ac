"""docs/statement.md: complete, and its example is what the core says."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from schemas.field_tables import heading, nouns_of
from schemas.statement import LineKind, SettlementStatement, Standing
from schemas.statement_names import FIGURES, LINE_KINDS, STANDINGS, STEP_RULES, figure_named
from tests.core.told import agreement, evaluation, settled
from tests.docs.pages import ROOT, blocks, page

PAGE = page("statement.md")
APPROVED = [
    *(ROOT / "tests/core/rules").glob("*.txt"),
    *(ROOT / "tests/core/golden/explained").glob("*.txt"),
    *(ROOT / "tests/core/compared").glob("*.txt"),
]
PASSED_ON = {"rule"}
"""Names by which a function hands a step's rule on; it is written where that is called."""


def modules() -> Iterator[ast.Module]:
    for path in sorted((ROOT / "services/core").rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def calls(function: str, least: int) -> Iterator[ast.Call]:
    """Calls with at least so many arguments: another function may have the same name."""
    for module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and _calls(node, function, least):
                yield node


def _calls(node: ast.Call, function: str, least: int) -> bool:
    named = getattr(node.func, "id", None) == function
    return named and len(node.args) + len(node.keywords) >= least


def rules_in_the_code() -> set[str]:
    """The rules of all steps: the first argument of `step`, the fourth of `scaled`."""
    found = set()
    for name, place in (("step", 0), ("Step", 0), ("scaled", 3)):
        for call in calls(name, place + 3):
            rule = _argument(call, place)
            if isinstance(rule, ast.Constant):
                found.add(str(rule.value))
            else:
                assert isinstance(rule, ast.Name), ast.dump(rule)
                assert rule.id in PASSED_ON, f"a step's rule is not written out: {rule.id}"
    return found


def _argument(call: ast.Call, place: int) -> ast.expr:
    named = {word.arg: word.value for word in call.keywords}
    return named["rule"] if "rule" in named else call.args[place]


def approved(pattern: str) -> set[str]:
    """What a pattern finds on the approved pages, which the core has made."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in APPROVED)
    return set(re.findall(pattern, text, re.MULTILINE))


def figures_in_the_code() -> set[str]:
    """Every string of the core that is a figure's name, with an ellipsis for what is put in."""
    found: set[str] = set()
    for module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Dict):
                found.update(name for key in node.keys if key and (name := _name(key)))
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                found.add(_name(node.targets[0].slice) or "")
            if isinstance(node, ast.DictComp):
                found.add(_name(node.key) or "")
    return found


def _name(key: ast.expr) -> str | None:
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return key.value
    if isinstance(key, ast.JoinedStr) and isinstance(key.values[0], ast.Constant):
        return str(key.values[0].value).partition("/")[0] + "/…"
    return None


def test_every_rule_that_a_step_can_have_is_told_and_no_other() -> None:
    assert rules_in_the_code() == set(STEP_RULES)
    assert approved(r"^    ([a-z-]+) \[") <= set(STEP_RULES)


def test_every_figure_that_was_ever_made_is_told() -> None:
    made = approved(r"^  ([a-z-]+(?:/[^ ]+)?) = ")
    assert {name for name in made if figure_named(name)[0] is None} == set()


def test_every_figure_that_is_told_is_made_somewhere() -> None:
    made = {_pattern(name) for name in approved(r"^  ([a-z-]+(?:/[^ ]+)?) = ")}
    by_functions = {"dispute-admitted", "dispute-admitted/…"}
    assert set(FIGURES) - figures_in_the_code() - by_functions == set()
    elsewhere = {"shared-headroom/…", "dropped/…"}  # in tests of `tests/core/adjusting`
    assert set(FIGURES) - made == elsewhere - made


def _pattern(name: str) -> str:
    head, slash, _ = name.partition("/")
    return f"{head}/…" if slash else head


def test_the_kinds_and_standings_are_those_of_the_schema() -> None:
    assert tuple(LINE_KINDS) == get_args(LineKind)
    assert tuple(STANDINGS) == get_args(Standing)


def test_every_part_of_a_statement_has_its_table_and_its_heading() -> None:
    for name, noun in nouns_of(SettlementStatement).items():
        assert f"<!-- table: fields of {name} -->" in PAGE
        if noun is not SettlementStatement:
            assert re.search(rf"^###? {heading(noun)}$", PAGE, re.MULTILINE), name


@pytest.fixture
def statement() -> dict[str, Any]:
    (text,) = blocks(PAGE, "yaml agreement")
    (found,) = settled(agreement(text), [evaluation("2025-01", "99.64", fee=5000)])
    made: dict[str, Any] = found.model_dump(mode="json")
    return made


def test_the_example_is_what_the_core_says(statement: dict[str, Any]) -> None:
    assert [json.loads(text) for text in blocks(PAGE, "json lines")] == [statement["lines"]]
    assert [json.loads(text) for text in blocks(PAGE, "json figures")] == [statement["figures"]]


def test_every_name_of_a_line_that_was_ever_made_is_told() -> None:
    told = set(re.findall(r"`([a-z-]+)(?=[`/])", PAGE))
    first = {name.partition("/")[0] for name in approved(r"^  line (\S+): ")}
    levels = approved(r"^  level (\S+) \(")
    assert first - levels <= told


def test_pages_lie_where_they_are_looked_for() -> None:
    assert all(Path(path).exists() for path in APPROVED)
    assert len(APPROVED) > len(get_args(LineKind))
