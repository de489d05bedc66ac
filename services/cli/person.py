"""Who works at the command line, as the audit writes it down."""

from __future__ import annotations

import getpass
import os

from services.catalogue.audit import Author, at_the_command_line, checked_person
from services.shell.settings import BadSettings

VARIABLE = "EARNBACK_PERSON"


def named_person() -> str | None:
    """The person that the environment names. Raises BadSettings for what cannot be a name."""
    said = os.environ.get(VARIABLE, "")
    try:
        return checked_person(said) if said else None
    except ValueError as error:
        raise BadSettings(f"{VARIABLE} cannot be used: {error}") from error


def command_author() -> Author:
    """Who changes something with the database's own access: as named, else by the login name."""
    return at_the_command_line(named_person() or _login())


def _login() -> str | None:
    try:
        return checked_person(getpass.getuser())
    except (OSError, KeyError, ValueError):  # a container's user may have no name
        return None
