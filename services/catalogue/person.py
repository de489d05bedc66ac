"""Who uses a key, where a request names somebody."""

from __future__ import annotations

from typing import Any

from services.catalogue.audit import LONGEST_NAME, checked_person
from services.shell.http.problems import Fault, Problem

PERSON = "On-Behalf-Of"
"""The header that names whoever uses a key."""
PERSON_PARAMETER: dict[str, Any] = {
    "name": PERSON,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
    "description": "Who uses the key, in UTF-8: it is written into the audit.",
}
"""The header as OpenAPI documents have it: routes read it by hand."""


def person_of(header: str | None) -> str | None:
    """Who uses the key, as the header says; None where it is not there. Raises Problem 400."""
    if header is None:
        return None
    try:
        return checked_person(header.encode("latin-1").decode())
    except ValueError as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        fault = Fault(PERSON, reason, "write the name of whoever uses the key in UTF-8", "header")
        raise Problem(400, "bad-header", "A header is not usable.", faults=[fault]) from error
