"""What was applied once is read for ever: bodies as earlier releases stored them.

`stored/language-N.jsonl` holds, a line each, the programme and agreements of every kind of term
that the language N knew. Lines are added under a new number; none is changed or removed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.catalogue.store import load
from services.catalogue.stored import agreement_of, lift, programme_of

STORED = Path(__file__).parent / "stored"
BODIES = [
    pytest.param(line, id=f"{path.stem}-{number}")
    for path in sorted(STORED.glob("*.jsonl"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
]
DIGESTS = {"language-1": "aed9e159c09707c2bec5d51852f7ea4180cb6994bddc3bfe71fd18d0c7cb787e"}


def read(text: str) -> Programme | Agreement:
    return programme_of(text) if json.loads(text)["kind"] == "programme" else agreement_of(text)


@pytest.mark.parametrize("text", BODIES)
def test_a_body_of_an_earlier_release_is_read_and_means_what_it_meant(text: str) -> None:
    now = read(text).model_dump(mode="json")
    assert missing(lift(json.loads(text)), now) == []


def test_a_stored_body_of_language_2_is_not_asked_what_is_asked_of_files_since() -> None:
    found = [json.loads(each.values[0]) for each in BODIES]
    body = lift(next(each for each in found if each.get("disputes")))
    assert body.pop("language") == 2
    del body["disputes"]["disputed_amount"]
    stored = json.dumps({**body, "language": 2})
    terms = agreement_of(stored).disputes
    assert terms is not None
    assert terms.disputed_amount == "stays_due"
    withheld = json.loads(stored)
    withheld["disputes"]["disputed_amount"] = "withheld"
    kept = agreement_of(json.dumps(withheld)).disputes
    assert kept is not None
    assert kept.disputed_amount == "withheld"


def missing(then: Any, now: Any, at: str = "") -> list[str]:
    """Where the body of today says something else; fields that came since may be more."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [
            place
            for name, value in then.items()
            for place in missing(value, now.get(name, "nothing"), f"{at}/{name}")
        ]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return [place for n, (a, b) in pairs for place in missing(a, b, f"{at}/{n}")]
    same = then == now or (type(then) is int and str(then) == now)  # numbers are written as text
    return [] if same else [at]


def test_the_stored_bodies_are_those_that_were_stored() -> None:
    found = {path.stem: path.read_bytes() for path in STORED.glob("*.jsonl")}
    assert {name: hashlib.sha256(text).hexdigest() for name, text in found.items()} == DIGESTS


async def test_a_database_with_bodies_of_an_earlier_release_is_loaded(database: str) -> None:
    connection = await asyncpg.connect(database)
    lines = (STORED / "language-1.jsonl").read_text(encoding="utf-8").splitlines()
    programme = json.loads(lines[0])
    agreement = json.loads(lines[1])
    await connection.execute(
        "insert into programme_version (programme, version, effective_from, body, sha256)"
        " values ($1, 1, '2020-01-01', $2, sha256($3))",
        programme["programme"],
        lines[0],
        lines[0].encode(),
    )
    await connection.executemany(
        "insert into metric_number (number, programme, metric) values ($1, $2, $3)",
        [(n, programme["programme"], one["metric"]) for n, one in enumerate(programme["metrics"])],
    )
    await connection.execute(
        "insert into agreement_version (agreement, version, programme, vendor, effective_from,"
        " body, sha256) values ($1, 1, $2, $3, '2020-01-01', $4, sha256($5))",
        agreement["agreement"],
        agreement["programme"],
        agreement["vendor"],
        lines[1],
        lines[1].encode(),
    )
    catalogue = await load(connection)
    await connection.close()
    assert catalogue.programmes[programme["programme"]] == (programme_of(lines[0]),)
    assert catalogue.agreements[agreement["agreement"]] == (agreement_of(lines[1]),)
