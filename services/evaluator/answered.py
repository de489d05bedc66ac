"""Which closed periods an answer to a late correction, event or value may change: those that read
what is answered, and the one that it is answered for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from schemas.period import first_day, next_label
from services.core.calendar.windows import microseconds
from services.core.events.facts import identity_of
from services.evaluator import evaluation_store, link_store
from services.evaluator.link_store import AnsweredEvent, FramePlace, MetricPlace
from services.shell.postgres import Connection


class _Listed(msgspec.Struct):
    """What is read of a proposal that an evaluation lists."""

    event: Mapping[str, str]
    at: datetime
    correction: Mapping[str, Any] | None = None


class _Listing(msgspec.Struct):
    programme: str
    proposals: list[_Listed] = []


async def places_of_frames(
    connection: Connection, frames: Sequence[tuple[int, int]]
) -> list[FramePlace]:
    """All places of which some frames say something: see `link_store.places_of_frames`.

    What an answer may matter to is all that follows its period, where nothing more is known. Where
    the newest evaluation of its period lists what it answers, it is that period, and where the
    event itself lies; where a correction puts its event is among the places of its links.
    """
    found = set(await link_store.places_of_frames(connection, frames))
    answers = await link_store.answered_in_frames(connection, frames)
    listed = await _listed(connection, answers)
    unknown: set[FramePlace] = set()
    for each in answers:
        at = each.partition, each.number
        place = listed.get((each.agreement, each.label, each.of128))
        if place is None:
            unknown.add(FramePlace(*at, each.place))
            continue
        until = first_day(next_label(each.label))
        found.add(FramePlace(*at, each.place._replace(until=until)))
        if not each.is_linked:
            found.add(FramePlace(*at, place))
    wide = {FramePlace(each.partition, each.number, each.place) for each in answers}
    return list(found - (wide - unknown))


async def _listed(
    connection: Connection, answered: Sequence[AnsweredEvent]
) -> dict[tuple[str, str, bytes], MetricPlace]:
    """By agreement, period and identity, where the listed ones of these lie."""
    wanted = sorted({(each.agreement, each.label) for each in answered})
    found = {}
    for (agreement, label), body in (await evaluation_store.newest(connection, wanted)).items():
        listing = msgspec.json.decode(body, type=_Listing)
        for one in listing.proposals:
            if one.correction is not None:
                identity = identity_of(one.event["source"], one.event["id"])
                at_us = microseconds(one.at)
                found[agreement, label, identity] = MetricPlace(
                    listing.programme, one.correction["name"], at_us
                )
    return found
