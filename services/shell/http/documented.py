"""What the OpenAPI document of every API says of its problems."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import Field

from schemas.base import Noun
from services.shell.http.problems import PROBLEM


class ProblemFault(Noun):
    """One thing wrong with a request."""

    within: str = Field(alias="in")
    pointer: str
    reason: str
    remedy: str


class ProblemDocument(Noun):
    """RFC 9457: what is wrong, with a stable code."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: tuple[ProblemFault, ...] = ()
    trace_id: str | None = None


_PROBLEM: dict[str, Any] = {
    "model": ProblemDocument,
    "description": "What is wrong and what to do about it.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": _PROBLEM, "5XX": _PROBLEM}
"""The ``responses`` of a router whose routes all document their problems."""


def document_problems(api: FastAPI) -> None:
    """Have the document tell problems by the media type that they have: the framework writes that
    of the other answers."""
    made = api.openapi

    def document() -> dict[str, Any]:
        whole = made()
        for path in whole["paths"].values():
            for operation in path.values():
                for status, answer in operation["responses"].items():
                    content = answer.get("content", {})
                    if status[0] in "45" and "application/json" in content:
                        answer["content"] = {PROBLEM: content["application/json"]}
        return whole

    api.openapi = document  # type: ignore[method-assign]
