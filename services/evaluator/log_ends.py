"""How far the log of a topic reaches, asked of the broker without joining any group."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.shell.broker import for_aiokafka, parted
from services.shell.logs import log
from services.shell.settings import Settings
from services.shell.shared_look import SharedLook

LOOK_AGAIN_S = 60.0
"""The number of partitions is asked for this often: topics are made and grow, rarely."""


class LogEnds:
    """Asks for the ends of a topic's partitions; keeps its connections."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._dial: dict[str, Any] = {
            **for_aiokafka(settings.kafka, settings.security),
            "client_id": f"{settings.app}-ends",
        }
        self._reader: AIOKafkaConsumer | None = None
        self._places: list[TopicPartition] = []
        self._asked = 0.0
        # Requests come side by side: each would open a reader of its own, and one would stay.
        self._ask = SharedLook(self._look)

    async def __call__(self) -> Mapping[int, int] | None:
        """Partition to the offset after its last record; None when the broker does not answer."""
        return await self._ask()

    async def _look(self) -> Mapping[int, int] | None:
        try:
            if not self._places or monotonic() - self._asked > LOOK_AGAIN_S:
                self._places = await self._partitions()
                self._asked = monotonic()
            reader = await self._open()
            ends = await reader.end_offsets(self._places)
        except Exception as error:
            log(__name__).info("ends_unknown", topic=self._topic, error=repr(error))
            await self.close()
            return None
        return {place.partition: end for place, end in ends.items()}

    async def close(self) -> None:
        """Give the connection back."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await parted(reader.stop())

    async def _partitions(self) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**self._dial)
        try:
            await admin.start()
            (found,) = await admin.describe_topics([self._topic])
        finally:
            await parted(admin.close())
        numbers = sorted(each["partition"] for each in found["partitions"])
        return [TopicPartition(self._topic, each) for each in numbers]

    async def _open(self) -> AIOKafkaConsumer:
        if self._reader is None:
            reader = AIOKafkaConsumer(**self._dial, enable_auto_commit=False)
            try:
                await reader.start()
            except BaseException:
                await parted(reader.stop())
                raise
            self._reader = reader
        return self._reader
