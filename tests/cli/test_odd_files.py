"""`earnback settle` ends with a sentence, whatever the files hold."""

from __future__ import annotations

import gzip
import random
import zlib
from pathlib import Path

import pytest

from services.cli import files
from tests import command

EXAMPLE = Path(__file__).parents[2] / "services/cli/example"
CONTRACT = (EXAMPLE / "contracts.yaml").read_bytes()
EVENTS = b"".join((EXAMPLE / "events.ndjson").read_bytes().splitlines(keepends=True)[:20])

ODD_EVENTS = {
    "nothing": b"",
    "spaces": b" \n\n ",
    "zeros": b"\0" * 100,
    "not UTF-8": b'{"id": "\xff\xfe"}\n',
    "UTF-16": EVENTS.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + EVENTS,
    "deep": b"[" * 100_000,
    "deep lines": b'{"a":' * 50_000 + b"\n",
    "a list of lists": b"[[], {}, 1, null]",
    "a number": b"1e999999",
    "half of a pair": b'{"id": "\\ud800", "source": "\\ud800"}\n',
    "a key twice": EVENTS.splitlines()[0].replace(b'{"', b'{"id": "x", "', 1),
    "a long number": b'{"id": ' + b"9" * 10_000 + b"}\n",
    "cut off": EVENTS[:-30],
}
ODD_CONTRACTS = {
    "nothing": b"",
    "a tab": b"kind:\tprogramme\n\t- x",
    "an alias of itself": b"a: &a [*a]\n",
    "a thousand million aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 9)) for n in range(97, 106)
    ),
    "an object of Python": b"!!python/object/apply:os.system ['true']\n",
    "a merge of a text": b"<<: text\nkind: agreement\n",
    "keys that are lists": b"? [a, b]\n: c\n",
    "a key twice": b"kind: programme\nkind: agreement\n",
    "binary": b"\x80\x81\x82",
    "zeros": b"kind: \0\n",
    "UTF-16": CONTRACT.decode().encode("utf-16"),
    "deep": b"[" * 500,
    "numbers that are none": b"kind: agreement\nversion: .inf\nname: .nan\neffective_from: 0o17\n",
    "a date that is none": CONTRACT.replace(b"2025-01-01", b"2025-02-30"),
    "a list": b"- kind: agreement\n",
    "two documents, one broken": CONTRACT + b"\n---\n{",
    "a tag": b"kind: !secret agreement\n",
    "a year": b"kind: programme\neffective_from: 99999-01-01\n",
}


def settled(folder: Path, contract: bytes, events: bytes, name: str = "e.ndjson") -> command.Said:
    (folder / "c.yaml").write_bytes(contract)
    (folder / name).write_bytes(events)
    said = command.run(
        "settle", str(folder / "c.yaml"), str(folder / name), "--through", "2025-01-31"
    )
    assert said.code in (0, 1, 70), said
    assert "Traceback" not in said.err + said.out
    assert "not foreseen" not in said.err, said.err
    assert said.code == 0 or said.err.strip()
    return said


@pytest.mark.parametrize("odd", ODD_EVENTS)
def test_odd_events_are_refused_in_words(odd: str, tmp_path: Path) -> None:
    settled(tmp_path, CONTRACT, ODD_EVENTS[odd])


@pytest.mark.parametrize("odd", ODD_CONTRACTS)
def test_odd_contracts_are_refused_in_words(odd: str, tmp_path: Path) -> None:
    assert settled(tmp_path, ODD_CONTRACTS[odd], EVENTS).code != 0


def test_files_with_bytes_changed_at_random_end_in_words(tmp_path: Path) -> None:
    chance = random.Random(9)
    for number in range(6):
        changed = bytearray(CONTRACT if number % 2 else EVENTS)
        for _ in range(chance.randrange(1, 5)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        if number % 2:
            settled(tmp_path, bytes(changed), EVENTS)
        else:
            settled(tmp_path, CONTRACT, bytes(changed))


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (gzip.compress(EVENTS)[:-12], "gzip"),
        (b"\x1f\x8b" + b"\xff" * 50, "gzip"),
        (gzip.compress(EVENTS)[:20] + b"\0" * 200, "gzip"),
        (EVENTS, "gzip"),
        (zlib.compress(EVENTS), "gzip"),
        (gzip.compress(b"\n" * 3_000_000), "more than 1 MiB when unpacked; split it"),
    ],
)
def test_a_packed_file_is_unpacked_within_bounds(
    packed: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_OF_A_FILE", 1024**2)
    said = settled(tmp_path, CONTRACT, packed, "e.ndjson.gz")
    assert said.code in (1, 70)
    assert why in said.err


@pytest.mark.parametrize("day", ["20250131", "2025-W05-5"])
def test_a_day_is_written_in_one_way(day: str, tmp_path: Path) -> None:
    said = command.run("settle", str(EXAMPLE), str(EXAMPLE / "events.ndjson"), "--through", day)
    assert said.code == 1
    assert "YYYY-MM-DD" in said.err
