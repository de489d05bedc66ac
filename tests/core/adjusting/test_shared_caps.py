"""Caps over several agreements: what each pays of what is left, and who waits for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from schemas.statement import SettlementStatement, canonical
from schemas.whose_word import SAID
from services.core.adjusting.shared_caps import sharing
from services.core.contracts.shared_cap_check import unfit
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.settling.settlement import (
    SettledTogether,
    settle,
    settle_each,
    settle_together,
)
from services.core.visibility.parties import Parties
from tests.core.told import HEAD, evaluation, months, terms

ONE_VENDOR = {"kind": "vendor", "vendor": "nimbus"}
EVERYBODY = {"kind": "programme"}
EARN_BACK = """
earn_backs:
  - {kind: after_good_run, earn_back: good-month, periods: 1, asks: met, percent: 100,
     barred_below_minimum: false, no_data: breaks_the_run, given_as: amount}
"""
OF_TWO = {"kind": "agreements", "agreements": ["network", "hosting"]}


def cap(amount: object = 90, **more: Any) -> dict[str, Any]:
    """A cap of the period over one vendor's agreements, with what is said otherwise."""
    return {
        "cap": "together",
        "over": ONE_VENDOR,
        "settled": "month",
        "currency": "EUR",
        "window": "period",
        "limit": {"kind": "amount", "amount": str(amount)},
        "split": "in_proportion",
    } | more


def programme(*caps: dict[str, Any], version: int = 1, since: str = "2024-01-01") -> Programme:
    """A programme with these shared caps and no more than it needs."""
    return Programme.model_validate(
        {
            "kind": "programme",
            "language": 2,
            "programme": "campus",
            "version": version,
            "effective_from": date.fromisoformat(since),
            "buyer": "town",
            "name": "Campus",
            "time_zone": "UTC",
            "restated_for_days": 400,
            "vendors_see": "figures",
            "whose_word": dict.fromkeys(SAID, "either"),
            "vendors": [
                {"vendor": "nimbus", "name": "Nimbus"},
                {"vendor": "wire", "name": "Wire"},
            ],
            "sources": [{"source": "urn:probe", "reports_for": "town", "metrics": ["uptime"]}],
            "metrics": [
                {
                    "metric": "uptime",
                    "name": "Uptime",
                    "unit": "percent",
                    "better": "higher",
                    "measure": {"kind": "availability_by_samples"},
                }
            ],
            "shared_caps": list(caps),
        }
    )


def named(name: str, *more: str, vendor: str = "nimbus", since: str = "2025-01-01") -> Agreement:
    """The usual agreement, 10 % of the fee for a month below 99 %, under another name."""
    head = HEAD.replace("agreement: hosting", f"agreement: {name}")
    return terms(
        *more,
        head=head.replace("vendor: nimbus", f"vendor: {vendor}").replace("2025-01-01", since),
    )


def history(agreement: Agreement, *evaluations: PeriodEvaluation) -> History:
    """An agreement with its evaluations."""
    own = [one.model_copy(update={"agreement": agreement.agreement}) for one in evaluations]
    return History([agreement], own)


def missed(*fees: object, start: str = "2025-01") -> list[PeriodEvaluation]:
    """A missed month for each fee, which costs a tenth of it."""
    labels = months(len(fees), start)
    return [evaluation(label, 98, fee=fee) for label, fee in zip(labels, fees, strict=True)]


def together(
    programmes: Programme | Sequence[Programme], *histories: History
) -> dict[str, tuple[PeriodOutcome, ...]]:
    """What the agreements come to."""
    known = [programmes] if isinstance(programmes, Programme) else programmes
    by_name = {one.versions[0].agreement: one for one in histories}
    return settle_together(by_name, known, parties=Parties("town"), time_zone="UTC")


def totals(outcomes: Mapping[str, Sequence[PeriodOutcome]]) -> dict[str, list[int | None]]:
    """Totals in cents; None for a period that waits."""
    return {
        name: [one.total_minor if isinstance(one, SettlementStatement) else None for one in each]
        for name, each in outcomes.items()
    }


def reasons(outcome: PeriodOutcome) -> tuple[str, ...]:
    """Why a period waits."""
    assert isinstance(outcome, Unsettled)
    return outcome.reasons


def words(outcome: PeriodOutcome) -> str:
    """All that the only line's steps say."""
    assert isinstance(outcome, SettlementStatement)
    (line,) = outcome.lines
    return "\n".join(step.text for step in line.steps)


