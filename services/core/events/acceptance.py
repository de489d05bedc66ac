"""May this event count, and if not, why: the first reason in a fixed order, with its remedy.

The answer for a good event is its row. What can be known beforehand about a source, a kind of
fact and a metric is looked up in one step, so that the usual event costs microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from schemas.base import Noun, written
from schemas.event import (
    EVENT_TYPES,
    KIND_OF_TYPE,
    Charge,
    Circumstance,
    Correction,
    Delivery,
    Figure,
    Outage,
    ProposalAnswer,
    Ticket,
)
from schemas.period import first_day, label_of, period_length
from schemas.period_cycle import cycle_of, length_text
from schemas.programme import Programme, Source
from services.core.calendar.windows import microseconds
from services.core.events.agreement_facts import of_agreement
from services.core.events.answers import of_proposal
from services.core.events.facts import (
    ANSWER,
    CHARGE,
    CIRCUMSTANCE,
    CORRECTION,
    FIGURE,
    NO_METRIC,
    Row,
    canonical_data,
    identity_of,
    payload_of,
)
from services.core.events.rejections import (
    Rejection,
    RejectionCode,
    bad_identity,
    beyond,
    in_the_future,
    late_correction,
    not_of_role,
    not_of_sender,
    not_of_source,
    out_of_range,
    shaped,
    wrong_unit,
)
from services.core.events.roles import MAY_SEND, Sender
from services.core.events.rules import (
    EVENT_TYPES_BY_KIND,
    KINDS_OF_MEASURE,
    FactRule,
    Rules,
    declared,
    in_force,
)
from services.core.events.usual import QUICK, Pair, explained, printable, whole

_NAMES = {number: name.split(".")[1] for name, number in KIND_OF_TYPE.items()}


def accept(
    rules: Rules,
    source: str,
    event_id: str,
    type_: str,
    at_us: int,
    data: Mapping[str, object],
    sender: Sender | None,
    received_us: int | None,
    latest_us: int | None = None,
) -> Row | Rejection:
    """The row of an event that may count, else the first reason why it may not.

    ``data``: plain decoded JSON. ``sender``: who has authenticated itself; None where everyone may
    speak for everyone, as offline. ``received_us``: arrival, which no event may lie ahead of; None
    where it does not matter. ``latest_us``: the latest event time accepted from the source, which
    late events are held against (`services.core.events.horizon.Latest`); None where not known.
    """
    try:
        paths = rules.paths[source, type_, data["metric"]]  # type: ignore[index]
    except (KeyError, TypeError):
        return _off_the_path(
            rules, source, event_id, type_, at_us, data, sender, received_us, latest_us
        )
    path = paths[0]
    if at_us < path.from_us:
        path = next((each for each in paths if at_us >= each.from_us), paths[-1])
    if sender is not None:
        if path.kind not in MAY_SEND[sender.role]:
            return not_of_role(sender.role, path.kind)
        if sender.party != path.party:
            return not_of_sender(source, sender.party)
    if not printable(event_id, 200):
        return bad_identity("/id")
    until_us = None if received_us is None else received_us + rules.ahead_us
    if until_us is not None and at_us > until_us:
        return in_the_future()
    kind = path.kind
    # The quick look first: an event no older than the days of restatement is never too old.
    if latest_us is not None and latest_us - at_us > path.horizon_us and kind != FIGURE:
        late = beyond(path.horizon, at_us, None, latest_us)
        if late is not None:
            return late
    quick = QUICK.get(kind)
    if quick is None:
        return _with_data(path, source, event_id, at_us, data, latest_us, until_us)
    pair = quick(path, data)
    if not isinstance(pair, tuple):
        return explained(path, data, pair)
    value, scale_or_total = pair
    subject: str | None = data.get("subject")  # type: ignore[assignment]
    identity = identity_of(source, event_id)
    payload = payload_of(kind, at_us, path.name, subject, value, scale_or_total, "")
    # A named tuple is made of a plain one in half of the time that its own constructor takes.
    return _made(
        Row, (source, event_id, identity, payload, kind, path.number, at_us, value,
              scale_or_total, subject, ""),
    )  # fmt: skip


_made = tuple.__new__


def _with_data(
    path: FactRule,
    source: str,
    event_id: str,
    at_us: int,
    data: Mapping[str, object],
    latest_us: int | None,
    until_us: int | None,
) -> Row | Rejection:
    """An outage, ticket, delivery or declared figure."""
    unit = data.get("unit")
    if path.kind == FIGURE and type(unit) is str and unit != path.unit:
        return wrong_unit(path, unit)
    noun = shaped(EVENT_TYPES_BY_KIND[path.kind], data)
    if isinstance(noun, Rejection):
        return noun
    pair: Pair = (0, 0)
    problem: Rejection | None = None
    if isinstance(noun, Figure):
        figure = whole(path, written(noun.value))
        if isinstance(figure, Rejection):
            return figure
        pair = figure
        problem = _of_wrong_length(path, noun) or beyond(
            path.horizon, at_us, noun.period, latest_us
        )
    elif isinstance(noun, Outage):
        problem = _outage(noun) or _ahead(noun, ("started_at", "ended_at"), until_us)
    elif isinstance(noun, Delivery):
        problem = _worth(noun) or _ahead(noun, ("delivered_at",), until_us)
    elif isinstance(noun, Ticket):
        problem = _ticket(path.programme, noun)
    if problem is not None:
        return problem
    subject = getattr(noun, "subject", None)
    return _row(source, event_id, path.kind, path.number, at_us, pair, noun, subject)


def _ahead(noun: Noun, names: Sequence[str], until_us: int | None) -> Rejection | None:
    """Whether a moment that the data states as past lies ahead of the event's arrival."""
    if until_us is None:
        return None
    for name in names:
        moment = getattr(noun, name)
        if moment is not None and microseconds(moment) > until_us:
            return in_the_future(f"/data/{name}")
    return None


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


