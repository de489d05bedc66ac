"""Contracts written in other formats, and the violations of a year, in and out.

The pages in ``told/`` are the approved documents and what each has no place for. After a change
that is meant, write them anew and read the difference before it is committed:

    python -m tests.core.interchange.written_told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.contracts.interchange.carried import Exported, written_as_yaml
from services.core.contracts.interchange.openslo import to_openslo
from services.core.contracts.interchange.tmf623 import from_violation, to_sla, to_violations
from services.core.contracts.reading import read_documents
from tests.core.approved import in_lines, write_anew
from tests.core.golden.production import load
from tests.core.interchange.read_told import PAGES
from tests.core.told import LEVEL, evaluation, settled, terms

TEMPLATES = Path(__file__).parents[3] / "services/cli/templates"
GOLDEN = ("E06", "E15", "G25", "G27", "G41", "G47")
"""Those with sections that no template has."""

PROGRAMME = """
kind: programme
language: 2
programme: campus
version: 1
effective_from: 2020-01-01
buyer: town
name: Campus
time_zone: America/New_York
restated_for_days: 90
whose_word: {charges: either, circumstances: either, decisions: either, figures: either}
vendors: [{vendor: nimbus, name: Nimbus}]
sources: [{source: urn:nimbus, reports_for: nimbus, metrics: [uptime, probes, quick, slow, done]}]
metrics:
  - {metric: uptime, name: Uptime, unit: percent, better: higher, measure: {kind: declared}}
  - {metric: probes, name: Probes, unit: percent, better: higher,
     measure: {kind: availability_by_samples}}
  - {metric: quick, name: Quick, unit: milliseconds, better: higher,
     measure: {kind: within_limit, limit: 0.25, equal_is_within: true}}
  - {metric: slow, name: Slow, unit: milliseconds, better: lower, measure: {kind: maximum}}
  - {metric: done, name: Done, unit: count, better: lower, measure: {kind: declared}}
"""
MINIMUM = "expected: {at_least: 99}\n    minimum: {at_least: 95}"
MORE = """\
conversions:
  - {kind: agreed, currency: USD, rate: 0.9, quoted: own_for_foreign,
     rounded: exact, source: Schedule 4}
clauses:
  - {clause: uptime, about: other, text: "Consequence: as the law says"}
  - {clause: law, about: governing_law, text: The law of the land}
"""


def level(name: str, metric: str, expected: str, more: str = "") -> str:
    """One more level of an agreement."""
    return f"""\
  - level: {name}
    name: {name.capitalize()}
    metric: {metric}
    expected: {{{expected}}}
    judged: exact
    no_data: miss
    defaults: {{kind: every_miss}}
{more}"""


RATCHET = """    moves: {kind: ratchet, periods: 2, asks: met, way_to_mean: 50, rounded: exact,
      no_data: starts_anew}
"""
FULL = (
    LEVEL.replace("expected: {at_least: 99}", MINIMUM)
    + level("probes", "probes", "above: 99.5", "    measured: day\n")
    + level("quick", "quick", "at_least: 95")
    + level("slow", "slow", "at_most: 2000")
    + level("done", "done", "below: 3", "    each_subject: true\n")
)


def campus(change: tuple[str, str] = ("", "")) -> Programme:
    """A programme with a metric of each kind that matters here, in a zone behind UTC."""
    (found,) = read_documents(PROGRAMME.replace(*change), "programme.yaml")[0].programmes
    return found


def contracts() -> Iterator[tuple[str, Agreement, Programme]]:
    """What is written: every template, the worked cases named above, one agreement of our own."""
    for path in sorted(TEMPLATES.glob("*.yaml")):
        documents, _ = read_documents(path.read_text(encoding="utf-8"), path.name)
        for agreement in documents.agreements:
            yield path.stem, agreement, documents.programmes[0]
    for name in GOLDEN:
        case = load(name)
        for agreement in case.agreements:
            yield name, agreement, case.programme
    full = terms(MORE, level=FULL)
    yield "full", full, campus()
    yield (
        "ended",
        full.model_copy(
            update={"effective_until": full.effective_from.replace(year=2026), "settled": "year"}
        ),
        campus(),
    )


def of_contracts(write: Callable[[Agreement, Programme], Sequence[Exported]]) -> str:
    """Each contract's documents and what they lose."""
    lines = []
    for name, agreement, programme in contracts():
        lines += [f"=== {name}: {agreement.agreement}", *documents(write(agreement, programme))]
    return in_lines(lines)


def documents(exported: Sequence[Exported]) -> list[str]:
    """The documents, and once what each of them loses."""
    lost = [f"lost: {one.text()}" for one in exported[0].lost] if exported else ["nothing"]
    assert all(one.lost == exported[0].lost for one in exported)
    return [*written_as_yaml([one.document for one in exported]).splitlines(), *lost]


