"""What facts say once their corrections are applied, whatever order they came in.

A correction names an earlier event of its own source. Of several that stand the last counts, by
time and then id. A correction may be corrected too: whoever takes a correction back leaves the
event as it was before. Corrections that name each other in a circle say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from schemas.evaluation import EventRef
from schemas.event import Correction
from schemas.frame import Facts
from services.core.calendar.windows import microseconds
from services.core.events.facts import (
    ABOUT_AN_AGREEMENT,
    CORRECTION,
    NO_METRIC,
    STATES_A_PERIOD,
    TYPE_OF_KIND,
    Row,
    columns,
    identity_of,
    joined,
    number,
    payload_before_of,
    payload_of,
    taken,
)
from services.core.events.horizon import Horizon
from services.core.events.rejections import Rejection, RejectionCode, corrects_too_late
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.exact.chunked import rows_in

MOST_CHAINED = 16
"""A correction of a correction of ... an event: at most so many. Any number may correct the event
itself, so that a longer chain says nothing that a shorter one could not."""

EventKey = tuple[str, str]
"""Source and id."""

Acceptor = Callable[[str, str, str, int, Mapping[str, object]], Row | Rejection]
"""Source, id, type, time and data of an event to its row: acceptance, without ingest's clock."""


@dataclass(frozen=True, slots=True)
class RejectedCorrection:
    """A correction that cannot be applied to its event, and why.

    ``waits``: its event is not there. It applies as soon as it is.
    """

    correction: EventRef
    problem: Rejection
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Corrected:
    """Facts without corrections: what stands.

    ``refused``: corrections that do not fit, and those whose event is not there.
    """

    facts: Facts
    refused: tuple[RejectedCorrection, ...]


@dataclass(frozen=True, slots=True)
class _StatedCorrection:
    """A correction as its event states it, or as a correction of itself has changed it."""

    key: EventKey
    at_us: int
    correction: Correction


@dataclass(frozen=True, slots=True)
class RootedCorrection:
    """A correction whose event is there. ``row``, ``event_row``: of the two among the facts.

    ``is_direct``: it corrects the event itself, and no correction of it.
    """

    row: int
    key: EventKey
    at_us: int
    correction: Correction
    event_row: int
    is_direct: bool


def rooted(facts: Facts, budget: Budget = UNBOUNDED) -> list[RootedCorrection]:
    """The corrections whose events are there, in the order in which they were made."""
    rows = np.flatnonzero(facts.kind == CORRECTION).tolist()
    said = dict(zip(rows, _all_said(facts, rows, budget), strict=True))
    by_key = {each.key: each for each in said.values()}
    roots = {row: _root(each, by_key) for row, each in said.items()}
    events = _rows_of(facts, set(roots.values()), budget)
    found = [
        RootedCorrection(
            row,
            each.key,
            each.at_us,
            each.correction,
            events[roots[row]],
            roots[row] == _target(each),
        )
        for row, each in said.items()
        if roots[row] in events and roots[row] not in by_key
    ]
    return sorted(found, key=lambda each: (each.at_us, each.key))


def corrected(
    facts: Facts,
    metrics: Mapping[int, str],
    judge: Acceptor,
    horizon: Horizon | None = None,
    held: Collection[EventKey] = (),
    budget: Budget = UNBOUNDED,
) -> Corrected:
    """Apply every correction among the facts. Their order does not matter.

    One that was made when its event's period could no longer be settled is refused, and so is one
    that puts its event into such a period. ``horizon``: None: none is too late. ``held``: those
    that are only proposed; they and their corrections are as if they never came.

    ``facts`` are distinct. ``metrics``: number to name. A corrected fact keeps its identity and
    gets the payload of what it now says, so evidence shows that it was corrected. Raises
    OverBudget.
    """
    positions = np.flatnonzero(facts.kind == CORRECTION)
    if not len(positions):
        return Corrected(facts, ())
    said = _not_held(_all_said(facts, positions.tolist(), budget), held)
    said, late = _in_time(facts, said, horizon, budget)
    standing, refused = _standing(said)
    refused += late
    changed: dict[int, Row | None] = {}
    targets = _targets(facts, standing, budget)
    found_for = {last.key for last in targets.values()}
    refused += [_waiting(each) for each in standing.values() if each.key not in found_for]
    for row, last in targets.items():
        budget.spend(0)
        found = _applied(facts, row, last, metrics, judge)
        if isinstance(found, Rejection):
            refused.append(RejectedCorrection(EventRef(source=last.key[0], id=last.key[1]), found))
        else:
            changed[row] = found if found is None else _as_wide(facts, row, found, metrics)
    gone = np.zeros(len(facts), np.bool_)
    gone[positions] = True
    gone[list(changed)] = True
    kept = taken(facts, np.flatnonzero(~gone), budget)
    rows = [row for row in changed.values() if row is not None]
    refused.sort(key=lambda each: (each.correction.source, each.correction.id))
    return Corrected(joined([kept, columns(rows)], budget), tuple(refused))


