"""What the catalogue says about sources and metrics, laid out for one look-up per event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.event import KIND_OF_TYPE
from schemas.period import PeriodLength
from schemas.programme import Measure
from services.catalogue.snapshot import Catalogue

_DAY_US = 86_400 * 1_000_000
_LONGEST_DAYS: Mapping[PeriodLength, int] = {
    "day": 1,
    "month": 31,
    "quarter": 92,
    "half_year": 184,
    "year": 366,
}

SAMPLE, COUNT, RESPONSE, VOLUME, OUTAGE, TICKET, DELIVERY, FIGURE = (
    KIND_OF_TYPE[f"earnback.{name}.v1"]
    for name in ("sample", "count", "response", "volume", "outage", "ticket", "delivery", "figure")
)
_VALUES = frozenset({RESPONSE, VOLUME})
KINDS_OF_MEASURE: Mapping[str, frozenset[int]] = {
    "availability_by_samples": frozenset({SAMPLE}),
    "availability_by_status": frozenset({SAMPLE}),
    "availability_by_outages": frozenset({OUTAGE}),
    "outage_time": frozenset({OUTAGE}),
    "outage_count": frozenset({OUTAGE}),
    "ratio": frozenset({COUNT}),
    "total": frozenset({COUNT}) | _VALUES,
    "mean": _VALUES,
    "maximum": _VALUES,
    "minimum": _VALUES,
    "percentile": _VALUES,
    "within_limit": _VALUES,
    "tickets_in_time": frozenset({TICKET}),
    "declared": frozenset({FIGURE}),
    "delivery_delay": frozenset({DELIVERY}),
    "series": frozenset(),
    "parallel": frozenset(),
}
"""Which types of event a measure is made of. A composite is made of other metrics' figures."""


@dataclass(frozen=True, slots=True)
class MetricRule:
    """What a source may say of a metric, and how."""

    number: int
    party: str
    kinds: frozenset[int]
    unit: str
    decimals: int
    keep_us: int


@dataclass(frozen=True, slots=True)
class SourceRule:
    """Who a source speaks for, in which programme, and how long its facts can still be settled."""

    programme: str
    party: str
    keep_us: int


@dataclass(frozen=True, slots=True)
class AgreementRule:
    """What a charge or a circumstance must fit."""

    programme: str
    currency: str


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of one revision of the catalogue.

    A source may report what any version of its programme lets it report: facts of earlier times
    still come when a later version has dropped the metric. Units never change between versions.
    """

    revision: int
    sources: Mapping[str, SourceRule]
    metrics: Mapping[tuple[str, str], MetricRule]
    """(source, metric) to its rule, where the source may report the metric."""
    names: frozenset[tuple[str, str]]
    """(programme, metric) of every metric there is."""
    agreements: Mapping[str, AgreementRule]
    parties: Mapping[str, frozenset[str]]
    """Programme to its vendors."""


def rules_of(catalogue: Catalogue) -> Rules:
    """Lay out a snapshot of the catalogue."""
    sources: dict[str, SourceRule] = {}
    metrics: dict[tuple[str, str], MetricRule] = {}
    for name, versions in catalogue.programmes.items():
        keep = _keep_us(catalogue, name)
        for programme in versions:
            units = {metric.metric: metric for metric in programme.metrics}
            for declared in programme.sources:
                sources[declared.source] = SourceRule(name, declared.reports_for, keep)
                for metric in declared.metrics or units:
                    found = units[metric]
                    metrics[declared.source, metric] = MetricRule(
                        number=catalogue.numbers[name, metric],
                        party=declared.reports_for,
                        kinds=kinds_of(found.measure),
                        unit=found.unit,
                        decimals=found.decimals,
                        keep_us=keep,
                    )
    return Rules(
        revision=catalogue.revision,
        sources=sources,
        metrics=metrics,
        names=frozenset(catalogue.numbers),
        agreements={
            name: AgreementRule(versions[-1].programme, versions[-1].currency)
            for name, versions in catalogue.agreements.items()
        },
        parties={
            name: frozenset(vendor.vendor for each in versions for vendor in each.vendors)
            for name, versions in catalogue.programmes.items()
        },
    )


def kinds_of(measure: Measure) -> frozenset[int]:
    """The kinds of event that a measure counts."""
    return KINDS_OF_MEASURE[measure.kind]


def _keep_us(catalogue: Catalogue, programme: str) -> int:
    """How old a fact may be at the door.

    A fact belongs to a period that ends at most one period's length after it, and may come for as
    long after that as the programme says. The evaluator knows the very period and is stricter; the
    door turns away only what no agreement of the programme could still settle.
    """
    days = max(each.restated_for_days for each in catalogue.programmes[programme])
    settled: Iterable[PeriodLength] = (
        version.settled
        for versions in catalogue.agreements.values()
        for version in versions
        if version.programme == programme
    )
    return (days + max((_LONGEST_DAYS[each] for each in settled), default=366)) * _DAY_US
