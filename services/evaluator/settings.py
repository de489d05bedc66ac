"""What the evaluator is told beside the common settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from services.evaluator.recount import MOST_FACTS
from services.shell.settings import BadSettings

PARTS = ("apply", "close", "answer")
"""What a process of the evaluator can do: apply frames, count and close periods, answer questions
over HTTP. None of them waits for another but through the database."""

_DEFAULTS = {
    "EARNBACK_IDLE_AFTER": 6 * 3600.0,
    "EARNBACK_QUIET": 1.0,
    "EARNBACK_CLOSE_EVERY": 1.0,
    "EARNBACK_MOST_FACTS": float(MOST_FACTS),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds. ``idle_after``: when a silent source no longer holds others back.

    ``quiet``: how long nothing may have come before late facts are counted. ``every``: between
    two looks. ``facts``: at most so many are read for one period.
    """

    idle_after: float
    quiet: float
    every: float
    facts: int = MOST_FACTS


def read_pace(environ: Mapping[str, str] | None = None) -> Pace:
    """How patient the closer is.

    `EARNBACK_IDLE_AFTER`: seconds of silence after which a source no longer holds periods open.
    `EARNBACK_QUIET`: seconds without late facts before they are counted.
    `EARNBACK_CLOSE_EVERY`: seconds between two looks.
    `EARNBACK_MOST_FACTS`: at most so many facts are read for one period.
    Raises BadSettings naming every variable that is wrong.
    """
    given = os.environ if environ is None else environ
    values, complaints = dict(_DEFAULTS), []
    for name in _DEFAULTS:
        text = given.get(name)
        if text:
            try:
                values[name] = float(text)
            except ValueError:
                values[name] = -1.0
            if not 0.01 <= values[name] <= 10**9:
                complaints.append(f"{name} cannot be used: give a number, 0.01 or more")
    if complaints:
        raise BadSettings("\n".join(complaints))
    idle_after, quiet, every, facts = values.values()
    return Pace(idle_after, quiet, every, int(facts))


def read_parts(environ: Mapping[str, str] | None = None) -> frozenset[str]:
    """What this process does: `EARNBACK_EVALUATOR_PARTS`, names of PARTS with commas, or all.

    Raises BadSettings where a name is another.
    """
    text = (os.environ if environ is None else environ).get("EARNBACK_EVALUATOR_PARTS")
    parts = frozenset(each.strip() for each in text.split(",")) if text else frozenset(PARTS)
    if not parts <= set(PARTS):
        raise BadSettings(
            f"EARNBACK_EVALUATOR_PARTS={text!r}: give one or more of {', '.join(PARTS)}"
        )
    return parts