def _all_said(facts: Facts, rows: Sequence[int], budget: Budget) -> list[_StatedCorrection]:
    found = []
    for row in rows:
        budget.spend(0)
        found.append(_said(facts, row))
    return found


def _said(facts: Facts, row: int) -> _StatedCorrection:
    return _StatedCorrection(
        (facts.sources[facts.source[row]], facts.ids[row]),
        int(facts.at_us[row]),
        Correction.model_validate_json(facts.data[row]),
    )


def _not_held(said: list[_StatedCorrection], held: Collection[EventKey]) -> list[_StatedCorrection]:
    """The corrections that are not held, and of which no one below is that they correct."""
    if not held:
        return said
    by_key = {each.key: each for each in said}
    return [each for each in said if not any(key in held for key in _chain(each, by_key))]


def _chain(said: _StatedCorrection, by_key: Mapping[EventKey, _StatedCorrection]) -> list[EventKey]:
    """A correction, and those that it corrects, down to the event; of a circle, some of it."""
    step: _StatedCorrection | None = said
    found: list[EventKey] = []
    while step is not None and len(found) <= MOST_CHAINED:
        found.append(step.key)
        step = by_key.get(_target(step))
    return found


def _in_time(
    facts: Facts, said: list[_StatedCorrection], horizon: Horizon | None, budget: Budget
) -> tuple[list[_StatedCorrection], list[RejectedCorrection]]:
    """The corrections that were made in time, and those that were not: as if these never came."""
    if horizon is None:
        return said, []
    by_key = {each.key: each for each in said}
    roots = {each.key: _root(each, by_key) for each in said}
    rows = _rows_of(facts, set(roots.values()), budget)
    kept, late = [], []
    for each in said:
        row = rows.get(roots[each.key])
        about = horizon.about_correction_us(each.at_us, each.correction.model_dump(mode="json"))
        if row is not None:
            about = min(about, horizon.about_us(int(facts.at_us[row]), _period_of(facts, row)))
        if horizon.is_beyond(about, each.at_us):
            late.append(_refused(each, corrects_too_late(horizon)))
        else:
            kept.append(each)
    return kept, late


def _root(said: _StatedCorrection, by_key: Mapping[EventKey, _StatedCorrection]) -> EventKey:
    """The event at the end of a chain; of a circle, any of it."""
    for _ in range(MOST_CHAINED + 1):
        below = by_key.get(_target(said))
        if below is None:
            break
        said = below
    return _target(said)


def _rows_of(facts: Facts, keys: Collection[EventKey], budget: Budget) -> dict[EventKey, int]:
    """The positions of these events, of those that are there."""
    wanted = np.array([number(identity_of(*key)[:8]) for key in keys], np.uint64)
    found = {}
    for row in rows_in(facts.id_high, wanted, budget).tolist():
        key = facts.sources[facts.source[row]], facts.ids[row]
        if key in keys:
            found[key] = row
    return found


def _period_of(facts: Facts, row: int) -> str | None:
    """The period that a fact states; None where its time says where it counts."""
    if facts.kind[row] not in STATES_A_PERIOD:
        return None
    period = msgspec.json.decode(facts.data[row]).get("period")
    return period if isinstance(period, str) else None


