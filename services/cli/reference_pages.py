"""Writes the generated tables into the pages of docs/ that tell a document field by field.

    python -m services.cli.reference_pages [--check]

A table stands between ``<!-- table: NAME -->`` and ``<!-- end of table -->``; what is around it is
written by hand. With ``--check`` nothing is written; the exit code is 1 where a page is not
current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.field_tables import field_table, nouns_of, table
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from schemas.statement_names import FIGURES, LINE_KINDS, STANDINGS, STEP_RULES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("statement.md", "programme.md")
_PLACE = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def _named(names: Mapping[Any, str]) -> Callable[[], str]:
    rows = [(f"`{name}`", means) for name, means in names.items()]
    return lambda: table(("name", "means"), rows)


def _figures() -> str:
    rows = [(f"`{name}`", one.unit, one.means) for name, one in FIGURES.items()]
    return table(("figure", "unit", "means"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "figures": _figures,
    "step rules": _named(STEP_RULES),
    "kinds of line": _named(LINE_KINDS),
    "standings": _named(STANDINGS),
}
"""The tables that are not of one noun's fields."""


def text(page: str) -> str:
    """The page with its tables as they should be. Raises ValueError for a table nobody makes."""
    return _PLACE.sub(_made, (DOCS / page).read_text(encoding="utf-8"))


def _made(place: re.Match[str]) -> str:
    name = place[2]
    if name in TABLES:
        return f"{place[1]}{TABLES[name]()}{place[3]}"
    nouns = nouns_of(SettlementStatement) | nouns_of(Programme)
    if name.removeprefix("fields of ") not in nouns:
        raise ValueError(f"there is no table '{name}'; write one of {', '.join(TABLES)}, or fields "
                         f"of {', '.join(nouns)}")  # fmt: skip
    return f"{place[1]}{field_table(nouns[name.removeprefix('fields of ')])}{place[3]}"


def main() -> None:
    """Write the pages, or only check."""
    if "--check" in sys.argv[1:]:
        stale = [page for page in PAGES if text(page) != (DOCS / page).read_text(encoding="utf-8")]
        print(f"not current: {', '.join(stale)}" if stale else "all are current")
        sys.exit(bool(stale))
    for page in PAGES:
        (DOCS / page).write_text(text(page), encoding="utf-8")


if __name__ == "__main__":
    main()
