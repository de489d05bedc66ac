"""Which real Kafka and Postgres the tests run on: the best that can be had, never none.

Rungs, best first: `given` (EARNBACK_KAFKA and EARNBACK_POSTGRES), `testcontainers` (where a Docker
engine answers and has, or gets in time, the images), `embedded`. EARNBACK_RUNG names one rung that
must be used; the session fails when it can't be had. Tests to which others' records would matter
get a pair of their own, from the same rungs but the first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.servers import servers as given_or_embedded

KAFKA_IMAGE = "confluentinc/cp-kafka:7.9.2"
POSTGRES_IMAGE = "postgres:18.1"

ENGINE_SECONDS = 3
PULL_SECONDS = 90
START_SECONDS = 90
LOG_CHARACTERS = 2000


USED = pytest.StashKey[list[str]]()
"""What a session stood on; its last lines say so."""


class NotToBeHad(Exception):
    """A rung is not there; the message says why."""


@dataclass(frozen=True)
class Rung:
    """What a session stands on: the rung's `name`, why the better ones were `passed`, addresses."""

    name: str
    kafka: str
    postgres: str
    passed: tuple[str, ...] = ()

    def tell(self, config: pytest.Config) -> None:
        """Have the session's last lines say that it stood on this."""
        config.stash.setdefault(USED, []).append(str(self))

    def __str__(self) -> str:
        why = f" (not {'; not '.join(self.passed)})" if self.passed else ""
        return f"servers: {self.name}{why}"


@contextmanager
def climb(data_dir: Path) -> Iterator[Rung]:
    """Servers from the best rung that can be had, stopped at the end.

    Raises `NotToBeHad` only when EARNBACK_RUNG names a rung that is not there.
    """
    forced = _forced()
    with _first(list(RUNGS) if forced is None else [forced], forced, data_dir) as rung:
        yield rung


@contextmanager
def climb_alone(data_dir: Path) -> Iterator[Rung]:
    """As `climb`, but servers that nobody else uses: embedded ones where addresses are given."""
    forced = _forced()
    if forced == "given" or (forced is None and _addresses() != (None, None)):
        names = ["embedded"]
    else:
        names = ["testcontainers", "embedded"] if forced is None else [forced]
    with _first(names, forced, data_dir) as rung:
        yield rung


def _forced() -> str | None:
    forced = os.environ.get("EARNBACK_RUNG")
    if forced is not None and forced not in RUNGS:
        raise NotToBeHad(f"EARNBACK_RUNG is {forced!r}; choose one of {', '.join(RUNGS)}")
    return forced


@contextmanager
def _first(names: list[str], forced: str | None, data_dir: Path) -> Iterator[Rung]:
    passed: list[str] = []
    with ExitStack() as running:
        for name in names:
            try:
                found = RUNGS[name](running, data_dir)
            except NotToBeHad as reason:
                if forced:
                    raise NotToBeHad(f"EARNBACK_RUNG demands {forced}: {reason}") from reason
                passed.append(f"{name}: {reason}")
            else:
                yield Rung(found.name, found.kafka, found.postgres, tuple(passed))
                return


def _given(running: ExitStack, data_dir: Path) -> Rung:
    kafka, postgres = _addresses()
    if not kafka and not postgres:
        raise NotToBeHad("neither EARNBACK_KAFKA nor EARNBACK_POSTGRES is set")
    pair = running.enter_context(given_or_embedded(data_dir))
    name = (
        f"Kafka {'given' if kafka else 'embedded'}, Postgres {'given' if postgres else 'embedded'}"
    )
    return Rung(name, pair.kafka, pair.postgres)


def _addresses() -> tuple[str | None, str | None]:
    return os.environ.get("EARNBACK_KAFKA") or None, os.environ.get("EARNBACK_POSTGRES") or None


def _embedded(running: ExitStack, data_dir: Path) -> Rung:
    postgres = running.enter_context(EmbeddedPostgres(data_dir / "postgres"))
    kafka = running.enter_context(EmbeddedKafka(data_dir / "kafka"))
    return Rung("embedded Kafka and Postgres", kafka.bootstrap, postgres.dsn)


def _testcontainers(running: ExitStack, data_dir: Path) -> Rung:
    from testcontainers.core.config import testcontainers_config as settings

    # The reaper removes what a killed session leaves behind; it is an image like the others.
    reaper = [] if settings.ryuk_disabled else [settings.ryuk_image]
    _require_images(KAFKA_IMAGE, POSTGRES_IMAGE, *reaper)
    from testcontainers.community.kafka import KafkaContainer
    from testcontainers.community.postgres import PostgresContainer

    # Asked for more copies than there are brokers, a transactional producer waits for ever.
    broker = (
        KafkaContainer(KAFKA_IMAGE)
        .with_kraft()
        .with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    )
    database = PostgresContainer(POSTGRES_IMAGE, driver=None)
    with ExitStack() as started:
        _start(started, broker, lambda: broker.start(timeout=START_SECONDS))
        _start(started, database, database.start)
        rung = Rung(
            "testcontainers",
            broker.get_bootstrap_server(),
            database.get_connection_url(driver=None),
        )
        running.enter_context(started.pop_all())
    return rung


def _start(started: ExitStack, container: Any, start: Callable[[], Any]) -> None:
    """Start a container that `started` stops; `NotToBeHad` with the end of its own log."""
    started.callback(container.stop)
    try:
        start()
    except Exception as error:
        raise NotToBeHad(
            f"the container of {container.image} did not start: {error}{_log_of(container)}"
        ) from error


def _log_of(container: Any) -> str:
    from testcontainers.core.exceptions import ContainerStartException

    try:
        said = b"".join(container.get_logs()).decode(errors="replace")
    except ContainerStartException:  # not even made
        return ""
    return f"\n{said[-LOG_CHARACTERS:]}"


def _require_images(*images: str) -> None:
    """An engine answers, and has the images or gets them in time; else `NotToBeHad`."""
    import docker
    from docker.errors import DockerException, ImageNotFound

    try:
        engine = docker.from_env(timeout=ENGINE_SECONDS)
        engine.ping()
    except (DockerException, OSError):
        raise NotToBeHad("no Docker engine answers") from None
    try:
        for image in images:
            try:
                engine.images.get(image)
            except ImageNotFound:
                _in_time(lambda image=image: docker.from_env().images.pull(image), image)
    except (DockerException, OSError) as error:
        raise NotToBeHad(f"the Docker engine gave up: {error}") from error
    finally:
        engine.close()


def _in_time(pull: Callable[[], Any], image: str) -> None:
    failed: list[Exception] = []

    def attempt() -> None:
        try:
            pull()
        except Exception as error:  # told to the waiting thread, whatever it was
            failed.append(error)

    pulling = threading.Thread(target=attempt, name=f"pull {image}", daemon=True)
    pulling.start()
    pulling.join(PULL_SECONDS)
    if pulling.is_alive():
        raise NotToBeHad(f"image {image} did not come within {PULL_SECONDS} s")
    if failed:
        raise NotToBeHad(f"image {image} can't be had: {failed[0]}")


RUNGS: dict[str, Callable[[ExitStack, Path], Rung]] = {
    "given": _given,
    "testcontainers": _testcontainers,
    "embedded": _embedded,
}
