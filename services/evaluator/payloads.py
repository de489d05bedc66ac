"""What the rows of a step say, as hashes that can be held against those of any release."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.events.facts import NO_METRIC, payload_before, payload_bytes
from services.evaluator.columns import Columns
from services.shell.frames import column_of


class Payloads:
    """The payloads' hashes of some rows: 16 bytes, or 8 where a release before made the frame."""

    def __init__(self, columns: Columns, metrics: Mapping[int, tuple[str, str]]) -> None:
        """``metrics``: number to programme and name."""
        self._columns, self._metrics = columns, metrics

    def of(self, row: int) -> bytes:
        """The hash that came with the row."""
        return payload_bytes(
            int(self._columns.payload_high[row]), int(self._columns.payload_low[row])
        )

    def before(self, row: int) -> bytes:
        """The hash of 64 bits that a release before kept of the same event."""
        came = self.of(row)
        if len(came) == 8:
            return came
        columns, metric = self._columns, int(self._columns.metric[row])
        index, place = columns.place(row)
        batch = columns.batches[index]
        return payload_before(
            int(columns.kind[row]),
            int(columns.at_us[row]),
            "" if metric == NO_METRIC else self._metrics[metric][1],
            batch.column(column_of("subject"))[place].as_py(),
            int(columns.value[row]),
            int(columns.scale_or_total[row]),
            batch.column(column_of("data"))[place].as_py(),
        )

    def repeats(self, stands: bytes, row: int) -> bool:
        """Whether a row says what the accepted fact of its identity says, given its hash.

        A hash of 64 bits is older than one of 128: frames of a release before all lie before those
        of this one in their partition.
        """
        return stands == (self.before(row) if len(stands) == 8 else self.of(row))
