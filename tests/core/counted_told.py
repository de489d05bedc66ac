"""Facts of every kind, in, at the edge of and around a month, and all that is counted from them.

The pages in ``counted/`` are the approved figures: each metric, for all subjects and for each, its
parts and the events that tell why, in full. After a change that is meant, write them anew and read
the difference before it is committed:

    python -m tests.core.counted_told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from schemas.base import written
from schemas.evaluation import ChargeFact, CircumstanceFact, MetricFigure, Part
from schemas.programme import Programme
from services.core.calendar.windows import instant, window_of
from services.core.counting.evaluation import evaluate, needs, ready
from services.core.events.rejections import Rejection
from services.core.events.wanted import wanted
from tests.core.approved import in_lines, write_anew
from tests.core.said import (
    DESK,
    FINANCE,
    NUMBERS,
    PROBE,
    PROGRAMME,
    Said,
    agreement,
    facts,
    judged,
    moment,
    programme,
)

PAGES = Path(__file__).parent / "counted"

WINDOW = window_of("2025-01", "Europe/Berlin")
TICK = timedelta(microseconds=1)
EDGES: Sequence[tuple[str, datetime]] = (
    ("before", WINDOW.start - TICK),
    ("first", WINDOW.start),
    ("middle", moment("2025-01-15 12:30")),
    ("later", moment("2025-01-22 08:00")),
    ("last", WINDOW.end - TICK),
    ("after", WINDOW.end),
)
SUBJECTS = (None, "north", "south")


def _named(kind: str, metric: str, data: Callable[[int], dict[str, Any]]) -> Iterator[Said]:
    """An event of a kind at each edge, for each subject."""
    for number, subject in enumerate(SUBJECTS):
        for place, (name, at) in enumerate(EDGES):
            about = {} if subject is None else {"subject": subject}
            identity = f"{metric}-{subject or 'all'}-{name}"
            yield Said(PROBE, identity, kind, at + number * 3 * TICK * (place % 4 in (1, 2, 3)),
                       {"metric": metric, **data(number * 7 + place), **about})  # fmt: skip


def plain() -> Iterator[Said]:
    """Samples, counts, response times and volumes."""
    yield from _named("sample", "samples", lambda n: {"up": n % 3 != 0})
    for metric in ("status", "status-up", "status-down"):
        yield from _named("sample", metric, lambda n: {"up": n % 4 != 2})
    yield from _named("count", "ratio", lambda n: {"good": n, "total": n + n % 3})
    yield from _named("count", "total", lambda n: {"good": n, "total": 2 * n})
    for metric in ("mean", "maximum", "minimum", "percentile", "within", "under"):
        yield from _named("response", metric, lambda n: {
            "value": ("2.5", "2.50", "2.499", 3, "1.25", "7.001", 0)[n % 7],
            "unit": "milliseconds"})  # fmt: skip
    for number in range(4):
        yield Said(PROBE, f"tie-{number}", "sample", WINDOW.start,
                   {"metric": "status", "up": number % 2 == 0, "subject": "north"})  # fmt: skip
    yield Said(PROBE, "one-tick", "sample", WINDOW.start + TICK,
               {"metric": "status-up", "up": True, "subject": "south"})  # fmt: skip
    for number, at in enumerate((WINDOW.start, WINDOW.end - TICK)):
        yield Said(PROBE, f"volume-{number}", "volume", at,
                   {"metric": "total", "value": "10.25", "unit": "count"})  # fmt: skip


def figures() -> Iterator[Said]:
    """Declared figures: several of one period, of others, of subjects."""
    for number, (period, value, subject) in enumerate(
        (
            ("2025-01", "98.5", None), ("2025-01", "99.5", None), ("2025-01", "97", "north"),
            ("2024-12", "50", None), ("2025-01-15", "20", None), ("2025-Q1", "30", None),
        )
    ):  # fmt: skip
        data = {"metric": "declared", "period": period, "value": value, "unit": "percent"}
        about = {} if subject is None else {"subject": subject}
        yield Said(PROBE, f"figure-{number}", "figure", moment("2025-02-01 12:00") - number * TICK,
                   data | about)  # fmt: skip


OUTAGES: Sequence[tuple[str, Sequence[tuple[str, str, dict[str, Any]]]]] = (
    ("plain", (("open", "2025-01-10 10:00", {"subject": "north"}),
               ("close", "2025-01-10 11:30", {}))),
    ("beside", (("open", "2025-01-10 11:00", {"subject": "south"}),
                ("close", "2025-01-10 12:00:30", {}))),
    ("touching", (("open", "2025-01-10 12:00:30", {}), ("close", "2025-01-10 12:10", {}))),
    ("across-start", (("open", "2024-12-31 22:00", {}), ("close", "2024-12-31 23:20", {}))),
    ("ends-at-start", (("open", "2024-12-31 22:00", {}), ("close", "2024-12-31 23:00", {}))),
    ("across-end", (("open", "2025-01-31 22:45", {}), ("close", "2025-02-01 01:00", {}))),
    ("begins-at-end", (("open", "2025-01-31 23:00", {}), ("close", "2025-02-01 01:00", {}))),
    ("open", (("open", "2025-01-31 22:00", {"subject": "north"}),)),
    ("never-opened", (("close", "2025-01-05 10:00", {}),)),
    ("backwards", (("open", "2025-01-06 10:00", {}), ("close", "2025-01-06 09:00", {}))),
    ("void", (("open", "2025-01-07 10:00", {}), ("close", "2025-01-07 11:00", {}),
              ("correct", "2025-01-08 11:00", {"void": True}))),
    ("corrected", (("open", "2025-01-09 10:00", {}), ("close", "2025-01-09 11:00", {}),
                   ("correct", "2025-01-09 12:00", {"started_at": "2025-01-09T10:30:00Z"}),
                   ("correct", "2025-01-09 13:00", {"ended_at": "2025-01-09T10:45:00Z"}))),
    ("corrected-start", (("open", "2025-01-13 10:00", {}), ("close", "2025-01-13 11:00", {}),
                         ("correct", "2025-01-13 12:00",
                          {"started_at": "2025-01-13T10:40:00Z"}))),
    ("of-no-length", (("open", "2025-01-11 10:00", {}), ("close", "2025-01-11 10:00", {}))),
    ("of-no-length-first", (("open", "2024-12-31 23:00", {}), ("close", "2024-12-31 23:00", {}))),
    ("moved-to-end", (("open", "2025-01-20 10:00", {}), ("close", "2025-01-20 11:00", {}),
                      ("correct", "2025-01-21 10:00", {"started_at": "2025-01-31T23:00:00Z",
                                                       "ended_at": "2025-01-31T23:30:00Z"}))),
    ("told-twice", (("open", "2025-01-12 10:00", {}), ("open", "2025-01-12 10:10", {}),
                    ("close", "2025-01-12 10:20", {}), ("close", "2025-01-12 10:30", {}))),
)  # fmt: skip
"""Outages that overlap, are open, cross the window's ends, are corrected or void."""


