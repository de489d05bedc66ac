"""What a process is told by its environment: read once at start, checked as a whole, frozen
afterwards."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
LEVELS = ("debug", "info", "warning", "error", "critical")


class BadSettings(Exception):
    """The environment does not describe a process that can run. Each line names a variable and its
    remedy."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One process's settings. Times in seconds."""

    service: str
    """Name of the process, such as "evaluator": part of its group's name and of every log line."""
    kafka: str
    """host:port[,host:port...]"""
    postgres: str
    """postgresql:// address, or postgresql:///name?host=/socket/directory"""
    group: str = "earnback"
    """Prefix of consumer groups and transactional ids: two installations may share one Kafka
    cluster."""
    log_level: str = "info"
    http_host: str = "127.0.0.1"
    http_port: int = 0
    """Port of a service's own API. 0 = the service chooses or has none."""
    metrics_port: int = 0
    """Port for /livez, /readyz and /metrics of a worker. 0 = off."""
    session_timeout: int = 30
    """After this long without a heartbeat the broker gives a worker's partitions to another."""
    heartbeat: int = 3
    stall: int = 120
    """Lag without any progress for this long ends the worker."""
    stop: int = 30
    """A graceful stop that takes longer is cut short."""
    outbox_keep_hours: int = 24 * 7
    """Published outbox rows are kept this long, for questions and for a broker that lost its
    tail."""

    @property
    def app(self) -> str:
        """The consumer group and the key of this process in the progress table."""
        return f"{self.group}-{self.service}"


def read(service: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of one service.

    Raises:
        BadSettings: naming every variable that is missing or wrong, not only the first.
    """
    reader = _Reader(os.environ if environ is None else environ)
    settings = Settings(
        service=service,
        kafka=reader.needed("EARNBACK_KAFKA", _addresses, "host:port[,host:port]", ""),
        postgres=reader.needed("EARNBACK_POSTGRES", _dsn, "postgresql://user@host:port/name", ""),
        group=reader.given("EARNBACK_GROUP", _name, "letters, digits, dot, dash", "earnback"),
        log_level=reader.given("EARNBACK_LOG_LEVEL", _level, " or ".join(LEVELS), "info"),
        http_host=reader.given("EARNBACK_HTTP_HOST", str, "an address to listen on", "127.0.0.1"),
        http_port=reader.given("EARNBACK_HTTP_PORT", _port, "a port, 0 to 65535", 0),
        metrics_port=reader.given("EARNBACK_METRICS_PORT", _port, "a port, 0 = off", 0),
        session_timeout=reader.given("EARNBACK_SESSION_TIMEOUT", _seconds, "seconds, 1 to 60", 30),
        heartbeat=reader.given("EARNBACK_HEARTBEAT", _seconds, "seconds, 1 to 60", 3),
        stall=reader.given("EARNBACK_STALL", _positive, "seconds", 120),
        stop=reader.given("EARNBACK_STOP", _positive, "seconds", 30),
        outbox_keep_hours=reader.given("EARNBACK_OUTBOX_KEEP_HOURS", _positive, "hours", 168),
    )
    reader.check(
        settings.heartbeat * 3 <= settings.session_timeout,
        "EARNBACK_HEARTBEAT must be at most a third of EARNBACK_SESSION_TIMEOUT, "
        f"is {settings.heartbeat} of {settings.session_timeout}: lower it",
    )
    reader.finish()
    return settings


class _Reader:
    """Collects complaints so that one start shows all of them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._complaints: list[str] = []

    def needed(self, name: str, parse: Callable[[str], T], form: str, stand_in: T) -> T:
        if not self._environ.get(name):
            self._complaints.append(f"{name} is not set: give {form}")
            return stand_in
        return self.given(name, parse, form, stand_in)

    def given(self, name: str, parse: Callable[[str], T], form: str, otherwise: T) -> T:
        text = self._environ.get(name)
        if not text:
            return otherwise
        try:
            return parse(text)
        except ValueError as error:
            # The value is not repeated: an address may carry a password.
            self._complaints.append(f"{name} cannot be used ({error}): give {form}")
            return otherwise

    def check(self, holds: bool, complaint: str) -> None:
        if not holds:
            self._complaints.append(complaint)

    def finish(self) -> None:
        if self._complaints:
            raise BadSettings("\n".join(self._complaints))


def _addresses(text: str) -> str:
    for address in text.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise ValueError("every address needs a host and a port")
    return ",".join(address.strip() for address in text.split(","))


def _dsn(text: str) -> str:
    if urlsplit(text).scheme not in ("postgresql", "postgres"):
        raise ValueError("the address does not begin with postgresql://")
    return text


def _name(text: str) -> str:
    if not all(letter.isalnum() or letter in ".-" for letter in text):
        raise ValueError("it holds a letter that a topic or group name may not have")
    return text


def _level(text: str) -> str:
    if text.lower() not in LEVELS:
        raise ValueError("no such level")
    return text.lower()


def _between(text: str, low: int, high: int) -> int:
    value = int(text)
    if not low <= value <= high:
        raise ValueError(f"outside {low} to {high}")
    return value


def _port(text: str) -> int:
    return _between(text, 0, 65_535)


def _seconds(text: str) -> int:
    # Faust refuses a session timeout above its request timeout, which is 60.
    return _between(text, 1, 60)


def _positive(text: str) -> int:
    return _between(text, 1, 10**9)
