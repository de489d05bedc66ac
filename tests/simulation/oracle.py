"""What must be so in every world: at each commit, and at the end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from services.shell.outbox import partition_of

INPUT, OUTPUT = "numbers", "sums"


class Oracle:
    """Counts by itself what the workers should have come to."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._owners: dict[Any, str] = {}
        """By row of progress: who claimed it last."""

    def restored(self) -> None:
        """A backup is in place: who claimed what is forgotten."""
        self._owners.clear()

    def committing(self, session: Any, writes: Any) -> None:
        """Whoever claimed a partition last is the only one that moves it."""
        for (table, key), row in writes.items():
            if table != "progress":
                continue
            before = self._world.database.tables["progress"].get(key)
            if before is None or row["epoch"] != before["epoch"]:
                self._owners[key] = session.name
            if before is not None and row["next_offset"] != before["next_offset"]:
                if row["next_offset"] < before["next_offset"]:
                    self._fault(f"{key} went back from {before['next_offset']}")
                if self._owners.get(key, session.name) != session.name:
                    self._fault(
                        f"{session.name} moved {key[1:]}, which {self._owners[key]} had claimed"
                    )

    def _fault(self, text: str) -> None:
        self._world.faults.append(text)

    def records(self) -> list[tuple[int, list[Any]]]:
        """By partition of the output, its committed records with their offsets."""
        broker = self._world.broker
        return [
            (partition, broker.read((OUTPUT, partition), 0, 10**9, committed=True)[0])
            for partition in range(self._world.plan.outputs)
        ]

    def _applied(self, topic: str) -> list[dict[str, Any]]:
        rows = self._world.database.tables["simulated_applied"]
        return [row for _, row in sorted(rows.items()) if row["topic"] == topic]

    def all_done(self) -> bool:
        """Whether every record has come through; perhaps more often than once."""
        wanted = self._world.plan.records
        published = sum(len(records) for _, records in self.records())
        return (
            self._world.recovered
            and min(published, len(self._applied(OUTPUT)), len(self._applied(INPUT))) >= wanted
        )

    def judge(self) -> list[str]:
        """What is wrong at the end."""
        found = [*self.exits(), *self._first_stage(), *self._output(), *self._second_stage()]
        if self._world.plan.calm and self._world.broker.fenced:
            found.append("a relay was shut out by another though nothing was disturbed")
        return found

    def exits(self) -> list[str]:
        """A worker may be ended by its watchdog after two claims in a race; a relay ends itself
        where its database is older than the topic. Nothing else ends one."""
        plan = self._world.plan
        return [
            f"a process left: {event} {fields}"
            for event, fields in self._world.exits
            if not (event == "stands_still" and not plan.alone)
            and not ("OutboxBroken" in fields and plan.forgotten)
        ]

    def _inputs(self) -> dict[tuple[int, int], Any]:
        logs = self._world.broker.logs
        return {
            (partition, offset): entry
            for (topic, partition), log in logs.items()
            if topic == INPUT
            for offset, entry in enumerate(log)
        }

    def _first_stage(self) -> list[str]:
        inputs, rows = self._inputs(), self._applied(INPUT)
        found = _each_once(
            "applied", inputs, Counter((row["partition"], row["at"]) for row in rows)
        )
        for partition in range(self._world.plan.inputs):
            offsets = [row["at"] for row in rows if row["partition"] == partition]
            if offsets != sorted(offsets):
                found.append(f"{INPUT}-{partition} was applied in the order {offsets}")
            wanted = sum(
                int(entry.value) for (number, _), entry in inputs.items() if number == partition
            )
            found += self._total(INPUT, partition, wanted)
        return found

    def _total(self, topic: str, partition: int, wanted: int) -> list[str]:
        row = self._world.database.tables["simulated_total"].get((topic, partition))
        kept = row["total"] if row else 0
        return [] if kept == wanted else [f"{topic}-{partition} adds up to {kept}, not {wanted}"]

    def _output(self) -> list[str]:
        """The sequence has no holes and no repetition; each record is there once, and in order."""
        wanted = {
            (f"{partition}:{offset}", partition_of(entry.key.decode(), self._world.plan.outputs))
            for (partition, offset), entry in self._inputs().items()
        }
        found: list[str] = []
        came: Counter[tuple[str, int]] = Counter()
        for number, records in self.records():
            headers = [dict(entry.headers) for _, entry in records]
            sequence = [int(each["sequence"]) for each in headers]
            ids = [each["event_id"].decode() for each in headers]
            came.update((each, number) for each in ids)
            if sequence != list(range(1, len(sequence) + 1)):
                found.append(f"{OUTPUT}-{number} has the sequence {sequence}")
            for partition in range(self._world.plan.inputs):
                begin = f"{partition}:"
                own = [int(each[len(begin) :]) for each in ids if each.startswith(begin)]
                if own != sorted(own):
                    found.append(f"{OUTPUT}-{number} has those of {partition} in the order {own}")
        return found + _each_once("published", wanted, came)

    def _second_stage(self) -> list[str]:
        rows, found = self._applied(OUTPUT), []
        for number, records in self.records():
            offsets = [row["at"] for row in rows if row["partition"] == number]
            if offsets != [offset for offset, _ in records]:
                found.append(f"{OUTPUT}-{number}: applied were {offsets}")
            found += self._total(OUTPUT, number, sum(int(entry.value) for _, entry in records))
        return found


def _each_once(what: str, wanted: Any, came: Counter[Any]) -> list[str]:
    twice = sorted(each for each, times in came.items() if times > 1)
    lost, foreign = sorted(set(wanted) - came.keys()), sorted(came.keys() - set(wanted))
    return [
        f"{what} {how}: {places}"
        for how, places in (("twice", twice), ("never", lost), ("though it is not there", foreign))
        if places
    ]
