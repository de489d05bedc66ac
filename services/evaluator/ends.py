"""How far the log of a topic reaches, asked of the broker without joining any group."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.shell.logs import log
from services.shell.settings import Settings


class LogEnds:
    """Asks for the ends of a topic's partitions; keeps one connection."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._reader: AIOKafkaConsumer | None = None

    async def __call__(self) -> Mapping[int, int] | None:
        """Partition to the offset after its last record; None when the broker does not answer."""
        try:
            reader = await self._open()
            if not reader.partitions_for_topic(self._topic):
                await reader.topics()  # it may have been made since
            partitions = reader.partitions_for_topic(self._topic) or set()
            ends = await reader.end_offsets(
                [TopicPartition(self._topic, each) for each in sorted(partitions)]
            )
        except Exception as error:
            log(__name__).info("ends_unknown", topic=self._topic, error=repr(error))
            await self.close()
            return None
        return {place.partition: end for place, end in ends.items()}

    async def close(self) -> None:
        """Give the connection back."""
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(Exception):
                await reader.stop()

    async def _open(self) -> AIOKafkaConsumer:
        if self._reader is None:
            reader = AIOKafkaConsumer(
                bootstrap_servers=self._settings.kafka.split(","),
                client_id=f"{self._settings.app}-ends",
                enable_auto_commit=False,
            )
            try:
                await reader.start()
                # Without a subscription the client learns of a topic only when asked for all.
                await reader.topics()
            except BaseException:
                await reader.stop()
                raise
            self._reader = reader
        return self._reader
