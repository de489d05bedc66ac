"""A frame: one Kafka record, one stored row, many facts in columns (Arrow IPC, in LZ4 if large).

A row is an event that ingest accepted: decoded once, checked against the catalogue,
its numbers whole. Nothing downstream parses its JSON again, except kinds whose data does not fit
the numeric columns; those carry it, canonical, in ``data``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FRAME_SCHEMA_VERSION = 2
FRAME_CONTENT_TYPE = "application/vnd.earnback.frame.v2+arrow"

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Int32s = npt.NDArray[np.int32]
Int8s = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Facts:
    """Columns of equal length, a row per fact. Also what the core counts from.

    ``id_high``/``id_low``: BLAKE2b-128 of source, NUL, id. ``payload_high``/
    ``payload_low``: BLAKE2b-128 of the normalised type, time and data, by
    `services.core.events.facts`; where the low half is 0, BLAKE2b-64, of a fact accepted by a
    release before. ``kind``: position of the
    type in ``EVENT_TYPES``. ``metric``: number of the metric in the catalogue, -1 for none.
    ``at_us``: the event's time in microseconds since 1970 UTC. ``value`` and ``scale_or_total`` by
    kind:

    ========== ================================ =========================
    kind       value                            scale_or_total
    ========== ================================ =========================
    sample     1 up, 0 down                     1
    count      good                             total
    response   stated value x 10**decimals      decimals
    volume     stated value x 10**decimals      decimals
    figure     stated value x 10**decimals      decimals
    others     0                                0
    ========== ================================ =========================

    ``subject``: position in ``subjects``, -1 for none. ``source``: position in ``sources``.
    ``data``: canonical JSON of the event's data for outage, ticket, delivery, figure, correction,
    charge and circumstance; empty for the rest.
    """

    ids: Sequence[str]
    id_high: UInt64s
    id_low: UInt64s
    payload_high: UInt64s
    payload_low: UInt64s
    kind: Int8s
    metric: Int32s
    at_us: Int64s
    value: Int64s
    scale_or_total: Int64s
    source: Int32s
    subject: Int32s
    data: Sequence[str]
    sources: Sequence[str]
    subjects: Sequence[str]

    def __len__(self) -> int:
        return len(self.at_us)
