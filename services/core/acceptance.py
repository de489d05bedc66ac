"""May this event count, and if not, why: the first reason in a fixed order, with its remedy.

The answer for a good event is its row. What can be known beforehand about a source, a kind of
fact and a metric is looked up in one step, so that the usual event costs microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.agreement import Agreement
from schemas.base import Noun, written
from schemas.conversion import RateOfDay
from schemas.event import (
    EVENT_TYPES,
    KIND_OF_TYPE,
    Charge,
    Circumstance,
    Correction,
    Figure,
    Outage,
    Ticket,
)
from schemas.money import exponent
from schemas.period import first_day
from schemas.programme import Declared, Metric, Programme, Source
from services.core.facts import (
    CHARGE,
    CIRCUMSTANCE,
    CORRECTION,
    COUNT,
    FIGURE,
    LARGEST,
    NO_METRIC,
    OUTAGE,
    RESPONSE,
    SAMPLE,
    TICKET,
    VOLUME,
    Row,
    canonical_data,
    identity_of,
    payload_of,
    scaled,
)
from services.core.horizon import Horizon, horizons_of
from services.core.windows import DAY_US, day_start, microseconds

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
    }
)
"""Which kinds of fact a measure counts. A composite has no facts of its own."""

_NAMES = {number: name.split(".")[1] for name, number in KIND_OF_TYPE.items()}
_ALWAYS = -(2**62)
MOST_FAULTS = 10
"""So many faults of one event are told; who sends more will ask again."""
_ZERO = Fraction(0)


class Reason(StrEnum):
    """Why an event does not count, in order of precedence: the first that holds is told."""

    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_SOURCE = "unknown_source"
    SOURCE_OF_ANOTHER_PARTY = "source_of_another_party"
    BAD_IDENTITY = "bad_identity"
    IN_THE_FUTURE = "in_the_future"
    BAD_DATA = "bad_data"
    UNKNOWN_METRIC = "unknown_metric"
    METRIC_NOT_OF_SOURCE = "metric_not_of_source"
    KIND_DOES_NOT_FIT = "kind_does_not_fit"
    WRONG_UNIT = "wrong_unit"
    NOT_EXACT = "not_exact"
    TOO_MANY_DECIMALS = "too_many_decimals"
    TOO_LARGE = "too_large"
    NEGATIVE_COUNT = "negative_count"
    GOOD_EXCEEDS_TOTAL = "good_exceeds_total"
    OUT_OF_RANGE = "out_of_range"
    TIMES_OUT_OF_ORDER = "times_out_of_order"
    UNKNOWN_VENDOR = "unknown_vendor"
    UNKNOWN_AGREEMENT = "unknown_agreement"
    AGREEMENT_OF_ANOTHER_PARTY = "agreement_of_another_party"
    UNKNOWN_BASE = "unknown_base"
    WRONG_CURRENCY = "wrong_currency"
    BEYOND_HORIZON = "beyond_horizon"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an event does not count. ``field``: JSON pointer into the event; "" is all of it."""

    code: Reason
    field: str
    reason: str
    remedy: str
    also: tuple[Problem, ...] = ()
    """Where the data does not fit its schema: the other fields that do not, MOST_FAULTS in all."""

    @property
    def for_review(self) -> bool:
        """Whether the event is well formed, but a person must decide about it."""
        return self.code is Reason.BEYOND_HORIZON


@dataclass(frozen=True, slots=True)
class Path:
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
    horizon: Horizon
    horizon_us: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What acceptance knows, looked up by source, type and metric. Made by `rules_of`."""

    paths: Mapping[tuple[str, str, str], tuple[Path, ...]]
    sources: Mapping[str, tuple[Programme, ...]]
    """A source's programme: its versions, newest first."""
    agreements: Mapping[str, tuple[Agreement, ...]] | None
    horizons: Mapping[str, Horizon]
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
    return Rules(
        paths=_paths(by_name, numbers, horizons),
        sources=sources,
        agreements=None
        if agreements is None
        else {
            name: tuple(sorted(versions, key=lambda each: each.version, reverse=True))
            for name, versions in named.items()
        },
        horizons=horizons,
        ahead_us=ahead_us,
    )