def outages() -> Iterator[Said]:
    """Every outage of the table, for every metric of outages."""
    for metric in ("merged", "started", "full", "outages", "without-outage"):
        for name, changes in OUTAGES:
            for number, (phase, at, more) in enumerate(changes):
                data = {"metric": metric, "outage": name, "phase": phase, **more}
                yield Said(PROBE, f"{metric}-{name}-{number}", "outage", moment(at), data)


TICKETS: Sequence[tuple[str, dict[str, Any], Sequence[tuple[str, str, str]]]] = (
    ("quick", {"subject": "north", "priority": "high"},
     (("opened", "2025-01-15 10:00", "north"), ("resolved", "2025-01-15 10:30", ""))),
    ("exact", {"priority": "high"},
     (("opened", "2025-01-16 10:00", "north"), ("resolved", "2025-01-16 11:00", ""))),
    ("late", {"subject": "south", "priority": "high"},
     (("opened", "2025-01-16 10:00", "north"), ("resolved", "2025-01-16 11:00:01", ""))),
    ("waiting", {"priority": "low"},
     (("opened", "2025-01-16 12:00", "north"), ("waiting", "2025-01-16 12:30", ""),
      ("working", "2025-01-16 15:00", ""), ("resolved", "2025-01-16 15:15", ""))),
    ("reopened", {"priority": "high"},
     (("opened", "2025-01-22 09:00", "north"), ("resolved", "2025-01-22 09:30", ""),
      ("reopened", "2025-01-22 12:00", ""), ("resolved", "2025-01-22 12:45", ""))),
    ("resolved-twice", {"priority": "high"},
     (("opened", "2025-01-22 09:00", "north"), ("resolved", "2025-01-22 09:30", ""),
      ("resolved", "2025-01-22 11:00", ""))),
    ("handed-over", {"priority": "high"},
     (("opened", "2025-01-23 09:00", "north"), ("working", "2025-01-23 09:50", "desk"),
      ("working", "2025-01-23 11:50", "north"), ("resolved", "2025-01-23 11:55", ""))),
    ("nobodys", {"priority": "high"},
     (("opened", "2025-01-23 09:00", ""), ("resolved", "2025-01-23 09:10", ""))),
    ("desks", {"subject": "elsewhere", "priority": "high"},
     (("opened", "2025-01-23 09:00", "desk"), ("resolved", "2025-01-23 09:20", ""))),
    ("buyers", {"priority": "high"},
     (("opened", "2025-01-23 09:00", "acme"), ("resolved", "2025-01-23 09:10", ""))),
    ("open", {"priority": "high"}, (("opened", "2025-01-30 09:00", "north"),)),
    ("just-opened", {}, (("opened", "2025-01-31 22:30", "north"),)),
    ("of-december", {"priority": "high"},
     (("opened", "2024-12-31 20:00", "north"), ("resolved", "2024-12-31 22:59:59", ""))),
    ("into-january", {"priority": "high"},
     (("opened", "2024-12-31 22:30", "north"), ("resolved", "2024-12-31 23:00", ""))),
    ("into-february", {"priority": "high"},
     (("opened", "2025-01-30 10:00", "north"), ("resolved", "2025-01-31 23:00", ""))),
)  # fmt: skip
"""Tickets in time, late, waiting, reopened, handed over, open, at the window's ends."""


