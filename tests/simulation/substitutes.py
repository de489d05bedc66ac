"""What is put in place of clocks, clients and the end of a process, in our modules only.

Nothing of the protocol is replaced: `time.monotonic`, aiokafka's clients, asyncpg's connections,
`os._exit`, the log and the constants that only say how often one looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn
from unittest.mock import patch
from uuid import UUID

from services.shell import kafka, log_reader, outbox, postgres, relay, steps, watchdog
from tests.simulation.kafka import Producer, Reader, dial_database
from tests.simulation.loop import PROCESS, ProcessEnded

POLL = 0.8
"""Seconds between two of the relay's looks: in the product 0.05, which only costs steps here."""


def _world() -> Any:
    return asyncio.get_running_loop().world  # type: ignore[attr-defined]


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


def _leave(event: str, *, over_what_was_sent: bool = False, **fields: Any) -> NoReturn:
    _world().left(PROCESS.get(), event, fields)
    raise ProcessEnded(event)


def _faultpoint(name: str) -> None:
    if _world().dies_at(name):
        _world().crash(PROCESS.get(), name)
        raise ProcessEnded(name)


def _uuid4() -> UUID:
    return UUID(int=_world().chance.getrandbits(128))


class _Log:
    """Log lines become part of the trace."""

    def _note(self, event: str, **fields: Any) -> None:
        _world().note(PROCESS.get(), event, fields)

    info = warning = error = critical = _note


def _log(_: str) -> _Log:
    return _LOG


_LOG = _Log()
_IN_PLACE = (
    *((module, "monotonic", _monotonic) for module in (steps, relay, postgres, log_reader)),
    (watchdog, "monotonic", _monotonic),
    *((module, "log", _log) for module in (steps, relay, postgres, kafka, watchdog)),
    *((module, "leave", _leave) for module in (steps, kafka, watchdog)),
    *((module, "faultpoint", _faultpoint) for module in (steps, relay, kafka)),
    (relay, "AIOKafkaProducer", Producer),
    (relay, "uuid4", _uuid4),
    (relay, "POLL", POLL),
    (log_reader, "AIOKafkaConsumer", Reader),
    (watchdog, "AIOKafkaConsumer", Reader),
    (watchdog, "connect", dial_database),
    (outbox, "correlation_id", lambda: None),
)


@contextmanager
def substituted() -> Iterator[None]:
    """While this is open, our modules run on whatever world runs them."""
    with ExitStack() as stack:
        for module, name, value in _IN_PLACE:
            stack.enter_context(patch.object(module, name, value))
        yield
