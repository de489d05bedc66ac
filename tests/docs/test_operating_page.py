"""docs/operating.md: variables, defaults, metrics, routes and commands are those of the code."""

from __future__ import annotations

from collections.abc import Iterator
from re import findall

import pytest
from prometheus_client.metrics import MetricWrapperBase

from infra.topics import COPIES, declared
from services.cli.app import app
from services.cli.commands.keys import key
from services.evaluator import gauges as evaluator_gauges
from services.evaluator.settings import PARTS as EVALUATOR_PARTS
from services.evaluator.settings import read_pace
from services.ingest import lag
from services.ingest.service import PARTS
from services.settlement import gauges as settlement_gauges
from services.settlement.consumer import SETTLE_SECONDS
from services.settlement.routes import operations, pending
from services.shell import metrics
from services.shell.settings import read
from tests.docs.pages import ROOT, blocks, names, page, rows, section

PAGE = page("operating.md")
NEEDED = {"EARNBACK_KAFKA": "h:1", "EARNBACK_POSTGRES": "postgresql://h/n"}
OF_SASL = ("EARNBACK_KAFKA_MECHANISM", "EARNBACK_KAFKA_USER", "EARNBACK_KAFKA_PASSWORD")
OF_KEYS = (
    "EARNBACK_KAFKA_CERTIFICATE",
    "EARNBACK_KAFKA_KEY",
    "EARNBACK_KAFKA_KEY_PASSWORD",
)
SETTINGS = section(PAGE, "## Settings")
OF_SERVICES, OF_COMMAND = SETTINGS.split("For the command")


def variables_in_code() -> Iterator[str]:
    """Every variable that a process of the product reads."""
    for path in sorted(ROOT.glob("services/**/*.py")) + sorted(ROOT.glob("infra/**/*.py")):
        yield from findall(r"\"(EARNBACK_[A-Z_]+[A-Z])\"", path.read_text(encoding="utf-8"))
    # Beside each password, the file it may be in: see `secret` in services/shell/settings.py.
    yield from ("EARNBACK_KAFKA_PASSWORD_FILE", "EARNBACK_KAFKA_KEY_PASSWORD_FILE")
    # Read by name: see `given` in services/cli/where.py.
    yield from ("EARNBACK_INGEST", "EARNBACK_SETTLEMENT", "EARNBACK_KEY")


def test_every_variable_that_is_read_is_on_the_page_and_no_other() -> None:
    said = {name for row in rows(SETTINGS) for name in names(row[0])} | {"EARNBACK_FAULTPOINT"}
    assert said == set(variables_in_code())


def test_a_vendor_writes_its_own_topic_and_reads_none() -> None:
    """The chain runs with these rights and no others: tests/integration/test_acls.py."""
    of_vendor = [row[1:] for row in rows(PAGE) if row[0] == "`north`" and len(row) == 4]
    assert of_vendor == [["topic", "`intake.north`", "Write"]]


