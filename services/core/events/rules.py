"""What acceptance knows about sources, kinds of fact and metrics, looked up in one step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from types import MappingProxyType

from schemas.agreement import Agreement
from schemas.event import EVENT_TYPES, KIND_OF_TYPE
from schemas.period import PeriodLength
from schemas.programme import Metric, Programme, Source
from services.core.calendar.windows import DAY_US, day_start, microseconds
from services.core.events.facts import COUNT, FIGURE, OUTAGE, RESPONSE, SAMPLE, TICKET, VOLUME
from services.core.events.horizon import Horizon, horizons_of
from services.core.events.stated_numbers import StatedNumber, stated_numbers
from services.core.events.wanted import lengths_asked

KINDS_OF_MEASURE: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "availability_by_samples": (SAMPLE, COUNT),
        "availability_by_status": (SAMPLE,),
        "availability_by_outages": (OUTAGE,),
        "outage_time": (OUTAGE,),
        "outage_count": (OUTAGE,),
        "ratio": (COUNT,),
        "total": (COUNT, VOLUME, RESPONSE),
        "mean": (RESPONSE, VOLUME),
        "maximum": (RESPONSE, VOLUME),
        "minimum": (RESPONSE, VOLUME),
        "percentile": (RESPONSE, VOLUME),
        "within_limit": (RESPONSE, VOLUME),
        "tickets_in_time": (TICKET,),
        "declared": (FIGURE,),
        "delivery_delay": (KIND_OF_TYPE["earnback.delivery.v1"],),
        "series": (),
        "parallel": (),
        "overlap": (),
        "weighted": (),
        "worst": (),
        "best": (),
        "mean_of_parts": (),
        "sum_of_parts": (),
        "difference": (),
    }
)
"""Which kinds of fact a measure counts. A composite has no facts of its own."""


_ALWAYS = -(2**62)
_ANY = 2**200
"""More than any value is, in whatever decimals."""


@dataclass(frozen=True, slots=True)
class FactRule:
    """How one kind of fact, from one source and about one metric, is judged from a moment on."""

    from_us: int
    kind: int
    number: int
    name: str
    metric: Metric
    party: str
    programme: Programme
    decimals: int
    unit: str
    lowest: int
    highest: int
    """The values that it may have, from the lowest on, in units of its last decimal."""
    horizon: Horizon
    horizon_us: int
    lengths: frozenset[PeriodLength] | None
    """Lengths of the windows in which agreements ask for the metric. None: not known, or none."""

    def is_possible(self, value: int, decimals: int) -> bool:
        """Whether a value of so many decimals, no more than the metric's, lies in its range."""
        units: int = value * 10 ** (self.decimals - decimals)
        return self.lowest <= units <= self.highest


@dataclass(frozen=True, slots=True)
class Rules:
    """What acceptance knows, looked up by source, type and metric. Made by `rules_of`."""

    paths: Mapping[tuple[str, str, str], tuple[FactRule, ...]]
    sources: Mapping[str, tuple[Programme, ...]]
    """A source's programme: its versions, newest first."""
    agreements: Mapping[str, tuple[Agreement, ...]] | None
    programmes: Mapping[str, Sequence[Programme]]
    horizons: Mapping[str, Horizon]
    stated: Mapping[tuple[str, int], tuple[StatedNumber, ...]]
    """An agreement's version to the numbers that its terms read of circumstances."""
    ahead_us: int


def rules_of(
    programmes: Iterable[Programme],
    agreements: Iterable[Agreement] | None,
    numbers: Mapping[tuple[str, str], int],
    *,
    ahead_us: int = 300_000_000,
) -> Rules:
    """Prepare acceptance from all versions of programmes and agreements.

    ``agreements`` None: charges and circumstances are not held against agreements. ``numbers``:
    (programme, metric) to the number in frames. ``ahead_us``: how far ahead of its arrival an
    event's time may lie. Raises ValueError where two programmes claim one source.
    """
    by_name: dict[str, list[Programme]] = {}
    for programme in sorted(programmes, key=lambda each: each.version, reverse=True):
        by_name.setdefault(programme.programme, []).append(programme)
    sources: dict[str, tuple[Programme, ...]] = {}
    for versions in by_name.values():
        for source in {source.source for version in versions for source in version.sources}:
            other = sources.setdefault(source, tuple(versions))
            if other[0].programme != versions[0].programme:
                raise ValueError(
                    f"source {source} is declared by the programmes {other[0].programme} and "
                    f"{versions[0].programme}; a source reports to one, give it two names"
                )
    named: dict[str, list[Agreement]] = {}
    for agreement in agreements or ():
        named.setdefault(agreement.agreement, []).append(agreement)
    horizons = horizons_of(by_name, (each for versions in named.values() for each in versions))
    paths = _paths(by_name, numbers, horizons, named)
    rules = Rules(paths, sources, None, by_name, horizons, {}, ahead_us)
    every = [version for versions in named.values() for version in versions]
    return rules if agreements is None else held_against(rules, every)


