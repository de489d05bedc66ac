"""What a process is told by its environment: read once at start, checked as a whole, frozen
afterwards."""

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from services.shell import prefix as prefixes
from services.shell.broker import MECHANISMS, NONE, PROTOCOLS, Security
from services.shell.postgres import IDLE
from services.shell.refusals import LEAST_DAYS, USUAL, RefusalQuota

T = TypeVar("T")
LEVELS = ("debug", "info", "warning", "error", "critical")
_KAFKA = "EARNBACK_KAFKA_"


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
    postgres: str = field(repr=False)
    """postgresql:// address, or postgresql:///name?host=/socket/directory. It may hold a
    password, so it is in no repr."""
    group: str = "earnback"
    """In the names of consumer groups and transactional ids, after the prefix."""
    prefix: str = ""
    """Sets this installation apart from others that share its Kafka cluster or Postgres server."""
    log_level: str = "info"
    http_host: str = "127.0.0.1"
    http_port: int = 0
    """Port of a service's own API. 0 = the service chooses or has none."""
    http_connections: int = 500
    """Open connections of a service's own API, at most."""
    http_connections_per_client: int = 200
    """Of them, of one client's address. A proxy before the service is one client."""
    metrics_port: int = 0
    """Port for /livez, /readyz and /metrics of a worker. 0 = off."""
    session_timeout: int = 6
    """After this long without a heartbeat the broker gives a worker's partitions to another."""
    heartbeat: int = 1
    idle_in_transaction: int = IDLE
    """For so long a worker's transaction may wait for its next statement: a process that is frozen
    in one keeps its successor waiting so long; one that computes in one must be faster."""
    stall: int = 120
    """Lag without any progress for this long ends the worker."""
    stop: int = 30
    """A graceful stop that takes longer is cut short."""
    outbox_keep_hours: int = 24 * 7
    """Published outbox rows are kept this long, for questions and for a broker that lost its
    tail."""
    security: Security = NONE
    """Security settings of the broker: protocol, mechanism, user, certificates."""
    party_events_per_second: int = 50_000
    """Events of one party that ingest takes in a second, in each of its processes. 0 = any number.
    Fewer than an evaluator applies, so that what others send comes through."""
    refusals: RefusalQuota = USUAL
    """What is kept of each party's refused events."""

    @property
    def app(self) -> str:
        """The consumer group and the key of this process in the progress table."""
        return f"{prefixes.beginning(self.prefix)}{self.group}-{self.service}"

    def transactional_id(self, topic: str) -> str:
        """Of the relay that writes this topic."""
        begin = prefixes.beginning(self.prefix)
        return f"{begin}{self.group}-relay-{topic.removeprefix(begin)}"


