"""What the address of Postgres says about TLS and passwords holds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import trustme

from services.shell.postgres import NotReached, connect, connected, open_pool

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@asynccontextmanager
async def behind_tls(database: str, folder: Path) -> AsyncIterator[str]:
    """An address of the database that speaks TLS as Postgres does, and the authority's file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "foreign.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    to = urlsplit(database)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) != _SSL_REQUEST:
                writer.close()
                return
            writer.write(b"S")
            await writer.start_tls(context)
            inner, outer = await asyncio.open_connection(to.hostname, to.port)
            await asyncio.gather(_pass_on(reader, outer), _pass_on(inner, writer))

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        yield to._replace(netloc=f"{to.username}:{to.password}@localhost:{port}").geturl()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(65_536):
        writer.write(some)
        await writer.drain()
    writer.close()


async def test_the_mode_verify_full_lets_in_by_the_right_authority_and_by_no_other(
    database: str, tmp_path: Path
) -> None:
    async with behind_tls(database, tmp_path) as dsn:
        checked = f"{dsn}?sslmode=verify-full&sslrootcert={tmp_path}"
        pool = await open_pool(f"{checked}/ca.pem", name="test")
        assert await pool.fetchval("select 1") == 1
        await pool.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"{checked}/foreign.pem", name="test")
        by_number = checked.replace("@localhost:", "@127.0.0.1:")
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            await connect(f"{by_number}/ca.pem", name="test")


async def test_the_mode_require_is_not_given_up_where_the_server_speaks_no_tls(
    database: str,
) -> None:
    async with await asyncio.start_server(_says_no, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
            await connect(f"postgresql://u:p@127.0.0.1:{port}/d?sslmode=require", name="test")


async def _says_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    assert await reader.readexactly(8) == _SSL_REQUEST
    writer.write(b"N")
    await writer.drain()
    writer.close()


async def test_the_password_may_stay_in_a_file_of_its_own(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = urlsplit(database)
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:{told.username}:{told.password}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    bare = told._replace(netloc=f"{told.username}@{told.hostname}:{told.port}").geturl()
    connection = await connect(bare, name="test")
    assert await connection.fetchval("select 1") == 1
    await connection.close()
    file.write_text(f"*:*:*:{told.username}:another\n")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(bare, name="test")


@pytest.mark.parametrize(
    ("dsn", "told"),
    [
        ("postgresql://me:secret@127.0.0.1:1/x", "Postgres at 127.0.0.1:1 is not reached: "),
        (
            "postgresql://me:sec/secret@127.0.0.1:1/x",
            "Postgres is not reached: the address can't be read",
        ),
        ("here", "Postgres is not reached: invalid DSN: "),
        ("postgresql://[/x", "Postgres at [ is not reached: the address can't be read"),
    ],
)
async def test_where_it_was_looked_for_is_told_without_the_password(dsn: str, told: str) -> None:
    with pytest.raises(NotReached) as refused:
        async with connected(dsn, name="test"):
            raise AssertionError("there is nothing at this address")
    said = str(refused.value)
    assert said.startswith(told)
    assert said.endswith("; check EARNBACK_POSTGRES")
    assert "secret" not in said


async def test_a_wrong_password_is_told_with_the_setting_to_check(database: str) -> None:
    to = urlsplit(database)
    wrong = to._replace(netloc=f"{to.username}:wrong@{to.hostname}:{to.port}").geturl()
    with pytest.raises(NotReached, match=r"password authentication failed.*check EARNBACK_POSTGR"):
        async with connected(wrong, name="test"):
            raise AssertionError("the password is wrong")