def violations() -> str:
    """The violations of some months, and each as the event that declares its figure."""
    agreement = terms(level=FULL.replace("    measured: day\n", ""))
    programme = campus()
    sites: dict[str | tuple[str, str], object] = {("done", "north"): 5, ("done", "south"): 1}
    months = [
        evaluation("2025-01", "98.5", figures={"probes": 99, "quick": 95, "slow": 2001, **sites}),
        evaluation("2025-02", "94.25", figures={"probes": None, "quick": None, "slow": 1, **sites}),
        evaluation("2025-03", 99, figures={"probes": 100, "quick": "95.5", "slow": 1, **sites}),
    ]
    lines = []
    for statement in settled(agreement, months):
        for one in to_violations(statement, agreement, programme):
            lines += documents([one])
            lines += came_in(one.document, agreement, programme)
    lines += came_in(one.document, agreement, programme, "2024-11")
    second = "      - {name: more, is_a: penalty, due: {kind: on_default}, quantity: {kind: one}, "
    twice = terms(level=f"{LEVEL}{second}rate: {{kind: amount, amount: 5}}}}\n")
    for statement in settled(twice, [evaluation("2025-01", 98)]):
        lines += documents(to_violations(statement, twice, programme))
    for statement in settled(terms(level=LEVEL.replace("    judged", f"{RATCHET}    judged")), [
        evaluation(month, value) for month, value in (
            ("2025-01", "99.6"), ("2025-02", "99.8"), ("2025-03", "99.2"))]):  # fmt: skip
        for one in to_violations(statement, agreement, programme):
            lines += documents([one])
    return in_lines(lines)


def came_in(
    violation: Mapping[str, Any],
    agreement: Agreement,
    programme: Programme,
    period: str | None = None,
) -> list[str]:
    """A violation as an event, or why not."""
    try:
        event = from_violation(violation, agreement, programme, source="urn:nimbus", period=period)
    except ValueError as error:
        return [f"refused: {error}"]
    return ["as an event:", *documents([event])]


def changed_violations() -> str:
    """What a violation of another maker may hold, field by field."""
    agreement, programme = terms(level=FULL), campus()
    body: dict[str, Any] = {"rule": {"id": "uptime"}, "unit": "%", "actualValue": "98.50"}
    whole: dict[str, Any] = {"id": "v7", "date": "2025-02-01T00:00:00-05:00"}
    changes: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
        ({}, {}),
        ({}, {"rule": {"href": "https://acme.example/rule/uptime"}}),
        ({}, {"rule": {"id": "other"}}),
        ({}, {"rule": {}}),
        ({}, {"rule": {"id": "probes"}}),
        ({}, {"unit": "ms"}),
        ({}, {"actualValue": "much"}),
        ({}, {"actualValue": 98.5}),
        ({}, dict.fromkeys(("tolerance", "comment", "attachment", "referenceValue", "else"), "x")),
        ({"id": None, "sla": {}, "relatedParty": [], "more": 1}, {}),
        ({"date": "2025-01-31T23:59:59-05:00"}, {}),
        ({"date": "2025-02-01T04:59:59Z"}, {}),
        ({"date": "2025-02-01T05:00:00+00:00"}, {}),
        ({"date": "2025-02-01T00:00:00"}, {}),
        ({"date": "soon"}, {}),
        ({"date": None}, {}),
    ]  # fmt: skip
    lines = []
    for outer, inner in changes:
        violation = {**whole, "violation": {**body, **inner}, **outer}
        violation = {name: value for name, value in violation.items() if value is not None}
        sent = {"slaViolation": violation}
        lines += [f"=== {outer} {inner}", *came_in(sent, agreement, programme)]
    for left_out in ("unit", "actualValue", "rule"):
        less = {name: value for name, value in body.items() if name != left_out}
        lines += [
            f"=== without {left_out}",
            *came_in({**whole, "violation": less}, agreement, programme),
        ]
    daily = campus(("measure: {kind: availability_by_samples}", "measure: {kind: declared}"))
    of_a_day = {**whole, "violation": {**body, "rule": {"id": "probes"}}}
    lines += ["=== of a day", *came_in(of_a_day, agreement, daily)]
    return in_lines(lines)


PAGE: dict[str, Callable[[], str]] = {
    "written_as_openslo": lambda: of_contracts(to_openslo),
    "written_as_tmf623": lambda: of_contracts(lambda *one: [to_sla(*one)]),
    "violations": violations,
    "changed_violations": changed_violations,
}


if __name__ == "__main__":
    write_anew(PAGES, PAGE)
