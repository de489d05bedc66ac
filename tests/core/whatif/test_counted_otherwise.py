"""Which figures another programme counts in another way, and from which facts it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.programme import Programme
from schemas.whose_word import SAID
from services.core.whatif.counted_otherwise import cannot_be_counted, counted_otherwise
from services.core.whatif.simulation import Simulation, SimulationContext, simulate, to_count_anew
from tests.core.told import HEAD, LEVEL, agreement, evaluation, terms
from tests.reporting import with_reporters

CLOCK = {
    "kind": "tickets_in_time",
    "nothing_to_count": "no_data",
    "incomplete": "from_first_change",
    "limit_minutes": 480,
    "equal_is_in_time": True,
    "stops_in": (),
    "open_past_limit": "late",
    "across_periods": "ends",
    "late_counts": "once",
}
VENDORS = [{"vendor": "nimbus", "name": "Nimbus"}, {"vendor": "wire", "name": "Wire"}]
PROBE = {"source": "urn:probe", "reports_for": "nimbus"}


def metric(name: str = "uptime", **more: Any) -> dict[str, Any]:
    """A metric by samples, with what is said otherwise."""
    return {
        "metric": name,
        "name": name,
        "unit": "percent",
        "better": "higher",
        "measure": {"kind": "availability_by_samples"},
    } | more


def of(*metrics: dict[str, Any], **more: Any) -> Programme:
    """A programme with these metrics."""
    said = {
        "kind": "programme",
        "language": 2,
        "programme": "campus",
        "version": 1,
        "effective_from": "2025-01-01",
        "buyer": "town",
        "name": "Campus",
        "time_zone": "UTC",
        "restated_for_days": 400,
        "vendors_see": "figures",
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": VENDORS,
        "sources": [PROBE],
        "metrics": metrics,
    } | more
    return Programme.model_validate(with_reporters(said), strict=False)


def over(name: str, measured: str | None = None) -> Agreement:
    """An agreement whose level looks at one metric."""
    text = LEVEL.replace("metric: uptime", f"metric: {name}")
    if measured:
        text = text.replace("judged:", f"measured: {measured}\n    judged:")
    return agreement(HEAD + text)


def changed(was: Programme, would: Programme, name: str = "uptime") -> tuple[str, ...]:
    """What is counted in another way, of an agreement over one metric, in January."""
    return counted_otherwise(over(name), [was], [would], "2025-01")


def parts(name: str, *names: str) -> dict[str, Any]:
    """A metric made of others."""
    return metric(name, measure={"kind": "series", "parts": names})


@pytest.mark.parametrize(
    "other",
    [
        metric(measure={"kind": "availability_by_status", "before_first": "up"}),
        metric(unit="count"),
        metric(better="lower"),
    ],
)
def test_another_measure_unit_or_direction_counts_in_another_way(other: dict[str, Any]) -> None:
    assert changed(of(metric()), of(other)) == ("uptime",)


@pytest.mark.parametrize("more", [{"tally_window": "day"}, {"decimals": 2}])
def test_what_figures_do_not_depend_on_changes_nothing(more: dict[str, Any]) -> None:
    assert changed(of(metric()), of(metric(**more))) == ()


def test_another_name_for_people_changes_nothing() -> None:
    renamed = metric()
    renamed["name"] = "Up and running"
    assert changed(of(metric()), of(renamed)) == ()


def test_a_metric_that_nothing_asks_for_may_change() -> None:
    before = of(metric(), metric("desk"))
    after = of(metric(), metric("desk", better="lower"))
    assert changed(before, after) == ()
    assert changed(before, after, "desk") == ("desk",)


def test_what_is_made_of_a_changed_part_changes_with_it() -> None:
    before = of(metric(), metric("line"), parts("whole", "uptime", "line"))
    after = of(metric(), metric("line", better="lower"), parts("whole", "uptime", "line"))
    assert changed(before, after, "whole") == ("whole",)
    assert changed(before, after) == ()


def test_another_calendar_moves_every_window() -> None:
    assert changed(of(metric()), of(metric(), time_zone="Europe/Berlin")) == ("uptime",)


def test_who_reports_for_whom_matters_to_tickets_alone() -> None:
    moved = {"sources": [{**PROBE, "reports_for": "wire"}]}
    assert changed(of(metric(measure=CLOCK)), of(metric(measure=CLOCK), **moved)) == ("uptime",)
    assert changed(of(metric()), of(metric(), **moved)) == ()


def test_each_window_is_held_against_the_version_in_force_then() -> None:
    other = metric(better="lower")
    later = of(other, version=2, effective_from="2025-02-01")
    was = [of(metric()), later]
    assert counted_otherwise(over("uptime"), was, [of(other)], "2025-01") == ("uptime",)
    assert counted_otherwise(over("uptime"), was, [of(other)], "2025-02") == ()
    quarterly = over("uptime", "month").model_copy(update={"settled": "quarter"})
    assert counted_otherwise(quarterly, was, [of(other)], "2025-Q1") == ("uptime",)


# --- what stored facts do not tell ----------------------------------------------------------------


def unfit(was: Programme, would: Programme, name: str = "uptime") -> tuple[str, ...]:
    """Why what was taken does not do."""
    return cannot_be_counted(over(name), [was], [would], "2025-01")


def test_a_metric_that_is_new_has_no_facts() -> None:
    assert unfit(of(metric()), of(metric(), metric("desk")), "desk") == (
        "no event of desk was ever taken",
    )


def test_a_measure_of_the_same_events_does_and_one_of_other_events_does_not() -> None:
    ratio = of(metric(measure={"kind": "ratio", "nothing_to_count": "no_data"}))
    assert unfit(ratio, of(metric())) == ()
    assert unfit(of(metric()), ratio) == (
        "uptime was reported by events that ratio does not count",
    )


def test_a_source_that_is_no_longer_allowed_is_named_and_a_further_one_does_no_harm() -> None:
    other = {"source": "urn:other", "reports_for": "town"}
    two, one = of(metric(), sources=[PROBE, other]), of(metric())
    assert unfit(two, one) == ("urn:other reported uptime and would not be allowed to",)
    assert unfit(one, two) == ()


def test_what_is_added_counts_as_one_source_does_and_what_is_bound_does_not() -> None:
    sources = [PROBE, {"source": "urn:other", "reports_for": "town"}]
    bound = of(metric(several_sources={"binding": "urn:probe"}), sources=sources)
    added = of(metric(), sources=sources)
    assert added.metrics[0].several_sources == "added"
    assert changed(of(metric()), added) == ()
    assert changed(added, bound) == ("uptime",)


def test_parts_are_looked_at_and_the_whole_has_no_facts_of_its_own() -> None:
    whole = of(metric(), metric("line"), parts("whole", "uptime", "line"))
    assert unfit(of(metric()), whole, "whole") == ("no event of line was ever taken",)
    assert unfit(of(metric(), metric("line")), whole, "whole") == ()


# --- what is simulated ---------------------------------------------------------------------------


def simulated(was: Programme, would: Programme, **more: Any) -> Simulation:
    """The usual agreement in January, under another programme."""
    around, instead = (
        SimulationContext("town", "UTC", [was]),
        SimulationContext("town", "UTC", [would]),
    )
    past = [evaluation("2025-01", "98")]
    return simulate([terms()], terms(), past, around, instead=instead, **more)


def test_old_figures_are_never_taken_for_those_of_another_metric() -> None:
    (period,) = simulated(of(metric()), of(metric(better="lower"))).periods
    assert (period.was, period.would_be) == (10_000, None)
    assert period.would_wait_for == (
        "uptime would be counted in another way in 2025-01; count it from the events",
    )
    anew = [evaluation("2025-01", "99.5")]
    (period,) = simulated(of(metric()), of(metric(better="lower")), counted_anew=anew).periods
    assert (period.was, period.would_be, period.would_wait_for) == (10_000, 0, ())


def test_a_level_that_looks_at_each_subject_needs_figures_that_were_never_counted() -> None:
    each = terms(level=LEVEL.replace("judged:", "each_subject: true\n    judged:"))
    found = simulate(
        [terms()], each, [evaluation("2025-01", "98")], SimulationContext("town", "UTC")
    )
    assert found.periods[0].would_wait_for == (
        "uptime of each subject was not counted for 2025-01; count it from the events",
    )


def test_the_metrics_to_count_anew_are_named_once_and_in_order() -> None:
    level = LEVEL + LEVEL.split("levels:\n")[1].replace("uptime", "desk").replace("Uptime", "Desk")
    both = terms(level=level)
    january = evaluation("2025-01", "98", figures={"desk": "99"})
    plain, other = of(metric(), metric("desk")), of(metric(better="lower"), metric("desk"))
    was, would = (
        SimulationContext("town", "UTC", [plain]),
        SimulationContext("town", "UTC", [other]),
    )
    assert to_count_anew(both, [both], january, was, was) == ()
    assert to_count_anew(both, [both], january, was, would) == ("uptime",)
    alone = evaluation("2025-01", "98")
    assert to_count_anew(both, [terms()], alone, was, was) == ("desk",)
    assert to_count_anew(both, [terms()], alone, was, would) == ("desk", "uptime")
