"""Settings, logs, time, steps without servers, and the framework's hooks that we rely on."""

import asyncio
import inspect
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import aiokafka
import asyncpg
import faust
import pytest
from aiokafka import TopicPartition
from faust.tables.recovery import Recovery
from faust.transport import consumer as base
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from mode.threads import ServiceThread

from services.shell import broker, clock, logs
from services.shell.kafka import SCHEME, CommittedThread, Transport, make_app
from services.shell.metrics import Health
from services.shell.postgres import IDLE, attempts, is_transient
from services.shell.progress import PartitionClaim
from services.shell.relay import LEASE
from services.shell.settings import BadSettings, Settings, read
from services.shell.steps import SEQUENCE, Dense, InputLost, Record, unbroken
from services.shell.vitals import Vitals
from services.shell.watchdog import StallDetector, tell_lag

GOOD = {"EARNBACK_KAFKA": "a:1, b:2", "EARNBACK_POSTGRES": "postgresql://u@h/d"}


def test_settings_are_read_once_and_frozen() -> None:
    settings = read(
        "evaluator", {**GOOD, "EARNBACK_GROUP": "bank", "EARNBACK_METRICS_PORT": "9100"}
    )
    assert (settings.kafka, settings.app, settings.metrics_port) == (
        "a:1,b:2",
        "bank-evaluator",
        9100,
    )
    with pytest.raises(AttributeError):
        settings.kafka = "c:3"  # type: ignore[misc]


def test_every_wrong_setting_is_named_at_once_and_no_secret_is_repeated() -> None:
    with pytest.raises(BadSettings) as bad:
        read(
            "evaluator",
            {
                "EARNBACK_POSTGRES": "mysql://user:pass-phrase@h/d",
                "EARNBACK_HTTP_PORT": "70000",
                "EARNBACK_LOG_LEVEL": "loud",
                "EARNBACK_HEARTBEAT": "20",
            },
        )
    lines = str(bad.value).splitlines()
    assert [line.split()[0] for line in lines] == [
        "EARNBACK_KAFKA",
        "EARNBACK_POSTGRES",
        "EARNBACK_LOG_LEVEL",
        "EARNBACK_HTTP_PORT",
        "EARNBACK_HEARTBEAT",
    ]
    assert "pass-phrase" not in str(bad.value)


