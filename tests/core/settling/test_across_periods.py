"""Terms that count occurrences as wholes, over the end of a month: each in the three ways."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.core.calendar.windows import window_of
from services.core.settling.one_period import PeriodOutcome
from services.core.settling.settlement import settle
from services.core.visibility.parties import Parties
from tests.core.across import each, evaluations, looking, metric, outage, version
from tests.core.said import PROBE, Said, moment

FEBRUARY = window_of("2025-02", "Europe/Berlin").start
# 36 hours: the last 12 of January and the first 24 of February.
OUTAGE = outage("inc-1", FEBRUARY - timedelta(hours=12), FEBRUARY + timedelta(hours=24))
OPEN = OUTAGE[:1]


def measured(how: str, **options: Any) -> Programme:
    """Hours of outage, each outage alone."""
    given: dict[str, Any] = {"overlap": "each", "part": "exact", "across_periods": how}
    return version(metric("outage_time", "hours", **given | options))


def outcomes(
    said: list[Said], programmes: list[Programme], *agreements: Agreement
) -> list[PeriodOutcome]:
    """What January and February come to."""
    known = evaluations(said, programmes, agreements)[:2]
    found = settle(agreements, known, parties=Parties("acme"), time_zone="Europe/Berlin")
    return list(found)


def statements(
    said: list[Said], programmes: list[Programme], *agreements: Agreement
) -> list[SettlementStatement]:
    found = outcomes(said, programmes, *agreements)
    settled = [one for one in found if isinstance(one, SettlementStatement)]
    assert settled == found
    return settled


def totals(said: list[Said], programmes: list[Programme], *agreements: Agreement) -> list[int]:
    """Minor units of January and February."""
    return [one.total_minor for one in statements(said, programmes, *agreements)]


DAYS = {"unit": 24, "part_unit": "counts_in_full"}
HOURS = {"unit": 1, "part_unit": "counts_in_full"}
TERMS: list[tuple[dict[str, Any], list[int], int]] = [
    # the quantity, units of the two pieces, units of the whole
    (DAYS, [1, 1], 2),
    ({**HOURS, "grace": {"units": 10, "kind": "deductible"}}, [2, 14], 26),
    ({**HOURS, "grace": {"units": 24, "kind": "threshold"}}, [0, 0], 36),
    ({**DAYS, "part_unit": "does_not_count"}, [0, 1], 1),
    ({**DAYS, "shorter_than_a_unit": "nothing"}, [0, 1], 2),
    ({**DAYS, "shorter_than_a_unit": "only_if_asked", "asked": "asked-for"}, [0, 1], 2),
    ({**HOURS, "block": 36, "part_block": "does_not_count"}, [0, 0], 1),
    ({**DAYS, "unit": 1, "counted": "calendar_days"}, [1, 1], 2),
]


@pytest.mark.parametrize(("quantity", "pieces", "whole"), TERMS)
def test_a_duration_of_each_counts_wholes_or_pieces(
    quantity: dict[str, Any], pieces: list[int], whole: int
) -> None:
    expected = {"split": pieces, "begins": [whole, 0], "ends": [0, whole]}
    for how, units in expected.items():
        by_metric = totals(OUTAGE, [measured(how)], looking(each(**quantity)))
        assert by_metric == [100 * one for one in units], how
        other = "split" if how == "ends" else "ends"
        own = looking(each(**quantity, across_periods=how))
        assert totals(OUTAGE, [measured(other)], own) == [100 * one for one in units], how


@pytest.mark.parametrize(
    ("how", "units"), [("split", [1, 1]), ("begins", [2, 0]), ("ends", [0, 2])]
)
def test_started_units_of_the_metric_are_started_once(how: str, units: list[int]) -> None:
    days = version(
        metric("outage_time", "days", overlap="each", part="started_counts", across_periods=how)
    )
    total = looking(each(of="total", **{**DAYS, "unit": 1}))
    assert totals(OUTAGE, [days], total) == [100 * one for one in units]


@pytest.mark.parametrize(
    ("how", "points"), [("split", [0, 0]), ("begins", [10, 0]), ("ends", [0, 10])]
)
def test_points_by_the_band_of_the_quantity_see_the_whole(how: str, points: list[int]) -> None:
    rate = {"kind": "by_band", "of": "quantity", "gives": "points", "otherwise": 0,
            "bands": [{"at_least": 30, "gives": 10}]}  # fmt: skip
    scored = looking(each(**HOURS) | {"rate": rate})
    found = statements(OUTAGE, [measured(how)], scored)
    assert [one.results[0].points or 0 for one in found] == points


@pytest.mark.parametrize(
    ("how", "amounts"), [("split", [0, 0]), ("begins", [500, 0]), ("ends", [0, 500])]
)
def test_a_threshold_of_the_figure_sees_the_whole(how: str, amounts: list[int]) -> None:
    due = {"kind": "on_trigger", "result": {"at_least": 30}}
    priced = each() | {"due": due, "quantity": {"kind": "one"}}
    term = looking(priced | {"rate": {"kind": "amount", "amount": 5}})
    assert totals(OUTAGE, [measured(how)], term) == amounts


@pytest.mark.parametrize(
    ("how", "numbers"), [("split", [100, 100]), ("begins", [100, 0]), ("ends", [0, 100])]
)
def test_a_number_of_outages_counts_each_once_or_in_each_month(
    how: str, numbers: list[int]
) -> None:
    counted = version(metric("outage_count", "count", across_periods=how))
    term = looking(each() | {"quantity": {"kind": "figure", "metric": "m"}})
    assert totals(OUTAGE, [counted], term) == numbers


@pytest.mark.parametrize("how", ["begins", "ends"])
def test_outages_of_a_share_of_time_are_counted_as_wholes_too(how: str) -> None:
    share = version(metric("availability_by_outages", "percent", across_periods=how))
    minutes = {"unit": 60 * 24, "part_unit": "counts_in_full"}
    expected = [200, 0] if how == "begins" else [0, 200]
    assert totals(OUTAGE, [share], looking(each(**minutes))) == expected


# --- rights ---------------------------------------------------------------------------------------


def right(how: str, **region: int) -> dict[str, Any]:
    return {"kind": "occurrence", "term": "too-long", "metric": "m", "region": region,
            "across_periods": how}  # fmt: skip


def because(said: list[Said], programmes: list[Programme], term: dict[str, Any]) -> list[list[str]]:
    found = statements(said, programmes, looking(terminations=[term]))
    return [[one.because for one in statement.rights] for statement in found]


@pytest.mark.parametrize("how", ["split", "begins", "ends"])
def test_a_right_that_goes_on_is_opened_when_the_limit_is_reached(how: str) -> None:
    found = because(OUTAGE, [measured(how)], right("goes_on", above=30))
    assert found == [[], ["inc-1 took 36, above 30 since 2025-02-01"]]
    found = because(OUTAGE, [measured(how)], right("goes_on", at_least=12))
    assert found == [
        ["inc-1 took 12 by the end of 2025-01-31, at least 12 since 2025-01-31"], []
    ]  # fmt: skip
    assert because(OUTAGE, [measured(how)], right("goes_on", above=36)) == [[], []]
    found = because(OUTAGE, [measured(how)], right("goes_on", at_most=36))
    assert found == [[], ["inc-1 took 36, at most 36"]]


def test_a_right_as_counted_looks_where_the_metric_counts() -> None:
    term = right("as_counted", above=20)
    assert because(OUTAGE, [measured("split")], term) == [[], ["inc-1 took 24, above 20"]]
    assert because(OUTAGE, [measured("begins")], term) == [["inc-1 took 36, above 20"], []]
    assert because(OUTAGE, [measured("ends")], term) == [[], ["inc-1 took 36, above 20"]]


def test_a_ticket_opens_a_right_when_its_clock_reaches_the_limit() -> None:
    tickets = version(
        metric("tickets_in_time", "percent", limit_minutes=60, equal_is_in_time=True, stops_in=[],
               across_periods="ends", open_past_limit="left_out")
    )  # fmt: skip
    data = {"metric": "m", "ticket": "t1", "state": "assigned", "assigned_to": "north"}
    assigned = Said(PROBE, "t1", "ticket", moment("2025-01-31 12:00"), data)
    found = because([assigned], [tickets], right("goes_on", above=2000))
    assert found == [[], ["t1 took 40980 by the end of 2025-02-28, above 2000"]]


# --- waiting --------------------------------------------------------------------------------------

WAITS = "inc-1 counts as a whole where it began and is not over yet; report its end"


@pytest.mark.parametrize(
    ("programmes", "term"),
    [
        (measured("begins"), looking()),
        (measured("begins"), looking(each(**DAYS))),
        (measured("split"), looking(each(**DAYS, across_periods="begins"))),
        (version(metric("outage_count", "count", across_periods="begins")), looking(each())),
    ],
)
def test_a_month_waits_for_the_end_of_what_counts_in_it(
    programmes: Programme, term: Agreement
) -> None:
    january, february = outcomes(OPEN, [programmes], term)
    assert not isinstance(january, SettlementStatement)
    assert january.reasons == (WAITS,)
    assert isinstance(february, SettlementStatement)
    assert len(statements(OUTAGE, [programmes], term)) == 2


@pytest.mark.parametrize(("until", "total"), [("late_so_far", 1200), ("waits", None)])
def test_the_price_of_a_delay_waits_or_is_what_it_is_so_far(until: str, total: int | None) -> None:
    due = {"metric": "m", "delivery": "goods", "due_at": "2025-01-20T12:00:00Z", "value": "100"}
    said = [Said(PROBE, "d1", "delivery", moment("2025-01-20 12:00"), due)]
    late = version(metric("delivery_delay", "days", across_periods="begins", until_delivered=until))
    worth = each(unit=1, part_unit="counts_in_full") | {"rate": {"kind": "worth_of", "percent": 1}}
    january, february = outcomes(said, [late], looking(worth))
    if total is None:
        assert not isinstance(january, SettlementStatement)
        assert january.reasons == (WAITS.replace("inc-1", "goods"),)
    else:
        assert isinstance(january, SettlementStatement)
        assert january.total_minor == total
    assert isinstance(february, SettlementStatement)
    assert february.total_minor == 0


@pytest.mark.parametrize(
    ("how", "months"), [("split", [12000, 19000]), ("begins", [25000, 0]), ("ends", [0, 25000])]
)
def test_a_ceiling_by_worth_is_of_the_whole_or_of_each_piece(how: str, months: list[int]) -> None:
    data = {"metric": "m", "delivery": "goods", "due_at": "2025-01-20T11:00:00Z",
            "delivered_at": "2025-02-19T11:00:00Z", "value": "1000"}  # fmt: skip
    said = [Said(PROBE, "d1", "delivery", moment("2025-02-19 11:00"), data)]
    options = {"until_delivered": "waits"} if how == "begins" else {}
    late = version(metric("delivery_delay", "days", across_periods=how, **options))
    worth = each(unit=1, part_unit="counts_in_full") | {
        "rate": {"kind": "worth_of", "percent": 1},
        "at_most": {"kind": "worth_of_each", "percent": 25},
    }
    assert totals(said, [late], looking(worth)) == months


# --- versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "months"), [("begins", [200, 0]), ("ends", [0, 600])])
def test_it_is_priced_by_the_version_of_the_period_in_which_it_counts(
    how: str, months: list[int]
) -> None:
    first = looking(each(**DAYS))
    dearer = each(**DAYS) | {"rate": {"kind": "amount", "amount": 3}}
    second = looking(dearer, version=2, effective_from="2025-02-01")
    assert totals(OUTAGE, [measured(how)], first, second) == months


@pytest.mark.parametrize(
    ("before", "after", "months"),
    [
        ("begins", "ends", [200, 0]),
        ("ends", "begins", [0, 200]),
        ("begins", "split", [200, 0]),
        ("split", "begins", [100, 100]),
    ],
)
def test_the_programmes_version_says_where_it_counts_by_when_it_began(
    before: str, after: str, months: list[int]
) -> None:
    given = {"overlap": "each", "part": "exact"}
    one = version(metric("outage_time", "hours", **given, across_periods=before))
    other = version(metric("outage_time", "hours", **given, across_periods=after), 2, "2025-02-01")
    assert totals(OUTAGE, [one, other], looking(each(**DAYS))) == months