def _of_wrong_length(path: FactRule, noun: Figure) -> Rejection | None:
    """A figure for a period of a length in which no agreement asks for its metric."""
    length = period_length(noun.period)
    own = cycle_of(length)
    if path.lengths is None or any(cycle_of(each) == own for each in path.lengths):
        return None
    asked = sorted(path.lengths, key=lambda each: (cycle_of(each).about_days, each))
    return Rejection(
        RejectionCode.WRONG_PERIOD,
        "/data/period",
        f"{noun.period} is a {length_text(length)}, and no agreement asks for {noun.metric} "
        f"by {length_text(length)}",
        f"declare it by {' or '.join(map(length_text, asked))}, such as "
        f"{label_of(first_day(noun.period), asked[0])}",
    )


def _outage(noun: Outage) -> Rejection | None:
    named = noun.started_at is not None or noun.ended_at is not None
    if noun.phase != "correct" and (named or noun.void):
        return Rejection(
            RejectionCode.TIMES_OUT_OF_ORDER,
            "/data/phase",
            f"an outage that is '{noun.phase}' takes its moment from the event's time alone",
            "leave out started_at, ended_at and void, or write phase 'correct'",
        )
    if noun.phase == "correct" and noun.void == named:
        return Rejection(
            RejectionCode.TIMES_OUT_OF_ORDER,
            "/data",
            "a corrected outage states new times or is void, and not both",
            "give started_at or ended_at, or write void: true alone",
        )
    if noun.started_at is not None and noun.ended_at is not None:
        if noun.ended_at >= noun.started_at:  # of no length, as one that closes as it opens
            return None
        return Rejection(
            RejectionCode.TIMES_OUT_OF_ORDER,
            "/data/ended_at",
            "the outage ends before it starts",
            "exchange the times or correct the wrong one",
        )
    return None


def _worth(noun: Delivery) -> Rejection | None:
    """What is late may be worth nothing, and never less."""
    if noun.value is None or noun.value >= 0:
        return None
    return out_of_range("/data/value", written(noun.value), Fraction(0), None)


def _ticket(programme: Programme, noun: Ticket) -> Rejection | None:
    vendors = {vendor.vendor for vendor in programme.vendors}
    if noun.assigned_to is None or noun.assigned_to in {*vendors, programme.buyer}:
        return None
    return Rejection(
        RejectionCode.UNKNOWN_VENDOR,
        "/data/assigned_to",
        f"{noun.assigned_to} is no vendor of the programme {programme.programme}",
        "correct the name, or add the vendor to the programme",
    )


