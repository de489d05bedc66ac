"""Bodies of applied versions, read back: the one place where what is stored becomes a noun.

A stored body is never rewritten; periods were settled by it and its digest is of its bytes. When
the language moves on so that an old body would no longer be accepted, a rule is added to
`services.core.contracts.language`.
"""

from __future__ import annotations

import json
from typing import Any

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.contracts.language import lifted

Body = dict[str, Any]


def lift(body: Body) -> Body:
    """A body of any earlier language, said in today's; one of today's as it is.

    By the rules of `services.core.contracts.language`, which keep what the body meant.
    """
    return lifted(body)


def programme_of(text: str) -> Programme:
    """The programme that a stored text says. Raises ValidationError for what no step lifts."""
    return Programme.model_validate_json(_lifted(text))


def agreement_of(text: str) -> Agreement:
    """The agreement that a stored text says. Raises ValidationError for what no step lifts."""
    return Agreement.model_validate_json(_lifted(text))


def _lifted(text: str) -> str:
    # Read again as JSON and not as objects: a date is a text in JSON only.
    return json.dumps(lift(json.loads(text)))