def test_microseconds_are_exact_in_any_zone() -> None:
    moment = datetime(2026, 3, 29, 3, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    assert clock.microseconds(moment) == 1_774_746_000_000_001
    assert clock.microseconds(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -1_000_000


def test_a_log_line_is_one_json_object_with_the_correlation_of_its_work(
    capfd: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("shop")
        with logs.correlated("trace-9"):
            logs.log("a").info("sold", amount=3)
            logging.getLogger("library").warning("hm %s", 1)
        logs.log("a").info("closed")
        logging.getLogger("httpx").info("HTTP Request: GET http://evaluator/v1/events/of/somebody")
    finally:
        root.handlers[:], root.level = handlers, level
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["sold", "hm 1", "closed"]
    assert [line.get("correlation_id") for line in lines] == ["trace-9", "trace-9", None]
    assert (lines[0]["amount"], lines[0]["service"], lines[0]["level"]) == (3, "shop", "info")


def test_leaving_ends_the_process_with_its_own_code_and_the_reason() -> None:
    program = (
        "import threading; from services.shell import logs; logs.configure('x');"
        "threading.Thread(target=lambda: logs.leave('gone_wrong', at=7)).start()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    line = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, line["event"], line["at"]) == (70, "gone_wrong", 7)


def test_what_a_party_has_sent_stays_out_of_the_last_line_too() -> None:
    program = (
        "from services.shell import logs; logs.configure('x')\n"
        "try: {}['zq' + 'value']\n"
        "except KeyError: logs.leave('gone_wrong', over_what_was_sent=True)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    line = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, line["traceback"].split()[0]) == (70, "KeyError")
    assert b"zqvalue" not in done.stderr


def record(offset: int, sequence: int | None = None) -> Record:
    headers = () if sequence is None else ((SEQUENCE, str(sequence).encode()),)
    return Record(offset, 0, None, b"", headers)


def test_only_what_follows_without_a_gap_is_applied() -> None:
    held = PartitionClaim("a", "t", 0, 1, 5)
    run = [record(5), record(6), record(8)]
    assert unbroken(held, run, Dense.BY_OFFSET) == run[:2]
    assert unbroken(held, [record(6)], Dense.BY_OFFSET) == []


def test_numbered_topics_may_have_gaps_in_offsets_but_none_in_numbers() -> None:
    held = PartitionClaim("a", "t", 0, 1, 5, last_sequence=9)
    run = [record(6, 10), record(8, 11), record(9, 13)]
    assert unbroken(held, run, Dense.BY_SEQUENCE) == run[:2]
    begun_late = PartitionClaim("a", "t", 0, 1, 5, last_sequence=None)
    assert unbroken(begun_late, run, Dense.BY_SEQUENCE) == run[:2]
    with pytest.raises(InputLost, match="only the relay may write"):
        unbroken(held, [record(6)], Dense.BY_SEQUENCE)


def test_the_watchdog_judges_only_what_stands_still_for_the_whole_time() -> None:
    judge = StallDetector(stall=60)
    ours, other = TopicPartition("t", 0), TopicPartition("t", 1)
    assert judge.look({ours: 5, other: 5}, {ours}, 0) == []
    assert judge.look({ours: 5, other: 5}, {ours}, 59) == []
    assert judge.look({ours: 6, other: 5}, {ours}, 61) == []
    assert judge.look({ours: 6, other: 5}, {ours}, 121) == [ours]


def test_a_worker_that_holds_nothing_watches_everything_with_twice_the_patience() -> None:
    judge = StallDetector(stall=60)
    one = TopicPartition("t", 0)
    assert judge.look({one: 5}, set(), 0) == []
    assert judge.look({one: 5}, set(), 119) == []
    assert judge.look({one: 5}, set(), 120) == [one]
    assert judge.look({}, set(), 121) == []


def test_lag_that_stands_still_is_told_long_before_it_ends_the_process() -> None:
    judge, health = StallDetector(stall=60), Health()
    health.ready("start")
    one, other = TopicPartition("t", 0), TopicPartition("t", 1)
    told = []
    for now, waiting in (
        (0, {one: 5, other: 7}),
        (14, {one: 5, other: 8}),
        (15, {one: 5}),
        (16, {}),
    ):
        judge.look(waiting, {one, other}, now)
        tell_lag(health, judge.slow(now))
        told.append(health.missing())
    assert told == [{}, {}, {"lag": "records wait and none is applied: t-0"}, {}]


def test_a_worker_without_a_partition_is_unready_once_a_rebalance_would_be_over() -> None:
    owned, health = [1], Health()
    health.ready("start")
    settings = Settings("evaluator", "k:1", "postgresql://p")
    vitals = Vitals(settings, health, pool=None, owned=lambda: owned[0])
    told = []
    for now, number in ((100.0, 1), (101.0, 0), (104.9, 0), (105.0, 0), (110.0, 3)):
        owned[0] = number
        vitals.look_at_partitions(now)
        told.append("partitions" in health.missing())
    assert told == [False, False, False, True, False]


def test_what_passes_by_waiting_is_told_from_what_does_not() -> None:
    for passing in (
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.CannotConnectNowError("x"),
        asyncpg.ConnectionDoesNotExistError("x"),
        asyncpg.IdleInTransactionSessionTimeoutError("x"),
        asyncpg.InterfaceError("cannot perform operation: connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is running"),
        ConnectionRefusedError(),
        TimeoutError(),
    ):
        assert is_transient(passing), passing
    for lasting in (
        asyncpg.UniqueViolationError("x"),
        asyncpg.UndefinedTableError("x"),
        asyncpg.InterfaceError("pool is closing"),
        ValueError("x"),
    ):
        assert not is_transient(lasting), lasting


async def test_attempts_end_with_the_last_error_when_nothing_helps() -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        async for attempt in attempts("test", give_up_after=0.1):
            with attempt:
                tries += 1
                raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await work()
    assert tries >= 2


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_the_hooks_we_override_are_where_faust_had_them() -> None:
    """Written for faust-streaming 0.15.3. When this fails, read the new version before adapting."""
    assert faust.__version__ == "0.15.3"
    assert parameters(driver.Consumer._new_consumer_thread) == ["self"]
    assert parameters(driver.Consumer.seek_to_committed) == ["self"]
    assert parameters(driver.Consumer.seek_wait) == ["self", "partitions"]
    assert parameters(driver.Consumer.earliest_offsets) == ["self", "partitions"]
    assert parameters(driver.Consumer.highwaters) == ["self", "partitions"]
    assert parameters(base.Consumer.on_partitions_revoked) == ["self", "revoked"]
    assert parameters(base.Consumer.on_partitions_assigned) == ["self", "assigned", "generation_id"]
    assert parameters(driver.AIOKafkaConsumerThread._create_worker_consumer) == [
        "self",
        "transport",
    ]
    assert parameters(faust.Worker._flag_as_shutdown_by_signal) == ["self"]
    assert parameters(faust.App._create_directories) == ["self"]


def test_faust_still_asks_for_the_offsets_before_it_lets_records_flow() -> None:
    source = inspect.getsource(Recovery._resume_streams)
    assert 0 < source.index("consumer.perform_seek()") < source.index("consumer.resume_flow()")
    assert "self.seek_to_committed()" in inspect.getsource(base.Consumer.perform_seek)


async def test_the_isolation_level_is_where_we_set_it() -> None:
    consumer = aiokafka.AIOKafkaConsumer(isolation_level="read_committed")
    assert consumer._isolation_level == "read_committed"


def test_our_transport_answers_to_its_scheme_and_the_app_has_the_settings_of_the_protocol() -> None:
    assert TRANSPORTS.by_url(f"{SCHEME}://host:1") is Transport
    app = make_app(Settings("evaluator", "a:1,b:2", "postgresql://p", session_timeout=12))
    assert [str(each) for each in app.conf.broker] == [f"{SCHEME}://a:1", f"{SCHEME}://b:2"]
    assert app.conf.id == "earnback-evaluator"
    assert not app.conf.web_enabled
    assert not app.conf.stream_wait_empty
    assert not app.conf.topic_allow_declare
    assert app.conf.table_standby_replicas == 0
    assert app.conf.broker_session_timeout == 12
    assert str(app.conf.processing_guarantee) == "ProcessingGuarantee.AT_LEAST_ONCE"


def test_a_killed_worker_is_missed_within_seconds_and_a_busy_one_is_not() -> None:
    settings = read("evaluator", GOOD)
    app = make_app(settings)
    assert app.conf.broker_session_timeout == settings.session_timeout
    assert app.conf.broker_heartbeat_interval == settings.heartbeat
    # The broker misses it, the others hear of it with their next heartbeat, and two seconds are
    # left to claim and to read on. Five heartbeats in a row may be lost.
    assert settings.session_timeout + settings.heartbeat <= 8
    assert settings.session_timeout >= 6 * settings.heartbeat
    assert LEASE + LEASE / 10 <= 8
    # Heartbeats are sent from there, so that what a handler works out does not hold them up.
    assert issubclass(CommittedThread, ServiceThread)


@pytest.mark.parametrize(("name", "given"), [("SESSION_TIMEOUT", "5"), ("HEARTBEAT", "3")])
def test_a_session_that_brokers_refuse_or_one_lost_heartbeat_ends_is_refused(
    name: str, given: str
) -> None:
    with pytest.raises(BadSettings, match=f"^EARNBACK_{name} "):
        read("evaluator", {**GOOD, f"EARNBACK_{name}": given})


def test_how_long_a_transaction_may_wait_does_not_follow_from_the_session() -> None:
    settings = read("evaluator", {**GOOD, "EARNBACK_SESSION_TIMEOUT": "60"})
    assert settings.idle_in_transaction == IDLE
    given = {**GOOD, "EARNBACK_IDLE_IN_TRANSACTION": "40"}
    assert read("evaluator", given).idle_in_transaction == 40


async def test_a_broker_that_does_not_say_goodbye_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker, "PARTING_SECONDS", 0.01)
    answered, ended = asyncio.Event(), asyncio.Event()

    async def stop() -> None:
        await answered.wait()
        ended.set()

    await broker.parted(stop())
    assert not ended.is_set()
    answered.set()
    await asyncio.wait_for(ended.wait(), 5)


def test_a_failure_is_logged_without_what_it_says() -> None:
    sent = "-".join(("zq", "value"))

    def read(text: str) -> None:
        try:
            raise KeyError(text)
        except KeyError as error:
            raise ValueError(f"nothing is called {text}") from error

    with pytest.raises(ValueError, match=sent) as raised:
        read(sent)
    told = logs.stack_of(raised.value)
    assert sent not in told
    assert told.startswith("ValueError\n")
    assert "came of KeyError\n" in told
    assert " in read\n" in told
