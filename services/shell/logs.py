"""JSON logs with a correlation id that follows the work, whoever writes the line."""

import contextvars
import logging
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from secrets import token_hex
from traceback import format_tb
from typing import Any, NoReturn

import structlog

_MOST_CAUSES = 10
SOFTWARE_FAILURE = 70
"""Exit code for "this process must not go on; start it again" (EX_SOFTWARE)."""

_correlation: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "correlation", default=None
)


def correlation_id() -> str | None:
    """Return the id of the work this task is part of, or None outside of any."""
    return _correlation.get()


@contextmanager
def correlated(identifier: str | None) -> Iterator[None]:
    """Mark everything logged inside as part of one piece of work."""
    token = _correlation.set(identifier)
    try:
        yield
    finally:
        _correlation.reset(token)


@contextmanager
def correlated_if_alone(kind: str) -> Iterator[None]:
    """As `correlated`, with an id of its own, where the work is not part of another already.

    ``kind``: of work; the id begins with it.
    """
    with correlated(correlation_id() or f"{kind}-{token_hex(8)}"):
        yield


def _add_correlation(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    identifier = _correlation.get()
    if identifier is not None:
        event.setdefault("correlation_id", identifier)
    return event


def configure(service: str, level: str = "info") -> None:
    """Send every log line of this process, of libraries too, to stderr as one JSON object a
    line."""

    def add_service(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _add_correlation,
        add_service,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for client in ("httpx", "httpcore"):
        # They tell the address of every request, and addresses name events.
        logging.getLogger(client).setLevel(logging.WARNING)
    if level != "debug":
        # They tell every start, stop and rebalance several times over.
        for library in ("faust", "mode", "aiokafka"):
            logging.getLogger(library).setLevel(logging.WARNING)
        # It warns of every request that is no HTTP: whoever may connect would fill the log.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def log(name: str) -> Any:
    """Return the logger of a module: `log(__name__).info("what_happened", field=value)`."""
    return structlog.stdlib.get_logger(name)


def stack_of(error: BaseException) -> str:
    """Where an exception was raised, its class, and those that it came of; not what it says.

    For work on what a party has sent: a message may hold any value of it, and a log is read by
    others. As text, for with the values of all variables it would take seconds.
    """
    told: list[str] = []
    while error is not None and len(told) < _MOST_CAUSES:
        told.append(f"{type(error).__name__}\n{''.join(format_tb(error.__traceback__))}")
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return "came of ".join(told)


def leave(event: str, *, over_what_was_sent: bool = False, **fields: Any) -> NoReturn:
    """Say why and end the process at once, so that its supervisor starts it again.

    ``over_what_was_sent``: the exception that is handled was raised over what a party has sent, and
    is told as `stack_of` tells it.

    `os._exit` on purpose: no handler, no framework and no half-done clean-up gets a chance to
    acknowledge work that was not done. Open transactions are rolled back by the server.
    """
    error = sys.exc_info()[1]
    if error is not None and over_what_was_sent:
        fields["traceback"] = stack_of(error)
    raised = error is not None and not over_what_was_sent
    log(__name__).critical(event, exit_code=SOFTWARE_FAILURE, exc_info=raised, **fields)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(SOFTWARE_FAILURE)
