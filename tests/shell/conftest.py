from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ladder import Rung
from tests.shell.bench_of_workers import Bench


@pytest.fixture
def bench(servers: Rung, database: str, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(servers.kafka, database, tmp_path, stack)
