"""Inherited terms: corporate, then customer, then service; the nearest wins, each says whence."""

from __future__ import annotations

import pytest

from schemas.agreement import Agreement
from services.core.contracts.check import check
from services.core.contracts.inheritance import Resolution, resolve, whence
from services.core.contracts.reading import Document, read_documents
from tests.core.test_terms_pages import PROGRAMME
from tests.core.told import evaluation, totals

BASICS = """programme: campus
vendor: nimbus
currency: EUR
effective_from: 2025-01-01
settled: month
lateness_hours: 0
conventions: {money_rounding: half_up, rounded_at: total}
"""
UPTIME = """  - level: uptime
    name: Uptime
    metric: uptime
    expected: {at_least: LIMIT}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    credits:
      - is_a: service_credit
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: percent_of, percent: PERCENT, base: fee}
"""
CORPORATE = f"""---
kind: agreement
language: 2
agreement: group
version: 1
type: corporate
name: For the whole group
framework: true
{BASICS}bases:
  - {{base: fee, of_period: same, if_missing: wait, part_of_period: full_charge, \
longer_charge: refused}}
levels:
{UPTIME.replace("LIMIT", "99").replace("PERCENT", "10")}\
{UPTIME.replace("level: uptime", "level: steady").replace("LIMIT", "95").replace("PERCENT", "1")}\
caps:
  - {{cap: month, window: period, limit: {{kind: percent_of, percent: 15, base: fee}}}}
claim: {{within_days: 30}}
clauses:
  - {{clause: law, about: governing_law, text: German law.}}
"""
CUSTOMER = f"""---
kind: agreement
language: 2
agreement: retail
version: 3
type: customer
name: For the shops
framework: true
inherits: {{agreement: group, version: 1, without_levels: [steady]}}
{BASICS}levels: []
clauses:
  - {{clause: desk, about: contact, text: Call the desk.}}
"""
SERVICE = f"""---
kind: agreement
language: 2
agreement: hosting
version: 1
type: service
name: Hosting of the shops
inherits: {{agreement: retail, version: 3}}
{BASICS}levels:
{UPTIME.replace("LIMIT", "98").replace("PERCENT", "20")}\
"""
PLAIN = SERVICE.replace("levels:\n", "levels: []\n").split("  - level")[0]


def read(text: str) -> tuple[Document, ...]:
    """The documents of a text that is without fault until terms are inherited."""
    found, refusals = read_documents(text, "contract.yaml")
    assert not refusals, [one.text() for one in refusals]
    return found.documents


def family(*texts: str) -> Resolution:
    """What the texts come to."""
    return resolve(read("".join(texts)))


def hosting(*texts: str) -> Agreement:
    """The one agreement that is settled."""
    found = family(*texts)
    assert not found.refusals, [one.text() for one in found.refusals]
    (document,) = found.documents
    assert isinstance(document.noun, Agreement)
    return document.noun


def test_what_is_stated_nearest_replaces_the_term_of_the_same_name() -> None:
    whole = hosting(CORPORATE, CUSTOMER, SERVICE)
    (level,) = whole.levels
    assert level.expected is not None
    assert level.expected.text() == "at least 98"
    assert [clause.clause for clause in whole.clauses] == ["desk", "law"]


def test_every_term_says_where_it_came_from() -> None:
    found = whence(hosting(CORPORATE, CUSTOMER, SERVICE))
    assert {(one.term, one.agreement, one.version, one.inherited) for one in found} == {
        ("bases.fee", "group", 1, True),
        ("levels.uptime", "hosting", 1, False),
        ("caps.month", "group", 1, True),
        ("claim", "group", 1, True),
        ("clauses.desk", "retail", 3, True),
        ("clauses.law", "group", 1, True),
    }


def test_a_level_left_out_on_the_way_is_not_inherited() -> None:
    assert [level.level for level in hosting(CORPORATE, CUSTOMER, PLAIN).levels] == ["uptime"]


def test_a_single_term_stated_as_null_is_not_inherited() -> None:
    whole = hosting(CORPORATE, CUSTOMER, SERVICE + "claim: null\n")
    assert whole.claim is None
    assert totals(whole, "97.99") == [15_000]


def test_an_order_of_operations_is_inherited_and_says_whence() -> None:
    other = (
        "order: [levels, credits, points, single_event, critical_failure, caps, claims,"
        " small_amounts, earn_back, fees, deposit, rounding]\n"
    )
    whole = hosting(CORPORATE + other, CUSTOMER, SERVICE)
    assert whole.order[5:7] == ("caps", "claims")
    stored = Agreement.model_validate_json(whole.model_dump_json())
    (found,) = (one for one in whence(stored) if one.term == "order")
    assert (found.agreement, found.inherited) == ("group", True)


def test_the_order_of_the_files_does_not_matter() -> None:
    assert hosting(SERVICE, CUSTOMER, CORPORATE) == hosting(CORPORATE, CUSTOMER, SERVICE)


