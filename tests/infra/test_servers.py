"""Where the pair of servers comes from, and that it goes when its owner goes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.processes import free_port
from infra.servers import servers as given_or_embedded
from tests.infra.waiting import alive, eventually


def test_given_addresses_are_used_and_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_KAFKA", "kafka.example:9092")
    monkeypatch.setenv("EARNBACK_POSTGRES", "postgresql://postgres.example/earnback")
    with given_or_embedded(tmp_path) as pair:
        assert pair.kafka == "kafka.example:9092"
        assert pair.postgres == "postgresql://postgres.example/earnback"
        assert pair.embedded_kafka is None
        assert pair.embedded_postgres is None
    assert list(tmp_path.iterdir()) == []


def test_each_address_can_be_given_on_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_KAFKA", "kafka.example:9092")
    monkeypatch.delenv("EARNBACK_POSTGRES", raising=False)
    with given_or_embedded(tmp_path) as pair:
        assert pair.kafka == "kafka.example:9092"
        assert pair.embedded_postgres is not None
        pid = pair.embedded_postgres.pid
        assert psutil.pid_exists(pid)
    assert not alive(pid)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_broker_and_database_end_with_their_owner(tmp_path: Path, end: signal.Signals) -> None:
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from infra.servers import servers\n"
        "os.environ.pop('EARNBACK_KAFKA', None), os.environ.pop('EARNBACK_POSTGRES', None)\n"
        "with servers(Path(sys.argv[1])) as pair:\n"
        "    print(pair.embedded_kafka.pid, pair.embedded_postgres.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        owner.send_signal(end)
        owner.wait(30)
    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_chosen_ports_lie_below_those_given_to_outgoing_connections() -> None:
    first = free_port()
    assert 20_000 <= first < 32_000
    assert free_port(taken=range(20_000, 31_990)) >= 31_990
