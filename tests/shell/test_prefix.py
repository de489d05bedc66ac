"""The prefix that sets installations apart, and the names that follow from it."""

from __future__ import annotations

import pytest

from services.ingest.topics import IngestTopics
from services.shell import prefix as prefixes
from services.shell.prefix import beginning, role_beginning, under
from services.shell.settings import BadSettings, Settings, read, read_prefix

GOOD = {"EARNBACK_KAFKA": "kafka:9092", "EARNBACK_POSTGRES": "postgresql:///earnback"}


def test_without_a_prefix_names_are_as_declared() -> None:
    told = read("evaluator", GOOD)
    assert (told.prefix, told.app) == ("", "earnback-evaluator")
    assert told.transactional_id("settlements") == "earnback-relay-settlements"
    assert under(told.prefix, IngestTopics()) == IngestTopics()
    assert role_beginning("") == ""


def test_all_names_of_an_installation_begin_with_its_prefix() -> None:
    told = read("evaluator", {**GOOD, "EARNBACK_PREFIX": "town-2"})
    assert told.app == "town-2.earnback-evaluator"
    assert told.transactional_id("town-2.settlements") == "town-2.earnback-relay-settlements"
    assert under(told.prefix, IngestTopics()) == IngestTopics(
        "town-2.measurements", "town-2.refused", "town-2.intake."
    )
    assert role_beginning("town-2") == "town_2_"


@pytest.mark.parametrize(
    "text", ["Town", "2town", "a.b", "a_b", "town-", "intake", "t" * 25, "stra\u00dfe", "a b"]
)
def test_a_prefix_that_could_be_mistaken_is_refused(text: str) -> None:
    with pytest.raises(BadSettings, match=r"EARNBACK_PREFIX cannot be used .*give up to 24 small"):
        read_prefix({"EARNBACK_PREFIX": text})


def test_no_name_of_one_installation_begins_as_all_of_another() -> None:
    """An ACL on all names that begin with a prefix lets nobody into another's."""
    given = [prefixes.prefix(text) for text in ("a", "ab", "a-b", "t" * 24)]
    assert not [
        (one, other)
        for one in given
        for other in given
        if one != other and beginning(one).startswith(beginning(other))
    ]


def test_the_name_that_postgres_shows_fits_its_limit() -> None:
    longest = Settings("settlement", "k:1", "postgresql:///n", prefix="t" * 24)
    assert len(f"{longest.app}-closer") < 64
    assert len(f"{role_beginning(longest.prefix)}earnback_settlement_login") < 64