def tickets() -> Iterator[Said]:
    """Every ticket of the table, for both metrics of tickets."""
    for metric in ("tickets", "everyones-tickets"):
        for name, first, changes in TICKETS:
            for number, (state, at, to) in enumerate(changes):
                data = {"metric": metric, "ticket": name, "state": state}
                data |= (first if number == 0 else {}) | ({"assigned_to": to} if to else {})
                yield Said(DESK, f"{metric}-{name}-{number}", "ticket", moment(at), data)


def _delivery(name: str, due: str, *at: str, **more: Any) -> Iterator[Said]:
    for number, when in enumerate(at):
        data = {"metric": "deliveries", "delivery": name, "due_at": f"{due}Z"}
        state = {"delivered_at": f"{when}Z"} if when else {}
        yield Said(PROBE, f"delivery-{name}-{number}", "delivery",
                   moment("2025-02-01 09:00") + number * TICK, data | state | more)  # fmt: skip


def deliveries() -> Iterator[Said]:
    """Deliveries in time, late, due at the window's ends, not there yet, told twice."""
    yield from _delivery("in-time", "2025-01-10T10:00:00", "2025-01-10T09:00:00", value="100")
    yield from _delivery("exact", "2025-01-10T10:00:00", "2025-01-10T10:00:00", subject="north")
    yield from _delivery(
        "late", "2025-01-10T10:00:00", "2025-01-12T11:30:00", subject="south", value="250.50"
    )
    yield from _delivery("over-the-end", "2025-01-31T20:00:00", "2025-02-03T20:00:00", value="7")
    yield from _delivery("due-before", "2024-12-31T22:59:59", "2025-01-02T10:00:00")
    yield from _delivery("due-first", "2024-12-31T23:00:00", "2025-01-02T10:00:00")
    yield from _delivery("due-last", "2025-01-31T22:59:59", "2025-02-01T10:00:00")
    yield from _delivery("due-after", "2025-01-31T23:00:00", "2025-02-01T10:00:00")
    yield from _delivery("missing", "2025-01-20T10:00:00", "", subject="north")
    yield from _delivery("told-twice", "2025-01-21T10:00:00", "", "2025-01-21T12:00:00")
    for name, there in (("counted", "2025-01-22T16:00:00"), ("counted-too", "")):
        yield from _delivery(name, "2025-01-22T10:00:00", there, metric="late-goods")
    yield from _delivery("tick-late", "2025-01-23T10:00:00", "2025-01-23T10:00:00.000001")
    for number in range(4):
        data = {"metric": "deliveries", "delivery": "at-once", "due_at": "2025-01-24T10:00:00Z",
                "delivered_at": f"2025-01-24T1{number}:00:00Z"}  # fmt: skip
        yield Said(PROBE, f"at-once-{number}", "delivery", moment("2025-02-01 09:00"), data)
    yield from _delivery("taken-back", "2025-01-21T10:00:00", "2025-01-21T09:00:00", "")


