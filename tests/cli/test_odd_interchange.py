"""`contract import|export` and `violation import|export` end in words, whatever the files hold, and
one file or agreement that is not in order leaves the others made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli import files, interchange
from tests import command
from tests.core.interchange.filling import sample
from tests.core.interchange.test_sla4oai import IAGREE
from tests.core.interchange.test_tmf623 import SLA
from tests.core.interchange.written_told import PROGRAMME
from tests.core.told import HEAD, LEVEL

CONTRACT = HEAD + LEVEL
OTHER = CONTRACT.replace("agreement: hosting", "agreement: other")
VIOLATION = {
    "id": "v7",
    "date": "2025-04-02T00:00:00Z",
    "sla": {"id": "hosting"},
    "violation": {"rule": {"id": "uptime"}, "unit": "percent", "actualValue": "98"},
}
IMPORTED = {
    "openslo": sample("openslo-timeslices.yaml"),
    "sla4oai": IAGREE,
    "tmf623": json.dumps(SLA),
}
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(n + 1)}: &{chr(n + 1)} [{','.join([f'*{chr(n)}'] * 9)}]\n" for n in range(97, 106)
)
ODD_TEXTS: dict[str, tuple[bytes, str]] = {
    "too large": (b"a: " + b"x" * (files.MOST_OF_A_TEXT + 1), "more than 3 MiB"),
    "too many letters": (b"a: " + b"x" * 1_000_001, "more than 1000000 characters"),
    "UTF-16": (IMPORTED["sla4oai"].encode("utf-16"), "no text in UTF-8"),
    "binary": (b"\x80\x81\x82", "no text in UTF-8"),
    "a key twice": (b'{"id": "a", "id": "b"}', "'id' is stated twice"),
    "an alias of itself": (b"a: &a [*a]\n", "too deep or repeats too much of itself"),
    "aliases without end": (BOMB.encode(), "too deep or repeats too much of itself"),
    "a key that is a list": (b"? [a, b]\n: c\n", "a key is no single word"),
    "deep": (b"[" * 500 + b"]" * 500, "too deep"),
}


def in_words(*arguments: str) -> command.Said:
    """What a command said; it has ended as it does where nothing is our own failure."""
    said = command.run(*arguments)
    assert said.code in (0, 1), said
    assert "Traceback" not in said.err + said.out
    assert "not foreseen" not in said.err, said.err
    assert "defect of earnback" not in said.err, said.err
    return said


@pytest.mark.parametrize(
    ("odd", "form"),
    [*((odd, "tmf623") for odd in ODD_TEXTS), *(("a key twice", form) for form in IMPORTED)],
)
def test_a_text_of_another_format_is_read_within_bounds(
    odd: str, form: str, tmp_path: Path
) -> None:
    content, why = ODD_TEXTS[odd]
    (tmp_path / "odd.yaml").write_bytes(content)
    said = in_words("contract", "import", form, str(tmp_path / "odd.yaml"))
    assert (said.code, said.out) == (1, "")
    assert why in said.err


def test_a_contract_file_is_read_within_bounds_and_the_others_are_told_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(ODD_TEXTS["too large"][0])
    (tmp_path / "b.yaml").write_bytes(CONTRACT.encode("utf-16"))
    (tmp_path / "c.yaml").write_text("kind: nothing\n")
    said = in_words("contract", "check", str(tmp_path))
    assert [line.split(":")[0] for line in said.err.splitlines()[:3]] == [
        "a.yaml",
        "b.yaml",
        "c.yaml",
    ]


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A programme and two agreements, and beside them what is not in order."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "programme.yaml").write_text(PROGRAMME)
    (folder / "hosting.yaml").write_text(CONTRACT)
    (folder / "other.yaml").write_text(OTHER)
    (folder / "faulty.yaml").write_text(CONTRACT.replace("agreement: hosting", "agreement: x y"))
    (folder / "binary.yaml").write_bytes(b"\x80\x81\x82")
    return folder


def test_agreements_in_order_are_exported_beside_files_that_are_not(contracts: Path) -> None:
    said = in_words("contract", "export", "tmf623", str(contracts))
    assert said.code == 1
    assert "binary.yaml:1:1: no text in UTF-8" in said.err
    assert "faulty.yaml:" in said.err
    good = [str(contracts / f"{name}.yaml") for name in ("programme", "hosting", "other")]
    assert said.out == in_words("contract", "export", "tmf623", *good).out
    assert [one["id"] for one in json.loads(said.out)] == ["hosting", "other"]


def test_an_agreement_that_cannot_be_written_leaves_the_others_written(
    contracts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = interchange.to_sla

    def fails(agreement: Any, programme: Any) -> Any:
        if agreement.agreement == "hosting":
            raise ZeroDivisionError("by nothing")
        return write(agreement, programme)

    monkeypatch.setattr(interchange, "to_sla", fails)
    said = command.run("contract", "export", "tmf623", str(contracts))
    assert said.code == 1
    assert "hosting: working it out failed (ZeroDivisionError: by nothing)" in said.err
    assert [one["id"] for one in json.loads(said.out)] == ["other"]


def test_violations_of_files_in_order_are_made_beside_files_that_are_not(
    contracts: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "violations"
    folder.mkdir()
    (folder / "a.json").write_text("[1, 2")
    (folder / "b.json").write_text(json.dumps(VIOLATION))
    (folder / "c.json.gz").write_bytes(b"no gzip")
    said = in_words("violation", "import", str(contracts), str(folder), "--source", "urn:nimbus")
    assert said.code == 1
    assert json.loads(said.out)["data"]["period"] == "2025-03"
    for told in ("faulty.yaml:", "binary.yaml:", "a.json: not a JSON array", "c.json.gz: not in"):
        assert told in said.err, said.err
    (tmp_path / "statements.json").write_text(json.dumps({"agreement": "hosting"}))
    said = in_words("violation", "export", str(contracts), str(tmp_path / "statements.json"))
    assert (said.code, json.loads(said.out)) == (1, [])
    assert "statements.json:1: programme: Field required" in said.err


CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), min_size=1, max_size=4
)


def altered(text: str, changes: list[tuple[float, bytes]]) -> bytes:
    """A text with some of its bytes written over."""
    raw = bytearray(text.encode())
    for where, put in changes:
        at = int(where * len(raw))
        raw[at : at + len(put) or 1] = put
    return bytes(raw)


WAYS: dict[str, tuple[str, Callable[[Path, Path], tuple[str, ...]]]] = {
    **{
        f"import {form}": (
            text,
            lambda _, file, form=form: ("contract", "import", form, str(file)),  # type: ignore[misc]
        )
        for form, text in IMPORTED.items()
    },
    "violation import": (
        json.dumps(VIOLATION),
        lambda contracts, file: (
            *("violation", "import", str(contracts), str(file)),
            *("--source", "urn:nimbus"),
        ),
    ),
    "violation export": (
        json.dumps({"agreement": "hosting", "version": 1, "period": "2025-01"}),
        lambda contracts, file: ("violation", "export", str(contracts), str(file)),
    ),
    "export": (
        f"{PROGRAMME}---\n{CONTRACT}",
        lambda _, file: ("contract", "export", "tmf623", str(file)),
    ),
}


@pytest.mark.parametrize("way", WAYS)
@given(changes=CHANGES)
@settings(max_examples=6, deadline=None)
def test_bytes_changed_anywhere_end_in_words(way: str, changes: list[tuple[float, bytes]]) -> None:
    text, arguments = WAYS[way]
    with TemporaryDirectory() as folder:
        contracts, file = Path(folder) / "contracts.yaml", Path(folder) / "odd.json"
        contracts.write_text(f"{PROGRAMME}---\n{CONTRACT}")
        file.write_bytes(altered(text, changes))
        in_words(*arguments(contracts, file))
