"""Contracts beside other contracts: what changed, what is inherited, what underpins too little.

The pages in ``compared/`` are the approved words. After a change that is meant, write them anew and
read the difference before it is committed:

    python -m tests.core.compared_told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from schemas.agreement import Agreement
from services.core.contract_check import check
from services.core.contract_diff import contract_diff
from services.core.contract_file import read_documents
from services.core.contract_words import path_text
from services.core.inheritance import resolve, whence
from services.core.shared_cap_check import unfit
from services.core.underpinning import gaps
from tests.core.approved import in_lines, write_anew
from tests.core.golden.production import CONTRACTS, load
from tests.core.said import programme
from tests.core.test_contract_check import PROGRAMME
from tests.core.test_contract_check import programme as usual
from tests.core.test_inheritance import CORPORATE, CUSTOMER, PLAIN, SERVICE
from tests.core.test_reweighting import version
from tests.core.test_shared_caps import EARN_BACK, EVERYBODY, OF_TWO, cap, named
from tests.core.test_shared_caps import programme as under_caps
from tests.core.test_underpinning import CAMPUS, METRICS, below, sla
from tests.core.told import HEAD, LEVEL, agreement, terms

PAGES = Path(__file__).parent / "compared"


# --- what changed ---------------------------------------------------------------------------------


def changes() -> Iterator[str]:
    """Each worked contract beside the next one, which has hardly a term in common with it."""
    names = sorted(path.stem for path in CONTRACTS.glob("*.yaml") if path.stem != "programme")
    worked = [(name, one) for name in names for one in load(name).agreements]
    for (left, old), (right, new) in pairwise(worked):
        yield f"# {left} {old.agreement} -> {right} {new.agreement}"
        yield from (f"    {change.text()}" for change in contract_diff(old, new))
    usual = agreement(HEAD + LEVEL)
    for old_text, new_text in EDITS:
        assert old_text in HEAD + LEVEL, old_text
        changed = agreement((HEAD + LEVEL).replace(old_text, new_text))
        yield f"# {old_text!r} -> {new_text!r}"
        for change in contract_diff(usual, changed):
            yield f"    {change.path} | {change.old} | {change.new} | {change.text()}"
    text = (CONTRACTS / "G06.yaml").read_text(encoding="utf-8")
    for old_text, new_text in (("factor: 1.2", "factor: 1.3"), ("200", "300"), (": 20,", ": 30,")):
        yield f"# points: {old_text!r} -> {new_text!r}"
        other = agreement(text.replace(old_text, new_text))
        yield from (f"    {change.text()}" for change in contract_diff(agreement(text), other))
    yield "# a programme beside its next version"
    later = programme(2, "2026-01-01", vendors=[{"vendor": "north", "name": "N"}], sources=[
        {"source": "urn:new", "reports_for": "north", "metrics": ["total"]}])  # fmt: skip
    yield from (f"    {change.text()}" for change in contract_diff(programme(), later))


EDITS = [
    ("name: Hosting\n", "name: Hosting\norder: [levels, credits, points, single_event, "
     "critical_failure, caps, claims, small_amounts, earn_back, fees, deposit, rounding]\n"),
    ("effective_from: 2025-01-01", "effective_from: 2025-01-01\neffective_until: 2026-01-01"),
    ("rounded_at: total", "rounded_at: line"),
    ("no_data: no_result", "no_data: miss\n    relief: [{kind: circumstance, "
     "circumstance: storm}]"),
    ("    judged: exact", "    minimum: {at_least: 95}\n    judged: {decimals: 3, "
     "mode: half_even}"),
    ("due: {kind: on_default}", "due: {kind: on_run, misses: 2, no_data: ends_the_run}"),
    ("percent: 10, base: fee}", "percent: 10, base: fee}\n        at_most: {kind: amount, "
     "amount: 5}\n        factors: [{kind: constant, factor: 1/3}, {kind: constant, factor: 2}]"),
    ("kind: percent_of, percent: 10, base: fee", "kind: by_run, amounts: [1, 2.5, 1/3], "
     "no_data: ends_the_run"),
    ("    judged", "    each_subject: true\n    judged"),
    ("currency: EUR", "currency: USD"),
]  # fmt: skip


# --- what is inherited ----------------------------------------------------------------------------

FAMILIES: list[tuple[str, Sequence[str]]] = [
    ("all of it", (CORPORATE, CUSTOMER, SERVICE)),
    ("nothing of its own", (CORPORATE, CUSTOMER, PLAIN)),
    ("the framework in between is missing", (CORPORATE, SERVICE)),
    ("no framework is given", (SERVICE,)),
    ("the highest framework is missing", (CUSTOMER, SERVICE)),
    ("another name", (CORPORATE, CUSTOMER, SERVICE.replace("{agreement: retail", "{agreement: x"))),
    ("another version", (CORPORATE, CUSTOMER, SERVICE.replace("version: 3}", "version: 4}"))),
    ("no framework", (CORPORATE.replace("framework: true\n", ""), CUSTOMER, SERVICE)),
    *((f"of type {type_}", (CORPORATE.replace("type: corporate", f"type: {type_}"), CUSTOMER,
       SERVICE)) for type_ in ("customer", "service", "ola")),
    ("a corporate one below", (CORPORATE, CUSTOMER, SERVICE.replace("type: service",
                                                                    "type: corporate"))),
    ("a customer one below", (CORPORATE, CUSTOMER, SERVICE.replace("type: service",
                                                                  "type: customer"))),
    *((f"another {new}", (CORPORATE, CUSTOMER, SERVICE.replace(old, new))) for old, new in (
        ("programme: campus", "programme: other"), ("vendor: nimbus", "vendor: other"),
        ("currency: EUR", "currency: USD"), ("settled: month", "settled: year"))),
    ("another currency above", (CORPORATE.replace("EUR", "USD"), CUSTOMER, SERVICE)),
    ("a level left out that is not there", (CORPORATE, CUSTOMER.replace("steady", "steddy"),
                                            PLAIN)),
    ("a level left out of another name", (CORPORATE, CUSTOMER.replace("steady", "x"), PLAIN)),
    ("all levels left out", (CORPORATE, CUSTOMER.replace("steady", "steady, uptime"), PLAIN)),
    ("a null", (CORPORATE, CUSTOMER, SERVICE + "claim: null\n")),
    ("its own term", (CORPORATE, CUSTOMER, SERVICE + "claim: {within_days: 3}\n")),
    ("nothing left", (
        CORPORATE,
        SERVICE.replace("{agreement: retail, version: 3", "{agreement: group, version: 1, "
                        "without_levels: [steady]")
        + "bases: [{base: fee, of_period: same, if_missing: wait, part_of_period: full_charge}]\n"
        "caps: [{cap: month, window: period, limit: {kind: amount, amount: 1}}]\n"
        "claim: null\nclauses: [{clause: law, about: other, text: x}]\n",
    )),
    ("both ways", (CORPORATE.replace("framework: true", "framework: true\ninherits: "
                                     "{agreement: retail, version: 3}"), CUSTOMER, SERVICE)),
    ("a wrong metric above", (CORPORATE.replace("metric: uptime", "metric: uptimes"), CUSTOMER,
                              PLAIN)),
    ("a base that only the cap needs", (CORPORATE.split("bases:")[0] + "levels: []\ncaps:"
                                        + CORPORATE.split("caps:")[1], CUSTOMER.replace(
                                            ", without_levels: [steady]", ""), SERVICE)),
    ("a term that does not fit", (CORPORATE + "points: {kind: percent_per_point, percent: 1, "
                                  "base: fee}\n", CUSTOMER, SERVICE)),
    ("an order", (CORPORATE + "order: [levels, credits, points, single_event, critical_failure, "
                  "caps, claims, small_amounts, earn_back, fees, deposit, rounding]\n", CUSTOMER,
                  SERVICE)),
]  # fmt: skip


def inherited() -> Iterator[str]:
    """What each family comes to: whose terms they are, or why not."""
    (known,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    for why, texts in FAMILIES:
        yield f"# {why}"
        found, refusals = read_documents("".join(texts), "contract.yaml")
        yield from (f"    not read: {one.text()}" for one in refusals)
        resolution = resolve(found.documents)
        yield f"    frameworks: {', '.join(str(one.noun.name) for one in resolution.frameworks)}"
        yield from (f"    {one.text()}" for one in resolution.refusals)
        for document in resolution.documents:
            noun = document.noun
            assert isinstance(noun, Agreement)
            yield f"    {noun.agreement}:"
            for one in whence(noun):
                of = f" (of {one.agreement} version {one.version})" if one.inherited else ""
                yield f"        {one.term}{of}"
            yield from (f"        {one.text()}" for one in check(document, known))


# --- what underpins -------------------------------------------------------------------------------

TARGETS: list[Any] = [
    {"at_least": 90}, {"above": 90}, {"at_least": "89.9"}, {"at_most": 90}, {"below": 90}, None,
]  # fmt: skip


def underpinning() -> Iterator[str]:
    """Every metric beside every other, targets beside targets, times beside times."""
    for own in METRICS:
        for their in METRICS:
            limits = [
                {"at_most": 90} if METRICS[name][2] == "lower" else {"at_least": 90}
                for name in (own, their)
            ]
            yield from _gaps(
                f"{own} under {their}",
                below(metric=own, expected=limits[0]),
                sla(metric=their, expected=limits[1]),
            )
    for mine in TARGETS:
        for theirs in TARGETS:
            for metric in ("uptime", "repair"):
                yield from _gaps(f"{metric} {mine} under {theirs}",
                                 below(metric=metric, expected=mine),
                                 sla(metric=metric, expected=theirs))  # fmt: skip
    low, high = {"at_least": 80}, {"at_least": 99}
    for mine, theirs in ((low, low), (None, low), ({"at_least": 79}, low), ({"at_least": 81}, low)):
        yield from _gaps(f"minimum {mine} under {theirs}",
                         below(metric="uptime", expected=high, minimum=mine),
                         sla(metric="uptime", expected=high, minimum=theirs))  # fmt: skip
    lengths = ("day", "month", "quarter", "year")
    for mine in lengths:
        for theirs in lengths:
            yield from _gaps(f"a {mine} under a {theirs}",
                             below(metric="uptime", changed={"settled": mine}),
                             sla(metric="uptime", changed={"settled": theirs}))  # fmt: skip
    spans = [(None, None), ("2025-02-01", None), (None, "2026-01-01"), (None, "2025-12-01"),
             ("2026-01-01", None)]  # fmt: skip
    for first in spans:
        for second in spans:
            yield from _gaps(f"{first} under {second}", below(metric="uptime", changed=_in(first)),
                             sla(metric="uptime", changed=_in(second)))  # fmt: skip
    for link in ({"of": "slo"}, {"of": "x"}, {"their": "their"}, {"their": "x"}, {"level": "x"}):
        yield from _gaps(f"{link}", below(metric="uptime", **link), sla(metric="uptime"))


def _in(span: tuple[str | None, str | None]) -> dict[str, str]:
    names = ("effective_from", "effective_until")
    return {name: day for name, day in zip(names, span, strict=True) if day is not None}


def _gaps(why: str, own: Agreement, their: Agreement) -> Iterator[str]:
    found = gaps([own, their], [CAMPUS])
    yield f"# {why}: {', '.join(one.why for one in found) or 'no gap'}"
    yield from (f"    {one.text()}" for one in found)


# --- what is shared, and what may be weighted anew ------------------------------------------------


def shared() -> Iterator[str]:
    """Agreements under shared caps that they do not fit."""
    percent = {"kind": "percent_of", "percent": "5", "base": "fee"}
    other = {"kind": "percent_of", "percent": "5", "base": "other"}
    own = {
        "as they are": named("hosting"),
        "of another vendor": named("hosting", vendor="wire"),
        "with an earn-back": named("hosting", EARN_BACK),
        "charged by subject": terms(
            head=HEAD.replace("full_charge}", "full_charge, per_subject: true}")
        ),
        "in dollars": terms(head=HEAD.replace("EUR", "USD")),
        "settled by quarter": terms(head=HEAD.replace("month", "quarter")),
    }
    for more in (
        {}, {"currency": "USD"}, {"settled": "quarter"}, {"limit": percent}, {"limit": other},
        {"over": EVERYBODY}, {"over": OF_TWO}, {"window": "trailing", "periods": 2},
        {"window": "contract_year", "begins": "2025-01-01"},
        {"window": "trailing", "periods": 2, "earned_back": "frees_the_cap"},
    ):  # fmt: skip
        known = under_caps(cap(**more))
        for why, noun in own.items():
            yield f"# {why}, under {more or 'the usual cap'}"
            for found in unfit(noun, known):
                yield f"    {path_text(found.path)}: {found.reason}; {found.remedy}"


def reweighted() -> Iterator[str]:
    """Versions that move weight: in time, too late, too often, back."""
    july = "2025-07-01"
    for why, texts in (
        ("notified in time", (version(2, july, "50", notified="2025-04-01"),)),
        ("notified a day late", (version(2, july, "50", notified="2025-04-02"),)),
        ("not notified", (version(2, july, "50"),)),
        ("kept", (version(2, july, "40"),)),
        ("twice in a year", (
            version(2, july, "50", notified="2025-01-02"),
            version(3, "2025-12-01", "60", notified="2025-01-03"),
        )),
        ("once in each year", (
            version(2, july, "50", notified="2025-01-02"),
            version(3, "2026-01-01", "60", notified="2025-01-03"),
        )),
        ("without a rule", (version(2, july, "50", notified="2025-01-02", rule=""),)),
        ("under a rule that came with it", (
            version(2, july, "50", rule="reweighting: {per_calendar_year: 9, notice_months: 0}\n"),
        )),
    ):  # fmt: skip
        yield f"# {why}"
        first = version(1, "2025-01-01", "40")
        known = [read_documents(text, "c.yaml")[0] for text in (first, *texts)]
        *before, last = known
        others = [one for documents in before for one in documents.agreements]
        yield from (f"    {one.text()}" for one in check(last.documents[0], usual(), others))


PAGE: dict[str, Callable[[], Iterator[str]]] = {
    "changes": changes,
    "inherited": inherited,
    "underpinning": underpinning,
    "shared": shared,
    "reweighted": reweighted,
}


def page(name: str) -> str:
    """All lines of a page."""
    return in_lines(PAGE[name]())


if __name__ == "__main__":
    write_anew(PAGES, {name: partial(page, name) for name in PAGE})