def _off_the_path(
    rules: Rules,
    source: str,
    event_id: str,
    type_: str,
    at_us: int,
    data: Mapping[str, object],
    sender: Sender | None,
    received_us: int | None,
    latest_us: int | None,
) -> Row | Rejection:
    kind = KIND_OF_TYPE.get(type_)
    if kind is None:
        return Rejection(
            RejectionCode.UNKNOWN_TYPE,
            "/type",
            f"type {type_!r} is unknown",
            f"use {', '.join(_TYPES)}",
        )
    if sender is not None and kind not in MAY_SEND[sender.role]:
        return not_of_role(sender.role, kind)
    versions = rules.sources.get(source)
    if versions is None and sender is not None:
        return not_of_sender(source, sender.party)
    if versions is None:
        return Rejection(
            RejectionCode.UNKNOWN_SOURCE,
            "/source",
            f"no programme declares the source {source!r}",
            "correct the source, or add it to the programme",
        )
    programme = in_force(versions, at_us)
    reporting = declared(versions, programme, source)
    if sender is not None and sender.party != reporting.reports_for:
        return not_of_sender(source, sender.party)
    if not printable(event_id, 200):
        return bad_identity("/id")
    until_us = None if received_us is None else received_us + rules.ahead_us
    if until_us is not None and at_us > until_us:
        return in_the_future()
    if kind in (CORRECTION, CHARGE, CIRCUMSTANCE, ANSWER):
        return _without_metric(
            rules, programme, reporting, kind, event_id, at_us, data, sender, received_us, latest_us
        )
    shape = shaped(EVENT_TYPES_BY_KIND[kind], data)
    if isinstance(shape, Rejection) and shape.field == "/data/metric":
        return shape
    name = str(data.get("metric"))
    if sender is not None and sender.party != programme.buyer and name not in reporting.metrics:
        return not_of_source(source, name)
    return _no_path(programme, reporting, kind, name)


_TYPES = tuple(EVENT_TYPES)


def _no_path(programme: Programme, source: Source, kind: int, name: str) -> Rejection:
    metric = programme.metric(name)
    if metric is None:
        return Rejection(
            RejectionCode.UNKNOWN_METRIC,
            "/data/metric",
            f"the programme {programme.programme} has no metric {name!r} at the event's time",
            "correct the name, or define the metric in the programme",
        )
    if KINDS_OF_MEASURE[metric.measure.kind].count(kind):
        return Rejection(
            RejectionCode.METRIC_NOT_OF_SOURCE,
            "/data/metric",
            f"the source {source.source} may not report {name}",
            "send it from a source that may, or allow this one in the programme",
        )
    fitting = [_NAMES[each] for each in KINDS_OF_MEASURE[metric.measure.kind]]
    return Rejection(
        RejectionCode.KIND_DOES_NOT_FIT,
        "/type",
        f"{name} is counted by {metric.measure.kind}, which accepts no {_NAMES[kind]}",
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
    sender: Sender | None,
    received_us: int | None,
    latest_us: int | None,
) -> Row | Rejection:
    """A correction, charge, circumstance or answer."""
    noun = shaped(EVENT_TYPES_BY_KIND[kind], data)
    if isinstance(noun, Rejection):
        return noun
    problem: Rejection | None = None
    if isinstance(noun, Correction):
        until_us = None if received_us is None else received_us + rules.ahead_us
        problem = _ahead(noun, ("time",), until_us)
        if problem is None and noun.data is not None:
            problem = _replacement(rules, source, event_id, at_us, noun.data, sender, received_us)
        problem = problem or late_correction(
            rules.horizons[programme.programme], at_us, noun, latest_us
        )
    if isinstance(noun, Charge | Circumstance):
        problem = of_agreement(rules, programme, source, noun)
        horizon = rules.horizons[programme.programme]
        problem = problem or beyond(horizon, at_us, noun.period, latest_us)
    if isinstance(noun, ProposalAnswer):
        problem = of_proposal(rules, programme, source, noun)
        problem = problem or beyond(
            rules.horizons[programme.programme], at_us, noun.period, latest_us
        )
    if problem is not None:
        return problem
    subject = getattr(noun, "subject", None)
    return _row(source.source, event_id, kind, NO_METRIC, at_us, (0, 0), noun, subject)


def _replacement(
    rules: Rules,
    source: Source,
    event_id: str,
    at_us: int,
    data: Mapping[str, object],
    sender: Sender | None,
    received_us: int | None,
) -> Rejection | None:
    """Whether the data could stand in some event of this source. Which one, ingest may not know.

    Whether it fits the event that it corrects is seen when both are counted.
    """
    problem: Rejection | None = None
    for type_, model in EVENT_TYPES.items():
        needed = {name for name, field in model.model_fields.items() if field.is_required()}
        if not needed <= data.keys() <= model.model_fields.keys():
            continue
        found = accept(rules, source.source, event_id, type_, at_us, data, sender, received_us)
        if isinstance(found, Row):
            return None
        problem = problem or found
    if problem is not None:
        also = tuple(replace(each, field=f"/data{each.field}") for each in problem.also)
        return replace(problem, field=f"/data{problem.field}", also=also)
    return Rejection(
        RejectionCode.BAD_DATA,
        "/data/data",
        "the data is that of no kind of event",
        "write the whole data of the event that it corrects, not only what changes",
    )