def _paths(
    by_name: Mapping[str, Sequence[Programme]],
    numbers: Mapping[tuple[str, str], int],
    horizons: Mapping[str, Horizon],
) -> dict[tuple[str, str, str], tuple[Path, ...]]:
    """Every allowed combination; newest first, the oldest reaching back without end."""
    paths: dict[tuple[str, str, str], list[Path]] = {}
    types = tuple(EVENT_TYPES)
    for name, versions in by_name.items():
        for version in versions:
            oldest = version is versions[-1]
            from_us = _ALWAYS if oldest else in_force_us(version)
            metrics = {metric.metric: metric for metric in version.metrics}
            for source in version.sources:
                for metric in (metrics[each] for each in source.metrics or metrics):
                    for kind in KINDS_OF_MEASURE[metric.measure.kind]:
                        key = (source.source, types[kind], metric.metric)
                        number = numbers[(name, metric.metric)]
                        paths.setdefault(key, []).append(
                            _path(from_us, kind, number, metric, source, version, horizons[name])
                        )
    return {key: tuple(found) for key, found in paths.items()}


def _path(
    from_us: int,
    kind: int,
    number: int,
    metric: Metric,
    source: Source,
    programme: Programme,
    horizon: Horizon,
) -> Path:
    return Path(
        from_us=from_us,
        kind=kind,
        number=number,
        name=metric.metric,
        metric=metric,
        party=source.reports_for,
        programme=programme,
        decimals=metric.decimals,
        unit=metric.unit,
        horizon=horizon,
        horizon_us=horizon.days * DAY_US,
    )


def in_force_us(programme: Programme) -> int:
    """The instant from which a version of a programme is in force."""
    return microseconds(day_start(programme.effective_from, programme.time_zone))


def accept(
    rules: Rules,
    source: str,
    event_id: str,
    type_: str,
    at_us: int,
    data: Mapping[str, object],
    party: str | None,
    received_us: int | None,
    latest_us: int | None = None,
) -> Row | Problem:
    """The row of an event that may count, else the first reason why it may not.

    ``data``: plain decoded JSON. ``party``: who has authenticated itself; None where everyone may
    speak for everyone, as offline. ``received_us``: arrival, which no event may lie ahead of; None
    where it does not matter. ``latest_us``: the latest event time accepted from the source, which
    late events are held against (`services.core.horizon.Latest`); None where it is not known.
    """
    try:
        paths = rules.paths[source, type_, data["metric"]]  # type: ignore[index]
    except (KeyError, TypeError):
        return _off_the_path(
            rules, source, event_id, type_, at_us, data, party, received_us, latest_us
        )
    path = paths[0]
    if at_us < path.from_us:
        path = next((each for each in paths if at_us >= each.from_us), paths[-1])
    if party is not None and party != path.party:
        return _another_party(source)
    if not _printable(event_id, 200):
        return _bad_identity("/id")
    if received_us is not None and at_us > received_us + rules.ahead_us:
        return _in_the_future()
    kind = path.kind
    # The quick look first: an event no older than the days of restatement is never too old.
    if latest_us is not None and latest_us - at_us > path.horizon_us and kind != FIGURE:
        late = _beyond(path.horizon, at_us, None, latest_us)
        if late is not None:
            return late
    quick = _QUICK.get(kind)
    if quick is None:
        return _with_data(path, source, event_id, at_us, data, latest_us)
    pair = quick(path, data)
    if not isinstance(pair, tuple):
        return _explained(path, data, pair)
    a, b = pair
    subject: str | None = data.get("subject")  # type: ignore[assignment]
    identity = identity_of(source, event_id)
    payload = payload_of(kind, at_us, path.name, subject, a, b, "")
    # A named tuple is made of a plain one in half of the time that its own constructor takes.
    return _made(
        Row, (source, event_id, identity, payload, kind, path.number, at_us, a, b, subject, "")
    )


_made = tuple.__new__