PARTS: dict[str, Callable[[], Iterator[Said]]] = {
    "plain": plain,
    "figures": figures,
    "outages": outages,
    "tickets": tickets,
    "deliveries": deliveries,
}


def counted(name: str) -> Iterator[str]:
    """All that is counted from a set of facts: months, days and subjects."""
    said = list(PARTS[name]())
    columns = facts(said)
    metrics = sorted({str(one.data["metric"]) for one in said})
    composed = ["series", "parallel"] if "samples" in metrics else []
    levels = [{"metric": metric, "each_subject": True} for metric in metrics]
    levels += [{"metric": metric, "subject": "south"} for metric in (*metrics, *composed)]
    levels += [{"metric": metric} for metric in (*metrics, *composed)]
    levels += [{"metric": metric, "subject": "never-seen"} for metric in metrics]
    terms = agreement(levels)
    for period in ("2024-12", "2025-01", "2025-02"):
        yield f"# {period}"
        found = evaluate([PROGRAMME], [terms], period, columns, NUMBERS, 1, "closed")
        for one in found.figures:
            yield from _figure(one)
    days = agreement([{"metric": metric, "measured": "day"} for metric in metrics])
    yield "# days of January"
    found = evaluate([PROGRAMME], [days], "2025-01", columns, NUMBERS, 1, "closed")
    for one in found.figures:
        if one.evidence.facts or one.value:
            yield f"{one.metric} {one.period}: {_number(one.value)}"


def _figure(one: MetricFigure) -> Iterator[str]:
    of = f" of {one.subject}" if one.subject else ""
    ratio = "" if one.total is None else f" = {_number(one.good)} / {_number(one.total)}"
    yield (
        f"{one.metric}{of} {one.period}: {_number(one.value)}{ratio}, {one.evidence.facts} facts "
        f"{one.evidence.digest[:12]}"
    )
    if one.evidence.telling:
        yield f"    telling: {', '.join(each.id for each in one.evidence.telling)}"
    yield from (f"    {_part(each)}" for each in one.parts)


def _number(value: Any) -> str:
    return "none" if value is None else written(value)


def _part(one: Part) -> str:
    span = " to ".join("open" if at is None else at.isoformat() for at in (one.start, one.end))
    return (
        f"{one.part} ({one.subject}, {one.vendor}) {span}: {_number(one.amount)} good {one.good} "
        f"worth {_number(one.value)} by {', '.join(each.id for each in one.events)}"
    )


def _charge(one: ChargeFact) -> str:
    said = one.charge
    return f"{said.base} {written(said.amount)} at {one.at.isoformat()} by {one.event.id}"


def _circumstance(one: CircumstanceFact) -> str:
    said = one.circumstance
    return f"{said.circumstance} {_number(said.value)} at {one.at.isoformat()} by {one.event.id}"


