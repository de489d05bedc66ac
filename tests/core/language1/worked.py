"""The worked contracts in language 1, and what they came to: read only, never written anew.

`contracts/` holds the files as they were. `cases.jsonl.gz`: the events of every worked case and
variant, and what each period came to. `stories.jsonl.gz`: the small contracts of `rules_told` as
they were stored, with their evaluations, and what each period came to.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from re import sub
from typing import Any

from schemas.statement import SettlementStatement, canonical
from services.core.contracts.upgrading import Upgrade, upgrade_text
from services.core.settling.one_period import Unsettled

FOLDER = Path(__file__).parent
Record = dict[str, Any]


def records(name: str) -> list[Record]:
    """The records of a file, in order."""
    lines = gzip.decompress((FOLDER / f"{name}.jsonl.gz").read_bytes()).splitlines()
    return [json.loads(line) for line in lines]


def contract(name: str) -> str:
    """A contract file of language 1 as it was."""
    return (FOLDER / "contracts" / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def upgraded(name: str) -> str:
    """The same file, upgraded as text."""
    found = upgrade_text(contract(name), f"{name}.yaml")
    assert isinstance(found, Upgrade), found
    return found.text


def said(outcomes: Sequence[SettlementStatement | Unsettled]) -> list[Record]:
    """Outcomes as the records hold them. The version of the rules is left out: there was none."""
    return [_said(one) for one in outcomes]


def _said(outcome: SettlementStatement | Unsettled) -> Record:
    if isinstance(outcome, Unsettled):
        # The days that can be stated have bounds since, and the reason names them.
        reasons = [
            one.replace("a day from 1990 to 2199 such", "a day such") for one in outcome.reasons
        ]
        return {"period": outcome.period, "waits": reasons}
    body = json.loads(canonical(outcome))
    body.pop("rules", None)
    for result in body["results"]:
        _without_what_came_since(result)
    for name in FIGURES_SINCE:
        body["figures"].pop(name, None)
    for line in body["lines"]:
        line["steps"] = [_as_worded(one) for one in line["steps"]]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {
        "period": outcome.period,
        "total": outcome.total_minor,
        "sha256": sha256(text.encode()).hexdigest(),
    }


FIGURES_SINCE = ("claimable", "claim-by")
"""Figures that statements have since: they say more of the same amounts."""

FIELDS_SINCE = ("expected_tie", "minimum_tie")
"""Fields of a result that statements have since."""


def _without_what_came_since(result: Record) -> None:
    """Take the ties out, and the steps that tell why a credit is not due; reliefs as worded."""
    for name in FIELDS_SINCE:
        result.pop(name, None)
    result["steps"] = [
        _as_worded(one)
        for one in result["steps"]
        if one["rule"] != "condition" or " is not due: " not in one["text"]
    ]


def _as_worded(made: Record) -> Record:
    """The step in the words of language 1.

    It left out a factor of one, ``5.00 = 5.00``, and how a circumstance stands that excuses.
    """
    if made["rule"] == "relief":
        said = sub(
            r"^((not )?excused: [^ ]+) (holds|is denied|is not stated)$", r"\1", made["text"]
        )
        return made | {"text": said}
    if made["rule"] != "rate":
        return made
    return made | {"text": sub(r"^1 x (?=(-?[0-9,.]+) = \1$)", "", made["text"])}
