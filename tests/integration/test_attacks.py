"""What a party sends to change what is settled changes nothing, and is told to whom it concerns."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain as chained
from typing import Any
from urllib.parse import quote

import pytest
from confluent_kafka import Producer

from schemas.role import Role
from services.cli.client import Client, RequestRefused
from tests.integration.conftest import Chain
from tests.integration.living import Living, wait_for
from tests.integration.quarry import (
    ATTACKS,
    BUYER,
    NEIGHBOUR,
    NOW,
    OWED,
    OWN,
    POISON,
    SHARED,
    VENDOR,
    Attack,
    contracts,
    honest,
)
from tests.integration.real import Place, in_order
from tests.integration.said import Held, Said, records_of, said_by

PARTIES: dict[str, tuple[str, Role]] = {
    "the buyer": (BUYER, "procurement"),
    "the vendor": (VENDOR, "vendor"),
}
OTHERS: dict[str, tuple[str, Role]] = {
    "another vendor": (NEIGHBOUR, "vendor"),
    "another buyer": ("maker", "procurement"),
    "another buyer's finance": ("maker", "finance"),
}
LISTS = (
    *("agreements", "statements", "ledger-entries", "pending", "proposals", "quarantine"),
    *("audit", "usage"),
)


HANDED_ON = ("settlements", "ledger-entries", "quarantine", "refused")
"""The topics for finance and operations."""


@dataclass(frozen=True)
class Books:
    """A period's statement as it is issued, and the ids of its ledger entries."""

    statement: bytes
    entries: tuple[str, ...]


@dataclass
class Estate:
    """The estate after the attacks.

    ``before``: statements and entries as they were settled. ``answers``: what ingest said to each
    attack over HTTP. ``clients``: who looks, by the words of PARTIES and OTHERS.
    """

    living: Living
    before: dict[Place, Books]
    answers: dict[str, dict[str, Any]]
    clients: dict[str, Client]


