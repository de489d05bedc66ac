"""One type name has one meaning: no two modules define the same one."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for folder in ("schemas", "services", "infra") for path in (ROOT / folder).rglob("*.py")
)


def type_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of every class, and of every alias of a type at a module's top level.

    A leading underscore does not count: ``_Row`` beside ``Row`` reads as one thing. A name of one
    letter is a type variable, as everywhere.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.lineno, node.name.lstrip("_")
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Name):
                name = target.id.lstrip("_")
                if name[:1].isupper() and not name.isupper():
                    yield node.lineno, name


def test_no_type_name_is_defined_twice() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for line, name in type_names(ast.parse(path.read_text(encoding="utf-8"))):
            places[name].append(f"{path.relative_to(ROOT)}:{line}")
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert twice == {}, "give each its own name, or define it once and import it"


def test_the_search_finds_what_it_looks_for() -> None:
    tree = ast.parse("_Rows = list[int]\nLIMIT = 3\nT = 4\nclass Rows:\n    class Row: ...\n")
    assert sorted(name for _, name in type_names(tree)) == ["Row", "Rows", "Rows"]
