"""Closing on a real database: once, by event time or by command, and again when facts come late."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from schemas.base import TZDATA
from schemas.statement import canonical
from schemas.whose_word import SAID
from services.catalogue import store as catalogue
from services.catalogue.cached import CatalogueCopy
from services.core.counting.measures.question import Need
from services.evaluator import apply as apply_module
from services.evaluator import period_close, preview, recount
from services.evaluator.closing_queue import register
from services.evaluator.evaluation_store import dequeue_recount
from services.evaluator.late_facts import scan
from tests.evaluator.bench import TOPICS, House
from tests.evaluator.builders import (
    CIRRUS,
    NIMBUS,
    TOWN,
    Event,
    a_programme,
    accepts,
    an_agreement,
    correction,
    down,
    stated,
    up,
)

JANUARY = datetime(2025, 1, 10, 12, tzinfo=UTC)
# Berlin's January ends on the 31st at 23:00 UTC; two days of lateness.
DUE = datetime(2025, 2, 2, 23, tzinfo=UTC)


def a_month(source: str, start: datetime = JANUARY) -> list[Event]:
    """Ten probes, the last one without an answer."""
    good = [up(f"p{n}{start:%m}", start + timedelta(hours=n), source) for n in range(9)]
    return [*good, down(f"p9{start:%m}", start + timedelta(hours=9), source)]


def all_sources_at(moment: datetime) -> list[list[Event]]:
    """Something from everybody at a moment, so that every partition has come that far."""
    return [[up(f"at{moment}", moment, source)] for source in (NIMBUS, CIRRUS, TOWN)]


async def a_closed_january(house: House) -> None:
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.send(*all_sources_at(DUE))
    await house.look()


async def test_a_period_closes_when_every_feeding_source_has_passed_it(house: House):
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.send(*all_sources_at(DUE)[:2])
    await house.send([up("almost", DUE - timedelta(microseconds=1), TOWN)])
    await house.look()
    assert await house.evaluations() == []
    await house.send([up("there", DUE, TOWN)])
    await house.look()
    await house.look()
    (made,) = await house.evaluations()
    assert (made.period, made.revision, made.reason) == ("2025-01", 1, "closed")
    assert made.tzdata == TZDATA
    (figure,) = made.figures
    assert (figure.good, figure.total, figure.value) == (27, 30, Fraction(90))
    assert figure.evidence.facts == 30
    assert {each.id for each in figure.evidence.telling} == {"p901"}
    (announced,) = await house.announced()
    assert announced["id"] == "hosting/2025-01/1"
    assert announced["data"]["figures"][0]["value"] == "90"


async def test_a_close_by_command_does_not_wait(house: House):
    await house.send(a_month(NIMBUS))
    await house.ask_to_close("hosting", "2025-01")
    await house.look()
    (made,) = await house.evaluations()
    assert (made.revision, made.reason) == (1, "commanded")
    asked = await house.connection.fetchrow("select outcome, revision from close_request")
    assert tuple(asked) == ("closed", 1)


async def test_a_close_of_what_was_applied_a_moment_ago_is_not_refused(house: House):
    await house.send(a_month(NIMBUS))
    await house.copy.refresh()
    await catalogue.apply(house.connection, an_agreement("other"))
    await house.ask_to_close("other", "2025-01")
    await house.closer().work_off(house.connection)  # its copy is from before
    assert [made.reason for made in await house.evaluations("other")] == ["commanded"]


async def test_commanded_again_without_news_it_stands_as_it_was(house: House):
    await a_closed_january(house)
    await house.ask_to_close("hosting", "2025-01")
    await house.look()
    assert len(await house.evaluations()) == 1
    assert len(await house.announced()) == 1
    assert await house.connection.fetchval("select outcome from close_request") == "unchanged"


async def test_a_command_for_what_is_no_period_is_refused_with_the_reason(house: House):
    await house.ask_to_close("hosting", "2025-Q1")
    await house.ask_to_close("nothing", "2025-01")
    await house.look()
    rows = await house.connection.fetch("select outcome, detail from close_request order by number")
    assert [row["outcome"] for row in rows] == ["refused", "refused"]
    assert "settled by month" in rows[0]["detail"]
    assert "not applied" in rows[1]["detail"]


async def test_a_late_fact_makes_revision_two_and_nothing_else(house: House):
    await a_closed_january(house)
    before = await house.evaluations()
    await house.send([down("late", JANUARY)], [down("late2", JANUARY)])
    await house.look(quiet=60)
    assert await house.evaluations() == before  # it waits until nothing more comes
    await asyncio.sleep(0.05)
    await house.look()
    await house.look()
    first, second = await house.evaluations()
    assert first == before[0]
    assert (second.period, second.revision, second.reason) == ("2025-01", 2, "late_facts")
    assert (second.figures[0].good, second.figures[0].total) == (27, 32)
    assert [each["id"] for each in await house.announced()] == [
        "hosting/2025-01/1",
        "hosting/2025-01/2",
    ]
    assert await house.connection.fetchval("select count(*) from touched") == 0


async def test_a_late_sample_in_its_senders_favour_is_proposed_and_counts_once_accepted(
    house: House,
):
    await a_closed_january(house)
    late = up("late", JANUARY)
    await house.send([late, down("worse", JANUARY)])
    await _looked(house)
    *_, proposed = await house.evaluations()
    assert (proposed.figures[0].good, proposed.figures[0].total) == (27, 31)
    assert [(each.event.id, each.awaits) for each in proposed.proposals] == [("late", ("town",))]
    found = await preview.events_behind(
        house.pool, house.copy.current, "hosting", Need("availability", None, "2025-01"), None, 99
    )
    assert found.digest == proposed.figures[0].evidence.digest
    await house.send([accepts(late)])
    await _looked(house)
    *_, accepted = await house.evaluations()
    assert (accepted.figures[0].good, accepted.figures[0].total) == (28, 32)


async def test_a_close_that_is_ordered_early_leaves_the_time_that_the_contract_leaves(
    house: House,
):
    """Late is what comes after the time for it, and not what comes after a hasty order."""
    at = datetime.now(UTC).replace(day=1, hour=12) - timedelta(days=15)
    period = f"{at:%Y-%m}"
    for name, hours in (("patient", 24 * 366), ("hasty", 0)):
        await catalogue.apply(house.connection, an_agreement(name, lateness_hours=hours))
        await house.ask_to_close(name, period)
    await house.send(a_month(NIMBUS, at))
    await house.look()
    late = up("late", at)
    await house.send([late])
    await _looked(house)
    *_, patient = await house.evaluations("patient")
    assert (patient.figures[0].total, patient.proposals) == (11, ())
    *_, hasty = await house.evaluations("hasty")
    assert (hasty.figures[0].total, [each.event.id for each in hasty.proposals]) == (10, ["late"])


async def test_a_closer_without_its_catalogue_yet_loses_no_late_fact(house: House):
    await a_closed_january(house)
    await house.send([down("late", JANUARY + timedelta(days=1))])
    house.copy = CatalogueCopy(house.pool)
    await house.closer().work_off(house.connection)  # as right after a restart
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    assert [each.revision for each in await house.evaluations()] == [1, 2]


async def test_duplicates_and_other_periods_facts_make_no_revision(house: House):
    await a_closed_january(house)
    await house.send(a_month(NIMBUS), [up("february", DUE + timedelta(days=3))])
    await asyncio.sleep(0.05)
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    assert len(await house.evaluations()) == 1


async def test_a_late_correction_is_counted_in_the_period_of_its_event(house: House):
    await a_closed_january(house)
    wrong = a_month(NIMBUS)[9]
    data = {"metric": "availability", "up": True}
    late = correction("c1", DUE + timedelta(days=1), wrong, data)
    await house.send([late])
    await _looked(house)
    *_, proposed = await house.evaluations()
    assert (proposed.figures[0].good, proposed.figures[0].total) == (27, 30)
    assert [(each.state, each.awaits) for each in proposed.proposals] == [("open", ("town",))]
    await house.send([accepts(late)])
    await _looked(house)
    *_, accepted = await house.evaluations()
    assert (accepted.figures[0].good, accepted.figures[0].total) == (28, 30)
    assert [each.state for each in accepted.proposals] == ["accepted"]


async def test_an_answer_has_only_the_periods_counted_again_that_read_what_it_answers(
    house: House,
):
    await a_closed_january(house)
    for days in (28, 59):
        await house.send(*all_sources_at(DUE + timedelta(days=days)))
        await _looked(house)
    assert {each.period for each in await house.evaluations()} == {"2025-01", "2025-02", "2025-03"}
    data = {"metric": "availability", "up": True}
    corrected = correction("c1", DUE + timedelta(days=60), a_month(NIMBUS)[9], data)
    late = up("late", JANUARY)
    for events in ([corrected], [late], [accepts(corrected)], [accepts(late)]):
        await house.send(events)
        await house.look(quiet=60)
        touched = await house.connection.fetch("select period from touched")
        assert [row["period"] for row in touched] == ["2025-01"], events
        await asyncio.sleep(0.05)
        await house.look()
    *_, made = [each for each in await house.evaluations() if each.period == "2025-01"]
    assert (made.figures[0].good, made.figures[0].total) == (29, 31)


async def test_a_correction_that_dates_itself_back_before_the_close_is_proposed(house: House):
    await a_closed_january(house)
    wrong = a_month(NIMBUS)[9]
    data = {"metric": "availability", "up": True}
    early = correction("c1", JANUARY + timedelta(days=1), wrong, data)
    await house.send([early])
    await _looked(house)
    *_, proposed = await house.evaluations()
    assert (proposed.figures[0].good, proposed.figures[0].total) == (27, 30)
    assert [each.state for each in proposed.proposals] == ["open"]
    found = await preview.events_behind(
        house.pool, house.copy.current, "hosting", Need("availability", None, "2025-01"), None, 99
    )
    assert found.digest == proposed.figures[0].evidence.digest
    assert "c1" not in {each["id"] for each in found.items}


async def test_a_correction_that_moves_an_event_counts_it_where_it_now_lies(house: House):
    await a_closed_january(house)
    moved = down("moved", DUE + timedelta(days=20))
    await house.send([moved])
    back = correction("c1", DUE + timedelta(days=21), moved, time=JANUARY)
    await house.send([accepts(back)])  # whatever order they come in
    await house.send([back])
    await _looked(house)
    second = (await house.evaluations())[-1]
    assert (second.figures[0].good, second.figures[0].total) == (27, 31)
    assert "moved" in {each.id for each in second.figures[0].evidence.telling}


async def test_a_correction_to_another_metric_touches_that_metrics_period(house: House):
    await catalogue.apply(house.connection, an_agreement("other", "latency"))
    await a_closed_january(house)
    slow = Event(
        "slow", JANUARY, type="earnback.response.v1", metric="latency", value=250, scale_or_total=0
    )
    other = slow.but(id="other", metric="incidents")
    await house.send([other])
    data = {"metric": "latency", "value": "250", "unit": "milliseconds"}
    late = correction("c1", DUE + timedelta(days=1), other, data)
    await house.send([late], [accepts(late, agreement="other", name="latency")])
    await _looked(house)
    made = await house.evaluations("other")
    assert [each.figures[0].value for each in made] == [None, Fraction(250)]


async def _looked(house: House) -> None:
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()


async def _verdict(house: House, event_id: str) -> dict[str, Any]:
    return await house.verdict(NIMBUS, event_id)


async def _aside(house: House) -> list[tuple[str, str, str]]:
    rows = await house.connection.fetch(
        "select source, event_id, problem from quarantine_item where reason = 'refused_correction'"
        " order by number"
    )
    return [tuple(row) for row in rows]


async def test_a_correction_that_does_not_fit_is_set_aside_once_and_published(house: House):
    await a_closed_january(house)
    wrong = a_month(NIMBUS)[0]
    unfit = {"metric": "availability", "up": "yes"}
    await house.send([correction("c1", DUE + timedelta(days=1), wrong, unfit)])
    await _looked(house)
    await house.ask_to_close("hosting", "2025-01")
    await house.ask_to_close("hosting", "2025-02")
    await house.look()
    (item,) = await _aside(house)
    assert item[:2] == (NIMBUS, "c1")
    assert item[2] == "/data/up: it is neither true nor false; write true or false"
    (told,) = [
        json.loads(row["body"])["data"]
        for row in await house.connection.fetch(
            "select body from outbox where topic = $1", TOPICS.quarantine
        )
    ]
    assert (told["reason"], told["event_id"]) == ("refused_correction", "c1")
    assert told["told"]["data"]["corrects"] == wrong.id
    found = await _verdict(house, "c1")
    assert found["standing"] == "quarantined"
    assert found["accepted"] is not None, "it is stored all the same"
    assert [each["resolved_at"] for each in found["quarantined"]] == [None]


async def test_a_refused_correction_that_is_mended_is_told_to_apply_and_stays_on_record(
    house: House,
):
    await a_closed_january(house)
    wrong = a_month(NIMBUS)[9]
    unfit = {"metric": "availability", "up": "yes"}
    first = correction("c1", DUE + timedelta(days=1), wrong, unfit)
    await house.send([first])
    await _looked(house)
    assert len(await _aside(house)) == 1
    fits = {"corrects": wrong.id, "reason": "mended", "data": {**unfit, "up": True}}
    second = correction("c2", DUE + timedelta(days=2), first, fits)
    await house.send([second], [accepts(first)], [accepts(second)])
    await _looked(house)
    assert len(await _aside(house)) == 1
    found = await _verdict(house, "c1")
    assert found["standing"] == "accepted"
    assert [each["resolved_at"] is None for each in found["quarantined"]] == [False]
    third = correction("c3", DUE + timedelta(days=3), second)
    await house.send([third], [accepts(third)])
    await _looked(house)
    again = await _verdict(house, "c1")
    assert again["standing"] == "quarantined"
    rows = await house.connection.fetch("select refused from correction_verdict order by number")
    assert [row["refused"] for row in rows] == [False, True]
    last = (await house.evaluations())[-1]
    assert (last.figures[0].good, last.figures[0].total) == (27, 30)


async def test_a_correction_whose_event_is_not_there_is_shown_until_it_is(house: House):
    *sent, missing = a_month(NIMBUS)
    await house.send(sent)
    await house.send([correction("c1", JANUARY + timedelta(days=1), missing)])
    await house.ask_to_close("hosting", "2025-01")
    await _looked(house)
    (item,) = await _aside(house)
    assert item[1] == "c1"
    assert f"it waits for its event: no event {missing.id} of the source {NIMBUS}" in item[2]
    assert (await _verdict(house, "c1"))["standing"] == "quarantined"
    await house.send([missing])
    await _looked(house)
    assert (await _verdict(house, "c1"))["standing"] == "accepted"
    last = (await house.evaluations())[-1]
    assert last.figures[0].total == len(sent)


async def test_a_correction_of_a_correction_restores_what_was_said_first(house: House):
    await a_closed_january(house)
    wrong = a_month(NIMBUS)[9]
    back = correction("c1", DUE + timedelta(days=1), wrong)
    await house.send([back], [accepts(back)])
    await asyncio.sleep(0.05)
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    again = correction("c2", DUE + timedelta(days=2), back)
    await house.send([again], [accepts(again)])
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    made = await house.evaluations()
    assert [(each.figures[0].good, each.figures[0].total) for each in made] == [
        (27, 30),
        (27, 29),
        (27, 30),
    ]


@pytest.mark.parametrize(
    ("agreement", "period", "revisions"),
    [("hosting", "2025-01", 2), ("hosting", "2025-02", 1), ("other", "2025-01", 1)],
)
async def test_a_late_charge_touches_the_period_it_is_for_and_no_other(
    house: House, agreement: str, period: str, revisions: int
):
    await a_closed_january(house)
    said = {"agreement": agreement, "base": "monthly", "period": period, "amount": "1000.50"}
    await house.send([stated("invoice", DUE + timedelta(days=1), "charge", currency="EUR", **said)])
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    made = await house.evaluations()
    assert len(made) == revisions
    assert [each.charge.amount for each in made[-1].charges] == (
        [Fraction("1000.50")] if revisions == 2 else []
    )


async def test_a_proposal_has_no_effect_until_the_other_party_takes_it_over(house: House):
    words = dict.fromkeys(SAID, "buyer")
    newer = a_programme(version=2, effective_from="2025-01-01", whose_word=words)
    await catalogue.apply(house.connection, newer)
    await house.copy.refresh()
    await a_closed_january(house)
    about = {"agreement": "hosting", "period": "2025-01"}
    theirs = stated("storm", DUE + timedelta(days=1), "circumstance", circumstance="storm", **about)
    payload = theirs.row().payload.hex()
    said = {"states": "circumstance", "name": "storm", "reason": "seen", "answer": "accept"}
    said |= {"of_source": NIMBUS, "of_id": "storm", "of_payload": payload}
    yes = stated("yes", DUE + timedelta(days=2), "answer", TOWN, **about, **said)
    own = stated("own", DUE + timedelta(days=2), "answer", NIMBUS, **about, **said)
    for events in ([theirs], [own], [yes]):
        await house.send(events)
        await house.look()
        await asyncio.sleep(0.05)
        await house.look()
    made = await house.evaluations()
    told = [
        (len(one.circumstances), [(each.party, each.state) for each in one.proposals])
        for one in made
        if one.period == "2025-01"
    ]
    assert told == [(0, []), (0, [("nimbus", "open")]), (1, [("nimbus", "accepted")])]


def incident(name: str, at: datetime, phase: str) -> Event:
    """An outage opens or closes."""
    data = f'{{"metric":"incidents","outage":"inc-1","phase":"{phase}"}}'
    return Event(name, at, NIMBUS, "earnback.outage.v1", "incidents", 0, 0, data=data)


async def test_the_end_of_an_outage_settles_the_month_in_which_it_began(house: House):
    priced = {
        "is_a": "service_credit",
        "due": {"kind": "every_period"},
        "quantity": {"kind": "duration", "of": "each", "counted": "elapsed", "unit": 60,
                     "part_unit": "counts_in_full"},
        "rate": {"kind": "amount", "amount": 1},
    }  # fmt: skip
    level = an_agreement("repairs", "incidents").levels[0].model_dump(mode="json")
    repairs = an_agreement("repairs", levels=[level | {"credits": [priced]}], type="service")
    await catalogue.apply(house.connection, repairs)
    begun = datetime(2025, 1, 31, 12, tzinfo=UTC)
    await house.send([incident("open", begun, "open")])
    await house.send(*all_sources_at(DUE))
    await house.look()
    (made,) = await house.evaluations("repairs")
    assert (made.figures[0].value, made.figures[0].unfinished) == (1, ("inc-1",))
    await house.send([incident("close", DUE + timedelta(days=20), "close")])  # in February
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    _, again = await house.evaluations("repairs")
    assert (again.period, again.revision, again.reason) == ("2025-01", 2, "late_facts")
    (part,) = again.figures[0].parts
    assert again.figures[0].unfinished == ()
    assert part.end == DUE + timedelta(days=20)
    assert part.amount == Fraction((DUE + timedelta(days=20) - begun) // timedelta(minutes=1))


async def test_an_outage_moved_into_a_closed_month_is_proposed_and_accepted_leaves_its_own(
    house: House,
):
    await catalogue.apply(house.connection, an_agreement("repairs", "incidents"))
    begun = DUE + timedelta(days=5)
    ended = incident("close", begun + timedelta(days=1), "close")
    await house.send([incident("open", begun, "open"), ended])
    await house.send(*all_sources_at(DUE), *all_sources_at(DUE + timedelta(days=28)))
    await _looked(house)
    await _looked(house)
    made = await house.evaluations("repairs")
    assert [(each.period, each.figures[0].value) for each in made] == [
        ("2025-01", 0),
        ("2025-02", 1),
    ]
    said = {"metric": "incidents", "outage": "inc-1", "phase": "correct"}
    text = json.dumps({**said, "started_at": "2025-01-10T12:00:00Z"}, sort_keys=True)
    back = ended.but(id="back", at=JANUARY, data=text.replace(" ", ""))
    await house.send([back])  # dated before the close, and stored after it
    await _looked(house)
    *_, proposed = [each for each in await house.evaluations("repairs") if each.period == "2025-01"]
    (one,) = proposed.proposals
    assert (proposed.revision, proposed.figures[0].value) == (2, 0)
    assert (one.event.id, one.state, one.awaits) == ("back", "open", ("town",))
    found = await preview.events_behind(
        house.pool, house.copy.current, "repairs", Need("incidents", None, "2025-02"), None, 99
    )
    assert {each["id"] for each in found.items} == {"open", "close"}
    await house.send([accepts(back, agreement="repairs", name="incidents")])
    await _looked(house)
    newest = {each.period: each.figures[0].value for each in await house.evaluations("repairs")}
    assert newest == {"2025-01": 1, "2025-02": 0}


@pytest.mark.parametrize("kind", ["charge", "circumstance"])
@pytest.mark.parametrize(
    ("stated_for", "touched"),
    [
        ("2025-Q1", True),
        ("2025", True),
        ("2025-01-17", True),
        ("2024-12-31", False),
        ("2025-Q2", False),
        ("2024", False),
    ],
)
async def test_what_is_stated_for_a_longer_or_shorter_time_touches_the_periods_of_that_time(
    house: House, kind: str, stated_for: str, touched: bool
):
    monthly = {"base": "monthly", "of_period": "same", "if_missing": "zero"}
    monthly |= {"part_of_period": "full_charge", "longer_charge": "by_days"}
    await catalogue.apply(house.connection, an_agreement("spread", bases=[monthly]))
    await a_closed_january(house)
    said = {"agreement": "spread", "period": stated_for}
    said |= (
        {"base": "monthly", "amount": "1200.00", "currency": "EUR"}
        if kind == "charge"
        else {"circumstance": "force-majeure"}
    )
    await house.send([stated("late", DUE + timedelta(days=1), kind, **said)])
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    made = await house.evaluations("spread")
    assert [(one.period, len(one.charges) + len(one.circumstances)) for one in made] == (
        [("2025-01", 0), ("2025-01", 1)] if touched else [("2025-01", 0)]
    )


async def test_a_charge_of_the_month_after_the_end_touches_the_last_month(house: House):
    bill = {"base": "bill", "of_period": "next", "if_missing": "wait"}
    ending = an_agreement(
        "ending",
        effective_until="2025-02-01",
        bases=[bill | {"part_of_period": "full_charge", "longer_charge": "refused"}],
    )
    await catalogue.apply(house.connection, ending)
    await a_closed_january(house)
    said = {"agreement": "ending", "base": "bill", "period": "2025-02", "amount": "12.00"}
    await house.send([stated("invoice", DUE + timedelta(days=1), "charge", currency="EUR", **said)])
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    made = await house.evaluations("ending")
    assert [(one.period, len(one.charges)) for one in made] == [("2025-01", 0), ("2025-01", 1)]


async def open_work(house: House) -> list[dict[str, Any]]:
    rows = await house.connection.fetch(
        "select * from parked_work where resolved_at is null order by number"
    )
    return [dict(row) for row in rows]


async def test_what_cannot_be_counted_is_parked_and_holds_up_nobody_else(house: House):
    await catalogue.apply(house.connection, an_agreement("lost", "no-such-metric"))
    await a_closed_january(house)
    for _ in range(3):
        await house.look()
    assert len(await house.evaluations("hosting")) == 1
    assert await house.evaluations("lost") == []
    (parked,) = await open_work(house)
    assert (parked["service"], parked["what"], parked["agreement"], parked["period"]) == (
        "evaluator",
        "close",
        "lost",
        "2025-01",
    )
    assert "no-such-metric" in parked["reason"]
    assert parked["attempts"] == 1  # nothing has changed since
    assert "close" not in house.health.missing()
    await house.send([up("more", JANUARY + timedelta(days=2))])
    await catalogue.apply(
        house.connection, an_agreement("lost", version=2, effective_from="2025-02-01")
    )
    await house.look()
    assert [row["attempts"] for row in await open_work(house)] == [2]


async def test_a_later_period_of_which_nothing_can_be_told_is_parked_after_those_before_it(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    real = recount.target_of

    def fails(known: Any, agreement: str, period: str) -> recount.RecountTarget:
        assert (agreement, period) != ("other", "2025-02"), "by nothing"
        return real(known, agreement, period)

    monkeypatch.setattr(recount, "target_of", fails)
    await catalogue.apply(house.connection, an_agreement("other"))
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.send(*all_sources_at(DUE + timedelta(days=31)))
    await house.look()
    assert [one.period for one in await house.evaluations("other")] == ["2025-01"]
    assert [one.period for one in await house.evaluations("hosting")] == ["2025-01", "2025-02"]
    (parked,) = await open_work(house)
    assert (parked["agreement"], parked["period"]) == ("other", "2025-02")
    assert parked["error"] == "AssertionError"


async def test_any_exception_while_one_agreement_is_counted_is_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    real = recount.evaluation

    def fails(target: recount.RecountTarget, *rest: Any, **more: Any) -> Any:
        assert target.place[0] != "other", "by nothing"
        return real(target, *rest, **more)

    monkeypatch.setattr(recount, "evaluation", fails)
    await catalogue.apply(house.connection, an_agreement("other"))
    await a_closed_january(house)
    await house.ask_to_close("other", "2025-01")
    await house.look()
    assert len(await house.evaluations("hosting")) == 1
    (parked,) = await open_work(house)
    assert (parked["error"], parked["attempts"]) == ("AssertionError", 2)
    answer = await house.connection.fetchrow("select outcome, detail from close_request")
    assert answer["outcome"] == "refused"
    assert "AssertionError: by nothing" in answer["detail"]
    monkeypatch.undo()
    await house.send([up("late", JANUARY + timedelta(days=2), NIMBUS)])
    await asyncio.sleep(0.05)
    await house.look()
    assert [made.reason for made in await house.evaluations("other")] == ["closed"]
    assert await open_work(house) == []


async def test_a_stored_contract_that_cannot_be_read_is_left_out_alone(house: House):
    await catalogue.apply(house.connection, an_agreement("other"))
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    # As an earlier release may have kept it: of a time that no calendar here reaches.
    for name, day in (("first", "0001-01-01"), ("last", "9999-12-01")):
        body = json.dumps(
            json.loads(canonical(an_agreement(name))) | {"effective_from": day},
            separators=(",", ":"),
        )
        await house.connection.execute(
            "insert into agreement_version (agreement, version, programme, vendor,"
            " effective_from, body, sha256)"
            " values ($1, 1, 'campus', 'nimbus', $2::text::date, $3::text,"
            " sha256(convert_to($3, 'UTF8')))",
            name,
            day,
            body,
        )
    await house.connection.execute("update catalogue_revision set revision = revision + 1")
    await house.send(*all_sources_at(DUE))
    await house.look()
    await house.look()
    assert len(await house.evaluations("hosting")) == len(await house.evaluations("other")) == 1
    parked = {(row["what"], row["agreement"], row["vendor"]) for row in await open_work(house)}
    assert parked == {("agreement", "first", "nimbus"), ("agreement", "last", "nimbus")}
    assert "is left out" in (await open_work(house))[0]["reason"]
    await house.ask_to_close("first", "2025-01")
    await house.look()
    assert "cannot be read as it is stored" in await house.connection.fetchval(
        "select detail from close_request"
    )


async def test_a_record_that_nobody_foresaw_is_set_aside_and_the_partition_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    real = apply_module.tallies

    def fails(columns: Any, *rest: Any) -> Any:
        ids = [one for batch in columns.batches for one in batch.column("id").to_pylist()]
        assert "poison" not in ids, "by nothing"
        return real(columns, *rest)

    monkeypatch.setattr(apply_module, "tallies", fails)
    batches = [[up("before", JANUARY)], [up("poison", JANUARY)], [up("after", JANUARY)]]
    await house.send(*batches)
    assert await house.stored() == 2
    (aside,) = await house.quarantine()
    assert (aside["reason"], "AssertionError: by nothing" in aside["problem"]) == (
        "unreadable",
        True,
    )


async def test_an_evaluation_too_large_to_publish_is_parked_instead_of_blocking_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(period_close, "MAX_BODY_BYTES", 500)
    await a_closed_january(house)
    assert await house.evaluations() == []
    assert await house.announced() == []
    assert "500 can be published" in (await open_work(house))[0]["reason"]
    monkeypatch.undo()
    await house.look()
    assert await house.evaluations() == [], "it is not tried again while nothing has changed"
    await house.ask_to_close("hosting", "2025-01")
    await house.look()
    assert [made.period for made in await house.evaluations()] == ["2025-01"]
    assert await open_work(house) == []


async def test_a_tampered_tally_stops_the_close_with_an_alarm_until_it_is_right(house: House):
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.connection.execute(
        "update tally set n = n + 1 where window_us = (select min(window_us) from tally)"
    )
    await house.send(*all_sources_at(DUE))
    await house.look()
    await house.look()
    assert await house.evaluations() == []
    assert await house.announced() == []
    (alarm,) = await house.connection.fetch("select * from close_alarm")
    assert alarm["resolved_at"] is None
    assert '"day": "2025-01-10"' in alarm["found"]
    assert "hosting 2025-01" in house.health.missing()["close"]
    await house.connection.execute(
        "update tally set n = n - 1 where window_us = (select min(window_us) from tally)"
    )
    await house.ask_to_close("hosting", "2025-01")
    await house.look()
    assert len(await house.evaluations()) == 1
    assert await house.connection.fetchval("select resolved_at is not null from close_alarm")
    assert "close" not in house.health.missing()


async def test_a_deleted_or_invented_tally_is_found_too(house: House):
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.send(*all_sources_at(DUE))
    await house.connection.execute(
        "insert into tally (metric, window_us, partition, n, a, b, checksum)"
        " values (0, 1736000040000000, 9, 1, 1, 1, 5)"
    )
    await house.look()
    assert await house.connection.fetchval("select count(*) from close_alarm") == 1


async def test_silent_sources_stop_holding_the_period_once_they_are_idle(house: House):
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.send([up("n", DUE, NIMBUS)])
    await house.look()
    assert await house.evaluations() == []
    await house.connection.execute(
        "update source_latest set heard_at = heard_at - interval '2 hours' where source <> $1",
        NIMBUS,
    )
    house.ends = None  # the broker does not say whether records wait: nobody is called idle
    await house.look(idle_after=3600)
    assert await house.evaluations() == []
    house.ends = {place: claim.next_offset for place, claim in house.claims.items()}
    await house.look(idle_after=3600)
    assert len(await house.evaluations()) == 1
    record = await house.connection.fetchval("select record->'idle' from evaluation")
    assert TOWN in record
    assert "silent_seconds" in record


async def test_one_vendors_event_of_today_closes_nothing_of_anothers(database: str):
    sources = [
        {"source": NIMBUS, "reports_for": "nimbus", "metrics": ["availability"]},
        {"source": CIRRUS, "reports_for": "cirrus", "metrics": ["latency"]},
    ]
    theirs = an_agreement("theirs", "latency", vendor="cirrus")
    documents = a_programme(sources=sources), an_agreement(), theirs
    house = await House.open(database, *documents, partitions=1)
    try:
        await house.send(a_month(NIMBUS), partition=0)
        today = DUE + timedelta(days=500)
        slow = {"type": "earnback.response.v1", "metric": "latency", "value": 250}
        await house.send([up("x", today, CIRRUS).but(scale_or_total=0, **slow)], partition=0)
        await house.look()
        assert len(await house.evaluations("theirs")) == 17
        assert await house.evaluations("hosting") == []
    finally:
        await house.close()


async def test_a_level_whose_metric_nobody_reports_is_closed_with_its_programme(database: str):
    sources = [{"source": NIMBUS, "reports_for": "nimbus", "metrics": ["availability"]}]
    quiet = an_agreement("quiet", "latency")
    house = await House.open(database, a_programme(sources=sources), quiet, partitions=1)
    try:
        await house.send(a_month(NIMBUS), partition=0)
        await house.look()
        assert await house.evaluations("quiet") == []
        await house.send([up("n", DUE, NIMBUS)], partition=0)
        await house.look()
        assert [one.period for one in await house.evaluations("quiet")] == ["2025-01"]
    finally:
        await house.close()


async def test_what_comes_while_a_period_is_closed_for_the_first_time_is_counted_after_it(
    house: House,
):
    await house.send(a_month(NIMBUS))
    await house.copy.refresh()
    target = recount.target_of(house.copy.current, "hosting", "2025-01")
    await register(house.connection, target)
    await scan(house.connection, house.copy.current)
    snapshot = await recount.take(house.connection, target)
    await house.send([down("late", JANUARY)])
    await scan(house.connection, house.copy.current)
    await dequeue_recount(house.connection, target.place, snapshot.taken_at)
    assert await house.connection.fetchval("select period from touched") == "2025-01"


async def _parked(house: House) -> list[tuple[str, str, int]]:
    rows = await house.connection.fetch(
        "select agreement, error, attempts from parked_work where resolved_at is null"
    )
    return [tuple(row) for row in rows]


async def test_a_period_over_budget_is_parked_until_its_facts_change(house: House):
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.send(*all_sources_at(DUE))
    for _ in range(3):
        await house.look(facts=29)
    assert await _parked(house) == [("hosting", "OverBudget", 1)]
    assert await house.evaluations() == []
    await house.send([up("more", JANUARY)])
    for _ in range(2):
        await asyncio.sleep(0.05)
        await house.look(facts=29)
    assert await _parked(house) == [("hosting", "OverBudget", 2)]
    await house.ask_to_close("hosting", "2025-01")
    await house.look()
    assert len(await house.evaluations()) == 1
    assert await _parked(house) == []


async def test_periods_of_a_long_history_are_closed_in_order(house: House):
    for month in range(1, 7):
        start = datetime(2025, month, 5, tzinfo=UTC)
        await house.send(a_month(NIMBUS, start))
    await house.send(*all_sources_at(datetime(2025, 6, 20, tzinfo=UTC)))
    await house.look()
    made = await house.evaluations()
    assert [each.period for each in made] == [f"2025-{month:02d}" for month in range(1, 6)]


async def test_two_closers_make_one_evaluation(house: House):
    await house.send(*(a_month(source) for source in (NIMBUS, CIRRUS, TOWN)))
    await house.send(*all_sources_at(DUE))
    tasks = [asyncio.create_task(house.closer().run()) for _ in range(3)]
    async with asyncio.timeout(60):
        while not await house.evaluations():  # noqa: ASYNC110 - made in the database
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)  # for one too many to show
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(await house.evaluations()) == 1


async def test_a_preview_says_what_a_close_would_and_stores_nothing(house: House):
    await house.send(a_month(NIMBUS))
    await house.copy.refresh()
    body = await preview.preview(house.pool, house.copy.current, "hosting", "2025-01")
    assert b'"value":"90"' in body
    assert await house.evaluations() == []


async def test_the_events_behind_a_figure_come_in_pages_by_time(house: House):
    await house.send(a_month(NIMBUS), a_month(TOWN), a_month(CIRRUS, DUE))
    await house.copy.refresh()
    need, found, after = Need("availability", None, "2025-01"), [], None
    catalogue = house.copy.current
    while True:
        page = await preview.events_behind(house.pool, catalogue, "hosting", need, after, 7)
        found += [(item["source"], item["id"], item["time"]) for item in page.items]
        if (after := page.following) is None:
            break
    assert len(set(found)) == len(found) == 20
    assert [time for _, _, time in found] == sorted(time for _, _, time in found)
    body = await preview.preview(house.pool, catalogue, "hosting", "2025-01")
    assert f'"digest":"{page.digest}"'.encode() in body


async def test_the_verdict_on_an_event_names_where_it_is_and_what_became_of_it(house: House):
    event = up("p1", JANUARY)
    await house.send([up("p0", JANUARY), event], [event], [event.but(value=0)])
    await house.copy.refresh()
    found, unseen = await house.verdict(NIMBUS, "p1"), await house.verdict(NIMBUS, "p2")
    assert found["standing"] == "accepted"
    assert found["duplicates"] == 1
    assert found["accepted"]["event"]["data"] == {"metric": "availability", "up": True}
    assert [each["reason"] for each in found["quarantined"]] == ["conflict"]
    assert unseen["standing"] == "not_seen"


@pytest.mark.parametrize("second", ["latency", "availability"])
async def test_an_agreement_is_closed_on_its_own(house: House, second: str):
    await catalogue.apply(house.connection, an_agreement("other", second))
    await a_closed_january(house)
    (made,) = await house.evaluations("other")
    assert made.figures[0].metric == second
    assert made.figures[0].value == (None if second == "latency" else Fraction(90))
