"""How every client reaches the broker: its addresses and its security, in the words of each client.

The only place that turns settings into the options of aiokafka and of librdkafka; tests/house
holds that no other file names a broker's address.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PARTING_SECONDS = 1.0
"""How long the end of a connection is waited for."""


@dataclass(frozen=True, slots=True)
class Security:
    """Kafka's own words: protocol and mechanism as the broker's listener has them. Files in PEM.

    Neither password shows in the repr.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    """File of the authorities that the broker's certificate is held against; "": the system's."""
    certificate: str = ""
    """File with this client's certificate and its chain; "": it shows none."""
    key: str = ""
    key_password: str = field(default="", repr=False)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        """Whether the client gives a name and a password."""
        return self.protocol.startswith("SASL")

    def context(self) -> ssl.SSLContext | None:
        """What TLS is made from; the broker's certificate and name are always checked.

        Raises OSError, ssl.SSLError among them, for files that cannot be used.
        """
        if not self.tls:
            return None
        made = ssl.create_default_context(cafile=self.ca or None)
        if self.certificate:
            # Given as a function: without it OpenSSL would ask for the password at a terminal.
            made.load_cert_chain(self.certificate, self.key, lambda: self.key_password)
        return made


NONE = Security()
CHECK_BROKER = (
    "the lines before say why; where the broker is not reached or does not let us in: check "
    "EARNBACK_KAFKA, EARNBACK_KAFKA_SECURITY and the settings that belong to it"
)


def for_aiokafka(kafka: str, security: Security) -> dict[str, Any]:
    """The options by which any client of aiokafka finds the broker and is let in."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.split(","),
        "security_protocol": security.protocol,
    }
    if security.tls:
        options["ssl_context"] = security.context()
    if security.sasl:
        options |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.user,
            "sasl_plain_password": security.password,
        }
    return options


def for_librdkafka(kafka: str, security: Security) -> dict[str, Any]:
    """The same for clients of confluent_kafka."""
    options: dict[str, Any] = {
        "bootstrap.servers": kafka,
        "security.protocol": security.protocol.lower(),
    }
    if security.tls:
        options["ssl.endpoint.identification.algorithm"] = "https"
        options |= _given(
            ("ssl.ca.location", security.ca),
            ("ssl.certificate.location", security.certificate),
            ("ssl.key.location", security.key),
            ("ssl.key.password", security.key_password),
        )
    if security.sasl:
        options |= {
            "sasl.mechanism": security.mechanism,
            "sasl.username": security.user,
            "sasl.password": security.password,
        }
    return options


def _given(*pairs: tuple[str, str]) -> dict[str, str]:
    return {name: value for name, value in pairs if value}


async def parted(stopping: Coroutine[Any, Any, None]) -> None:
    """Stop a client of aiokafka, and wait only a moment for its connections to end.

    Under TLS a connection ends when the broker has said so too. One that still works on a request
    may not, and asyncio then waits 30 seconds: by itself, it has no part in what comes next.

    Args:
        stopping: what the client's ``stop()`` or ``close()`` gives.
    """
    task = asyncio.create_task(_quietly(stopping), name="parting from the broker")
    _PARTING.add(task)
    task.add_done_callback(_PARTING.discard)
    await asyncio.wait({task}, timeout=PARTING_SECONDS)


_PARTING: set[asyncio.Task[None]] = set()
"""Kept, as the event loop alone does not keep a task from being collected."""


async def _quietly(stopping: Coroutine[Any, Any, None]) -> None:
    with suppress(Exception):
        await stopping