def _standing(
    said: list[_StatedCorrection],
) -> tuple[dict[EventKey, _StatedCorrection], list[RejectedCorrection]]:
    """The last standing correction of every event that is no correction itself."""
    by_key = {each.key: each for each in said}
    against: dict[EventKey, list[_StatedCorrection]] = {}
    for each in said:
        against.setdefault(_target(each), []).append(each)
    depths, circular = _depths(said, by_key)
    refused = [_refused(each, CIRCLE) for each in said if each.key in circular]
    refused += [_refused(each, TOO_LONG) for each in said if depths[each.key] > MOST_CHAINED]
    silent = ((each.correction.source, each.correction.id) for each in refused)
    settled: dict[EventKey, _StatedCorrection | None] = dict.fromkeys(silent)
    for each in said:
        _settle(each.key, by_key, against, settled, refused)
    last: dict[EventKey, _StatedCorrection] = {}
    for each in sorted(filter(None, settled.values()), key=_order):
        if _target(each) not in by_key:
            last[_target(each)] = each
    return last, refused


def _settle(
    key: EventKey,
    by_key: Mapping[EventKey, _StatedCorrection],
    against: Mapping[EventKey, list[_StatedCorrection]],
    settled: dict[EventKey, _StatedCorrection | None],
    refused: list[RejectedCorrection],
) -> None:
    """What a correction says after those against it; None where it was taken back.

    Goes up the chain with its own stack.
    """
    stack = [key]
    while stack:
        key = stack[-1]
        waiting = [each.key for each in against.get(key, ()) if each.key not in settled]
        if key not in settled and waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        if key in settled:
            continue
        standing = [settled[each.key] for each in against.get(key, ())]
        last = max(filter(None, standing), key=_order, default=None)
        settled[key] = by_key[key] if last is None else _revised(by_key[key], last, refused)


def _revised(
    said: _StatedCorrection, last: _StatedCorrection, refused: list[RejectedCorrection]
) -> _StatedCorrection | None:
    """A correction after a correction of itself. It may not turn to another event."""
    if last.correction.data is None and last.correction.time is None:
        return None
    at_us = said.at_us if last.correction.time is None else microseconds(last.correction.time)
    if last.correction.data is None:
        return replace(said, at_us=at_us)
    try:
        instead = Correction.model_validate(last.correction.data)
    except ValueError:
        instead = None
    if instead is None or instead.corrects != said.correction.corrects:
        refused.append(
            RejectedCorrection(
                EventRef(source=last.key[0], id=last.key[1]),
                Rejection(
                    RejectionCode.BAD_DATA,
                    "/data/data",
                    "it corrects a correction, but its data is no correction of the same event",
                    "write the whole data of the correction, with the same 'corrects'",
                ),
            )
        )
        return said
    return _StatedCorrection(said.key, at_us, instead)


def _target(said: _StatedCorrection) -> EventKey:
    return said.key[0], said.correction.corrects


def _order(said: _StatedCorrection) -> tuple[int, str]:
    return said.at_us, said.key[1]


def _depths(
    said: list[_StatedCorrection], by_key: Mapping[EventKey, _StatedCorrection]
) -> tuple[dict[EventKey, int], set[EventKey]]:
    """How many corrections lead from each one to its event, itself included; those in a circle.

    0 for a circle and for what hangs on one. Each correction names one event only, so that each is
    looked at once.
    """
    depths: dict[EventKey, int] = {}
    circular: set[EventKey] = set()
    for each in said:
        path: dict[EventKey, None] = {}
        step: _StatedCorrection | None = each
        while step is not None and step.key not in depths and step.key not in path:
            path[step.key] = None
            step = by_key.get(_target(step))
        walked = list(path)
        if step is not None and step.key in path:
            circular.update(walked[walked.index(step.key) :])
            depth = -1
        else:
            depth = 0 if step is None else depths[step.key] or -1
        for key in reversed(walked):
            depth = depth + 1 if depth >= 0 else -1
            depths[key] = max(depth, 0)
    return depths, circular