def test_what_is_left_is_shared_in_proportion_to_what_is_owed() -> None:
    found = together(
        programme(cap(90)),
        history(named("hosting"), *missed(1000)),
        history(named("network"), *missed(500)),
    )
    assert totals(found) == {"hosting": [6000], "network": [3000]}
    assert words(found["hosting"][0]).endswith(
        "cap together, shared by hosting, network: 100.00 of this agreement cut to 60.00 "
        "(together 150.00, left under the cap 90.00, split in proportion)"
    )


def test_sums_under_the_cap_are_left_alone_and_the_headroom_is_shown() -> None:
    found = together(
        programme(cap(150)),
        history(named("hosting"), *missed(1000)),
        history(named("network"), *missed(500)),
    )
    assert totals(found) == {"hosting": [10000], "network": [5000]}
    statement = found["network"][0]
    assert isinstance(statement, SettlementStatement)
    assert statement.figures["shared-headroom/together"] == 150
    assert "cap" not in words(statement)


def test_the_cents_of_a_split_add_up_to_the_cap() -> None:
    found = together(
        programme(cap("100.01")),
        *(history(named(name), *missed(1000)) for name in ("a", "b", "c")),
    )
    assert totals(found) == {"a": [3334], "b": [3334], "c": [3333]}


def test_fractions_of_a_cent_of_each_cannot_add_up_past_the_cap() -> None:
    found = together(
        programme(cap("0.01")),
        *(history(named(name), *missed("0.05")) for name in ("a", "b", "c")),
    )
    assert totals(found) == {"a": [1], "b": [0], "c": [0]}


def test_in_order_the_first_listed_is_served_first() -> None:
    found = together(
        programme(cap(90, over=OF_TWO, split="in_order")),
        history(named("hosting"), *missed(1000)),
        history(named("network"), *missed(500)),
    )
    assert totals(found) == {"hosting": [4000], "network": [5000]}


def test_in_order_nobody_waits_for_those_behind() -> None:
    found = together(
        programme(cap(90, over=OF_TWO, split="in_order")),
        history(named("hosting")),
        history(named("network"), *missed(500)),
    )
    assert totals(found) == {"hosting": [], "network": [5000]}
    found = together(
        programme(cap(90, over=OF_TWO, split="in_order")),
        history(named("hosting"), *missed(1000)),
        history(named("network")),
    )
    assert reasons(found["hosting"][0]) == (
        "cap together is shared with network: what is owed for 2025-01 is not known yet",
    )


def test_an_agreement_of_another_vendor_is_not_under_a_vendors_cap() -> None:
    found = together(
        programme(cap(90)),
        history(named("hosting"), *missed(1000)),
        history(named("network", vendor="wire"), *missed(500)),
    )
    assert totals(found) == {"hosting": [9000], "network": [5000]}


def test_who_owes_waits_for_the_others_and_who_owes_nothing_does_not() -> None:
    found = together(
        programme(cap(90)),
        history(named("hosting"), *missed(1000)),
        history(named("network"), evaluation("2025-01", 99), evaluation("2025-02", 99)),
        history(named("phones"), evaluation("2025-01", 98, fee=None)),
    )
    assert totals(found) == {"hosting": [None], "network": [0, 0], "phones": [None]}
    assert reasons(found["hosting"][0]) == (
        "cap together is shared with phones: what is owed for 2025-01 is not known yet",
    )
    assert reasons(found["phones"][0]) == ("the charge 'fee' of 2025-01 is not known yet",)


def test_an_agreement_that_has_not_begun_or_has_ended_is_not_waited_for() -> None:
    ended = named("phones", since="2024-01-01").model_copy(
        update={"effective_until": date(2024, 12, 1)}
    )
    found = together(
        programme(cap(90)),
        history(named("hosting"), *missed(1000)),
        history(named("network", since="2025-02-01"), *missed(500, start="2025-02")),
        history(ended),
    )
    assert totals(found) == {"hosting": [9000], "network": [None], "phones": []}


def test_a_years_cap_counts_what_all_of_them_were_given_before() -> None:
    year = cap(150, window="contract_year", begins=date(2025, 1, 1))
    found = together(
        programme(year),
        history(named("hosting"), *missed(1000, 1000)),
        history(named("network"), evaluation("2025-01", 99), *missed(1000, start="2025-02")),
    )
    assert totals(found) == {"hosting": [10000, 2500], "network": [0, 2500]}


