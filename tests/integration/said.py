"""What parties have said in events, and where words of it stand that are not for the reader."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from confluent_kafka import Consumer, Message, TopicPartition

from tests.integration.real import Event

_WORD = re.compile(r"[A-Za-z0-9_.:/@+=-]{6,}")
_BETWEEN = re.compile("[/:=]")
_TIME = re.compile(r"\d{4}-\d\d(-\d\d(T.*)?)?")


@dataclass(frozen=True)
class Held:
    """A record of a topic. ``text``: its key, headers and value."""

    value: bytes
    text: str


def records_of(kafka: str, topics: Iterable[str]) -> dict[str, list[Held]]:
    """All that is committed in topics, by topic."""
    reader = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": f"plain-{uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found: dict[str, list[Held]] = {topic: [] for topic in topics}
    try:
        unread = {
            (topic, number)
            for topic in found
            for number in reader.list_topics(topic, 20).topics[topic].partitions
        }
        reader.assign([TopicPartition(*place, 0) for place in unread])
        until = time.monotonic() + 60
        while unread:
            assert time.monotonic() < until, f"{unread} could not be read to the end"
            for message in reader.consume(1000, 0.2):
                if message.error() is not None:
                    unread.discard((message.topic(), message.partition()))
                else:
                    found[message.topic()].append(_held(message))
    finally:
        reader.close()
    return found


def _held(message: Message) -> Held:
    parts = (message.key() or b"", message.value() or b"")
    text = " ".join(each.decode("utf-8", "replace") for each in parts)
    return Held(parts[1], f"{text} {message.headers()}")


def words(text: str) -> set[str]:
    """Its words that are long enough to be somebody's: also those inside of an address."""
    found: set[str] = set()
    for whole in set(_WORD.findall(text)):
        ends = [one.start() for one in _BETWEEN.finditer(whole)]
        starts = [0, *(end + 1 for end in ends)]
        found.update(
            whole[start:end] for start in starts for end in (*ends, len(whole)) if end - start >= 6
        )
    return found


@dataclass(frozen=True)
class Said:
    """Words of events, each with the one party that says it, and the party of each source."""

    party_by_word: Mapping[str, str]
    party_by_source: Mapping[str, str]

    def in_text(self, text: str) -> dict[str, str]:
        """The words of a text that are a party's own, each with the party; of what is written
        as in an address, too."""
        found = (words(text) | words(unquote(text))) & self.party_by_word.keys()
        return {word: self.party_by_word[word] for word in found}


def said_by(
    events: Iterable[tuple[str, Event]], contracts: Iterable[Mapping[str, Any]], **more: str
) -> Said:
    """What parties have said in events, without what a contract or another party says as well.

    Of what an event says, its id and its subject; not names of fields, times and numbers.
    ``more``: what a party has sent that is no event.
    """
    found: dict[str, set[str]] = {}
    party_of: dict[str, str] = {}
    for party, event in events:
        party_of.setdefault(event["source"], party)
        for text in (event["id"], event.get("subject") or "", *_texts(event["data"])):
            for word in _WORD.findall(text):
                found.setdefault(word, set()).add(party)
    for party, text in more.items():
        for word in _WORD.findall(text):
            found.setdefault(word, set()).add(party)
    known = words(json.dumps(list(contracts)))
    own = {
        word: next(iter(who))
        for word, who in found.items()
        if len(who) == 1 and word not in known and _is_ones_own(word)
    }
    return Said(own, party_of)


def _is_ones_own(word: str) -> bool:
    letters = any(each.isalpha() for each in word)
    marked = any(each.isdigit() or each == "-" for each in word)
    return letters and marked and not _TIME.fullmatch(word)


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping):
        for each in data.values():
            yield from _texts(each)
    elif isinstance(data, list):
        for each in data:
            yield from _texts(each)
    elif isinstance(data, str):
        yield data
