"""Levels: their direction, bounds, windows and counts of misses have to fit the metric."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.bands import Threshold
from schemas.level import Baseline, Misses
from schemas.period import label_of
from schemas.period_cycle import length_text
from schemas.remedy import ByMisses
from services.core.calendar.windows import parts_of
from services.core.contracts.under_check import Check, ContractUnderCheck
from services.core.contracts.wording import FieldPath, Finding

_RATIOS = frozenset({"ratio", "availability_by_samples", "within_limit", "tickets_in_time"})


def _directions(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        metric = contract.metric(level.metric)
        if metric is None:
            continue
        for name in ("expected", "minimum"):
            threshold: Threshold | None = getattr(level, name)
            if threshold is None:
                continue
            if threshold.higher_is_met != (metric.better == "higher"):
                words = "at_most or below" if metric.better == "lower" else "at_least or above"
                reason = f"'{threshold.text()}', but of {metric.metric} {metric.better} is better"
                yield Finding((*path, name), reason, f"write {words}, or correct the metric")
            if metric.unit == "percent" and not 0 <= threshold.limit <= 100:
                reason = f"'{threshold.text()}' is no percentage from 0 to 100"
                yield Finding((*path, name), reason, "correct the limit or the metric's unit")


def _minimum_is_lower(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        if level.expected is None or level.minimum is None:
            continue
        gap = level.expected.limit - level.minimum.limit
        if (gap if level.expected.higher_is_met else -gap) < 0:
            reason = f"the minimum '{level.minimum.text()}' asks for more than the expected level"
            yield Finding((*path, "minimum"), reason, "swap them or correct one")


def _measured_fits(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    label = label_of(agreement.effective_from, agreement.settled)
    for path, level in contract.levels():
        if level.measured is None:
            continue
        try:
            parts_of(label, level.measured)
        except ValueError:
            reason = (
                f"a {length_text(agreement.settled)} is not made of whole periods of a "
                f"{length_text(level.measured)}"
            )
            yield Finding(
                (*path, "measured"), reason, "measure in shorter periods, or leave it out"
            )


def _counts_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    for at, rule in _windows_of_misses(contract):
        if rule.misses > rule.of_last:
            reason = f"{rule.misses} misses cannot fall into {rule.of_last} periods"
            yield Finding(at, reason, "ask for fewer misses or a longer window")


def _windows_of_misses(
    contract: ContractUnderCheck,
) -> Iterator[tuple[FieldPath, Misses | ByMisses]]:
    for path, level in contract.levels():
        if isinstance(level.defaults, Misses):
            yield (*path, "defaults"), level.defaults
    for index, term in enumerate(contract.agreement.terminations):
        if isinstance(term, ByMisses):
            yield ("terminations", index, "misses"), term


def _baselines_point_the_right_way(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        metric = contract.metric(level.metric)
        if metric is None or not isinstance(level.moves, Baseline):
            continue
        if (level.moves.tie in ("at_least", "above")) != (metric.better == "higher"):
            reason = f"'{level.moves.tie}', but of {metric.metric} {metric.better} is better"
            words = "at_least or above" if metric.better == "higher" else "at_most or below"
            yield Finding((*path, "moves", "tie"), reason, f"write {words}")


def _low_volume_fits(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        metric = contract.metric(level.metric)
        if level.low_volume and metric and metric.measure.kind not in _RATIOS:
            reason = f"low_volume leaves events out, but {metric.metric} is no share of events"
            yield Finding((*path, "low_volume"), reason, "leave low_volume out")


CHECKS: tuple[Check, ...] = (
    _directions,
    _minimum_is_lower,
    _measured_fits,
    _counts_out_of_reach,
    _baselines_point_the_right_way,
    _low_volume_fits,
)