def test_a_new_contract_year_begins_with_full_headroom() -> None:
    year = cap(100, window="contract_year", begins=date(2025, 2, 1))
    found = together(programme(year), history(named("hosting"), *missed(*[1000] * 14)))
    assert totals(found)["hosting"] == [10000, 10000, *[0] * 11, 10000]


def test_before_the_term_begins_nothing_is_cut() -> None:
    term = cap(100, window="term", begins=date(2025, 2, 1))
    found = together(programme(term), history(named("hosting"), *missed(2000, 2000, 2000)))
    assert totals(found)["hosting"] == [20000, 10000, 0]


def test_a_trailing_cap_frees_what_has_left_the_window() -> None:
    trailing = cap(100, window="trailing", periods=2)
    found = together(
        programme(trailing),
        history(named("hosting"), *missed(1000), evaluation("2025-02", 99)),
        history(named("network"), evaluation("2025-01", 99), *missed(600, 600, start="2025-02")),
    )
    assert totals(found) == {"hosting": [10000, 0], "network": [0, 0, None]}
    assert reasons(found["network"][2]) == (
        "cap together is shared with hosting: what is owed for 2025-03 is not known yet",
    )


def test_a_cap_over_time_waits_for_earlier_periods_of_the_others() -> None:
    trailing = cap(100, window="trailing", periods=2)
    found = together(
        programme(trailing),
        history(named("hosting"), evaluation("2025-02", 99)),
        history(named("network"), evaluation("2025-01", 99), *missed(600, start="2025-02")),
    )
    assert reasons(found["network"][1]) == (
        "cap together is shared with hosting: 2025-01 is not settled yet",
    )


def test_a_share_of_the_charges_adds_up_the_charges_of_all() -> None:
    share = cap(limit={"kind": "percent_of", "percent": "5", "base": "fee"})
    found = together(
        programme(share),
        history(named("hosting"), *missed(1000)),
        history(named("network"), evaluation("2025-01", 99, fee=200)),
    )
    assert totals(found) == {"hosting": [6000], "network": [0]}
    found = together(
        programme(share),
        history(named("hosting"), *missed(1000)),
        history(named("network"), evaluation("2025-01", 99, fee=None)),
    )
    assert totals(found) == {"hosting": [None], "network": [0]}
    assert reasons(found["hosting"][0]) == (
        "cap together is shared with network: the charge 'fee' of 2025-01 is not known yet",
    )


def test_what_was_given_before_the_first_period_here_is_stated() -> None:
    year = cap(150, window="contract_year", begins=date(2024, 7, 1), opening="before-us")
    stated = ("before-us", {"values": {"credits": Fraction(100)}})
    found = together(
        programme(year),
        history(named("hosting"), *missed(1000)),
        history(named("network"), evaluation("2025-01", 99, circumstances=[stated])),
    )
    assert totals(found) == {"hosting": [5000], "network": [0]}
    empty: tuple[str, dict[str, Any]] = ("before-us", {"values": {}})
    found = together(
        programme(year),
        history(named("hosting"), *missed(1000)),
        history(named("network"), evaluation("2025-01", 99, circumstances=[empty])),
    )
    assert "'credits'" in reasons(found["hosting"][0])[0]


def test_a_shared_cap_waits_for_an_opening_that_none_of_the_agreements_states() -> None:
    year = cap(150, window="contract_year", begins=date(2024, 7, 1), opening="before-us")
    known = [history(named("hosting"), *missed(1000)), history(named("network"), *missed(0))]
    found = together(programme(year), *known)
    (reason,) = reasons(found["hosting"][0])
    assert reason == (
        "the circumstance before-us is not stated, which shared_caps[0] reads; state its 'credits' "
        "of the time before 2025-01 for 2025-01, 0 where nothing was given before, or state "
        "if_absent there"
    )
    assert totals(found) == {"hosting": [None], "network": [0]}
    found = together(programme(year | {"if_absent": "nothing"}), *known)
    assert totals(found) == {"hosting": [10000], "network": [0]}
    late = year | {"begins": date(2025, 1, 1)}
    later = [evaluation(label, 99) for label in months(12)]
    told = history(named("hosting"), *later, *missed(1000, start="2026-01"))
    assert totals(together(programme(late), told))["hosting"] == [0] * 12 + [10000]


