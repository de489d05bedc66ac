"""Prometheus collectors that all services share, and a small HTTP server for processes without an
API.

The server runs in a thread of its own: it must answer, and say "not alive", while the event loop
hangs.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

LAG = Gauge(
    "earnback_lag_records",
    "Records in Kafka that Postgres does not say are applied; 0 when only markers are left.",
    ["app", "topic", "partition"],
)
APPLIED_OFFSET = Gauge(
    "earnback_applied_offset", "First record not yet applied.", ["app", "topic", "partition"]
)
STEPS = Counter(
    "earnback_steps_total",
    "Batches of one partition by outcome: applied, repeated, not_ours, jumped.",
    ["app", "topic", "outcome"],
)
STEP_SECONDS = Histogram(
    "earnback_step_seconds", "One batch from the first statement to its commit.", ["app", "topic"]
)
EVENTS = Counter("earnback_events_total", "Events by outcome.", ["service", "outcome"])
OUTBOX_DEPTH = Gauge("earnback_outbox_depth", "Rows enqueued and not yet published.", ["topic"])
PUBLISHED = Counter("earnback_outbox_published_total", "Rows published.", ["topic"])
WINDOWS_OPEN = Gauge("earnback_windows_open", "Windows that still take events.", ["service"])
CLOSE_SECONDS = Histogram(
    "earnback_close_seconds",
    "Closing one period, recount included.",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
)
PARKED = Gauge(
    "earnback_parked",
    "Work on single agreements that failed and is kept until its inputs change.",
    ["service", "what"],
)
INGEST_COMPILED = Gauge(
    "earnback_ingest_compiled",
    "1 while batches are judged by the compiled loops, 0 before, -1 where they can't be compiled.",
)
NOT_READY = Gauge(
    "earnback_not_ready", "1 while a part keeps a process from being ready, by part.", ["part"]
)
REQUEST_SECONDS = Histogram(
    "earnback_request_seconds",
    "HTTP requests by route template and status.",
    ["service", "method", "route", "status"],
)
REFUSED_EARLY = Counter(
    "earnback_http_refused_early_total",
    "Requests and connections refused before authentication, by reason.",
    ["service", "reason"],
)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def method_label(method: str) -> str:
    """A method as a label: of a fixed set, since whoever asks invents as many as they like."""
    return method if method in METHODS else "other"


SILENT_FOR = 20.0
"""A loop that has not beaten for this many seconds is not alive."""


class Health:
    """What a process knows of its own health. Thread-safe: one writer each, plain assignments."""

    def __init__(self) -> None:
        self._beat = monotonic()
        self._not_ready: dict[str, str] = {"start": "has not finished starting"}

    def beat(self) -> None:
        """Say that the event loop turns. Called every second or so by a task on that loop."""
        self._beat = monotonic()

    def ready(self, part: str) -> None:
        """Say that a part of the process can do its work."""
        self._not_ready.pop(part, None)
        NOT_READY.labels(part).set(0)

    def not_ready(self, part: str, reason: str) -> None:
        """Say that a part cannot do its work, and why."""
        self._not_ready[part] = reason
        NOT_READY.labels(part).set(1)

    def alive(self) -> bool:
        """Tell whether the loop has turned lately."""
        return monotonic() - self._beat < SILENT_FOR

    def missing(self) -> dict[str, str]:
        """Return what keeps the process from being ready, part by part. Empty when ready."""
        return dict(self._not_ready)


def render() -> tuple[str, bytes]:
    """Return media type and text of all collectors."""
    return CONTENT_TYPE_LATEST, generate_latest(REGISTRY)


class BoundedServer(ThreadingHTTPServer):
    """A thread for each connection, of which there are few, and none lives long.

    A connection has one request (HTTP/1.0), so its age is the time that the request took to come
    and the answer to be read.
    """

    most, seconds = 32, 10.0
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._open: dict[socket.socket, float] = {}
        super().__init__(*arguments)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take no more connections than there may be threads."""
        if len(self._open) >= self.most:
            return False
        self._open[request] = monotonic()
        return True

    def shutdown_request(self, request: Any) -> None:
        """A thread is done with its connection."""
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End what is too slow; called twice a second."""
        oldest = monotonic() - self.seconds
        for connection, since in list(self._open.items()):
            if since < oldest:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that went away is not news."""


class HealthServer:
    """Serves /livez, /readyz and /metrics from its own thread."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._server = BoundedServer((host, port), _handler(health))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health-server", daemon=True
        )

    def open(self) -> None:
        """Start answering."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and give the port back."""
        self._server.shutdown()
        self._server.server_close()


def _handler(health: Health) -> type[BaseHTTPRequestHandler]:
    def livez() -> tuple[int, str, bytes]:
        return (200, "text/plain", b"alive") if health.alive() else (503, "text/plain", b"hangs")

    def readyz() -> tuple[int, str, bytes]:
        lines = [f"{part}: {reason}" for part, reason in sorted(health.missing().items())]
        return (503 if lines else 200), "text/plain", "\n".join(lines or ["ready"]).encode()

    def metrics() -> tuple[int, str, bytes]:
        return (200, *render())

    routes: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics,
    }

    class HealthHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = routes.get(self.path.partition("?")[0])
            status, media, body = answer() if answer else (404, "text/plain", b"no such page")
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent: a probe every few seconds is not news."""

    return HealthHandler