def test_the_defaults_on_the_page_are_those_of_the_code() -> None:
    said = {names(row[0])[0]: row[1].strip("`") for row in rows(OF_SERVICES)}
    common, pace = read("ingest", NEEDED), read_pace({})
    expected = {
        "EARNBACK_KAFKA": "needed",
        "EARNBACK_POSTGRES": "needed",
        "EARNBACK_KAFKA_SECURITY": common.security.protocol,
        **dict.fromkeys((*OF_SASL, *OF_KEYS), "none"),
        "EARNBACK_KAFKA_CA": "the system's",
        "EARNBACK_PREFIX": common.prefix or "none",
        "EARNBACK_GROUP": common.group,
        "EARNBACK_LOG_LEVEL": common.log_level,
        "EARNBACK_HTTP_HOST": common.http_host,
        "EARNBACK_HTTP_PORT": str(common.http_port),
        "EARNBACK_HTTP_CONNECTIONS": str(common.http_connections),
        "EARNBACK_HTTP_CONNECTIONS_PER_CLIENT": str(common.http_connections_per_client),
        "EARNBACK_PARTY_EVENTS_PER_SECOND": str(common.party_events_per_second),
        "EARNBACK_REFUSED_EVENTS_PER_DAY": str(common.refusals.events),
        "EARNBACK_REFUSED_KIB_PER_DAY": str(common.refusals.size // 1024),
        "EARNBACK_REFUSED_KEEP_DAYS": str(common.refusals.days),
        "EARNBACK_MOST_SUBJECTS": str(common.refusals.subjects),
        "EARNBACK_METRICS_PORT": str(common.metrics_port),
        "EARNBACK_SESSION_TIMEOUT": str(common.session_timeout),
        "EARNBACK_HEARTBEAT": str(common.heartbeat),
        "EARNBACK_IDLE_IN_TRANSACTION": str(common.idle_in_transaction),
        "EARNBACK_STALL": str(common.stall),
        "EARNBACK_STOP": str(common.stop),
        "EARNBACK_OUTBOX_KEEP_HOURS": str(common.outbox_keep_hours),
        "EARNBACK_INGEST_PARTS": ",".join(PARTS),
        "EARNBACK_EVALUATOR_PARTS": ",".join(EVALUATOR_PARTS),
        "EARNBACK_IDLE_AFTER": f"{pace.idle_after:g}",
        "EARNBACK_QUIET": f"{pace.quiet:g}",
        "EARNBACK_CLOSE_EVERY": f"{pace.every:g}",
        "EARNBACK_MOST_FACTS": str(pace.facts),
        "EARNBACK_SETTLE_SECONDS": f"{SETTLE_SECONDS:g}",
        "EARNBACK_EVALUATOR": "none",
        "EARNBACK_INGEST": "none",
    }
    assert said == expected


def test_every_metric_is_on_the_page_with_its_labels_and_no_other() -> None:
    collectors = [
        each
        for module in (metrics, lag, evaluator_gauges, settlement_gauges)
        for each in vars(module).values()
        if isinstance(each, MetricWrapperBase)
    ]
    expected = {
        each._name + ("_total" if each._type == "counter" else ""): list(each._labelnames)
        for each in collectors
    }
    assert {
        names(row[0])[0]: names(row[1]) for row in rows(section(PAGE, "## Metrics"))
    } == expected


def test_the_routes_named_under_alarms_are_routes() -> None:
    paths = {
        route.path  # type: ignore[attr-defined]
        for each in (operations, pending)
        for route in each.routes.routes
    }
    named = findall(r"`GET (/v1/[a-z-]+)`", section(PAGE, "## Alarms"))
    assert len(set(named)) == 3
    assert set(named) <= paths


def test_the_numbers_of_copies_partitions_and_seconds_are_those_declared() -> None:
    topics = declared()
    scale = section(PAGE, "## Scale out")
    many = {name: topic.partitions["production"] for name, topic in topics.items()}
    assert f"{many['measurements']} of `measurements`" in scale
    assert f"{many['evaluations']} of the others" in scale
    assert COPIES == {"trial": 1, "production": 3}
    days = int(topics["measurements"].config["retention.ms"]) // 86_400_000
    assert f"declared with {days} days" in section(PAGE, "## Backup")
    assert int(topics["intake.{vendor}"].config["retention.ms"]) == 7 * 86_400_000
    assert f"hung for {metrics.SILENT_FOR:.0f} seconds" in section(PAGE, "## Health")


@pytest.mark.parametrize("service", ["ingest", "evaluator", "settlement"])
def test_every_service_is_started_as_the_page_says(service: str) -> None:
    assert f"python -m services.{service}" in "".join(blocks(PAGE, "sh"))
    assert (ROOT / "services" / service / "__main__.py").exists()


def test_every_earnback_command_on_the_page_is_one() -> None:
    known = {
        each.name or str(getattr(each.callback, "__name__", "")) for each in app.registered_commands
    }
    groups = {group.name for group in app.registered_groups}
    used = set(findall(r"`?earnback ([a-z]+)", PAGE)) - {"talks"}
    assert {"prepare", "up", "close", "key", "contract"} <= used
    assert used & {"prepare", "up", "close"} <= known
    assert {"key", "contract"} <= groups
    assert {each.name for each in key.registered_commands} >= set(
        findall(r"`earnback key ([a-z]+) ", PAGE)
    )