def read(service: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of one service.

    Raises:
        BadSettings: naming every variable that is missing or wrong, not only the first.
    """
    reader = _EnvironmentReader(os.environ if environ is None else environ)
    settings = Settings(
        service=service,
        kafka=reader.needed("EARNBACK_KAFKA", _addresses, "host:port[,host:port]", ""),
        postgres=reader.needed("EARNBACK_POSTGRES", _dsn, "postgresql://user@host:port/name", ""),
        group=reader.given("EARNBACK_GROUP", _name, "letters, digits, dot, dash", "earnback"),
        prefix=_prefix(reader),
        log_level=reader.given("EARNBACK_LOG_LEVEL", _level, " or ".join(LEVELS), "info"),
        http_host=reader.given("EARNBACK_HTTP_HOST", str, "an address to listen on", "127.0.0.1"),
        http_port=reader.given("EARNBACK_HTTP_PORT", _port, "a port, 0 to 65535", 0),
        http_connections=reader.given("EARNBACK_HTTP_CONNECTIONS", _positive, "a number", 500),
        http_connections_per_client=reader.given(
            "EARNBACK_HTTP_CONNECTIONS_PER_CLIENT", _positive, "a number", 200
        ),
        metrics_port=reader.given("EARNBACK_METRICS_PORT", _port, "a port, 0 = off", 0),
        session_timeout=reader.given("EARNBACK_SESSION_TIMEOUT", _session, "seconds, 6 to 60", 6),
        heartbeat=reader.given("EARNBACK_HEARTBEAT", _seconds, "seconds, 1 to 20", 1),
        idle_in_transaction=reader.given(
            "EARNBACK_IDLE_IN_TRANSACTION", _positive, "seconds", IDLE
        ),
        stall=reader.given("EARNBACK_STALL", _positive, "seconds", 120),
        stop=reader.given("EARNBACK_STOP", _positive, "seconds", 30),
        outbox_keep_hours=reader.given("EARNBACK_OUTBOX_KEEP_HOURS", _positive, "hours", 168),
        party_events_per_second=reader.given(
            "EARNBACK_PARTY_EVENTS_PER_SECOND", _count, "a number, 0 = any", 50_000
        ),
        security=_security(reader),
        refusals=_refusals(reader),
    )
    reader.check(
        settings.heartbeat * 3 <= settings.session_timeout,
        "EARNBACK_HEARTBEAT must be at most a third of EARNBACK_SESSION_TIMEOUT, "
        f"is {settings.heartbeat} of {settings.session_timeout}: lower it",
    )
    reader.finish()
    return settings


def _refusals(reader: "_EnvironmentReader") -> RefusalQuota:
    kib = reader.given(
        "EARNBACK_REFUSED_KIB_PER_DAY", _positive, "a number of KiB", USUAL.size // 1024
    )
    quota = RefusalQuota(
        events=reader.given(
            "EARNBACK_REFUSED_EVENTS_PER_DAY", _positive, "a number of events", USUAL.events
        ),
        size=kib * 1024,
        days=reader.given("EARNBACK_REFUSED_KEEP_DAYS", _positive, "days", USUAL.days),
        subjects=reader.given(
            "EARNBACK_MOST_SUBJECTS", _positive, "a number of subjects", USUAL.subjects
        ),
    )
    reader.check(
        quota.days >= LEAST_DAYS,
        f"EARNBACK_REFUSED_KEEP_DAYS must be {LEAST_DAYS} or more, is {quota.days}: raise it",
    )
    return quota


def read_security(environ: Mapping[str, str] | None = None) -> Security:
    """Read broker security settings only, for commands that are given the rest otherwise.

    Raises:
        BadSettings: naming every variable that is missing, wrong or without effect.
    """
    reader = _EnvironmentReader(os.environ if environ is None else environ)
    security = _security(reader)
    reader.finish()
    return security


def read_prefix(environ: Mapping[str, str] | None = None) -> str:
    """Read the prefix of this installation only; "" where it has none.

    Raises:
        BadSettings: it cannot be used.
    """
    reader = _EnvironmentReader(os.environ if environ is None else environ)
    prefix = _prefix(reader)
    reader.finish()
    return prefix


def _prefix(reader: "_EnvironmentReader") -> str:
    return reader.given("EARNBACK_PREFIX", prefixes.prefix, prefixes.FORM, "")


def _security(reader: "_EnvironmentReader") -> Security:
    protocol = reader.given("EARNBACK_KAFKA_SECURITY", _protocol, " or ".join(PROTOCOLS), "")
    security = Security(
        protocol=protocol or "PLAINTEXT",
        mechanism=reader.given("EARNBACK_KAFKA_MECHANISM", _mechanism, " or ".join(MECHANISMS), ""),
        user=reader.given("EARNBACK_KAFKA_USER", str, "a user name", ""),
        password=reader.secret("EARNBACK_KAFKA_PASSWORD"),
        ca=reader.given("EARNBACK_KAFKA_CA", _file, "a file in PEM", ""),
        certificate=reader.given("EARNBACK_KAFKA_CERTIFICATE", _file, "a file in PEM", ""),
        key=reader.given("EARNBACK_KAFKA_KEY", _file, "a file in PEM", ""),
        key_password=reader.secret("EARNBACK_KAFKA_KEY_PASSWORD"),
    )
    if not reader.wrong(_KAFKA):
        _check_together(reader, security)
    if not reader.wrong(_KAFKA):
        _try_files(reader, security)
    return security


def _check_together(reader: "_EnvironmentReader", security: Security) -> None:
    """What is set must have an effect: a password that is not used may hide a wrong protocol."""
    of_sasl = {
        "MECHANISM": security.mechanism,
        "USER": security.user,
        "PASSWORD": security.password,
    }
    of_tls = {
        "CA": security.ca,
        "CERTIFICATE": security.certificate,
        "KEY": security.key,
        "KEY_PASSWORD": security.key_password,
    }
    idle = ({} if security.sasl else of_sasl) | ({} if security.tls else of_tls)
    for name in (name for name, value in idle.items() if value):
        reader.check(
            False,
            f"{_KAFKA}{name} has no effect while {_KAFKA}SECURITY is {security.protocol}: "
            "give the protocol of the broker's listener there, or remove this",
        )
    for name in (name for name, value in of_sasl.items() if security.sasl and not value):
        reader.check(
            False, f"{_KAFKA}{name} is not set: {_KAFKA}SECURITY {security.protocol} needs it"
        )
    reader.check(
        (security.protocol, security.mechanism) != ("SASL_PLAINTEXT", "PLAIN"),
        f"{_KAFKA}MECHANISM PLAIN cannot be used with {_KAFKA}SECURITY SASL_PLAINTEXT (the "
        "password would be readable on the way): take SASL_SSL, or a SCRAM mechanism",
    )
    reader.check(
        bool(security.certificate) == bool(security.key),
        f"{_KAFKA}CERTIFICATE and {_KAFKA}KEY belong together and only one is set: set both "
        "(one file may hold both), or none",
    )
    reader.check(
        bool(security.key) or not security.key_password,
        f"{_KAFKA}KEY_PASSWORD has no effect without {_KAFKA}KEY: set that, or remove this",
    )


def _try_files(reader: "_EnvironmentReader", security: Security) -> None:
    """Load the files as a client will: what is wrong with them is better said now."""
    own = replace(security, ca="")
    authorities = Security(security.protocol, ca=security.ca)
    for names, part in (
        (f"{_KAFKA}CA", authorities),
        (f"{_KAFKA}CERTIFICATE, {_KAFKA}KEY or {_KAFKA}KEY_PASSWORD", own),
    ):
        try:
            part.context()
        except OSError as error:
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            reader.check(
                False,
                f"{names} cannot be used ({why or 'not what it should hold'}): give files in PEM "
                "that belong together",
            )


class _EnvironmentReader:
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

    def secret(self, name: str) -> str:
        """A password, from the variable or from the file that ``name_FILE`` names.

        The line end that editors leave is no part of it.
        """
        direct, path = self._environ.get(name, ""), self._environ.get(f"{name}_FILE", "")
        if direct and path:
            self._complaints.append(f"{name} and {name}_FILE are both set: remove one")
        if direct or not path:
            return direct
        try:
            found = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            self._complaints.append(f"{name}_FILE cannot be read ({why}): give a readable file")
            return ""
        self.check(bool(found), f"{name}_FILE names an empty file: write the password into it")
        return found

    def wrong(self, prefix: str) -> bool:
        """Whether anything has been said of variables that begin so."""
        return any(complaint.startswith(prefix) for complaint in self._complaints)

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


def _protocol(text: str) -> str:
    if text.upper() not in PROTOCOLS:
        raise ValueError("no such protocol")
    return text.upper()


def _mechanism(text: str) -> str:
    if text.upper() not in MECHANISMS:
        raise ValueError("no such mechanism")
    return text.upper()


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError("there is no such file")
    return text


def _between(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None
    if not low <= value <= high:
        raise ValueError(f"outside {low} to {high}")
    return value


def _port(text: str) -> int:
    return _between(text, 0, 65_535)


def _session(text: str) -> int:
    # A broker refuses less than 6 unless it is told otherwise (group.min.session.timeout.ms), and
    # Faust more than its request timeout, which is 60.
    return _between(text, 6, 60)


def _seconds(text: str) -> int:
    return _between(text, 1, 20)


def _count(text: str) -> int:
    return _between(text, 0, 10**9)


def _positive(text: str) -> int:
    return _between(text, 1, 10**9)
