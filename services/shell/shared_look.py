"""One look for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedLook(Generic[T]):
    """Looks when asked to. Those who ask while a look is under way share the next one, so that many
    requests at once cost two looks; nobody is given what was found by a look from before."""

    def __init__(self, look: Callable[[], Awaitable[T]]) -> None:
        self._look = look
        self._turn = asyncio.Lock()
        self._begun = self._done = 0
        self._found: T

    async def __call__(self) -> T:
        """What a look finds that begins after the call. Raises what the look raises."""
        begun = self._begun
        async with self._turn:
            if self._done <= begun:
                self._begun += 1
                number = self._begun
                self._found = await self._look()
                self._done = number
            return self._found