def _printable(text: object, most: int) -> bool:
    return (
        type(text) is str
        and 0 < len(text) <= most
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


# --- the usual kinds: the two columns, or why not -------------------------------------------------

Pair = tuple[int, int]


def _bad_subject(data: Mapping[str, object], others: int) -> bool:
    """Whether the subject is not one, or there are fields beside it and the others."""
    subject = data.get("subject")
    if subject is None:
        return len(data) != others and not (len(data) == others + 1 and "subject" in data)
    return len(data) != others + 1 or not _printable(subject, 120)


def _sample(path: Path, data: Mapping[str, object]) -> Pair | Problem | None:
    up = data.get("up")
    if (up is not True and up is not False) or _bad_subject(data, 2):
        return None
    return (1 if up else 0), 1


def _count(path: Path, data: Mapping[str, object]) -> Pair | Problem | None:
    good, total = data.get("good"), data.get("total")
    if type(good) is not int or type(total) is not int or _bad_subject(data, 3):
        return None
    if 0 <= good <= total < LARGEST:
        return good, total
    if good < 0 or total < 0:
        field = "/data/good" if good < 0 else "/data/total"
        return Problem(
            Reason.NEGATIVE_COUNT, field, "a count is below zero", "report counts of 0 or more"
        )
    if good > total:
        return Problem(
            Reason.GOOD_EXCEEDS_TOTAL,
            "/data/good",
            f"good is {good}, which is more than the total of {total}",
            "report good as a part of total",
        )
    return _too_large("/data/total")


def _value(path: Path, data: Mapping[str, object]) -> Pair | Problem | None:
    if data.get("unit") != path.unit or _bad_subject(data, 3):
        return None
    return _whole(path, data.get("value"))


_QUICK: dict[int, Callable[[Path, Mapping[str, object]], Pair | Problem | None]] = {
    SAMPLE: _sample,
    COUNT: _count,
    RESPONSE: _value,
    VOLUME: _value,
}


def _whole(path: Path, value: object) -> Pair | Problem:
    """A value as a whole number and its decimals, or why it cannot be taken."""
    pair = scaled(value)
    if pair is None:
        return Problem(
            Reason.NOT_EXACT,
            "/data/value",
            f"{value!r} is not an exact decimal",
            "write an integer, or a decimal in quotes such as '99.9'",
        )
    if pair[1] > path.decimals:
        return Problem(
            Reason.TOO_MANY_DECIMALS,
            "/data/value",
            f"{path.metric.metric} takes {path.decimals} decimals, this value has {pair[1]}",
            "round at the source, or let the programme allow more decimals",
        )
    return pair if -LARGEST < pair[0] < LARGEST else _too_large("/data/value")


def _too_large(field: str) -> Problem:
    return Problem(
        Reason.TOO_LARGE, field, "the number is too large to be counted", "check the unit"
    )


def _explained(path: Path, data: Mapping[str, object], found: Problem | None) -> Problem:
    """Why the quick look failed. A problem of shape comes before one of numbers."""
    if found is not None:
        return found
    unit = data.get("unit")
    if path.kind in (RESPONSE, VOLUME) and type(unit) is str and unit != path.unit:
        return _wrong_unit(path, unit)
    shape = _shaped(EVENT_TYPES_BY_KIND[path.kind], data)
    if isinstance(shape, Problem):
        return shape
    return Problem(
        Reason.BAD_DATA,
        "/data",
        "the data does not have the types of its kind",
        "write true or false without quotes, and counts as whole numbers",
    )


EVENT_TYPES_BY_KIND = tuple(EVENT_TYPES.values())


def _wrong_unit(path: Path, unit: str) -> Problem:
    return Problem(
        Reason.WRONG_UNIT,
        "/data/unit",
        f"the unit is {unit}, but {path.metric.metric} is measured in {path.unit}",
        f"convert at the source and write {path.unit}",
    )


def _shaped(model: type[Noun], data: Mapping[str, object], within: str = "/data") -> Noun | Problem:
    """The data read as its noun, or what about it cannot be read."""
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        first, *also = [_fault(each, within) for each in found[:MOST_FAULTS]]
        return replace(first, also=tuple(also))


def _fault(found: ErrorDetails, within: str) -> Problem:
    """What is wrong with one field, of what pydantic found."""
    pointer = "".join(
        "/" + str(step).replace("~", "~0").replace("/", "~1") for step in found["loc"]
    )
    said = found["msg"].removeprefix("Value error, ")
    exact = said.startswith(("not an exact number", "write the number"))
    code = Reason.NOT_EXACT if exact else Reason.BAD_DATA
    remedy = {
        "missing": "add the field",
        "extra_forbidden": "leave the field out; put it into an extension attribute",
    }.get(found["type"], "correct the value")
    return Problem(code, within + pointer, said, remedy)


# --- the other kinds: data kept whole -------------------------------------------------------------


def _with_data(
    path: Path,
    source: str,
    event_id: str,
    at_us: int,
    data: Mapping[str, object],
    latest_us: int | None,
) -> Row | Problem:
    """An outage, ticket, delivery or declared figure."""
    unit = data.get("unit")
    if path.kind == FIGURE and type(unit) is str and unit != path.unit:
        return _wrong_unit(path, unit)
    noun = _shaped(EVENT_TYPES_BY_KIND[path.kind], data)
    if isinstance(noun, Problem):
        return noun
    a = b = 0
    problem: Problem | None = None
    if isinstance(noun, Figure):
        pair = _figure(path, noun)
        if isinstance(pair, Problem):
            return pair
        a, b = pair
        problem = _beyond(path.horizon, at_us, noun.period, latest_us)
    elif isinstance(noun, Outage):
        problem = _outage(noun)
    elif isinstance(noun, Ticket):
        problem = _ticket(path.programme, noun)
    if problem is not None:
        return problem
    subject = getattr(noun, "subject", None)
    return _row(source, event_id, path.kind, path.number, at_us, (a, b), noun, subject)


def _row(
    source: str,
    event_id: str,
    kind: int,
    number: int,
    at_us: int,
    pair: Pair,
    noun: Noun,
    subject: str | None,
) -> Row:
    data = canonical_data(noun)
    name = getattr(noun, "metric", "")
    return Row(
        source,
        event_id,
        identity_of(source, event_id),
        payload_of(kind, at_us, name, subject, *pair, data),
        kind,
        number,
        at_us,
        *pair,
        subject,
        data,
    )


def _figure(path: Path, noun: Figure) -> Pair | Problem:
    pair = _whole(path, written(noun.value))
    measure = path.metric.measure
    if isinstance(pair, Problem) or not isinstance(measure, Declared):
        return pair
    low, high = measure.at_least, measure.at_most
    if (low is None or noun.value >= low) and (high is None or noun.value <= high):
        return pair
    return Problem(
        Reason.OUT_OF_RANGE,
        "/data/value",
        f"{written(noun.value)} is not {_range(low, high)}",
        "check the figure; a result outside the possible range is an error of measurement",
    )


def _range(low: Fraction | None, high: Fraction | None) -> str:
    if low is not None and high is not None:
        return f"between {written(low)} and {written(high)}"
    return f"at least {written(low)}" if low is not None else f"at most {written(high or _ZERO)}"


def _outage(noun: Outage) -> Problem | None:
    named = noun.started_at is not None or noun.ended_at is not None
    if noun.phase != "correct" and (named or noun.void):
        return Problem(
            Reason.TIMES_OUT_OF_ORDER,
            "/data/phase",
            f"an outage that is '{noun.phase}' takes its moment from the event's time alone",
            "leave out started_at, ended_at and void, or write phase 'correct'",
        )
    if noun.phase == "correct" and noun.void == named:
        return Problem(
            Reason.TIMES_OUT_OF_ORDER,
            "/data",
            "a corrected outage states new times or is void, and not both",
            "give started_at or ended_at, or write void: true alone",
        )
    if noun.started_at is not None and noun.ended_at is not None:
        if noun.ended_at >= noun.started_at:  # of no length, as one that closes as it opens
            return None
        return Problem(
            Reason.TIMES_OUT_OF_ORDER,
            "/data/ended_at",
            "the outage ends before it starts",
            "exchange the times or correct the wrong one",
        )
    return None


def _ticket(programme: Programme, noun: Ticket) -> Problem | None:
    vendors = {vendor.vendor for vendor in programme.vendors}
    if noun.assigned_to is None or noun.assigned_to in {*vendors, programme.buyer}:
        return None
    return Problem(
        Reason.UNKNOWN_VENDOR,
        "/data/assigned_to",
        f"{noun.assigned_to} is no vendor of the programme {programme.programme}",
        "correct the name, or add the vendor to the programme",
    )


# --- events without a metric, and those that found no path ----------------------------------------


def _off_the_path(
    rules: Rules,
    source: str,
    event_id: str,
    type_: str,
    at_us: int,
    data: Mapping[str, object],
    party: str | None,
    received_us: int | None,
    latest_us: int | None,
) -> Row | Problem:
    kind = KIND_OF_TYPE.get(type_)
    if kind is None:
        return Problem(
            Reason.UNKNOWN_TYPE, "/type", f"type {type_!r} is unknown", f"use {', '.join(_TYPES)}"
        )
    versions = rules.sources.get(source)
    if versions is None:
        return Problem(
            Reason.UNKNOWN_SOURCE,
            "/source",
            f"no programme declares the source {source!r}",
            "correct the source, or add it to the programme",
        )
    programme = in_force(versions, at_us)
    declared = _declared(versions, programme, source)
    if party is not None and party != declared.reports_for:
        return _another_party(source)
    if not _printable(event_id, 200):
        return _bad_identity("/id")
    if received_us is not None and at_us > received_us + rules.ahead_us:
        return _in_the_future()
    if kind in (CORRECTION, CHARGE, CIRCUMSTANCE):
        return _without_metric(rules, programme, declared, kind, event_id, at_us, data, latest_us)
    shape = _shaped(EVENT_TYPES_BY_KIND[kind], data)
    if isinstance(shape, Problem) and shape.field == "/data/metric":
        return shape
    return _no_path(programme, declared, kind, str(data.get("metric")))


_TYPES = tuple(EVENT_TYPES)


def in_force(versions: Sequence[Programme], at_us: int) -> Programme:
    """The version in force at an instant; before the first one, the first. Newest first."""
    return next((each for each in versions if in_force_us(each) <= at_us), versions[-1])


def _declared(versions: Sequence[Programme], programme: Programme, source: str) -> Source:
    """What the version says of a source, or the newest version that knows it."""
    for version in (programme, *versions):
        for each in version.sources:
            if each.source == source:
                return each
    raise AssertionError(f"{source} is in no version although it was found in one")


def _no_path(programme: Programme, source: Source, kind: int, name: str) -> Problem:
    metric = programme.metric(name)
    if metric is None:
        return Problem(
            Reason.UNKNOWN_METRIC,
            "/data/metric",
            f"the programme {programme.programme} has no metric {name!r} at the event's time",
            "correct the name, or define the metric in the programme",
        )
    if KINDS_OF_MEASURE[metric.measure.kind].count(kind):
        return Problem(
            Reason.METRIC_NOT_OF_SOURCE,
            "/data/metric",
            f"the source {source.source} may not report {name}",
            "send it from a source that may, or allow this one in the programme",
        )
    fitting = [_NAMES[each] for each in KINDS_OF_MEASURE[metric.measure.kind]]
    return Problem(
        Reason.KIND_DOES_NOT_FIT,
        "/type",
        f"{name} is counted by {metric.measure.kind}, which no {_NAMES[kind]} can move",
        f"send {' or '.join(fitting)}" if fitting else "send facts of the metrics it is made of",
    )


def _without_metric(
    rules: Rules,
    programme: Programme,
    source: Source,
    kind: int,
    event_id: str,
    at_us: int,
    data: Mapping[str, object],
    latest_us: int | None,
) -> Row | Problem:
    """A correction, charge or circumstance."""
    noun = _shaped(EVENT_TYPES_BY_KIND[kind], data)
    if isinstance(noun, Problem):
        return noun
    problem: Problem | None = None
    if isinstance(noun, Correction) and noun.data is not None:
        problem = _replacement(rules, source, event_id, at_us, noun.data)
    if isinstance(noun, Charge | Circumstance):
        problem = _of_agreement(rules, programme, source, noun)
        horizon = rules.horizons[programme.programme]
        problem = problem or _beyond(horizon, at_us, noun.period, latest_us)
    if problem is not None:
        return problem
    subject = getattr(noun, "subject", None)
    return _row(source.source, event_id, kind, NO_METRIC, at_us, (0, 0), noun, subject)


def _replacement(
    rules: Rules, source: Source, event_id: str, at_us: int, data: Mapping[str, object]
) -> Problem | None:
    """Whether the data could stand in some event of this source. Which one, the door may not know.

    Whether it fits the event that it corrects is seen when both are counted.
    """
    problem: Problem | None = None
    for type_, model in EVENT_TYPES.items():
        needed = {name for name, field in model.model_fields.items() if field.is_required()}
        if not needed <= data.keys() <= model.model_fields.keys():
            continue
        found = accept(rules, source.source, event_id, type_, at_us, data, None, None)
        if isinstance(found, Row):
            return None
        problem = problem or found
    if problem is not None:
        also = tuple(replace(each, field=f"/data{each.field}") for each in problem.also)
        return replace(problem, field=f"/data{problem.field}", also=also)
    return Problem(
        Reason.BAD_DATA,
        "/data/data",
        "the data is that of no kind of event",
        "write the whole data of the event that it corrects, not only what changes",
    )


def _of_agreement(
    rules: Rules, programme: Programme, source: Source, noun: Charge | Circumstance
) -> Problem | None:
    """Whether the agreement exists, is the source's business, and knows the base and currency."""
    if rules.agreements is None:
        return None
    versions = rules.agreements.get(noun.agreement)
    if versions is None or versions[0].programme != programme.programme:
        return Problem(
            Reason.UNKNOWN_AGREEMENT,
            "/data/agreement",
            f"the programme {programme.programme} has no agreement {noun.agreement}",
            "correct the name, or apply the agreement first",
        )
    if source.reports_for not in (programme.buyer, versions[0].vendor):
        return Problem(
            Reason.AGREEMENT_OF_ANOTHER_PARTY,
            "/data/agreement",
            f"{source.reports_for} is no party of the agreement {noun.agreement}",
            "only its vendor and the buyer may speak about it",
        )
    if isinstance(noun, Circumstance):
        return None
    return _charge(_covering(versions, first_day(noun.period)), noun)


def _covering(versions: Sequence[Agreement], day: date) -> Agreement:
    """The version of an agreement that covers a day; before the first, the first. Newest first."""
    return next((each for each in versions if each.effective_from <= day), versions[-1])


def _charge(agreement: Agreement, noun: Charge) -> Problem | None:
    rules = {rule.currency: rule for rule in agreement.conversions}
    rule = rules.get(noun.currency)
    if noun.currency != agreement.currency and rule is None:
        also = f" and converts {', '.join(rules)}" if rules else ""
        return Problem(
            Reason.WRONG_CURRENCY,
            "/data/currency",
            f"the agreement is in {agreement.currency}{also}, the charge in {noun.currency}",
            f"state the charge in {' or '.join((agreement.currency, *rules))}",
        )
    if isinstance(rule, RateOfDay) and rule.day == "invoice_date" and noun.dated is None:
        return Problem(
            Reason.BAD_DATA,
            "/data/dated",
            f"{noun.currency} is converted by the invoice's date, which is not stated",
            "add dated, the day of the invoice such as 2025-01-31",
        )
    bases = [base.base for base in agreement.bases]
    if noun.base not in bases:
        return Problem(
            Reason.UNKNOWN_BASE,
            "/data/base",
            f"the agreement {agreement.agreement} has no base {noun.base}",
            f"use {', '.join(bases)}" if bases else "the agreement takes no charges",
        )
    places = exponent(noun.currency)
    if (noun.amount * 10**places).denominator != 1:
        return Problem(
            Reason.TOO_MANY_DECIMALS,
            "/data/amount",
            f"{noun.currency} has {places} decimals, the amount has more",
            "state the amount in whole minor units",
        )
    if abs(noun.amount * 10**places) >= LARGEST:
        return _too_large("/data/amount")
    return None


# --- who and when ---------------------------------------------------------------------------------


def _another_party(source: str) -> Problem:
    return Problem(
        Reason.SOURCE_OF_ANOTHER_PARTY,
        "/source",
        f"the source {source} reports for another party",
        "use the key of the party that the source reports for, or your own source",
    )


def _bad_identity(field: str) -> Problem:
    return Problem(
        Reason.BAD_IDENTITY,
        field,
        "not 1 to 200 printable characters without spaces",
        "choose an id such as a UUID, and keep it when you send the event again",
    )


def _in_the_future() -> Problem:
    return Problem(
        Reason.IN_THE_FUTURE,
        "/time",
        "the event's time lies ahead of its arrival by more than clocks may differ",
        "set the source's clock, or send the event when it has happened",
    )


def _beyond(
    horizon: Horizon, at_us: int, period: str | None, latest_us: int | None
) -> Problem | None:
    """Whether every settlement period that the event could touch can no longer be settled."""
    if latest_us is None or not horizon.is_beyond(horizon.about_us(at_us, period), latest_us):
        return None
    return Problem(
        Reason.BEYOND_HORIZON,
        "/time" if period is None else "/data/period",
        f"its period could be settled again for {horizon.days} days after its end, and this source "
        "has since reported later events than that",
        "the event waits for review; have it decided there",
    )