CORRECTED: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("taken-back", "samples-all-first", {}),
    ("other-data", "samples-all-middle", {"data": {"metric": "samples", "up": True}}),
    ("other-time", "samples-north-middle", {"time": "2025-02-02T10:00:00Z"}),
    ("data-and-time", "samples-south-middle",
     {"data": {"metric": "samples", "up": False, "subject": "north"},
      "time": "2025-01-20T10:00:00Z"}),
    ("bad-data", "samples-south-first", {"data": {"metric": "samples", "up": "yes"}}),
    ("other-kind", "samples-south-later", {"data": {"metric": "ratio", "good": 1, "total": 2}}),
    ("unknown", "nothing", {}),
    ("back", "taken-back", {}),
    ("moved-correction", "other-data", {"time": "2025-02-03T10:00:00Z"}),
    ("turned", "other-time", {"data": {"corrects": "x", "reason": "r"}}),
    ("no-correction", "data-and-time", {"data": {"up": True}}),
    ("one", "two", {}),
    ("two", "one", {}),
    ("itself", "itself", {}),
    ("count-later", "ratio-north-middle", {"time": "2025-01-16T10:00:00Z"}),
    ("value-later", "mean-south-middle", {"time": "2025-01-16T10:00:00Z"}),
    ("outage-earlier", "outage-opens", {"time": "2025-01-10T09:00:00Z"}),
    ("charge-later", "invoice-1", {"time": "2025-02-03T10:00:00Z"}),
    ("claim-earlier", "claim-2", {"time": "2025-01-31T10:00:00Z"}),
)  # fmt: skip


def _stated() -> Iterator[Said]:
    """An outage, invoices and claims."""
    for name, phase, at in (("opens", "open", "10:00"), ("closes", "close", "11:00")):
        data = {"metric": "merged", "outage": "o1", "phase": phase, "subject": "north"}
        yield Said(PROBE, f"outage-{name}", "outage", moment(f"2025-01-10 {at}"), data)
    of_january = {"agreement": "north-wan", "period": "2025-01"}
    for number in (1, 2):
        at = moment(f"2025-02-0{number} 10:00")
        yield Said(PROBE, f"invoice-{number}", "charge", at, of_january | {
            "base": "invoice", "amount": 100 * number, "currency": "EUR"})  # fmt: skip
        yield Said(PROBE, f"claim-{number}", "circumstance", at,
                   of_january | {"circumstance": "claim", "value": number})  # fmt: skip


def corrections() -> Iterator[str]:
    """Each correction alone, then all of them: what is refused, and the figures."""
    said = [one for one in plain() if one.data["metric"] in ("samples", "ratio", "mean")]
    said += _stated()
    at = moment("2025-02-01 10:00")
    told = []
    for place, (name, of, more) in enumerate(CORRECTED):
        data = {"corrects": of, "reason": "r", **more}
        one = Said(PROBE, name, "correction", at + place * TICK, data)
        verdict = judged(one)
        if isinstance(verdict, Rejection):
            yield f"# {name} is not taken: {verdict.field}: {verdict.reason}; {verdict.remedy}"
        else:
            told.append(one)
    theirs = Said(
        FINANCE, "theirs", "correction", at, {"corrects": "samples-all-last", "reason": "r"}
    )
    for some in (*([one] for one in told), [theirs], told, told[::-1]):
        yield f"# {', '.join(one.id for one in some)}"
        columns = facts([*said, *some])
        for each in ready([PROGRAMME], columns, NUMBERS).every.refused:
            problem = each.problem
            yield (
                f"    {each.correction.id}: {problem.code} {problem.field}: {problem.reason}; "
                f"{problem.remedy}"
            )
        levels = [{"metric": one, "each_subject": True} for one in ("samples", "ratio")]
        levels += [{"metric": one} for one in ("samples", "ratio", "mean", "merged")]
        terms = agreement(levels)
        found = evaluate([PROGRAMME], [terms], "2025-01", columns, NUMBERS, 1, "closed")
        yield from (f"    {line}" for one in found.figures for line in _figure(one))
        yield from (f"    {_charge(one)}" for one in found.charges)
        yield from (f"    {_circumstance(one)}" for one in found.circumstances)


