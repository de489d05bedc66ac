"""The topics the evaluator reads and writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EvaluatorTopics:
    """Names as declared in `schemas/topics`; `services.shell.prefix.under` adds a prefix."""

    measurements: str = "measurements"
    evaluations: str = "evaluations"
    quarantine: str = "quarantine"
    refused: str = "refused"
