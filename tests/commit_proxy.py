"""A way to Postgres on which a commit, or the answer to it, may be lost."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from typing import Any
from urllib.parse import urlsplit, urlunsplit

COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
"""How asyncpg asks for a commit: a message of its own."""


class Fate(Enum):
    """What becomes of a commit."""

    DONE = "answered"
    UNSENT = "cut before it"
    """The server never hears of it."""
    UNHEARD = "cut after it"
    """The server has committed, and nobody hears it say so: done or not, the client cannot tell."""
    SERVER_LOST = "server killed in it"
    """The server is killed as soon as it has been told to commit."""


class CommitProxy:
    """Passes on what comes. ``fate``: asked for each commit. ``kill``: kills the server."""

    def __init__(
        self, dsn: str, fate: Callable[[], Fate], kill: Callable[[], None] = lambda: None
    ) -> None:
        self._target, self._fate, self._kill = urlsplit(dsn), fate, kill
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen. Gives the address to be used in place of the server's."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._target.netloc.rpartition("@")[0]
        return urlunsplit(self._target._replace(netloc=f"{login}@127.0.0.1:{port}"))

    def close(self) -> None:
        """Listen no more."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = self._target.hostname, self._target.port
        try:
            from_server, to_server = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        back = asyncio.create_task(_carry(from_server, writer))
        try:
            with suppress(ConnectionError):
                while data := await reader.read(65_536):
                    fate = self._fate() if data.endswith(COMMIT) else Fate.DONE
                    if fate is Fate.UNSENT:
                        return
                    if fate is Fate.UNHEARD:
                        back.cancel()
                        await asyncio.gather(back, return_exceptions=True)
                    to_server.write(data)
                    await to_server.drain()
                    if fate is Fate.SERVER_LOST:
                        self._kill()
                    elif fate is Fate.UNHEARD:
                        await from_server.read(1)
                        return
        finally:
            back.cancel()
            writer.close()
            to_server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def deaf_after_commit(dsn: str, *, every: int) -> Any:
    """Yield the address of the proxy and a count of the answers lost: one commit in `every`."""
    commits = cuts = 0

    def fate() -> Fate:
        nonlocal commits, cuts
        commits += 1
        if commits % every:
            return Fate.DONE
        cuts += 1
        return Fate.UNHEARD

    proxy = CommitProxy(dsn, fate)
    try:
        yield await proxy.open(), lambda: cuts
    finally:
        proxy.close()


@contextmanager
def in_a_thread(proxy: CommitProxy) -> Iterator[str]:
    """Yield the address of a proxy that works beside whatever this thread does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="commit proxy", daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(proxy.open(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(proxy.close)
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _end_all() -> None:
    """End every connection that is open still."""
    open_still = asyncio.all_tasks() - {asyncio.current_task()}
    for task in open_still:
        task.cancel()
    await asyncio.gather(*open_still, return_exceptions=True)
