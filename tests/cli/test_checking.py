"""Files are checked and shown beside what is applied where that can be read, else by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.programme import Programme
from services.cli.files import read_contracts
from services.cli.stack import Addresses
from tests.catalogue.builders import a_programme, an_agreement
from tests.cli.conftest import Shell
from tests.cli.test_applying import second, where, written
from tests.command import Said

__all__ = ["where"]


def shell(folder: Path, postgres: str = "") -> Shell:
    """A shell on a machine where nothing runs, with the address of a database or without."""
    return Shell(folder / "nowhere", {"EARNBACK_POSTGRES": postgres} if postgres else {})


async def test_a_next_version_alone_is_in_order_beside_the_programme_that_is_applied(
    where: Addresses, tmp_path: Path
) -> None:
    said = shell(tmp_path, where.postgres).run("contract", "check", second(tmp_path))
    assert (said.code, said.err) == (0, "")
    assert "agreement campus-network version 2 is in order" in said.out
    shown = shell(tmp_path, where.postgres).run("contract", "show", second(tmp_path))
    assert shown.code == 0, shown.err
    assert "campus-network version 2" in shown.out


async def test_a_next_version_is_held_against_the_applied_ones(
    where: Addresses, tmp_path: Path
) -> None:
    early = second(tmp_path, effective_from="2024-12-01")
    said = shell(tmp_path, where.postgres).run("contract", "check", early)
    assert said.code == 1
    assert said.err.startswith("second.yaml:1:")
    assert "version 2 begins on 2024-12-01, not after version 1" in said.err


@pytest.mark.parametrize("command", ["check", "show"])
def test_where_nothing_runs_an_unknown_programme_is_told_with_what_was_not_looked_at(
    tmp_path: Path, command: str
) -> None:
    said = shell(tmp_path).run("contract", command, second(tmp_path))
    assert said.code == 1
    fault, lacked = said.err.splitlines()
    assert "is not known; give its file as well, or apply it first" in fault
    assert lacked.startswith(
        "no running earnback was found, so it was not compared with what is applied"
    )
    assert lacked.endswith("or set EARNBACK_POSTGRES")


def test_a_database_that_does_not_answer_is_told_and_the_files_are_checked(tmp_path: Path) -> None:
    file = written(tmp_path / "both.yaml", a_programme(), an_agreement())
    said = shell(tmp_path, "postgresql://127.0.0.1:1/none").run("contract", "check", file)
    assert said.code == 0
    assert "is in order" in said.out
    assert said.err.startswith(
        "it was not compared with what is applied: Postgres at 127.0.0.1:1 is not reached: "
    )
    assert "check EARNBACK_POSTGRES, or unset it\n" in said.err


def test_faults_that_hide_others_are_told_with_the_advice_to_check_again(tmp_path: Path) -> None:
    file = written(tmp_path / "both.yaml", a_programme(), an_agreement(), currency="EURO")
    assert _told(tmp_path, file).splitlines()[-1].startswith("then check again: what depends on")
    mended = written(tmp_path / "both.yaml", a_programme(), an_agreement())
    programme, _, agreement = mended.read_text().partition("\n---\n")
    agreement = agreement.replace('"net.availability"', '"net.avail"')
    mended.write_text(f"{programme}\n---\n{agreement}")
    assert "check again" not in _told(tmp_path, mended)


async def test_each_fault_of_a_file_that_is_not_applied_stands_on_a_line_of_its_own(
    where: Addresses, tmp_path: Path
) -> None:
    file = second(tmp_path, currency="EURO")
    servers = {"EARNBACK_POSTGRES": where.postgres, "EARNBACK_KAFKA": where.kafka}
    said: Said = Shell(tmp_path / "nowhere", servers).run("contract", "apply", file)
    assert said.code == 1
    assert said.err.startswith("second.yaml:1:"), "as every other line, without a word before it"


def _told(folder: Path, file: Path) -> str:
    said = shell(folder).run("contract", "check", file)
    assert said.code == 1, said.out
    return said.err


def otherwise_counted(day: str) -> Programme:
    """A second version of the programme that counts the network's availability otherwise."""
    metrics = [
        one.model_copy(update={"better": "lower"}) if one.metric == "net.availability" else one
        for one in a_programme().metrics
    ]
    return a_programme(2, effective_from=day, metrics=metrics)


@pytest.mark.parametrize(("day", "code"), [("2025-05-15", 1), ("2025-05-01", 0)])
def test_a_programme_version_that_starts_inside_a_period_is_refused(
    tmp_path: Path, day: str, code: int
) -> None:
    newer = otherwise_counted(day)
    file = written(tmp_path / "all.yaml", a_programme(), newer, an_agreement())
    said = shell(tmp_path).run("contract", "check", file)
    assert said.code == code
    told = (
        "effective_from: version 2 of the programme campus starts on 2025-05-15, inside 2025-05 of "
        "agreement campus-network (settled by month), and changes the metric net.availability"
    )
    assert (told in said.err) == (code == 1)
    assert ("let it start on 2025-05-01 or 2025-06-01" in said.err) == (code == 1)


def test_what_is_applied_inside_a_period_already_stays_in_order(tmp_path: Path) -> None:
    newer = otherwise_counted("2024-12-15")
    early = an_agreement(effective_from="2024-12-01", agreement="early")
    both = [a_programme(1, effective_from="2024-01-01"), newer]
    found = read_contracts([written(tmp_path / "one.yaml", *both, early)], both, [early])
    assert found.refusals == ()
    fresh = read_contracts([written(tmp_path / "two.yaml", *both, early)], both)
    assert ["inside 2024-12 of agreement early" in one.text() for one in fresh.refusals] == [True]
