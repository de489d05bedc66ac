"""Which stored frames may hold an event: told by the process that owns its partition.

The owner has each identity in memory with its frame, so it looks and reads nothing. Any other
process asks it over the database's notifications: nothing is stored, and who does not answer is
asked again by whoever wants to know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from services.evaluator.apply import Partition
from services.shell.logs import log
from services.shell.postgres import Connection, is_transient

QUESTIONS, ANSWERS = "frame_question", "frame_answer"
PATIENCE_S = 3.0
"""How long an owner may take to answer. One that is busy with a step answers after it."""


class NobodyAnswers(RuntimeError):
    """The partition has no owner at the moment, or the owner is busy. Ask again."""


@dataclass(frozen=True, slots=True)
class FramesToSearch:
    """``numbers``: of the frames that hold the identity's high half. ``since``: besides all frames
    from this one on, which the owner had not committed when it told."""

    numbers: tuple[int, ...]
    since: int


class FrameLookup:
    """Asks, and answers for the partitions of this process."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], held: Mapping[int, Partition]
    ) -> None:
        """``held``: the partitions that this process owns, kept current."""
        self._connect, self._held = connect, held
        self._connection: Connection | None = None
        self._speaking = asyncio.Lock()
        self._asked: dict[str, asyncio.Future[FramesToSearch]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def __call__(self, partition: int, high: int) -> FramesToSearch:
        """The frames that may hold an identity. Raises NobodyAnswers."""
        if (own := self._own(partition, high)) is not None:
            return own
        name = uuid4().hex
        answer: asyncio.Future[FramesToSearch] = asyncio.get_running_loop().create_future()
        self._asked[name] = answer
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._say(QUESTIONS, {"name": name, "partition": partition, "high": high})
                return await answer
        except TimeoutError:
            raise NobodyAnswers(f"the owner of partition {partition} does not answer") from None
        finally:
            del self._asked[name]

    @property
    def is_deaf(self) -> bool:
        """Whether the database is away: nothing is asked, and nothing answered."""
        return self._connection is None

    async def run(self) -> None:
        """Listen for as long as the process lives."""
        while True:
            try:
                await self._listen()
            except Exception as error:
                if not is_transient(error):
                    raise
                log(__name__).warning("lookup_begins_anew", error=repr(error))
            await asyncio.sleep(1.0)

    async def _listen(self) -> None:
        connection, lost = await self._connect(), asyncio.Event()
        try:
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(QUESTIONS, self._question)
            await connection.add_listener(ANSWERS, self._answer)
            self._connection = connection
            await lost.wait()
        finally:
            self._connection = None
            connection.terminate()

    def _own(self, partition: int, high: int) -> FramesToSearch | None:
        held = self._held.get(partition)
        if held is None:
            return None
        numbers = held.seen.frames_with(np.array([high], np.uint64))
        return FramesToSearch(numbers, held.next_number)

    def _question(self, _: Any, __: int, ___: str, text: str) -> None:
        said = json.loads(text)
        if (own := self._own(said["partition"], said["high"])) is not None:
            told = {"name": said["name"], "numbers": own.numbers, "since": own.since}
            task = asyncio.create_task(self._say(ANSWERS, told), name="frame-answer")
            self._answering.add(task)
            task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log(__name__).warning("frame_not_told", error=repr(task.exception()))

    def _answer(self, _: Any, __: int, ___: str, text: str) -> None:
        said = json.loads(text)
        answer = self._asked.get(said["name"])
        if answer is not None and not answer.done():
            answer.set_result(FramesToSearch(tuple(said["numbers"]), said["since"]))

    async def _say(self, channel: str, what: Mapping[str, Any]) -> None:
        async with self._speaking:
            if self._connection is None:
                raise NobodyAnswers("the database is away")
            await self._connection.execute("select pg_notify($1, $2)", channel, json.dumps(what))
