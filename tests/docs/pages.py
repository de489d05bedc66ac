"""Reads the pages of docs/: their fenced blocks and the rows of their tables."""

from __future__ import annotations

from pathlib import Path
from re import DOTALL, MULTILINE, findall

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    """The text of a page of docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Every fenced block of a language, in order."""
    return findall(rf"^```{language}\n(.*?)^```", text, DOTALL | MULTILINE)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its rank or above."""
    end = rf"(?=^#{{1,{len(heading.split()[0])}}} |\Z)"
    (found,) = findall(rf"^{heading}\n(.*?){end}", text, DOTALL | MULTILINE)
    return str(found)


def rows(text: str) -> list[list[str]]:
    """The cells of every table row that begins with a code name."""
    lines = findall(r"^\| (\[?`.*) \|$", text, MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def names(cell: str) -> list[str]:
    """The code names in a cell."""
    return findall(r"`([^`]+)`", cell)
