"""Contracts beside other contracts: what changed, what is inherited, what underpins too little.

The pages in ``compared/`` are the approved words. After a change that is meant, write them anew and
read the difference before it is committed:

    python -m tests.core.compared_told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

from schemas.agreement import Agreement
from services.core.contracts.check import check
from services.core.contracts.diff import contract_diff
from services.core.contracts.inheritance import resolve, whence
from services.core.contracts.reading import read_documents
from services.core.contracts.shared_cap_check import unfit
from services.core.contracts.underpinning import gaps
from services.core.contracts.wording import path_text
from services.core.settling.member import History
from tests.core.adjusting.test_shared_caps import (
    EARN_BACK,
    EVERYBODY,
    OF_TWO,
    cap,
    history,
    missed,
    named,
    together,
)
from tests.core.adjusting.test_shared_caps import programme as under_caps
from tests.core.approved import in_lines, write_anew
from tests.core.contracts.test_contract_check import PROGRAMME
from tests.core.contracts.test_contract_check import programme as usual
from tests.core.contracts.test_inheritance import CORPORATE, CUSTOMER, PLAIN, SERVICE
from tests.core.contracts.test_reweighting import version
from tests.core.contracts.test_underpinning import CAMPUS, HOURS, METRICS, TICKETS, below, sla
from tests.core.golden.explained import outcome_lines
from tests.core.golden.production import CONTRACTS, load
from tests.core.said import programme
from tests.core.told import HEAD, LEVEL, agreement, evaluation, months, terms

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
    text = (CONTRACTS / "G62.yaml").read_text(encoding="utf-8")
    yield "# what is disputed is withheld"
    other = agreement(text.replace("stays_due", "withheld"))
    yield from (f"    {change.text()}" for change in contract_diff(agreement(text), other))
    yield "# a programme beside its next version"
    later = programme(2, "2026-01-01", vendors=[{"vendor": "north", "name": "N"}], sources=[
        {"source": "urn:new", "reports_for": "north", "metrics": ["total"]}])  # fmt: skip
    yield from (f"    {change.text()}" for change in contract_diff(programme(), later))
    for old_text, new_text in PAIRS:
        yield f"# {old_text!r} -> {new_text!r}"
        old, new = (agreement(HEAD + LEVEL.replace("    judged", f"    {one}\n    judged"))
                    for one in (old_text, new_text))  # fmt: skip
        for change in contract_diff(old, new):
            yield f"    {change.path} | {change.text()}"
    yield "# a credit without a name beside one that is named as its number"
    third = "      - {name: '1', is_a: penalty, due: {kind: every_period}, quantity: {kind: one}, "
    for new_text in ("percent: 11", "percent: 10"):
        sides = [
            agreement(HEAD + LEVEL.replace("percent: 10", text) + third + rate)
            for text, rate in (("percent: 10", RATE % 5), (new_text, RATE % 6))
        ]
        for change in contract_diff(sides[0], sides[1]):
            yield f"    {change.path} | {change.text()}"
    for old_text, new_text in permutations(TABLES, 2):
        yield f"# {old_text!r} -> {new_text!r}"
        rates = [BY_BAND % text for text in (old_text, new_text)]
        tables = [
            agreement(HEAD + LEVEL.replace("{kind: percent_of, percent: 10, base: fee}", rate))
            for rate in rates
        ]
        for change in contract_diff(tables[0], tables[1]):
            yield f"    {change.path} | {change.text()}"
    yield "# what is inherited beside a later version of all"
    for before, after in pairwise(_family(*texts) for texts in GENERATIONS):
        yield f"  {before.version} -> {after.version}"
        for change in contract_diff(before, after):
            yield f"    {change.path} | {change.text()}"


def _family(*texts: str) -> Agreement:
    """The agreement at the end of a line of frameworks, with what it inherits."""
    documents, refusals = read_documents("".join(texts), "contract.yaml")
    resolution = resolve(documents.documents)
    assert not refusals, refusals
    assert not resolution.refusals, resolution.refusals
    (found,) = (one.noun for one in resolution.documents)
    assert isinstance(found, Agreement)
    return found


RATE = "rate: {kind: amount, amount: %d}}\n"
BY_BAND = "{kind: by_band, of: quantity, gives: amount, bands: [%s]}"
TABLES = [
    "{gives: 1}",
    "{below: 3, gives: 1}, {at_least: 3, gives: 2}",
    "{name: few, below: 2, gives: 1}, {at_least: 2, below: 3, gives: 1.5}, {at_least: 3, gives: 2}",
]
UNDERPINS = "underpins: [{level: uptime, agreement: %s, their_level: uptime}]\n"
SECOND = (
    CORPORATE.replace("version: 1", "version: 2").replace("percent: 15", "percent: 20")
    .replace("within_days: 30", "within_months: 2"),
    CUSTOMER.replace("version: 3", "version: 4").replace("version: 1,", "version: 2,")
    .replace("Call the desk.", "Write to the desk."),
    SERVICE.replace("version: 1", "version: 2").replace("version: 3", "version: 4"),
)  # fmt: skip
OWN = (
    "claim: {within_days: 9}\n"
    "caps: [{cap: month, window: period, limit: {kind: amount, amount: 9}}]\n"
)
GENERATIONS = [
    (CORPORATE, CUSTOMER, SERVICE + UNDERPINS % "network"),
    (*SECOND[:2], SECOND[2] + UNDERPINS % "backbone"),
    (*SECOND[:2], SECOND[2].replace("version: 2", "version: 3", 1) + OWN),
    (SECOND[0].replace("{cap: month", "{cap: year"), SECOND[1].split("clauses:")[0]
     + "claim: {within_days: 5}\n",
     SECOND[2].replace("version: 2", "version: 4", 1)),
]  # fmt: skip
PAIRS = [
    ("relief: [{kind: circumstance, circumstance: storm}]",
     "relief: [{kind: proofs, circumstance: storm, proofs: [notice], within_days: 10}]"),
    ("attributed: {circumstance: by, unattributed: wait, shares: [{attributed_to: us, percent: 10}"
     "]}",
     "attributed: {circumstance: by, unattributed: wait, shares: [{attributed_to: us, percent: 20}"
     "]}"),
    ("relief: [{kind: circumstance, circumstance: storm}]",
     "relief: [{kind: circumstance, circumstance: flood}, {kind: circumstance, circumstance: "
     "storm}]"),
    ("relief: [{kind: volume, metric: a, times_normal: {above: 2}, normal: 5}]",
     "relief: [{kind: volume, metric: a, times_normal: {at_least: 2}, normal_from: usual}]"),
    ("moves: {kind: ratchet, periods: 2, asks: met, way_to_mean: 50, rounded: exact, "
     "no_data: starts_anew}",
     "moves: {kind: ratchet, periods: 3, asks: better, way_to_mean: 1/3, rounded: {decimals: 1, "
     "mode: half_up}, no_data: starts_anew, at_most_of_gap: 10, perfect: 100}"),
    ("each_subject: true", "each_subject: true\n    subjects: [north]"),
    ("each_subject: true\n    subjects: [north]", "each_subject: true"),
    ("each_subject: true\n    subjects: [north]",
     "each_subject: true\n    subjects: [south, north]"),
    ("averaged: {periods: 2, missing_period: no_result}", "subject: north"),
]  # fmt: skip


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
    *((f"one of type {type_} above", (CORPORATE, CUSTOMER.replace("type: customer",
                                                                f"type: {type_}"), SERVICE))
      for type_ in ("service", "ola")),
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
        + "bases: [{base: fee, of_period: same, if_missing: wait, part_of_period: full_charge, "
        "longer_charge: refused}]\n"
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
    yield from _versions_below()
    yield from _other_hours()
    for link in ({"of": "slo"}, {"of": "x"}, {"their": "their"}, {"their": "x"}, {"level": "x"}):
        yield from _gaps(f"{link}", below(metric="uptime", **link), sla(metric="uptime"))
    yield from _unknown_metrics()


def _other_hours() -> Iterator[str]:
    """Clocks that run at other hours, or day and night."""
    nights = {"time_zone": "UTC", "hours": [{"days": ["sat"], "opens": "20:00", "closes": "24:00"}]}
    tickets = {"unit": "percent", "better": "higher"}
    measures = {"by-day": TICKETS | {"business_hours": HOURS}, "always": TICKETS,
                "by-night": TICKETS | {"business_hours": nights}}  # fmt: skip
    known = programme(
        sources=[{"source": "urn:north", "reports_for": "north"}],
        metrics=[{"metric": name, "name": name, "measure": measure, **tickets}
                 for name, measure in measures.items()],
    )  # fmt: skip
    for own in measures:
        for their in measures:
            found = gaps([below(metric=own), sla(metric=their)], [known])
            yield f"# {own} under {their}: {', '.join(one.why for one in found) or 'no gap'}"
            yield from (f"    {one.text()}" for one in found)


def _versions_below() -> Iterator[str]:
    """What is found of one version or level does not end the look at the next one."""
    little, much = {"at_least": 90}, {"at_least": 99}
    own = below(metric="uptime", expected=little)
    later = sla(metric="uptime", expected=much, changed={"version": 2})
    over = {"effective_from": "2024-01-01", "effective_until": "2025-01-01"}
    for why, first in (
        ("one that is over", sla(metric="uptime", expected=much, changed=over)),
        ("one without the level", sla(metric="uptime", level="other")),
        ("one with less", sla(metric="uptime", expected=little)),
    ):
        found = gaps([own, first, later], [CAMPUS])
        yield f"# under {why} and a later one: {', '.join(one.why for one in found)}"
        yield from (f"    {one.text()}" for one in found)
    theirs = sla(metric="uptime", expected=much, minimum=little)
    yield from _gaps("neither level", below(metric="uptime", expected=None), theirs)
    yield from _gaps("no minimum", below(metric="uptime", expected=much), theirs)


def _unknown_metrics() -> Iterator[str]:
    """Names that are wrong and versions that are not there yet are refused elsewhere."""
    strong, weak = {"at_least": 99}, {"at_least": 90}
    renamed = CAMPUS.model_copy(update={
        "version": 2, "effective_from": CAMPUS.effective_from.replace(year=2026),
        "metrics": CAMPUS.metrics[1:]})  # fmt: skip
    good = below(metric="uptime", expected=weak), sla(metric="uptime", expected=strong)
    own = below(metric="unknown", expected=weak), sla(metric="uptime", expected=strong)
    their = below(metric="uptime", expected=weak), sla(metric="unknown", expected=strong)
    early = {"effective_from": "2024-01-01"}
    late = {"effective_from": "2026-01-01"}
    for why, pair, known in (
        ("metrics that are known", good, [CAMPUS]),
        ("an unknown metric under a known one", own, [CAMPUS]),
        ("a known metric under an unknown one", their, [CAMPUS]),
        ("no programme", good, []),
        ("another programme", good, [CAMPUS.model_copy(update={"programme": "other"})]),
        ("a later version of the programme without it", good, [CAMPUS, renamed]),
        ("the other way round", good, [renamed, CAMPUS]),
        ("before the programme began", tuple(one(metric="uptime", expected=at, changed=early)
                                             for one, at in ((below, weak), (sla, strong))),
         [CAMPUS, renamed]),
        ("since the later version", tuple(one(metric="uptime", expected=at, changed=late)
                                          for one, at in ((below, weak), (sla, strong))),
         [CAMPUS, renamed]),
    ):  # fmt: skip
        found = gaps(pair, known)
        yield f"# {why}: {', '.join(one.why for one in found) or 'no gap'}"
        yield from (f"    {one.text()}" for one in found)


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
        "charged by subject": terms(head=HEAD.replace("refused}", "refused, per_subject: true}")),
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
    yield from _reweighted_beside()


def _reweighted_beside() -> Iterator[str]:
    """A later version and another agreement are not among those before it."""
    first, kept = version(1, "2025-01-01", "40"), version(2, "2025-07-01", "40")
    third = version(3, "2026-01-01", "60", notified="2025-01-02")
    late = version(2, "2025-07-01", "50")
    other = version(1, "2025-01-01", "70").replace("agreement: hosting", "agreement: other")
    for why, last, before in (
        ("kept, and changed later", kept, (first, third)),
        ("kept, beside another agreement", kept, (first, other)),
        ("not notified, beside itself", late, (first, late)),
        ("changed later, beside another agreement", third, (other, kept, first)),
    ):
        yield f"# {why}"
        others = [one for text in before for one in read_documents(text, "c.yaml")[0].agreements]
        (document,) = read_documents(last, "c.yaml")[0].documents
        yield from (f"    {one.text()}" for one in check(document, usual(), others))


# --- what is paid under a cap together ------------------------------------------------------------

SHARE = {"kind": "percent_of", "percent": "5", "base": "fee"}
YEAR = {"window": "contract_year", "begins": "2024-07-01"}
TRAILING = {"window": "trailing", "periods": 2}


def _under(
    why: str, caps: Sequence[dict[str, Any]], *histories: History, since: str = "2024-01-01"
) -> Iterator[str]:
    """What is paid, what a shared cap cut and left, and why somebody waits."""
    told = ("20", "line ", "cap ", "shared-headroom")
    yield f"# {why}"
    for name, outcomes in together(under_caps(*caps, since=since), *histories).items():
        yield f"  {name}"
        for line in (line for one in outcomes for line in outcome_lines(one)):
            if line.strip().startswith(told) or "known" in line:
                yield f"    {line}"


def together_settled() -> Iterator[str]:
    """What several agreements owe under caps of every kind, and what they wait for."""
    hosting, network = named("hosting"), named("network")
    wire = named("phones", vendor="wire")
    before: list[tuple[str, dict[str, Any]]] = [
        ("before-us", {"values": {"charges": 400, "credits": 20}})
    ]
    half: list[tuple[str, dict[str, Any]]] = [("before-us", {"values": {"credits": 20}})]
    opening = {"limit": SHARE, "opening": "before-us"}
    in_order = cap(over=OF_TWO, split="in_order")
    both = [history(hosting, *missed(1000, 800)), history(network, *missed(500, 600))]
    none = history(network, evaluation("2025-01", 99), evaluation("2025-02", 99))
    unknown = evaluation("2025-01", 98, fee=None)
    february = missed(800, start="2025-02")
    stories: list[tuple[str, list[dict[str, Any]], list[History]]] = [
        ("enough for both", [cap(500)], both),
        ("in proportion", [cap("90.01")], both),
        ("nothing left", [cap(0)], both),
        ("in order", [in_order], both),
        ("only one owes", [cap(50)], [both[0], none]),
        ("a share of all charges", [cap(limit=SHARE)], both),
        ("a share of all charges in two months", [cap(limit=SHARE, **TRAILING)], both),
        ("with what was before", [cap(**opening, **TRAILING)],
         [history(hosting, *(evaluation(month, 98, circumstances=before) for month in months(2))),
          both[1]]),
        ("before, for both", [cap(150, opening="before-us", **YEAR)],
         [history(one, evaluation("2025-01", 98, circumstances=before))
          for one in (hosting, network)]),
        ("before, beside one that is not evaluated", [cap(150, opening="before-us", **YEAR)],
         [history(hosting, evaluation("2025-01", 98, circumstances=before)),
          history(network, *february)]),
        ("before, misstated", [cap(**opening, **YEAR)],
         [history(hosting, evaluation("2025-01", 98, circumstances=half))]),
        ("a contract year", [cap(170, **YEAR)], both),
        ("a term", [cap(170, window="term", begins="2025-01-01")], both),
        ("a term not begun", [cap(1, window="term", begins="2025-02-01")], both),
        ("two caps", [cap(100), cap(60, cap="second", over=EVERYBODY)],
         [*both, history(wire, *missed(300, 200))]),
        ("two vendors", [cap(60, over=EVERYBODY)], [both[0], history(wire, *missed(500, 600))]),
        ("a charge is not known", [cap(60)], [both[0], history(network, unknown)]),
        ("in order, the first is not known", [in_order], [both[0], history(network, unknown)]),
        ("in order, the second is not known", [in_order], [history(hosting, unknown), both[1]]),
        ("a month is not settled", [cap(60, **TRAILING)],
         [history(hosting, unknown, *february), both[1]]),
        ("earned back", [cap(100, earned_back="frees_the_cap", **TRAILING)],
         [history(named("hosting", EARN_BACK), *missed(1000), evaluation("2025-02", 99)),
          both[1]]),
        ("of another vendor until February", [cap(60, **TRAILING)],
         [history(hosting, *missed(1000, 800)), History(
             [named("moved", vendor="wire"), named("moved", since="2025-02-01")
              .model_copy(update={"version": 2})],
             history(named("moved"), *missed(300, 200)).evaluations)]),
        ("begun later", [cap(60)],
         [history(hosting, *missed(1000), *february),
          history(named("network", since="2025-02-01"), *february)]),
    ]  # fmt: skip
    for why, caps, histories in stories:
        yield from _under(why, caps, *histories)
    for currency, amount, limit in (("JPY", "1001", "1501"), ("KWD", "1.0015", "1.5")):
        head = HEAD.replace("EUR", currency)
        level = LEVEL.replace(
            "{kind: percent_of, percent: 10, base: fee}", f"{{kind: amount, amount: {amount}}}"
        )
        pair = [terms(level=level, head=head.replace("hosting", name))
                for name in ("hosting", "network")]  # fmt: skip
        yield from _under(f"in {currency}", [cap(limit, currency=currency)],
                          *(history(one, evaluation("2025-01", 98)) for one in pair))  # fmt: skip
    yield from _under("a programme of February", [cap(60)], *both, since="2025-02-01")


PAGE: dict[str, Callable[[], Iterator[str]]] = {
    "changes": changes,
    "inherited": inherited,
    "underpinning": underpinning,
    "shared": shared,
    "reweighted": reweighted,
    "together": together_settled,
}


def page(name: str) -> str:
    """All lines of a page."""
    return in_lines(PAGE[name]())


if __name__ == "__main__":
    write_anew(PAGES, {name: partial(page, name) for name in PAGE})
