"""A contract looks at the worth of deliveries only where it counts single ones."""

from __future__ import annotations

import pytest

from services.core.contracts.check import check
from services.core.contracts.reading import Refusal, read_documents
from tests.core.test_terms_pages import HEAD, LEVEL, PROGRAMME

EACH = "{kind: duration, metric: %s, of: each, counted: elapsed, unit: 1, part_unit: in_proportion}"
LATE = EACH % "deliveries"
WORTH = "{kind: worth_of, percent: 1}"
LIMIT = "{kind: worth_of_each, percent: 5}"
BANDS = (
    "{kind: by_band, of: quantity, gives: amount, "
    "bands: [{below: 0, gives: 0}, {at_least: 0, gives: 1}]}"
)


def refused(quantity: str = LATE, rate: str = WORTH, limit: str = LIMIT) -> tuple[Refusal, ...]:
    """What is wrong with a credit of this quantity, rate and limit."""
    credit = (
        "    credits:\n"
        f"      - {{is_a: penalty, due: {{kind: on_default}}, quantity: {quantity}, "
        f"rate: {rate}, at_most: {limit}}}\n"
    )
    (programme,) = read_documents(PROGRAMME, "programme.yaml")[0].programmes
    found, refusals = read_documents(f"{HEAD}levels:\n{LEVEL}{credit}", "late.yaml")
    assert not refusals, [one.text() for one in refusals]
    return check(found.documents[0], programme)


@pytest.mark.parametrize("limit", [LIMIT, WORTH])
@pytest.mark.parametrize(
    "rate",
    [
        WORTH,
        "{kind: amount, amount: 50}",
        "{kind: percent_of, percent: 1, base: fee}",
        "{kind: fraction_of, fraction: 1/720, base: fee}",
        "{kind: day_of, base: fee}",
    ],
)
def test_what_prices_each_delivery_may_have_a_ceiling_of_each(rate: str, limit: str) -> None:
    assert refused(rate=rate, limit=limit) == ()


def test_what_prices_deliveries_together_has_no_ceiling_of_each() -> None:
    (refusal,) = refused(rate=BANDS)
    assert refusal.path == "levels[0].credits[0].at_most"
    assert refusal.reason == "by_band prices all deliveries together, and the ceiling is of each"
    assert refused(rate=BANDS, limit=WORTH) == ()


@pytest.mark.parametrize(
    "quantity", ["{kind: one}", EACH % "outages", (EACH % "outages").replace("each", "total")]
)
@pytest.mark.parametrize("limit", [LIMIT, WORTH])
def test_what_states_no_worth_has_neither_rate_nor_ceiling_of_it(quantity: str, limit: str) -> None:
    assert [one.path for one in refused(quantity, limit=limit)] == [
        "levels[0].credits[0].rate",
        "levels[0].credits[0].at_most",
    ]
