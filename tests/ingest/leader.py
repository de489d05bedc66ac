"""A member that leads a consumer group and takes its time: nobody is assigned anything meanwhile.

Speaks the group's protocol itself, because no client lets one stop between joining and assigning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

STRATEGY = "cooperative-sticky"
_PATIENCE_MS = 120_000
_MEMBER_ID_REQUIRED = 79
_REBALANCE_IN_PROGRESS = 27
_NOT_YET = (14, 15, 16)
"""A cluster's first group waits for the topic of the offsets."""


class Leader:
    """The first member of a group, and so its leader for as long as it stays.

    Sends no heartbeats: its session is long instead.
    """

    def __init__(self, kafka: str, group: str, topics: Sequence[str]) -> None:
        self._group, self._topics = group, list(topics)
        self._runner = asyncio.Runner()
        self._client = self._runner.run(_connected(kafka))
        self._me, self._generation = "", -1

    def __enter__(self) -> Self:
        assert self.join() == [], "it is not the first"
        self.assign({})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._send(LeaveGroupRequest(self._group, self._me))
        self._runner.run(self._client.close())
        self._runner.close()

    def join(self) -> list[str]:
        """Join, or join anew, and wait for the others to do so; the other members.

        From now on the group waits for `assign`: it takes no commit.
        """
        said = ConsumerProtocolMemberMetadata(1, self._topics, b"").encode()
        answer: Any = None
        while answer is None or answer.error_code in (_MEMBER_ID_REQUIRED, *_NOT_YET):
            answer = self._send(
                JoinGroupRequest(
                    self._group,
                    _PATIENCE_MS,
                    _PATIENCE_MS,
                    self._me,
                    None,  # type: ignore[arg-type]
                    "consumer",
                    [(STRATEGY, said)],
                )
            )
            self._me = self._me or answer.member_id
        assert answer.error_code == 0, answer
        assert answer.leader_id == self._me, "another one leads"
        self._generation = answer.generation_id
        return [member[0] for member in answer.members if member[0] != self._me]

    def joined_by_another(self) -> str:
        """Wait until there is a second member; its name. The group waits for `assign` then."""
        until = monotonic() + _PATIENCE_MS / 1000
        while not (others := self.join()):
            assert monotonic() < until, "nobody else joins"
            assert self._assigned({}) in (0, _REBALANCE_IN_PROGRESS)
        (other,) = others
        return other

    def assign(self, partitions: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """Give each member, by its name, partitions by topic, and the others none."""
        assert self._assigned(partitions) == 0

    def _assigned(self, partitions: Mapping[str, Mapping[str, Sequence[int]]]) -> int:
        given = [
            (member, ConsumerProtocolMemberAssignment(1, list(each.items()), b"").encode())
            for member, each in partitions.items()
        ]
        answer = self._send(
            SyncGroupRequest(self._group, self._generation, self._me, None, given)  # type: ignore[arg-type]
        )
        return int(answer.error_code)

    def _send(self, request: Any) -> Any:
        return self._runner.run(self._sent(request))

    async def _sent(self, request: Any) -> Any:
        while True:
            try:
                node = await self._client.coordinator_lookup(CoordinationType.GROUP, self._group)
                return await self._client.send(node, request)
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(0.1)


async def _connected(kafka: str) -> AIOKafkaClient:
    client = AIOKafkaClient(bootstrap_servers=kafka, request_timeout_ms=_PATIENCE_MS)
    await client.bootstrap()
    return client