@pytest.mark.parametrize(("said", "third_month"), [("still_counts", 0), ("frees_the_cap", 10000)])
def test_earned_back_credits_free_the_cap_only_where_that_is_said(
    said: str, third_month: int
) -> None:
    term = cap(100, window="term", begins=date(2025, 1, 1), earned_back=said)
    known = [*missed(1000), evaluation("2025-02", 99), *missed(1000, start="2025-03")]
    found = together(programme(term), history(named("hosting", EARN_BACK), *known))
    assert totals(found)["hosting"] == [10000, -10000, third_month]


def test_an_agreement_with_earn_backs_asks_how_they_count() -> None:
    (found,) = unfit(named("hosting", EARN_BACK), programme(cap(window="trailing", periods=2)))
    assert found.path == ("earn_backs",)
    assert found.remedy.endswith("still_counts or frees_the_cap")


def test_own_caps_cut_first_and_shared_ones_in_the_order_stated() -> None:
    own = "caps:\n  - {cap: own, window: period, limit: {kind: amount, amount: 50}}\n"
    wide = cap(60, cap="wide", over=EVERYBODY)
    found = together(
        programme(cap(90), wide),
        history(named("hosting", own), *missed(1000)),
        history(named("network"), *missed(500)),
        history(named("phones", vendor="wire"), *missed(300)),
    )
    assert totals(found) == {"hosting": [2250], "network": [2250], "phones": [1500]}


def test_a_statement_says_nothing_of_another_vendors_figures() -> None:
    wide = cap(60, over=EVERYBODY)
    found = together(
        programme(wide),
        history(named("hosting"), *missed(1000)),
        history(named("phones", vendor="wire"), *missed(770)),
    )
    told = canonical(found["hosting"][0]).decode()  # type: ignore[arg-type]
    assert words(found["hosting"][0]).endswith(
        "cap together, shared with agreements of other vendors: 100.00 of this agreement cut "
        "to 33.90"
    )
    for word in ("phones", "wire", "770", "77.00", "177", "headroom"):
        assert word not in told
    found = together(
        programme(wide),
        history(named("hosting"), *missed(1000)),
        history(named("phones", vendor="wire"), evaluation("2025-01", 98, fee=None)),
    )
    assert reasons(found["hosting"][0]) == (
        "cap together is shared with an agreement of which not all is known yet",
    )


def test_the_programme_version_in_force_on_the_first_day_decides() -> None:
    programmes = [programme(), programme(cap(90), version=2, since="2025-02-01")]
    found = together(programmes, history(named("hosting"), *missed(1000, 1000)))
    assert totals(found)["hosting"] == [10000, 9000]
    found = together(
        programme(cap(90), since="2025-02-01"), history(named("hosting"), *missed(1000, 1000))
    )
    assert totals(found)["hosting"] == [10000, 9000]


def test_a_later_revision_of_one_changes_what_the_other_owes() -> None:
    hosting = history(named("hosting"), *missed(1000))
    before = together(programme(cap(90)), hosting, history(named("network"), *missed(500)))
    after = together(
        programme(cap(90)),
        hosting,
        history(named("network"), *missed(500), evaluation("2025-01", 99, revision=2)),
    )
    assert totals(before) == {"hosting": [6000], "network": [3000]}
    assert totals(after) == {"hosting": [9000], "network": [0]}


def test_who_shares_no_cap_settles_as_alone() -> None:
    agreement, known = named("hosting"), missed(1000, 500, 250)
    alone = settle([agreement], known, parties=Parties("town"), time_zone="UTC")
    other = history(named("network", vendor="wire"), *missed(300))
    assert together(programme(), history(agreement, *known), other)["hosting"] == alone


FEES = st.lists(st.integers(0, 99_999), min_size=3, max_size=3)


