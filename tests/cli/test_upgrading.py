"""`earnback contract upgrade`: files of an earlier language, in place, on stdout, from stdin."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from services.cli.files import Faulty, read_contracts
from services.cli.upgrading import upgraded_files, upgraded_text
from tests.cli.conftest import Shell
from tests.core.language1.worked import contract, upgraded


def shell(folder: Path) -> Shell:
    """A shell on a machine where nothing runs."""
    return Shell(folder / "nowhere", {})


def test_a_file_is_upgraded_in_place_and_what_was_added_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "E01.yaml"
    file.write_text(contract("E01"))
    file.chmod(0o640)
    refused = shell(tmp_path).run("contract", "check", file)
    assert f"run: earnback contract upgrade {file}\n" in refused.err
    of_folder = shell(tmp_path).run("contract", "check", tmp_path)
    assert f"run: earnback contract upgrade {file}" in of_folder.err, "as it can be pasted"
    done = shell(tmp_path).run("contract", "upgrade", file)
    assert (done.code, done.err) == (0, "")
    first, second = done.out.splitlines()[:2]
    assert first == f"{file}: upgraded to language 2; written out:"
    assert second == "  language: 2"
    assert file.read_text() == upgraded("E01")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["E01.yaml"], "nothing is left beside it"
    again = shell(tmp_path).run("contract", "upgrade", file)
    assert (again.code, again.out) == (
        0,
        f"{file}: is in language 2 already; nothing was changed\n",
    )


def test_a_folder_is_upgraded_as_a_whole_and_reads_then(tmp_path: Path) -> None:
    for name in ("programme", "E01"):
        (tmp_path / f"{name}.yaml").write_text(contract(name))
    assert shell(tmp_path).run("contract", "upgrade", tmp_path).code == 0
    assert not read_contracts([tmp_path]).refusals


def test_where_one_file_is_refused_none_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(contract("E01"))
    (tmp_path / "b.yaml").write_text("services: {web: {image: nginx}}\n")
    (tmp_path / "c.yaml").write_bytes(b"kind: agreement\nname: M\xfcller\n")
    (tmp_path / "d.yaml").write_text("kind: programme\nlanguage: 9\n")
    done = shell(tmp_path).run("contract", "upgrade", tmp_path)
    assert done.code == 1
    assert done.err.splitlines() == [
        f"{tmp_path}/b.yaml:1:1: kind: kind is missing; begin the document with kind: programme or "
        "kind: agreement",
        f"{tmp_path}/c.yaml: no text in UTF-8 (invalid start byte); save it in UTF-8",
        f"{tmp_path}/d.yaml:2:1: language: language 9 is not known; write language: 2, or use a "
        "release that reads this language",
    ]
    assert (tmp_path / "a.yaml").read_text() == contract("E01")


def test_stdout_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "E01.yaml"
    file.write_text(contract("E01"))
    done = shell(tmp_path).run("contract", "upgrade", "--stdout", file)
    assert (done.code, done.out) == (0, upgraded("E01"))
    assert "upgraded to language 2" in done.err
    assert file.read_text() == contract("E01")
    (tmp_path / "other.yaml").write_text(contract("E01"))
    two = shell(tmp_path).run("contract", "upgrade", "--stdout", tmp_path)
    assert (two.code, two.out) == (1, "")
    assert "--stdout prints one file, and there are 2; name one" in two.err


def test_line_ends_and_a_link_stay(tmp_path: Path) -> None:
    windows = contract("E01").replace("\n", "\r\n")
    assert upgraded_text(windows, "x").upgrade.text == upgraded("E01").replace("\n", "\r\n")
    (tmp_path / "kept").mkdir()
    real = tmp_path / "kept" / "E01.yaml"
    real.write_text(contract("E01"))
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    assert shell(tmp_path).run("contract", "upgrade", link).code == 0
    assert link.is_symlink()
    assert real.read_text() == upgraded("E01")


def test_a_document_in_json_stays_json() -> None:
    body = '{"kind": "agreement", "levels": [{"level": "up"}]}\n'
    found = upgraded_text(body, "stdin").upgrade
    assert json.loads(found.text)["language"] == 2
    assert found.text.startswith('{"kind": "agreement", "levels": [{"level": "up"')


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    with pytest.raises(Faulty, match="the file holds no document"):
        upgraded_files([tmp_path])
