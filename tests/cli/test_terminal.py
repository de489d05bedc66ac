"""Text of other people is shown on a terminal and in logs, never obeyed."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.tree import Tree

from services.cli import show, terminal
from services.cli.terminal import PlainConsole, plain, styled

CLI = Path(__file__).parents[2] / "services/cli"
HOSTILE = "a[bold red]b[/] :bomb: \x1b[31m\x1b]0;owned\x07\x9b2J\r\u202eevil\u2028x\u2066\x00\x08"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    said = plain(HOSTILE)
    assert said.startswith("a[bold red]b[/] :bomb: \\x1b[31m\\x1b]0;owned\\x07\\x9b2J\\x0d\\u202e")
    assert said.isprintable()
    assert plain("línea 1\n\tzwei – 3 €") == "línea 1\n\tzwei – 3 €"


@pytest.mark.parametrize("colours", [True, False])
def test_no_way_of_printing_lets_it_through(colours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, width=300, force_terminal=colours)
    monkeypatch.setattr(show, "out", console)
    show.table(("name", HOSTILE), [(HOSTILE, "one\ntotal 0.00")])
    grid = Table(title=HOSTILE)
    grid.add_column(HOSTILE)
    grid.add_row(HOSTILE)
    tree = Tree(HOSTILE)
    tree.add(HOSTILE)
    for each in (HOSTILE, grid, tree, styled(HOSTILE, "bold")):
        console.print(each)
    text = out.getvalue()
    assert text.count("[bold red]b[/] :bomb:") == 9
    assert "one\\ntotal" in text
    # What is left of escapes are the styles of the console itself.
    assert "\x1b[31m" not in text
    assert not set("\x07\x9b\r\u202e\u2028\u2066\x00\x08") & set(text)
    assert ("\x1b" in text) == colours


def test_every_command_prints_through_that_module() -> None:
    own = {CLI / "terminal.py", CLI / "contract_schema.py", CLI / "reference_pages.py"}
    own.add(CLI / "start.py")  # speaks where that module cannot be loaded, in words of its own
    found = []
    for path in sorted({*CLI.rglob("*.py")} - own):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print", "typer.echo", "Console", "sys.stdout.write", "sys.stderr.write",
                "click.echo", "rich.print",
            ):  # fmt: skip
                found.append(f"{path.name}:{node.lineno}")
    assert found == []
    assert isinstance(show.out, terminal.PlainConsole)
    assert isinstance(show.err, terminal.PlainConsole)


def test_a_log_line_is_one_line_of_ascii_json_whatever_it_tells() -> None:
    code = (
        "from services.shell import logs; import logging, sys;"
        "logs.configure('x'); text = sys.stdin.read();"
        "logs.log('a').warning(text, why=text);"
        "logging.getLogger('b').error('%s', text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=HOSTILE.encode(), capture_output=True, check=True
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.isascii()
        assert min(line) >= 0x20
        assert HOSTILE.splitlines()[0][:10] in json.loads(line)["event"]