def held_against(rules: Rules, agreements: Iterable[Agreement]) -> Rules:
    """The rules by which charges and circumstances are held against these agreements too."""
    named: dict[str, list[Agreement]] = {}
    for agreement in sorted(agreements, key=lambda each: each.version, reverse=True):
        named.setdefault(agreement.agreement, []).append(agreement)
    stated = {
        (name, version.version): stated_numbers(
            version, rules.programmes.get(version.programme, ())
        )
        for name, versions in named.items()
        for version in versions
    }
    agreed = {name: tuple(versions) for name, versions in named.items()}
    return replace(rules, agreements=agreed, stated=stated)


def _paths(
    by_name: Mapping[str, Sequence[Programme]],
    numbers: Mapping[tuple[str, str], int],
    horizons: Mapping[str, Horizon],
    agreements: Mapping[str, Sequence[Agreement]],
) -> dict[tuple[str, str, str], tuple[FactRule, ...]]:
    """Every allowed combination; newest first, the oldest reaching back without end."""
    paths: dict[tuple[str, str, str], list[FactRule]] = {}
    types = tuple(EVENT_TYPES)
    every = [version for one in agreements.values() for version in one]
    for name, versions in by_name.items():
        lengths = lengths_asked(versions, (one for one in every if one.programme == name))
        for version in versions:
            oldest = version is versions[-1]
            from_us = _ALWAYS if oldest else in_force_us(version)
            metrics = {metric.metric: metric for metric in version.metrics}
            made: dict[tuple[str, str], list[FactRule]] = {}
            for source in version.sources:
                for metric in source.metrics:
                    # The same for all of a party's sources, which may be many.
                    known = (metric, source.reports_for)
                    if known not in made:
                        number, asked = numbers[(name, metric)], lengths.get(metric)
                        more = (number, source.reports_for, version, horizons[name], asked)
                        made[known] = _rules_about(metrics[metric], from_us, *more)
                    for rule in made[known]:
                        key = (source.source, types[rule.kind], metric)
                        paths.setdefault(key, []).append(rule)
    return {key: tuple(found) for key, found in paths.items()}


def _rules_about(
    metric: Metric,
    from_us: int,
    number: int,
    party: str,
    programme: Programme,
    horizon: Horizon,
    lengths: frozenset[PeriodLength] | None,
) -> list[FactRule]:
    """One for each kind of fact that the metric counts."""
    lowest, highest = _bounds(metric)
    return [
        FactRule(
            from_us=from_us,
            kind=kind,
            number=number,
            name=metric.metric,
            metric=metric,
            party=party,
            programme=programme,
            decimals=metric.decimals,
            unit=metric.unit,
            lowest=lowest,
            highest=highest,
            horizon=horizon,
            horizon_us=horizon.days * DAY_US,
            lengths=lengths,
        )
        for kind in KINDS_OF_MEASURE[metric.measure.kind]
    ]


def _bounds(metric: Metric) -> tuple[int, int]:
    """The range of a metric's values, in units of its last decimal."""
    low, high = metric.value_range
    scale = 10**metric.decimals
    return (
        -_ANY if low is None else ceil(low * scale),
        _ANY if high is None else floor(high * scale),
    )


def in_force_us(programme: Programme) -> int:
    """The instant from which a version of a programme is in force."""
    return microseconds(day_start(programme.effective_from, programme.time_zone))


def in_force(versions: Sequence[Programme], at_us: int) -> Programme:
    """The version in force at an instant; before the first one, the first. Newest first."""
    return next((each for each in versions if in_force_us(each) <= at_us), versions[-1])


def declared(versions: Sequence[Programme], programme: Programme, source: str) -> Source:
    """What the version says of a source, or the newest version that knows it."""
    for version in (programme, *versions):
        for each in version.sources:
            if each.source == source:
                return each
    raise AssertionError(f"{source} is in no version although it was found in one")


EVENT_TYPES_BY_KIND = tuple(EVENT_TYPES.values())
"""The model of each kind's data, by the kind's number."""