@pytest.fixture(scope="module")
def estate(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Everything is settled, then attacked, then closed again."""
    living = chain.living
    folder = tmp_path_factory.mktemp("quarry")
    for number, document in enumerate(contracts()):
        (folder / f"{number}.yaml").write_text(json.dumps(document))
    living.apply(folder)
    clients = {
        who: living.client_of(living.stack.key_for(*of)) for who, of in (PARTIES | OTHERS).items()
    }
    try:
        _settle(living, clients)
        _poison(living, clients["another vendor"])
        before = {place: _books(living, place) for place in OWED}
        answers = _attack(living)
        living.close([*OWED, ("granite-lift", "2025-01")])
        yield Estate(living, before, answers, clients)
    finally:
        for client in clients.values():
            client.close()


def _settle(living: Living, clients: dict[str, Client]) -> None:
    sent = in_order(honest())  # a source that has come further sends nothing of 2023
    for who in (*PARTIES, "another vendor"):
        party, _ = (PARTIES | OTHERS)[who]
        results = living.submit(clients[who], [each for of, each in sent if of == party])
        assert {result["status"] for result in results} == {"accepted"}, results
    living.wait_until_seen()
    living.close(OWED)


def _poison(living: Living, neighbour: Client) -> None:
    producer = Producer({"bootstrap.servers": living.stack.addresses.kafka})
    producer.produce(f"intake.{NEIGHBOUR}", POISON)
    assert producer.flush(20) == 0
    wait_for("what is no event", lambda: len(list(neighbour.items("/v1/quarantine"))) == 1)


def _books(living: Living, place: Place) -> Books:
    entries = living.client.items("/v1/ledger-entries", agreement=place[0], period=place[1])
    return Books(living.client.document(*place), tuple(each["entry_id"] for each in entries))


def _attack(living: Living) -> dict[str, dict[str, Any]]:
    """Send all of it, and wait until it has come as far as it comes."""
    answers = {}
    keys: dict[tuple[str, Role], Client] = {}
    producer = Producer({"bootstrap.servers": living.stack.addresses.kafka})
    for name, attack in ATTACKS.items():
        if attack.sent == "topic":
            producer.produce(f"intake.{attack.party}", json.dumps(attack.event))
            continue
        sender = (attack.party, attack.role)
        if sender not in keys:
            keys[sender] = living.client_of(living.stack.key_for(*sender))
        (answers[name],) = living.submit(keys[sender], [attack.event])
    assert producer.flush(20) == 0
    for client in keys.values():
        client.close()
    for name, attack in ATTACKS.items():
        if attack.code is None or attack.told is not None:
            wait_for(name, lambda attack=attack: _has_come(living, attack))
    return answers


def _has_come(living: Living, attack: Attack) -> bool:
    return bool(living.client.get(_path(attack))["standing"] != "not_seen")


def _path(attack: Attack) -> str:
    source, name = (quote(attack.event[part], safe="") for part in ("source", "id"))
    return f"/v1/events/{source}/{name}"


@pytest.mark.parametrize("place", OWED, ids=lambda place: place[0])
def test_what_was_settled_stands_to_the_cent_and_to_the_byte(estate: Estate, place: Place) -> None:
    before = estate.before[place]
    assert json.loads(before.statement)["total_minor"] == OWED[place]
    assert len(before.entries) == (OWED[place] > 0)
    assert _books(estate.living, place) == before


@pytest.mark.parametrize("name", [name for name, it in ATTACKS.items() if it.sent == "http"])
def test_who_sends_it_is_answered_what_became_of_it(estate: Estate, name: str) -> None:
    answer, code = estate.answers[name], ATTACKS[name].code
    assert answer["status"] == ("accepted" if code is None else "rejected")
    assert answer.get("problem", {}).get("code") == code


@pytest.fixture(scope="module")
def said(chain: Chain) -> Said:
    """What each party alone has said of all that went through the installation."""
    given = [through.given for through in chain.sets.values()]
    events = [*chained.from_iterable(one.events for one in given), *honest()]
    events += [(attack.party, attack.event) for attack in ATTACKS.values()]
    documents = [*chained.from_iterable(one.contracts.values() for one in given), *contracts()]
    return said_by(events, documents, **{NEIGHBOUR: POISON.decode()})


@pytest.fixture(scope="module")
def held(estate: Estate) -> dict[str, list[Held]]:
    """All records of the topics that somebody outside reads or writes."""
    topics = (*HANDED_ON, *(f"intake.{vendor}" for vendor in (VENDOR, NEIGHBOUR)))
    return records_of(estate.living.stack.addresses.kafka, topics)


def test_a_vendors_own_topic_holds_what_it_has_sent_and_nothing_else(
    held: dict[str, list[Held]],
) -> None:
    sent = [json.dumps(it.event).encode() for it in ATTACKS.values() if it.sent == "topic"]
    for vendor, own in ((VENDOR, sent), (NEIGHBOUR, [POISON])):
        assert sorted(one.value for one in held[f"intake.{vendor}"]) == sorted(own)


@pytest.mark.parametrize("topic", HANDED_ON)
def test_no_record_that_is_handed_on_says_anything_of_two_vendors(
    held: dict[str, list[Held]], said: Said, topic: str
) -> None:
    """A topic holds all buyers' records: who hands on those of one hands on nothing of another."""
    found = set()
    assert held[topic]
    for one in held[topic]:
        data = json.loads(one.value)["data"]
        source = data.get("event_source") or data.get("source")
        sides = {data.get("vendor"), data.get("buyer"), data.get("party")}
        sides.add(said.party_by_source.get(source))
        raw = base64.b64decode(data.get("raw_base64") or "").decode("utf-8", "replace")
        own = said.in_text(f"{one.text} {raw}")
        assert {*own.values()} <= sides, one.text
        found.update(own)
    assert found or topic == "ledger-entries", (
        "an entry names no event; what is searched for is there"
    )


@pytest.mark.parametrize("place", OWED, ids=lambda place: place[0])
def test_what_rests_on_another_vendors_events_names_none_of_them(
    estate: Estate, said: Said, place: Place
) -> None:
    statement = estate.before[place].statement.decode()
    assert {*said.in_text(statement).values()} <= {BUYER, VENDOR}
    assert ('"withheld-1"' in statement) == (place == (SHARED, NOW))


def test_no_log_holds_what_a_party_has_sent(estate: Estate, said: Said) -> None:
    folder = estate.living.stack.supervisor.log("settlement").parent
    logs = {path.name: path.read_text("utf-8", "replace") for path in folder.glob("*.log")}
    assert len(logs) >= 3
    assert {BUYER, VENDOR, NEIGHBOUR} <= {*said.party_by_word.values()}
    found = {name: said.in_text(text) for name, text in logs.items()}
    assert not any(found.values()), found


@pytest.mark.parametrize("who", PARTIES)
@pytest.mark.parametrize("name", [name for name, it in ATTACKS.items() if it.told])
def test_both_parties_are_told(estate: Estate, name: str, who: str) -> None:
    client, attack = estate.clients[who], ATTACKS[name]
    event = {part: attack.event[part] for part in ("source", "id")}
    if attack.told == "quarantine":
        kept = {row["event_id"]: row for row in client.items("/v1/quarantine")}
        assert kept[event["id"]]["source"] == OWN
        return
    agreement, period = attack.place
    if attack.told == "proposal":
        listed = client.items("/v1/proposals", agreement=agreement, period=period)
        (one,) = (each for each in listed if each["proposal"]["event"] == event)
        said = one["proposal"]
        assert (said["state"], said["party"], said["awaits"]) == ("open", VENDOR, [BUYER])
        effect = client.get(f"/v1/proposals/{one['proposal_id']}")["effect"]
        amounts = [effect[each]["minor_units"] for each in ("without", "accepted")]
        assert amounts == [OWED[attack.place], attack.would_be]
        return
    counted = client.get(f"/v1/agreements/{agreement}/evaluations/{period}")["evaluation"]
    (figure,) = counted["figures"]
    (beside,) = figure["compared"]
    assert (beside["source"], beside["total"]) == (OWN, "60000")
    assert (figure["good"], figure["total"]) == ("900", "1000")


@pytest.mark.parametrize("who", OTHERS)
def test_nobody_else_hears_of_it(estate: Estate, who: str) -> None:
    client = estate.clients[who]
    shown = [json.dumps(_read(client, f"/v1/{each}")) for each in LISTS]
    for attack in ATTACKS.values():
        assert not [text for text in shown if f'"{attack.event["id"]}"' in text]
    for agreement, period in OWED:
        for path in (
            f"agreements/{agreement}/evaluations/{period}",
            f"statements/{agreement}/{period}",
            f"previews/{agreement}/{period}",
        ):
            assert _refusal(client, f"/v1/{path}") in (403, 404)


def _read(client: Client, path: str) -> list[Any] | None:
    """What a list shows; None where it is not for the role."""
    if _refusal(client, path) == 403:
        return None
    return list(client.items(path))


def _refusal(client: Client, path: str) -> int | None:
    try:
        client.get(path)
    except RequestRefused as refused:
        return refused.status
    return None
