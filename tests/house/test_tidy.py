"""What protects money and keeps the house in order, held against every file that is tracked."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = sorted([*(ROOT / "services/core").rglob("*.py"), *(ROOT / "schemas").glob("*.py")])
CORE = sorted(path for path in (ROOT / "services/core").rglob("*.py") if path.name != "__init__.py")
SERVICES = sorted((ROOT / "services").rglob("*.py"))
MIGRATIONS = sorted((ROOT / "infra/postgres/migrations").iterdir())

# Calls by which a sum could lose a cent, a result could differ between two runs, or a pure
# function could touch the world.
_FORBIDDEN = {
    *("float", "round", "print", "open", "input", "eval", "exec", "hash"),
    *("now", "utcnow", "today", "time_ns", "monotonic", "uuid1", "uuid4"),
    *("getrandom", "urandom", "randint", "random", "fsum"),
}

_OF_AN_EVENT = {
    *("source", "event_id", "identity", "subject", "about", "corrects"),
    *("data", "raw", "body", "payload", "value", "headers", "text", "problem", "detail"),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and last name of everything that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.lineno, node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.lineno, node.func.attr


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_no_binary_float_and_no_clock_and_no_chance_is_near_money(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [found for found in calls(tree) if found[1] in _FORBIDDEN] == []
    written = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]
    assert written == [], "a number with a point is a binary float; write a Fraction or an integer"


def test_the_search_finds_what_it_looks_for() -> None:
    tree = ast.parse("float('1'); datetime.now(); uuid.uuid4(); exact('1')")
    assert [name for _, name in calls(tree) if name in _FORBIDDEN] == ["float", "now", "uuid4"]


def lines_logged(tree: ast.AST) -> Iterator[ast.Call]:
    """Every `log(...).level(...)` and `leave(...)`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        made = node.func.value if isinstance(node.func, ast.Attribute) else None
        called = getattr(node.func, "id", getattr(node.func, "attr", None))
        if called == "leave" or getattr(getattr(made, "func", None), "id", None) == "log":
            yield node


def test_no_log_line_has_a_field_for_what_an_event_says() -> None:
    found, all_lines = [], 0
    for path in SERVICES:
        for line in lines_logged(ast.parse(path.read_text(encoding="utf-8"))):
            all_lines += 1
            level = getattr(line.func, "attr", "")  # `exception` tells what the exception says
            if level == "exception" or {each.arg for each in line.keywords} & _OF_AN_EVENT:
                found.append((name_of(path), line.lineno))
    assert all_lines > 40
    assert found == []


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_every_module_of_core_and_schemas_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "it has no docstring"


def imports(path: Path) -> set[str]:
    """Dotted names of what a file imports; of ``from a import b`` both a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{each.name}" for each in node.names)
    return found


def test_every_module_of_core_is_under_the_tests_of_core() -> None:
    files = {name_of(path)[:-3].replace("/", "."): path for path in CORE}
    waiting = {
        name for path in (ROOT / "tests/core").rglob("*.py") for name in imports(path) & set(files)
    }
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= (imports(files[name]) & set(files)) - reached
    assert sorted(set(files) - reached) == []


def test_migrations_have_no_gaps_and_say_why() -> None:
    numbers = [int(folder.name.split("-")[0]) for folder in MIGRATIONS]
    assert numbers == list(range(1, len(MIGRATIONS) + 1))
    for folder in MIGRATIONS:
        assert {each.name for each in folder.iterdir()} == {"up.sql", "why.md"}
        assert "Reverse:" in (folder / "why.md").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.fail("git does not list the files; run the tests in a clone of the repository")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# Put together here, so that this file does not hold what it looks for.
_UNWANTED = {
    "work that was left": rf"#\s*{'TO'}DO|\b{'FIX'}ME\b",
    "a path of one machine": r"(?<![\w.-])/(?:work|root|home/\w+|Users/\w+)/",
    "a registry's host": r"\b(?:{})\b".format(
        "|".join(
            rf"{host}\.{end}"
            for host, end in (
                ("pypi", "org"),
                ("pythonhosted", "org"),
                ("npmjs", "(?:org|com)"),
                ("maven", "(?:org|apache)"),
                ("crates", "io"),
                ("ghcr", "io"),
                ("quay", "io"),
                ("docker", "io"),
            )
        )
    ),
    "a lock's own index": r"--(?:extra-)?index-url|--trusted-host",
}


@pytest.mark.parametrize("what", _UNWANTED)
def test_no_tracked_file_holds(what: str) -> None:
    pattern = re.compile(_UNWANTED[what])
    found = []
    for path in tracked():
        raw = path.read_bytes()
        if b"\0" in raw:
            continue
        for number, line in enumerate(raw.decode("utf-8").splitlines(), 1):
            if pattern.search(line) and path != Path(__file__):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    assert found == []