@given(
    st.lists(FEES, min_size=1, max_size=4),
    st.integers(0, 20_000),
    st.sampled_from(["period", "term", "trailing"]),
    st.sampled_from(["in_proportion", "in_order"]),
    st.randoms(use_true_random=False),
)
def test_what_is_settled_never_exceeds_the_cap_in_whatever_order_it_comes(
    fees: list[list[int]], cents: int, window: str, split: str, random: Any
) -> None:
    names = ["c", "a", "b"]
    over_time: dict[str, dict[str, Any]] = {
        "period": {},
        "term": {"begins": date(2025, 1, 1)},
        "trailing": {"periods": 2},
    }
    shared = cap(
        f"{cents // 100}.{cents % 100:02}",
        window=window,
        split=split,
        over={"kind": "agreements", "agreements": names},
        **over_time[window],
    )
    columns = [
        missed(*[f"{month[place] // 100}.{month[place] % 100:02}" for month in fees])
        for place in range(3)
    ]
    histories = [history(named(name), *each) for name, each in zip(names, columns, strict=True)]
    found = totals(together(programme(shared), *histories))
    span = {"period": 1, "trailing": 2, "term": len(fees)}[window]
    for last in range(len(fees)):
        within = range(max(0, last + 1 - span), last + 1)
        assert sum(found[name][month] or 0 for name in names for month in within) <= cents
    shuffled = [
        History(one.versions, random.sample(one.evaluations, len(fees))) for one in histories
    ]
    random.shuffle(shuffled)
    assert totals(together(programme(shared), *shuffled)) == found


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"window": "trailing"}, "a trailing cap states 'periods'"),
        ({"periods": 3}, "a trailing cap states 'periods'"),
        ({"window": "term"}, "states 'begins'"),
        ({"begins": date(2025, 1, 1)}, "states 'begins'"),
        (
            {"window": "contract_year", "begins": date(2025, 1, 15)},
            "begins 2025-01-15 lies inside a month; write the first day of one, such as 2025-01-01",
        ),
        ({"earned_back": "still_counts"}, "a cap of one period looks at no other"),
        ({"if_absent": "nothing"}, "if_absent speaks of the 'opening', and none is named"),
        ({"opening": "before-us"}, "a cap of one period looks at no other"),
        (
            {"limit": {"kind": "amount", "amount": "90", "currency": "USD"}},
            "a shared cap is stated in its own currency, EUR",
        ),
        ({"split": "in_order"}, "split in_order needs an order; list the agreements"),
        ({"over": {"kind": "vendor", "vendor": "nobody"}}, "who is no vendor of the programme"),
        (
            {"over": {"kind": "agreements", "agreements": ["a", "a"]}},
            "agreement a is named twice; keep one",
        ),
    ],
)
def test_a_shared_cap_that_leaves_something_open_is_refused(
    more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said.replace("(", r"\(")):
        programme(cap(**more))


def test_two_shared_caps_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="shared cap together is declared twice; keep one"):
        programme(cap(), cap())


@pytest.mark.parametrize(
    ("more", "field", "said"),
    [
        ({"currency": "USD"}, "currency", "currency is EUR, but the shared cap together"),
        ({"settled": "quarter"}, "settled", "settled is month, but the shared cap together"),
        (
            {"limit": {"kind": "percent_of", "percent": "5", "base": "invoice"}},
            "bases",
            "takes a percentage of the base invoice, which is not declared here",
        ),
    ],
)
def test_an_agreement_that_does_not_fit_a_shared_cap_is_refused(
    more: dict[str, Any], field: str, said: str
) -> None:
    (found,) = unfit(named("hosting"), programme(cap(**more)))
    assert found.path == (field,)
    assert said in found.reason
    assert found.remedy
    assert not list(unfit(named("hosting", vendor="wire"), programme(cap(**more))))


def test_who_shares_a_cap_is_told_for_those_under_it_in_any_version() -> None:
    agreements = {
        "network": [named("network")],
        "moved": [named("moved", vendor="wire"), named("moved")],
        "wires": [named("wires", vendor="wire")],
    }
    known = [programme(), programme(cap(), version=2, since="2025-01-01")]
    assert sharing(known, agreements, "network") == ("moved", "network")
    assert sharing(known, agreements, "moved") == ("moved", "network")
    assert sharing(known, agreements, "wires") == ()
    assert sharing(known[:1], agreements, "network") == ()
    named_only = [programme(cap(over={"kind": "agreements", "agreements": ["network", "wires"]}))]
    assert sharing(named_only, agreements, "wires") == ("network", "wires")


def broken(agreement: Agreement) -> Agreement:
    """An agreement that nothing refused and that cannot be worked out."""
    return agreement.model_copy(update={"order": ()})


def each(known: Programme, *histories: History, **unread: str) -> SettledTogether:
    """What the agreements come to, and what failed."""
    by_name = {one.versions[0].agreement: one for one in histories}
    return settle_each(by_name, [known], parties=Parties("town"), time_zone="UTC", unread=unread)


