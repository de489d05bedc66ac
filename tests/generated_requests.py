"""Requests that an OpenAPI document admits, and odd ones; and whether an answer is as it says.

Both by schemathesis, from a fixed seed. What it cannot know are the names that an installation has;
without them it would meet nothing but "there is no such thing".
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

SEED = 17
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
"""Of schemathesis' checks, those of one answer by itself. The others ask for more than an API of
parties promises: who may see what is held by the matrices of routes and roles."""


def cases(document: Mapping[str, Any], examples: int, known: Mapping[str, Any]) -> list[Case]:
    """So many fitting and so many odd requests of each operation.

    ``known``: values by the name of a parameter or of a field of the body. Fitting requests have
    them, but for the last one of each operation.
    """
    schema = schemathesis.openapi.from_dict(dict(document))
    found: list[Case] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        fitting = _made(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), examples)
        for case in fitting[:-1]:
            _fill(case, known)
        found += fitting
        with suppress(Unsatisfiable):  # without parameters and body nothing can be odd
            found += _made(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), examples)
    return found


def _made(strategy: st.SearchStrategy[Case], examples: int) -> list[Case]:
    made: list[Case] = []

    @seed(SEED)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Case) -> None:
        made.append(case)

    collect()
    return made


def _fill(case: Case, known: Mapping[str, Any]) -> None:
    parts: tuple[Any, ...] = (case.path_parameters, case.query, case.body)
    for part in parts:
        if isinstance(part, dict):
            part.update({name: known[name] for name in part.keys() & known.keys()})


def request_of(case: Case, base_url: str, headers: Mapping[str, str]) -> httpx.Request:
    """A case as a request; ``headers`` win over those that were made."""
    told = case.as_transport_kwargs(base_url=base_url)
    made = httpx.Headers(
        [(name, value.encode("latin-1")) for name, value in told.get("headers", {}).items()]
    )
    made.update(headers)
    return httpx.Request(
        told["method"],
        told["url"],
        params=told.get("params"),
        headers=made,
        json=told.get("json"),
        content=told.get("data"),
    )


def check(case: Case, answer: httpx.Response) -> bool:
    """Whether the request was carried out; else it was refused. Raises what schemathesis finds."""
    if answer.status_code != 304:  # has no body; asked for by a header that was made
        case.validate_response(answer, checks=CHECKS)
    return answer.status_code < 400