def test_what_is_resolved_stays_as_it_is_when_resolved_again() -> None:
    documents = family(CORPORATE, CUSTOMER, SERVICE).documents
    again = resolve(documents)
    assert again.documents == documents
    assert not again.refusals


def test_a_stored_agreement_needs_its_frameworks_no_more() -> None:
    whole = hosting(CORPORATE, CUSTOMER, PLAIN)
    assert Agreement.model_validate_json(whole.model_dump_json()) == whole


def test_inherited_terms_cost_what_they_say() -> None:
    # 20 % of 1,000.00 is 200.00, held to the group's cap of 15 % once it is claimed.
    whole = hosting(CORPORATE, CUSTOMER, SERVICE)
    unclaimed = whole.model_copy(update={"claim": None})
    assert totals(unclaimed, "98", "97.99") == [0, 15_000]
    # The group asks for claims, and nobody claimed.
    assert totals(whole, "97.99") == [0]
    assert evaluation("2025-01", "97.99").circumstances == ()


def test_frameworks_are_set_apart_and_the_rest_is_checked() -> None:
    (programme,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    found = family(CORPORATE, CUSTOMER, SERVICE)
    assert {one.noun.name for one in found.frameworks} == {"For the whole group", "For the shops"}
    assert check(found.documents[0], programme) == ()


def test_a_framework_or_an_unresolved_agreement_is_refused_by_the_check() -> None:
    (programme,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    corporate, customer, service = read(CORPORATE + CUSTOMER + SERVICE)
    assert any("is a framework" in one.reason for one in check(corporate, programme))
    assert any("are not taken over yet" in one.reason for one in check(service, programme))
    assert customer.noun.version == 3


def test_a_fault_in_an_inherited_term_is_shown_where_it_is_inherited() -> None:
    (programme,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    wrong = CORPORATE.replace("metric: uptime", "metric: uptimes", 1)
    (document,) = family(wrong, CUSTOMER, PLAIN).documents
    (refusal,) = check(document, programme)
    assert refusal.reason == "there is no metric 'uptimes'"
    text = (wrong + CUSTOMER + PLAIN).splitlines()
    assert text[refusal.line - 1].startswith("inherits: {agreement: retail")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((CUSTOMER, SERVICE), "there is no framework group version 1"),
        ((CORPORATE, SERVICE.replace("retail, version: 3", "groop, version: 1")),
         "there is no framework groop version 1"),
        ((CORPORATE, CUSTOMER.replace("[steady]", "[stedy]"), SERVICE),
         "group has no level 'stedy' that could be left out"),
        ((CORPORATE.replace("type: corporate", "type: service"), CUSTOMER, SERVICE),
         "type customer cannot inherit from type service"),
        ((CORPORATE.replace("currency: EUR", "currency: USD"), CUSTOMER, SERVICE),
         "group has the currency USD, this agreement EUR"),
        ((CORPORATE, CUSTOMER.replace("settled: month", "settled: quarter"), SERVICE),
         "retail has the settlement period quarter, this agreement month"),
        ((CORPORATE.replace("corporate", "customer"), CUSTOMER, SERVICE),
         "type customer cannot inherit from type customer"),
        ((SERVICE.replace("framework: true", "") + "framework: true\n", SERVICE),
         "there is no framework retail version 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_inherited_is_refused(texts: tuple[str, ...], reason: str) -> None:
    assert reason in [one.reason for one in family(*texts).refusals]


def test_a_framework_of_which_nothing_is_left_is_refused() -> None:
    empty = CORPORATE.split("bases:")[0] + "levels: []\n"
    asked = SERVICE.replace("retail, version: 3", "group, version: 1")
    (refusal,) = family(empty, asked).refusals
    assert refusal.reason == "nothing of group version 1 is left to inherit"


def test_terms_that_contradict_each_other_once_joined_are_refused() -> None:
    rolling = CORPORATE.replace("window: period", "window: trailing, periods: 3")
    own = PLAIN + (
        "earn_backs:\n  - {kind: yearly_average, earn_back: year, percent: 100, "
        "barred_below_minimum: true, no_data: no_earn_back}\n"
    )
    (refusal,) = family(rolling, CUSTOMER, own).refusals
    assert "cap month looks back at credits that can be earned back" in refusal.reason


def test_an_agreement_without_levels_inherits_some_or_is_refused() -> None:
    _, refusals = read_documents(PLAIN.replace("inherits:", "#"), "contract.yaml")
    assert [one.reason for one in refusals] == ["the agreement has no level"]
    none = CORPORATE.split("levels:")[0] + "levels: []\n"
    asked = PLAIN.replace("retail, version: 3", "group, version: 1")
    (refusal,) = family(none, asked).refusals
    assert "the agreement has no level" in refusal.reason
