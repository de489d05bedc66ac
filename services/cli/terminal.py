"""What goes to a terminal: text that others wrote is shown there, never obeyed.

Names, comments and reasons come from vendors and buyers. A terminal takes control characters in
them as orders, rich takes brackets as markup, and marks of direction let a line read otherwise than
it is. Every command prints through this module; a test of the house holds it.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

_ORDERS = re.compile(
    # C0 without tab and line break, DEL and C1; marks of direction; breaks that are no "\n".
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


def plain(text: str) -> str:
    """A text with what a terminal would obey written out: ESC as ``\\x1b``."""
    return _ORDERS.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def styled(text: str, style: str) -> Text:
    """A text in a style, such as bold."""
    return Text(plain(text), style=style)


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text."""
    typer.echo(plain(text), err=err, nl=nl)


def complain(text: str) -> None:
    """Print a line to stderr, also where the command has not got far."""
    sys.stderr.write(f"{plain(text)}\n")


def document(text: str, *, nl: bool = True) -> None:
    """Print a text that is kept to the byte, unless a terminal shows it."""
    if sys.stdout.isatty():
        text = plain(text)
    typer.echo(text, nl=nl)


class PlainConsole(Console):
    """A console without markup and emoji codes, to which every text is plain."""

    def __init__(self, **given: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **given)

    def render_str(self, text: str, **given: Any) -> Text:
        """Every string that is printed, in tables and trees too, comes by here."""
        return super().render_str(plain(text), **given)
