"""A vendor that sends very much does not hold up another one: shown by order and counts."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.fair_queue import FairQueue

SMALL = 200
"""A record of this many bytes counts as 700."""


@dataclass(frozen=True)
class Record:
    """A record as the client gives it out."""

    of: str
    number: int
    place: int = 0

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return self.place

    def value(self) -> bytes:
        return b"x" * SMALL


def put(queue: FairQueue, topic: str, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        queue.put(Record(topic, number))


def counts(batch: list[Record]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for record in batch:
        found[record.of] += 1
    return dict(found)


def test_a_batch_is_shared_equally_and_what_one_leaves_goes_to_the_others() -> None:
    queue = FairQueue()
    put(queue, "loud", 1000)
    put(queue, "quiet", 3)
    put(queue, "louder", 5000)
    assert counts(queue.take(100)) == {"quiet": 3, "loud": 49, "louder": 48}
    assert counts(queue.take(3000)) == {"loud": 951, "louder": 2049}
    assert len(queue) == 2903


def test_one_topic_alone_has_the_whole_batch() -> None:
    queue = FairQueue()
    put(queue, "only", 5000)
    assert counts(queue.take(10_000)) == {"only": 5000}


def test_who_has_sent_too_much_waits_and_leaves_its_share_to_the_others() -> None:
    queue = FairQueue()
    put(queue, "loud", 1000)
    put(queue, "quiet", 1000)
    may = {"loud": 7.9, "quiet": 10**9}
    assert counts(queue.take(100, lambda topic: may[topic])) == {"loud": 7, "quiet": 93}
    may["loud"] = -3.0
    assert counts(queue.take(100, lambda topic: may[topic])) == {"quiet": 100}
    assert len(queue) == 1800


def test_a_topic_is_held_from_its_part_of_the_room_on_until_most_of_it_is_done() -> None:
    queue = FairQueue(room=700 * 100)
    put(queue, "loud", 99)
    assert queue.hold() == frozenset()
    put(queue, "loud", 1)
    assert queue.hold() == {"loud"}
    queue.take(74)
    assert queue.hold() == {"loud"}
    queue.take(1)
    assert queue.hold() == frozenset(), "a quarter is left"
    put(queue, "quiet", 1)
    put(queue, "loud", 25)
    assert queue.hold() == {"loud"}, "two share the room now"


def test_what_another_reader_has_now_is_forgotten() -> None:
    queue = FairQueue()
    for number in range(10):
        queue.put(Record("a", number, number % 2))
    put(queue, "b", 2)
    queue.forget({("a", 1), ("b", 0), ("c", 0)})
    assert [record.number for record in queue.take(100)] == [0, 2, 4, 6, 8]
    assert len(queue) == 0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(1, 30)),
            st.integers(1, 40),
        ),
        max_size=30,
    )
)
def test_every_record_comes_out_once_and_each_partition_in_its_order(
    steps: list[tuple[str, int, int] | int],
) -> None:
    queue, went_in, came_out = FairQueue(room=700 * 50), defaultdict(list), defaultdict(list)
    for step in [*steps, 10_000]:
        if isinstance(step, int):
            for record in queue.take(step):
                came_out[record.of, record.place].append(record.number)
            continue
        topic, place, count = step
        for _ in range(count):
            number = len(went_in[topic, place])
            went_in[topic, place].append(number)
            queue.put(Record(topic, number, place))
        queue.hold()
    assert came_out == went_in


class Client:
    """What stands between the broker and the intake: one queue, filled topic after topic.

    As many records of a topic as ``ahead`` are fetched before those of the next one; a topic that
    is held loses what was fetched of it, and it is fetched again.
    """

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.log: dict[str, list[Record]] = defaultdict(list)
        self.read: dict[str, int] = defaultdict(int)
        self.fetched: deque[Record] = deque()
        self.held: frozenset[str] = frozenset()

    def hold(self, held: frozenset[str]) -> None:
        if gone := held - self.held:
            self.fetched = deque(one for one in self.fetched if one.of not in gone)
        self.held = held

    def consume(self, most: int) -> list[Record]:
        there = counts(list(self.fetched))
        for topic in sorted(self.log.keys() - self.held):
            start = self.read[topic] + there.get(topic, 0)
            self.fetched.extend(self.log[topic][start : self.read[topic] + self.ahead])
        found = [self.fetched.popleft() for _ in range(min(most, len(self.fetched)))]
        for record in found:
            self.read[record.of] += 1
        return found


def judged_before(flood: int, ahead: int, batch: int = 100) -> int:
    """How many records of a vendor that floods its topic are judged before another one's only one,
    which is sent when the flood has been read for a while."""
    client, queue = Client(ahead), FairQueue(room=700 * 400)
    client.log["a-flood"] = [Record("a-flood", number) for number in range(flood)]
    before = judged = 0
    while True:
        if before == 10 * batch:
            client.log["b"] = [Record("b", 0)]
        while found := client.consume(batch):
            for record in found:
                queue.put(record)
            client.hold(queue.hold())
            if queue.is_full:
                break
        for record in queue.take(batch):
            if record.of == "b":
                return before - 10 * batch
            before += 1
        client.hold(queue.hold())
        judged += 1
        assert judged < 10_000


def test_one_record_beside_a_flood_waits_for_two_batches_however_long_the_flood_is() -> None:
    """Without shares it would wait for all that was fetched before it."""
    for flood, ahead in ((10_000, 1_000), (50_000, 10_000), (50_000, 40_000)):
        assert judged_before(flood, ahead) <= 200
