"""What is to be counted for each period, and which sources feed it: kept while contracts stay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.catalogue.snapshot import Catalogue
from services.evaluator import recount
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.recount import RecountTarget
from services.evaluator.watermark import feeding

MOST = 4096
"""Periods that are kept, the latest ones."""


@dataclass(frozen=True, slots=True)
class FedTarget:
    """``feeds``: the sources that may report its metrics; those of the programme where none may."""

    target: RecountTarget
    feeds: frozenset[str]


class RecountTargets:
    """The targets that were asked for last."""

    def __init__(self) -> None:
        self._known: dict[AgreementPeriod, FedTarget] = {}

    async def of(self, catalogue: Catalogue, place: AgreementPeriod) -> RecountTarget:
        """What is to be counted. Raises NoSuchPeriod, and whatever the contracts raise."""
        return (await self.fed(catalogue, place)).target

    async def fed(self, catalogue: Catalogue, place: AgreementPeriod) -> FedTarget:
        """The same, with the sources that feed it."""
        known = self._known.pop(place, None)
        if known is None or not _is_current(known.target, catalogue):
            known = await asyncio.to_thread(_fed, catalogue, place)
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
        self._known[place] = known
        return known


def _fed(catalogue: Catalogue, place: AgreementPeriod) -> FedTarget:
    target = recount.target_of(catalogue, *place)
    feeds = feeding(target.programmes, target.metrics)
    own = frozenset(one.source for each in target.programmes for one in each.sources)
    return FedTarget(target, feeds or own)


def _is_current(target: RecountTarget, catalogue: Catalogue) -> bool:
    """Whether a target knows all versions; they never change."""
    agreements = catalogue.agreements.get(target.place[0], ())
    programmes = catalogue.programmes.get(target.programme, ())
    return (len(agreements), len(programmes)) == (len(target.agreements), len(target.programmes))
