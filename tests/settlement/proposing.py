"""Proposals as an evaluation holds them, written by hand."""

from __future__ import annotations

from typing import Any

from schemas.evaluation import PeriodEvaluation
from tests.settlement.builders import an_evaluation

VENDOR, OTHER, BUYER = "urn:nimbus:probe/1", "urn:cirrus:probe/1", "urn:town:probe/1"
PARTIES = {VENDOR: "nimbus", OTHER: "cirrus", BUYER: "town"}


def correction(name: str, period: str, source: str = VENDOR, **more: Any) -> dict[str, Any]:
    awaits = ["nimbus"] if source == BUYER else ["town"]
    return {
        "event": {"source": source, "id": name},
        "payload": "00112233445566aa",
        "at": "2025-03-20T08:00:00Z",
        "party": PARTIES[source],
        "correction": {
            "corrects": "miss-1", "name": "availability", "period": period, "reason": "a false one",
        },
        "state": "open", "awaits": awaits, **more,
    }  # fmt: skip


def a_correction(
    name: str, source: str, data: dict[str, Any], becomes: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One as the evaluator tells it; it takes its event back unless it becomes something."""
    event = {"source": source, "id": f"{name}-event", "type": "earnback.count.v1", "data": data}
    return {
        "source": source, "id": name, "time": "2025-01-20T08:00:00Z",
        "stored_at": "2025-01-20T08:00:01Z", "corrects": f"{name}-event", "reason": "a false one",
        "event": {**event, "time": "2025-01-10T08:00:00Z"}, "takes_back": becomes is None,
        "data": becomes, "moved_to": None,
    }  # fmt: skip


def answered(one: dict[str, Any], answer: str, by: str = "town") -> dict[str, Any]:
    event = {"source": BUYER, "id": f"{answer}-it"}
    told = {"event": event, "at": "2025-03-21T08:00:00Z", "party": by, "answer": answer}
    state = {"accept": "accepted", "reject": "rejected"}[answer]
    return {**one, "state": state, "awaits": [], "answers": [{**told, "reason": "seen"}]}


def counted(*proposals: dict[str, Any], good: int = 9700, **more: Any) -> PeriodEvaluation:
    made = an_evaluation(good, **more)
    body = made.model_dump(mode="json") | {"proposals": proposals}
    return PeriodEvaluation.model_validate(body)
