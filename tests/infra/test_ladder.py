"""Which servers the tests stand on, and what is said where it is not the best that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from infra.embedded.jars import KAFKA_VERSION
from tests import ladder
from tests.infra.engine import REFUSAL, engine
from tests.ladder import KAFKA_IMAGE, POSTGRES_IMAGE, NotToBeHad, Rung, climb, climb_alone

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EARNBACK_RUNG", "EARNBACK_KAFKA", "EARNBACK_POSTGRES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bare_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine that answers and can get no image."""
    with engine() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield


def test_given_servers_are_taken_first(
    servers: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_KAFKA", servers.kafka)
    monkeypatch.setenv("EARNBACK_POSTGRES", servers.postgres)
    with climb(tmp_path) as rung:
        assert str(rung) == "servers: Kafka given, Postgres given"


def test_who_must_be_alone_gets_other_servers_than_those_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_KAFKA", "kafka.example:9092")
    with climb_alone(tmp_path) as rung:
        assert str(rung) == "servers: embedded Kafka and Postgres"
        assert rung.kafka.startswith("127.0.0.1:")


@pytest.mark.usefixtures("bare_engine")
def test_where_an_engine_gets_no_image_the_embedded_pair_serves_and_says_why(
    tmp_path: Path,
) -> None:
    with climb(tmp_path) as rung:
        assert rung.name == "embedded Kafka and Postgres"
        given, containers = rung.passed
        assert given.startswith("given: ")
        assert containers.startswith(f"testcontainers: image {KAFKA_IMAGE} can't be had: ")
        assert REFUSAL in containers
        assert containers in str(rung)


@pytest.mark.usefixtures("bare_engine")
def test_containers_that_are_demanded_and_not_to_be_had_fail_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_RUNG", "testcontainers")
    with pytest.raises(NotToBeHad, match=rf"demands testcontainers: image {KAFKA_IMAGE}"):
        climb(tmp_path).__enter__()


def test_an_image_that_takes_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_RUNG", "testcontainers")
    monkeypatch.setattr(ladder, "PULL_SECONDS", 0.2)
    with engine(pull_seconds=30) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(NotToBeHad, match=rf"{KAFKA_IMAGE} did not come within 0\.2 s"):
            climb(tmp_path).__enter__()


def test_without_an_engine_it_is_said_that_none_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_RUNG", "testcontainers")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(NotToBeHad, match="no Docker engine answers"):
        climb(tmp_path).__enter__()


def test_a_rung_that_is_demanded_and_not_there_fails_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_RUNG", "given")
    with pytest.raises(NotToBeHad, match="demands given: neither"):
        climb(tmp_path).__enter__()


def test_a_rung_that_does_not_exist_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_RUNG", "balloon")
    with pytest.raises(NotToBeHad, match="choose one of given, testcontainers, embedded"):
        climb(tmp_path).__enter__()


def test_the_recipe_makes_every_image_that_the_project_names() -> None:
    recipe = (ROOT / "infra" / "images" / "build.sh").read_text()
    compose = YAML(typ="safe").load((ROOT / "infra" / "compose.yaml").read_text())["services"]
    dockerfile = (ROOT / "infra" / "Dockerfile").read_text()
    named = {compose["kafka"]["image"], compose["postgres"]["image"], KAFKA_IMAGE, POSTGRES_IMAGE}
    named |= set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    assert f"apache/kafka:{KAFKA_VERSION}" in named
    assert set(re.findall(r"^build \S+ (\S+)", recipe, re.MULTILINE)) == named
