"""A Postgres for one run of a bench: made in a folder of its own, and removed with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.embedded.postgres import EmbeddedPostgres
from services.cli.show import bars


@contextmanager
def own_database() -> Iterator[str]:
    """The address of an empty database; its start is shown as a bar."""
    with (
        tempfile.TemporaryDirectory(prefix="earnback-bench-") as folder,
        bars() as shown,
        EmbeddedPostgres(Path(folder), shown) as database,
    ):
        yield database.dsn
