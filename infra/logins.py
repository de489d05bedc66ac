"""A login of its own for each service, where the database is ours, with the rights of its role.

Where a database is given, whoever runs it makes the logins; docs/operating.md says how.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

import asyncpg


async def service_logins(dsn: str, services: Iterable[str], beginning: str = "") -> dict[str, str]:
    """The address of the database for each service, with a login and a new password.

    ``dsn``: of the owner, who may make roles. The roles `earnback_SERVICE` are there.
    ``beginning``: what the name of each role begins with, where installations share the server.
    """
    addresses = {}
    connection = await asyncpg.connect(dsn)
    try:
        for service in services:
            role = f"{beginning}earnback_{service}"
            name, password = f"{role}_login", secrets.token_urlsafe(24)
            if not await connection.fetchval("select true from pg_roles where rolname = $1", name):
                await connection.execute(f"create role {name} login in role {role}")
            await connection.execute(f"alter role {name} password '{password}'")
            addresses[service] = _as(dsn, name, password)
    finally:
        await connection.close()
    return addresses


def _as(dsn: str, name: str, password: str) -> str:
    """The address with another login. A password of ours holds nothing that has to be quoted."""
    parts = urlsplit(dsn)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{password}@{place}"))
