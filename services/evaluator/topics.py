"""The topics the evaluator reads and writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EvaluatorTopics:
    """Names as declared in `schemas/topics`; others only where several share one broker."""

    measurements: str = "measurements"
    evaluations: str = "evaluations"
    quarantine: str = "quarantine"
    refused: str = "refused"
