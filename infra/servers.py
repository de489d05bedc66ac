"""The pair of servers that everything stands on: the given ones, else embedded ones.

`EARNBACK_KAFKA` (bootstrap servers) and `EARNBACK_POSTGRES` (DSN) each name a running server; what
is not named is started here, over folders below `data_dir`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.keeper import EmbeddedServer
from infra.progress import Progress, silent


@dataclass(frozen=True)
class Servers:
    """Addresses: `kafka` as bootstrap servers, `postgres` as a DSN; the embedded ones, if any."""

    kafka: str
    postgres: str
    embedded_kafka: EmbeddedKafka | None = None
    embedded_postgres: EmbeddedPostgres | None = None

    @property
    def embedded(self) -> dict[str, EmbeddedServer]:
        """What was started here, by what people call it."""
        found = {"the broker": self.embedded_kafka, "the database": self.embedded_postgres}
        return {name: server for name, server in found.items() if server is not None}


@contextmanager
def servers(data_dir: Path, progress: Progress = silent, heap_mb: int = 384) -> Iterator[Servers]:
    """The pair, ready to use; what was started here is stopped at the end.

    Postgres is started first: it is up in a blink, and is then stopped last.
    """
    kafka = os.environ.get("EARNBACK_KAFKA") or None
    postgres = os.environ.get("EARNBACK_POSTGRES") or None
    with ExitStack() as running:
        database = broker = None
        if postgres is None:
            database = running.enter_context(EmbeddedPostgres(data_dir / "postgres", progress))
        if kafka is None:
            broker = running.enter_context(EmbeddedKafka(data_dir / "kafka", heap_mb, progress))
        yield Servers(
            kafka=kafka or (broker.bootstrap if broker else ""),
            postgres=postgres or (database.dsn if database else ""),
            embedded_kafka=broker,
            embedded_postgres=database,
        )
