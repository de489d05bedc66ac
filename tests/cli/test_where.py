"""What the environment says wins over what `earnback up` left, each variable by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.cli.stack import Addresses, announced
from services.cli.where import NothingRuns, reached
from services.shell.settings import BadSettings

LEFT = Addresses(
    kafka="127.0.0.1:1",
    postgres="postgresql://left/n",
    ingest="http://127.0.0.1:2",
    evaluator="http://127.0.0.1:3",
    settlement="http://127.0.0.1:4",
    key="eb_left_x",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installation, and an environment that says nothing else."""
    for name in [name for name in os.environ if name.startswith("EARNBACK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EARNBACK_HOME", str(tmp_path))
    return tmp_path


def test_what_earnback_up_left_is_used_where_nothing_is_set(folder: Path) -> None:
    with announced(folder, LEFT):
        assert reached("ingest", "settlement", "key") == LEFT


@pytest.mark.parametrize("name", ["kafka", "postgres", "evaluator", "key"])
def test_one_variable_that_is_set_replaces_that_one_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"EARNBACK_{name.upper()}", "set")
    with announced(folder, LEFT):
        found = reached("ingest", "settlement", "key")
    changed = [each for each in vars(LEFT) if getattr(found, each) != getattr(LEFT, each)]
    assert changed == [name]
    assert getattr(found, name) == "set"


def test_an_empty_variable_is_as_one_that_is_not_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_KEY", "")
    with announced(folder, LEFT):
        assert reached("key") == LEFT


@pytest.mark.parametrize("name", ["ingest", "settlement"])
def test_the_key_that_was_left_goes_to_no_other_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variable = f"EARNBACK_{name.upper()}"
    monkeypatch.setenv(variable, "http://elsewhere:1")
    with announced(folder, LEFT):
        with pytest.raises(BadSettings, match=rf"{variable}: set.*set EARNBACK_KEY as well, or"):
            reached("ingest", "settlement", "key")
        monkeypatch.setenv("EARNBACK_KEY", "eb_own_x")
        found = reached("ingest", "settlement", "key")
    assert (getattr(found, name), found.key) == ("http://elsewhere:1", "eb_own_x")


def test_the_own_address_may_be_set_beside_the_key_that_was_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_SETTLEMENT", LEFT.settlement + "/")
    with announced(folder, LEFT):
        assert reached("settlement", "key").key == LEFT.key


def test_what_is_known_from_neither_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARNBACK_SETTLEMENT", "http://s:1")
    with pytest.raises(NothingRuns) as refused:
        reached("ingest", "settlement", "key")
    assert str(folder) in str(refused.value)
    assert str(refused.value).endswith("or set EARNBACK_INGEST and EARNBACK_KEY")


def test_servers_are_reached_without_a_key_and_without_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EARNBACK_POSTGRES", "postgresql://p/n")
    assert reached("postgres").postgres == "postgresql://p/n"