def _credit(quantity: dict[str, Any], *factors: dict[str, Any]) -> dict[str, Any]:
    return {"name": str(quantity["kind"]), "is_a": "service_credit", "due": {"kind": "on_default"},
            "quantity": quantity, "rate": {"kind": "amount", "amount": 1},
            "factors": factors}  # fmt: skip


ASKING: Sequence[dict[str, Any]] = (
    {"metric": "samples", "each_subject": True, "subjects": ["East", "south"], "measured": "month"},
    {"metric": "status", "subject": "south", "measured": "month", "credits": [
        _credit({"kind": "figure", "metric": "outages"}, {"kind": "figure", "metric": "mean"})],
     "relief": [{"kind": "volume", "metric": "total", "times_normal": {"at_least": 2},
                 "normal": 3}]},
    {"metric": "ratio", "subject": "nowhere", "credits": [
        _credit({"kind": "outside_range", "highest": "maximum", "lowest": "minimum",
                 "at_least": 1, "at_most": 2})]},
    {"metric": "tickets", "each_subject": True, "measured": "month", "credits": [
        _credit({"kind": "figure", "metric": "everyones-tickets"})]},
    {"metric": "declared", "measured": "month"},
    {"metric": "parallel", "measured": "month"},
    {"metric": "whole", "measured": "month"},
    {"metric": "without-outage", "measured": "month"},
)  # fmt: skip
"""Levels of an agreement that settles quarters, whose terms look at other metrics too."""


def asked() -> Iterator[str]:
    """What an agreement wants to know, which facts that needs, and its evaluation."""
    ends = {"kind": "occurrence", "term": "long", "metric": "merged", "region": {"above": 60},
            "across_periods": "as_counted"}  # fmt: skip
    terms = agreement(ASKING, settled="quarter", terminations=[ends])
    later = _otherwise(2, "2025-02-01", status="samples", declared="total", tickets="deliveries",
                       samples="status-up")  # fmt: skip
    last = _otherwise(3, "2025-03-01", declared="ratio")
    yield "# wanted"
    for one in wanted(terms):
        yield (
            f"{one.metric} by {one.measured} of {one.subject}"
            f"{', each subject' * one.each_subject}{', if reported' * one.if_reported}"
        )
    versions = [PROGRAMME, later, last]
    for some in ([PROGRAMME], [later], versions):
        yield f"# needed under version {', '.join(str(one.version) for one in some)}"
        for span in needs(some, [terms], "2025-Q1"):
            since, until = (_when(at) for at in (span.since_us, span.until_us))
            before = ", and each last before" if span.last_before else ""
            yield f"{span.metric}: {since} to {until}{before}"
        assert needs(some[::-1], [terms], "2025-Q1") == needs(some, [terms], "2025-Q1")
    yield "# evaluated"
    columns = facts([*plain(), *figures(), *tickets(), *outages()])
    found = evaluate(versions, [terms], "2025-Q1", columns, NUMBERS, 1, "closed")
    yield from (next(_figure(one)) for one in found.figures)
    turned = evaluate(versions[::-1], [terms], "2025-Q1", columns, NUMBERS, 1, "closed")
    assert turned == found


def _otherwise(version: int, begins: str, **measured: str) -> Programme:
    """A version that counts some metrics as the first one counts others."""
    body = PROGRAMME.model_dump(mode="json", exclude_none=True)
    measures = {one["metric"]: one["measure"] for one in body["metrics"]}
    for one in body["metrics"]:
        one["measure"] = measures[measured.get(one["metric"], one["metric"])]
    return programme(version, begins, metrics=body["metrics"])


def _when(at_us: int | None) -> str:
    return "ever" if at_us is None else instant(at_us).isoformat()


PAGE: dict[str, Callable[[], Iterator[str]]] = {
    **{name: (lambda name=name: counted(name)) for name in PARTS},
    "corrections": corrections,
    "asked": asked,
}


def page(name: str) -> str:
    """All lines of a page."""
    return in_lines(PAGE[name]())


if __name__ == "__main__":
    write_anew(PAGES, {name: partial(page, name) for name in PAGE})
