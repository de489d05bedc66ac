"""Which real Kafka and Postgres the tests run on: the best that can be had, never none.

Rungs, best first: `given` (EARNBACK_KAFKA and EARNBACK_POSTGRES), `testcontainers` (where a Docker
engine answers and has, or gets in time, the images), `embedded`. EARNBACK_RUNG names one rung that
must be used; the session fails when it can't be had.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.servers import servers as given_or_embedded

KAFKA_IMAGE = "confluentinc/cp-kafka:7.9.2"
POSTGRES_IMAGE = "postgres:18.1"

ENGINE_SECONDS = 3
PULL_SECONDS = 90
START_SECONDS = 90


class NotToBeHad(Exception):
    """A rung is not there; the message says why."""


@dataclass(frozen=True)
class Rung:
    """What a session stands on: the rung's `name`, why the better ones were `passed`, addresses."""

    name: str
    kafka: str
    postgres: str
    passed: tuple[str, ...] = ()

    def __str__(self) -> str:
        why = f" (not {'; not '.join(self.passed)})" if self.passed else ""
        return f"servers: {self.name}{why}"


@contextmanager
def climb(data_dir: Path) -> Iterator[Rung]:
    """Servers from the best rung that can be had, stopped at the end.

    Raises `NotToBeHad` only when EARNBACK_RUNG names a rung that is not there.
    """
    forced = os.environ.get("EARNBACK_RUNG")
    if forced is not None and forced not in RUNGS:
        raise NotToBeHad(f"EARNBACK_RUNG is {forced!r}; choose one of {', '.join(RUNGS)}")
    passed: list[str] = []
    with ExitStack() as running:
        for name in [forced] if forced else RUNGS:
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
    kafka, postgres = os.environ.get("EARNBACK_KAFKA"), os.environ.get("EARNBACK_POSTGRES")
    if not kafka and not postgres:
        raise NotToBeHad("neither EARNBACK_KAFKA nor EARNBACK_POSTGRES is set")
    pair = running.enter_context(given_or_embedded(data_dir))
    name = (
        f"Kafka {'given' if kafka else 'embedded'}, Postgres {'given' if postgres else 'embedded'}"
    )
    return Rung(name, pair.kafka, pair.postgres)


def _embedded(running: ExitStack, data_dir: Path) -> Rung:
    postgres = running.enter_context(EmbeddedPostgres(data_dir / "postgres"))
    kafka = running.enter_context(EmbeddedKafka(data_dir / "kafka"))
    return Rung("embedded Kafka and Postgres", kafka.bootstrap, postgres.dsn)


def _testcontainers(running: ExitStack, data_dir: Path) -> Rung:
    _require_images(KAFKA_IMAGE, POSTGRES_IMAGE)
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
    try:
        running.callback(broker.stop)
        broker.start(timeout=START_SECONDS)
        running.enter_context(database)
        return Rung(
            "testcontainers",
            broker.get_bootstrap_server(),
            database.get_connection_url(driver=None),
        )
    except Exception as error:
        raise NotToBeHad(f"a container did not start: {error}") from error


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
