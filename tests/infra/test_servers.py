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
from tests.ladder import NotToBeHad, Rung, climb


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


def test_the_ladder_takes_given_servers_first(
    servers: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARNBACK_RUNG", raising=False)
    monkeypatch.setenv("EARNBACK_KAFKA", servers.kafka)
    monkeypatch.setenv("EARNBACK_POSTGRES", servers.postgres)
    with climb(tmp_path) as rung:
        assert str(rung) == "servers: Kafka given, Postgres given"


def test_a_rung_that_is_demanded_and_not_there_fails_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_RUNG", "given")
    monkeypatch.delenv("EARNBACK_KAFKA", raising=False)
    monkeypatch.delenv("EARNBACK_POSTGRES", raising=False)
    with pytest.raises(NotToBeHad, match="demands given: neither"), climb(tmp_path):
        pytest.fail("a rung was found where there is none")


def test_a_rung_that_does_not_exist_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_RUNG", "balloon")
    with pytest.raises(NotToBeHad, match="choose one of given, testcontainers, embedded"):
        climb(tmp_path).__enter__()


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
        owner.wait(10)
    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_chosen_ports_lie_below_those_given_to_outgoing_connections() -> None:
    first = free_port()
    assert 20_000 <= first < 32_000
    assert free_port(taken=range(20_000, 31_990)) >= 31_990
