"""The pages on the contract language: every example holds, every kind of term is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from re import DOTALL, finditer
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from schemas.agreement import Agreement
from schemas.ceiling import SharedCap
from services.core.contracts.check import check
from services.core.contracts.reading import read_documents
from tests.core.told import CAMPUS

PAGES = Path(__file__).parents[2] / "docs" / "terms"
PROGRAMME = (
    "\n"
    + CAMPUS
    + """\
  - {metric: uptime, name: U, unit: percent, better: higher,
     measure: {kind: declared, at_least: 0, at_most: 100}}
  - {metric: tickets-in-time, name: T, unit: percent, better: higher,
     measure: {kind: ratio, nothing_to_count: no_data}}
  - {metric: outages, name: O, unit: minutes, better: lower,
     measure: {kind: outage_time, overlap: each, part: exact,
     across_periods: begins, silence: up, incomplete: left_out}}
  - {metric: deliveries, name: D, unit: days, better: lower,
     measure: {kind: delivery_delay, nothing_to_count: no_data,
     across_periods: begins, until_delivered: waits}}
  - {metric: latency, name: L, unit: milliseconds, better: lower, measure: {kind: mean}}
  - {metric: failures, name: F, unit: count, better: lower, measure: {kind: declared}}
  - {metric: volume, name: V, unit: count, better: higher, measure: {kind: total}}
"""
)
HEAD = """kind: agreement
language: 2
agreement: hosting-2025
version: 1
programme: campus
type: service
vendor: nimbus
name: Hosting
currency: EUR
effective_from: 2025-01-01
settled: month
lateness_hours: 0
conventions: {money_rounding: half_up, rounded_at: total}
bases:
  - {base: fee, of_period: same, if_missing: wait, part_of_period: full_charge, \
longer_charge: refused}
"""
LEVEL = """  - level: uptime
    name: Uptime
    metric: uptime
    expected: {at_least: 99}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
"""
CREDITS = """    credits:
      - name: usual
        is_a: service_credit
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: amount, amount: 1}
"""
POINTS = """      - name: scored
        is_a: service_credit
        due: {kind: every_period}
        quantity: {kind: one}
        rate: {kind: points, points: 1}
"""
SHARED = """      - name: shared
        is_a: service_credit
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: at_risk_share, at_risk: month, shares: [10], category: critical}
"""
SECOND = LEVEL.replace("level: uptime", "level: second") + CREDITS
SITES = LEVEL.replace("level: uptime", "level: sites").replace(
    "    judged", "    each_subject: true\n    judged"
)


def indented(text: str, spaces: int) -> str:
    """The text, moved to the right."""
    return "".join(f"{' ' * spaces}{line}\n" for line in text.splitlines())


def contract(kind: str, text: str) -> str:
    """A whole contract round an example."""
    body = {
        "agreement": text,
        "level": f"{HEAD}levels:\n{indented(text, 2)}",
        "credit": f"{HEAD}levels:\n{LEVEL}    credits:\n{indented(text, 6)}",
        "programme": f"{PROGRAMME}{text}---\n{HEAD}levels:\n{LEVEL}{CREDITS}",
        "metrics": f"{PROGRAMME}{indented(text, 2)}---\n{HEAD}levels:\n{LEVEL}{CREDITS}",
        "terms": f"{HEAD}levels:\n{LEVEL}{CREDITS}{text}",
        "terms points": f"{HEAD}levels:\n{LEVEL}{CREDITS}{POINTS}{text}",
        "terms shares": f"{HEAD}levels:\n{LEVEL}{CREDITS}{SHARED}{text}",
        "terms levels": f"{HEAD}levels:\n{LEVEL}{CREDITS}{SECOND}{text}",
        "terms sites": f"{HEAD}levels:\n{LEVEL}{CREDITS}{SITES}{text}",
        "terms until": f"{HEAD}effective_until: 2027-01-01\nlevels:\n{LEVEL}{CREDITS}{text}",
    }
    return body[kind]


def examples() -> Iterator[Any]:
    """Every YAML block of the pages."""
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for number, found in enumerate(finditer(r"```yaml ([a-z ]+)\n(.*?)```", text, DOTALL), 1):
            yield pytest.param(found[1], found[2], id=f"{page.stem}-{number}")


@pytest.mark.parametrize(("kind", "text"), list(examples()))
def test_an_example_is_a_contract_without_fault(kind: str, text: str) -> None:
    (programme,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    documents, refusals = read_documents(contract(kind, text), "example.yaml")
    assert not refusals, [refusal.text() for refusal in refusals]
    programme = documents.programmes[0] if documents.programmes else programme
    wrong = check(documents.documents[-1], programme)
    assert not wrong, [refusal.text() for refusal in wrong]


def kinds(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """Every kind of term that an agreement can hold."""
    if model in seen:
        return
    seen.add(model)
    for name, info in model.model_fields.items():
        if name == "kind":
            yield from map(str, get_args(info.annotation))
        for inner in inner_models(info.annotation):
            yield from kinds(inner, seen)


def inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from inner_models(inner)


def test_every_kind_of_term_is_on_a_page() -> None:
    written = "\n".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))
    terms = {*kinds(Agreement, set()), *kinds(SharedCap, set())}
    missing = {kind for kind in terms if kind not in written}
    assert missing == set()
