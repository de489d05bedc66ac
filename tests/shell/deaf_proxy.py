"""A way to Postgres that loses the answers to some commits: done or not, the client cannot tell."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


@asynccontextmanager
async def deaf_after_commit(
    dsn: str, *, every: int
) -> AsyncIterator[tuple[str, Callable[[], int]]]:
    """Yield the address of the proxy and a count of the answers lost: one commit in `every`."""
    target = urlsplit(dsn)
    commits = cuts = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal commits, cuts
        server_reader, server_writer = await asyncio.open_connection(target.hostname, target.port)
        back = asyncio.create_task(carry(server_reader, writer))
        try:
            while data := await reader.read(65_536):
                lost = False
                if b"COMMIT" in data:
                    commits += 1
                    lost = commits % every == 0
                if lost:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                server_writer.write(data)
                await server_writer.drain()
                if lost:
                    cuts += 1
                    # The server has heard it; nobody hears the server.
                    await server_reader.read(1)
                    return
        finally:
            back.cancel()
            writer.close()
            server_writer.close()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login = target.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(target._replace(netloc=f"{login}@127.0.0.1:{port}")), lambda: cuts
    finally:
        server.close()