def test_one_that_cannot_be_worked_out_holds_up_only_those_that_owe_under_the_same_cap() -> None:
    found = each(
        programme(cap(90)),
        history(broken(named("hosting")), *missed(1000)),
        history(named("network"), *missed(500)),
        history(named("spare"), evaluation("2025-01", 100, fee=500)),
        history(named("wires", vendor="wire"), *missed(700)),
    )
    assert list(found.failed) == ["hosting"]
    assert found.failed["hosting"].period == "2025-01"
    assert totals(found.outcomes) == {"network": [None], "spare": [0], "wires": [7000]}
    assert reasons(found.of("network")[0]) == (
        "cap together is shared with hosting: what is owed for 2025-01 is not known yet",
    )
    with pytest.raises(ValueError, match="tuple"):
        found.of("hosting")


def test_one_that_fails_later_leaves_the_periods_before_it_to_the_others() -> None:
    late = broken(named("hosting")).model_copy(
        update={"version": 2, "effective_from": date(2025, 2, 1)}
    )
    own = history(named("hosting"), *missed(1000, 1000))
    found = each(
        programme(cap(90)),
        History([*own.versions, late], own.evaluations),
        history(named("network"), *missed(500, 500)),
    )
    assert found.failed["hosting"].period == "2025-02"
    assert totals(found.outcomes) == {"network": [3000, None]}


@pytest.mark.parametrize(
    ("more", "ahead", "behind"),
    [
        ({}, 9000, None),
        ({"window": "trailing", "periods": 2}, None, None),
        ({"limit": {"kind": "percent_of", "percent": "5", "base": "fee"}}, None, None),
    ],
)
def test_who_is_served_before_an_unreadable_one_waits_only_where_the_sums_take_it(
    more: dict[str, Any], ahead: int | None, behind: int | None
) -> None:
    over = {"kind": "agreements", "agreements": ["network", "hosting", "spare"]}
    found = each(
        programme(cap(90, over=over, split="in_order", **more)),
        history(named("network"), *missed(1000)),
        history(named("spare"), *missed(1000)),
        hosting="nimbus",
    )
    assert totals(found.outcomes) == {"network": [ahead], "spare": [behind]}
    assert reasons(found.of("spare")[0]) == (
        "cap together is shared with hosting: what is stored of it cannot be read",
    )


def test_an_unreadable_one_of_another_vendor_is_not_named_and_outside_the_cap_holds_up_nobody() -> (
    None
):
    histories = (
        history(named("network"), *missed(500)),
        history(named("wires", vendor="wire"), *missed(700)),
    )
    everybody = each(programme(cap(90, over=EVERYBODY)), *histories, hosting="nimbus")
    assert reasons(everybody.of("wires")[0]) == (
        "cap together is shared with an agreement of which not all is known yet",
    )
    own = each(programme(cap(50)), *histories, hosting="wire")
    assert totals(own.outcomes) == {"network": [5000], "wires": [7000]}


def test_an_opening_that_an_unreadable_one_may_state_is_waited_for() -> None:
    over = {"kind": "agreements", "agreements": ["network", "zebra"]}
    term = {"window": "term", "begins": "2025-01-01", "opening": "before", "if_absent": "nothing"}
    found = each(
        programme(cap(90, split="in_order", over=over, **term)),
        history(named("network"), *missed(500)),
        zebra="nimbus",
    )
    assert reasons(found.of("network")[0]) == (
        "cap together is shared with zebra: what is stored of it cannot be read",
    )


def test_a_history_that_cannot_be_read_is_as_an_agreement_that_cannot_be_read() -> None:
    odd = History([named("hosting")], [evaluation("2025-01", 98).model_copy(update={"period": 1})])
    found = each(programme(cap(90)), odd, history(named("network"), *missed(500)))
    assert found.failed["hosting"].period == ""
    assert totals(found.outcomes) == {"network": [None]}


def test_a_cap_that_cannot_be_worked_out_is_the_failure_of_those_under_it() -> None:
    known = programme(cap(90))
    (own,) = known.shared_caps
    other = own.model_copy(update={"split": "by_lot"})
    found = each(
        known.model_copy(update={"shared_caps": (other,)}),
        history(named("network"), *missed(500)),
        history(named("wires", vendor="wire"), *missed(700)),
    )
    assert list(found.failed) == ["network"]
    assert totals(found.outcomes) == {"wires": [7000]}
