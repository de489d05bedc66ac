"""Single facts read from their frames, by where they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from services.core.events.facts import EMPTY
from services.evaluator import fact_reader
from services.evaluator.columns import identity_bytes
from services.evaluator.fact_reader import Loaded
from services.evaluator.link_store import Located
from services.evaluator.occurrence_store import EventPlace
from services.shell.frames import numbers_of, read_batch
from services.shell.postgres import Connection


@dataclass(slots=True)
class LinkedRows:
    """Rows that were read, frame by frame.

    ``batches``: with their partition. ``astray``: places at which another fact is stored, or none.
    ``stored_in``: identity to the partition and number of its frame.
    """

    batches: list[tuple[int, Any]] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    astray: list[Mapping[str, Any]] = field(default_factory=list)
    stored_in: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    async def read(self, connection: Connection, places: Sequence[Located | EventPlace]) -> None:
        """Read further rows, in a transaction."""
        wanted: dict[tuple[int, int], list[Located | EventPlace]] = {}
        for each in places:
            wanted.setdefault((each.partition, each.number), []).append(each)
        async for frame, body in fact_reader.frames(connection, sorted(wanted)):
            self._take(frame, read_batch(body), wanted.pop(frame))
        self.astray += [_astray(each) for own in wanted.values() for each in own]

    def _take(
        self, frame: tuple[int, int], batch: Any, own: Sequence[Located | EventPlace]
    ) -> None:
        here = [each for each in own if each.place < batch.num_rows]
        self.astray += [_astray(each) for each in own if each.place >= batch.num_rows]
        rows = batch.take(pa.array([each.place for each in here], pa.int64()))
        numbers = numbers_of(rows)
        halves = zip(numbers["id_high"].tolist(), numbers["id_low"].tolist(), strict=True)
        found = [identity_bytes(*each) for each in halves]
        for each, identity, metric in zip(here, found, numbers["metric"].tolist(), strict=True):
            fits = identity == each.id128 if isinstance(each, Located) else metric == each.metric
            if not fits:
                self.astray.append(_astray(each))
        self.batches.append((frame[0], rows))
        self.places += [frame] * len(found)
        self.stored_in |= dict.fromkeys(found, frame)

    def loaded(self) -> Loaded:
        """All of them, in the order in which they were read."""
        batches = [batch for _, batch in self.batches]
        facts = fact_reader.as_facts(batches) if batches else EMPTY
        partitions, numbers = ([each[part] for each in self.places] for part in (0, 1))
        return Loaded(facts, np.array(partitions, np.int32), np.array(numbers, np.int32))


def _astray(place: Located | EventPlace) -> Mapping[str, Any]:
    told = {
        "partition": place.partition,
        "frame": place.number,
        "row": place.place,
        "facts": "another fact, or none",
    }
    if isinstance(place, Located):
        return told | {"linked": place.id128.hex()}
    return told | {"occurrence of metric": place.metric}