CIRCLE = Rejection(
    RejectionCode.BAD_DATA,
    "/data/corrects",
    "the corrections correct each other in a circle",
    "correct the original event",
)
TOO_LONG = Rejection(
    RejectionCode.BAD_DATA,
    "/data/corrects",
    f"more than {MOST_CHAINED} corrections hang on each other, of which this is one beyond that",
    "correct the original event itself: of its corrections the last by time stands",
)


def _refused(said: _StatedCorrection, problem: Rejection) -> RejectedCorrection:
    return RejectedCorrection(EventRef(source=said.key[0], id=said.key[1]), problem)


def _waiting(said: _StatedCorrection) -> RejectedCorrection:
    correction = EventRef(source=said.key[0], id=said.key[1])
    return RejectedCorrection(correction, waits_for(*_target(said)), waits=True)


def waits_for(source: str, event_id: str) -> Rejection:
    """What is said of a correction whose event is not there."""
    return Rejection(
        RejectionCode.BAD_DATA,
        "/data/corrects",
        f"it waits for its event: no event {event_id} of the source {source} is there",
        "send that event, or correct this correction to take it back; each source corrects its own "
        "events",
    )


def _targets(
    facts: Facts, standing: Mapping[EventKey, _StatedCorrection], budget: Budget
) -> dict[int, _StatedCorrection]:
    """Positions of the corrected facts. What is not known yet waits for its event."""
    return {row: standing[key] for key, row in _rows_of(facts, standing.keys(), budget).items()}


def _applied(
    facts: Facts, row: int, last: _StatedCorrection, metrics: Mapping[int, str], judge: Acceptor
) -> Row | Rejection | None:
    """The fact as corrected; None where it is taken back."""
    data, time = last.correction.data, last.correction.time
    if data is None and time is None:
        return None
    at_us = int(facts.at_us[row]) if time is None else microseconds(time)
    source, event_id = facts.sources[facts.source[row]], facts.ids[row]
    kind = int(facts.kind[row])
    if data is None:
        return _moved(facts, row, at_us, metrics)
    if kind in ABOUT_AN_AGREEMENT:
        agreement = msgspec.json.decode(facts.data[row])["agreement"]
        if data.get("agreement") != agreement:
            return _of_another_agreement(agreement)
    return judge(source, event_id, TYPE_OF_KIND[kind], at_us, data)


def _as_wide(facts: Facts, row: int, found: Row, metrics: Mapping[int, str]) -> Row:
    """A corrected fact with a hash as wide as its event's: of what was counted by a release before
    the same evidence is made again."""
    if facts.payload_low[row]:
        return found
    name = "" if found.metric == NO_METRIC else metrics[found.metric]
    return found._replace(payload=payload_before_of(found, name))


def _of_another_agreement(agreement: str) -> Rejection:
    return Rejection(
        RejectionCode.BAD_DATA,
        "/data/data/agreement",
        f"its event is about the agreement {agreement}, and a correction cannot move it to another",
        f"write {agreement}; or take the event back, and send another one for the other agreement",
    )


def _moved(facts: Facts, row: int, at_us: int, metrics: Mapping[int, str]) -> Row:
    """The same fact at another time."""
    code, metric = int(facts.subject[row]), int(facts.metric[row])
    subject = None if code < 0 else facts.subjects[code]
    kind = int(facts.kind[row])
    value, scale_or_total = int(facts.value[row]), int(facts.scale_or_total[row])
    name = "" if metric == NO_METRIC else metrics[metric]
    identity = int(facts.id_high[row]).to_bytes(8, "big") + int(facts.id_low[row]).to_bytes(
        8, "big"
    )
    return Row(
        facts.sources[facts.source[row]],
        facts.ids[row],
        identity,
        payload_of(kind, at_us, name, subject, value, scale_or_total, facts.data[row]),
        kind,
        metric,
        at_us,
        value,
        scale_or_total,
        subject,
        facts.data[row],
    )
