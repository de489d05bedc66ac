"""The compiled loops of a process: loaded when there is so much to do that it pays.

numba is imported and its code loaded or compiled in a thread, while the events are judged one by
one as before; so they are for good where it can't be compiled. Small installations never load any
of it.
"""

from __future__ import annotations

import threading

from services.catalogue.snapshot import EMPTY
from services.core.events.facts import SAMPLE, TYPE_OF_KIND, Row, identity_of, payload_of
from services.ingest.column_builder import SeriesKey
from services.ingest.compiled.batch_validator import BatchValidator
from services.ingest.compiled.loops import Loops, compiled
from services.ingest.event_validator import EventValidator
from services.ingest.fast_validator import FastValidator, LearnedSeries
from services.shell import metrics
from services.shell.logs import log, stack_of

LEAST = 50
"""Events that are a batch: with fewer, the call costs more than it saves."""
WORTH = 100_000
"""Events in batches after which the loops are compiled: it takes as long as judging a million."""


class LazyLoops:
    """The compiled loops of a process, once they are wanted and there."""

    def __init__(self) -> None:
        self.ready: Loops | None = None
        self._seen = 0
        self._asked = False

    def of(self, events: int) -> Loops | None:
        """The loops for a batch of so many events; None where each is to be judged by itself."""
        if events < LEAST:
            return None
        if not self._asked:
            self._seen += events
            if self._seen >= WORTH:
                self._asked = True
                threading.Thread(target=self.load, name="compile-loops", daemon=True).start()
        return self.ready

    def load(self) -> None:
        """Load or compile them. Where that fails it is said, and nothing else changes."""
        self._asked = True
        try:
            loops = compiled()
            check(loops)
            self.ready = loops
        except Exception as error:  # whatever stands against it, events go on as before
            metrics.INGEST_COMPILED.set(-1)
            log(__name__).warning(
                "loops_not_compiled", error=repr(error), traceback=stack_of(error)
            )
        else:
            metrics.INGEST_COMPILED.set(1)
            log(__name__).info("loops_compiled")


def check(loops: Loops) -> None:
    """Have one event judged: by then they are compiled, and they do what they should.

    Raises RuntimeError where they do not: code that was kept by another may be anything.
    """
    fast = FastValidator(EventValidator(EMPTY), 1)
    number = fast.series.number(SeriesKey("source", SAMPLE, 7, "subject"))
    fast.news[number] = LearnedSeries(
        source="source",
        kind=SAMPLE,
        metric="metric",
        subject="subject",
        sender=None,
        from_us=0,
        horizon_us=0,
        unit="percent",
        decimals=0,
        lowest=0,
        highest=100,
        is_possible=lambda value, decimals: True,
        identity="",
        before="",
        after="",
        series=number,
        partition=0,
    )
    event = (
        f'{{"specversion":"1.0","id":"event","source":"source","type":"{TYPE_OF_KIND[SAMPLE]}",'
        '"time":"1970-01-01T00:00:01Z","data":{"metric":"metric","subject":"subject","up":true}}'
    )
    at_us, hashed = 1_000_000, identity_of("source", "event")
    payload = payload_of(SAMPLE, at_us, "metric", "subject", 1, 1, "")
    row = Row("source", "event", hashed, payload, SAMPLE, 7, at_us, 1, 1, "subject", "")
    judged = BatchValidator(fast, loops, 1).judged([event.encode()], [(None, 1)], at_us)
    (facts,) = (facts for _, facts in judged.by_partition())
    if judged.usual_rows() != [row] or list(facts.subjects) != ["subject"]:
        raise RuntimeError("the compiled loops do not say what they should of an event")
