"""The HTTP API: ``POST /v1/events``, in every form that CloudEvents has over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import msgspec
from fastapi import FastAPI, Request, Response

from services.catalogue.api_key import ApiKey, bearer, recognise
from services.catalogue.audit import Author
from services.catalogue.cached import CatalogueCopy
from services.catalogue.person import PERSON, PERSON_PARAMETER, person_of
from services.core.events.facts import Row
from services.core.events.roles import Sender
from services.ingest import body
from services.ingest.admission import Admission, AdmissionResult, EventCheck
from services.ingest.event_validator import ANYBODY
from services.ingest.fast_validator import FastValidator
from services.ingest.party_rate import EventRate, RefusalRate
from services.ingest.publisher import Publisher, Unavailable
from services.ingest.rejection import QUOTA_USED_UP, TOO_MANY_SUBJECTS, EventRejection
from services.ingest.subject_quota import RETRY_AFTER_S
from services.shell import clock
from services.shell.http.limits import Limits
from services.shell.http.problems import PROBLEM, Fault, Problem
from services.shell.http.server import Lifespan, make_api
from services.shell.logs import correlation_id
from services.shell.refusals import seconds_left
from services.shell.settings import Settings

VERSION = "1"

DESCRIPTION = """
Takes events, judges each, and answers once the broker holds what was accepted: 202 means durable.

**Sending again is always safe.** An event's identity is its `source` and `id`; the same event with
the same content counts once, however often and over whatever protocol it comes. That identity does
what an `Idempotency-Key` does elsewhere, so the header is not needed here; a request may carry
one, and it changes nothing.

A batch is answered with 202 when nothing was rejected, with 207 when something was: good
events beside bad ones are taken. Each event has its entry in `results`.
"""

_EXAMPLE = {
    "specversion": "1.0",
    "id": "probe-7-000001",
    "source": "https://probe.example/net-1",
    "type": "earnback.sample.v1",
    "time": "2025-01-31T12:00:00Z",
    "data": {"metric": "network.availability", "subject": "site-1", "up": True},
}


def make_ingest_api(
    settings: Settings,
    *,
    lifespan: Lifespan,
    catalogue: CatalogueCopy,
    publisher: Publisher,
    admission: Admission,
    events: EventRate,
    accepts: bool = True,
) -> FastAPI:
    """The API over a catalogue and a publisher that ``lifespan`` starts and stops.

    ``events``: how many of a party are taken. ``accepts``: whether this process takes events;
    health and metrics are answered either way.
    """

    async def catalogue_is_loaded() -> None:
        if not catalogue.loaded:
            raise RuntimeError("the catalogue is not loaded")
        if catalogue.failure is not None:
            raise RuntimeError(f"the catalogue can't be read anew: {catalogue.failure}")

    async def recognise_sender(request: Request) -> None:
        request.state.key = await authenticated(request, catalogue)

    api = make_api(
        settings,
        title="earnback ingest",
        version=VERSION,
        lifespan=lifespan,
        probes={"broker": publisher.probe, "catalogue": catalogue_is_loaded},
        limits=Limits(body=body.MAX_BODY),
        authenticate=recognise_sender,
    )
    rate = RefusalRate()

    @api.post(
        "/v1/events",
        summary="Submit one event or a batch",
        description=DESCRIPTION,
        status_code=202,
        responses=_RESPONSES,
        openapi_extra=_EXTRA,
    )
    async def submit(request: Request) -> Response:
        key: ApiKey = request.state.key
        sender = ANYBODY if key.role == "admin" else Sender(key.party, key.role)
        if not accepts:
            raise _not_here()
        rate.check(key.party)
        events.check(key.party)
        by = Author(key.prefix, key.party, key.role, person_of(request.headers.get(PERSON)))
        single, sent, check = await _read(request, sender)
        try:
            outcomes = await admission.admit(sent, check, sender, by)
        except Unavailable as error:
            raise _unavailable(error) from error
        refused = sum(outcome.refusal is not None for outcome in outcomes)
        rate.took(key.party, refused)
        events.took(key.party, len(outcomes) - refused)
        return _answer_one(outcomes[0]) if single else _answer_all(outcomes)

    _declare_keys(api)
    return api


def _declare_keys(api: FastAPI) -> None:
    """Have the OpenAPI document say how an API key is sent."""
    made = api.openapi

    def with_keys() -> dict[str, Any]:
        document = made()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["apiKey"] = {"type": "http", "scheme": "bearer", "description": "An API key."}
        return document

    api.openapi = with_keys  # type: ignore[method-assign]


async def authenticated(request: Request, catalogue: CatalogueCopy) -> ApiKey:
    """The API key of a request; one that was made a moment ago counts. Raises Problem 401."""
    text = bearer(request.headers.get("authorization"))
    key = recognise(catalogue.current.keys, text) if text else None
    if text and key is None:
        await catalogue.look()
        key = recognise(catalogue.current.keys, text)
    if key is None:
        reason = "is not a valid key" if text else "is missing"
        raise Problem(
            401,
            "not-authenticated",
            "This key is not known or was revoked." if text else "The request has no key.",
            faults=[
                Fault(
                    "Authorization",
                    reason,
                    "send `Authorization: Bearer` and an API key that is not revoked",
                    "header",
                )
            ],
            headers={"WWW-Authenticate": 'Bearer realm="earnback"'},
        )
    return key


async def _read(
    request: Request, sender: Sender | None
) -> tuple[bool, Sequence[bytes], EventCheck]:
    """Whether the request is one event, the bytes of each event, and how to judge them."""
    content_type = request.headers.get("content-type")
    if "ce-specversion" in request.headers:
        data = await body.read(request.stream(), request.headers.get("content-encoding"))
        return True, [data], _binary(request, content_type, sender)
    media = body.media_type(content_type)
    text = await body.read(request.stream(), request.headers.get("content-encoding"))
    if body.is_single(media, text):
        return True, [text], _structured(sender)
    return False, body.items(media, text), _structured(sender)


def _structured(sender: Sender | None) -> EventCheck:
    def check(fast: FastValidator, raw: bytes, now: int) -> Row | EventRejection:
        return fast.admit(raw, sender, now)

    return check


def _binary(request: Request, content_type: str | None, sender: Sender | None) -> EventCheck:
    attributes = {
        name[3:]: unquote(value)
        for name, value in request.headers.items()
        if name.startswith("ce-")
    }

    def check(fast: FastValidator, data: bytes, now: int) -> Row | EventRejection:
        return fast.validator.admit_binary(attributes, content_type, data, sender, now)

    return check


def _answer_one(outcome: AdmissionResult) -> Response:
    if outcome.refusal is not None:
        return _problem(outcome.refusal)
    document = {"source": outcome.source, "id": outcome.id, "status": outcome.status}
    return Response(msgspec.json.encode(document), status_code=202, media_type="application/json")


def _answer_all(outcomes: Sequence[AdmissionResult]) -> Response:
    counted = Counter(outcome.status for outcome in outcomes)
    document = {
        "accepted": counted["accepted"],
        "duplicate": counted["duplicate"],
        "rejected": counted["rejected"],
        "results": [outcome.document(index) for index, outcome in enumerate(outcomes)],
    }
    return Response(
        msgspec.json.encode(document),
        status_code=207 if counted["rejected"] else 202,
        media_type="application/json",
        headers=_patience(outcome.refusal for outcome in outcomes),
    )


def _problem(refusal: EventRejection) -> Response:
    document = {
        **refusal.document(),
        "source": refusal.source,
        "id": refusal.id,
        "trace_id": correlation_id(),
    }
    return Response(
        msgspec.json.encode(document),
        status_code=refusal.reason.status,
        media_type=PROBLEM,
        headers=_patience([refusal]),
    )


def _patience(refusals: Iterable[EventRejection | None]) -> dict[str, str]:
    """When there may be room again for what a quota left none for."""
    reasons = [refusal.reason for refusal in refusals if refusal is not None]
    if QUOTA_USED_UP in reasons:
        return {"Retry-After": str(seconds_left(clock.now()))}
    return {"Retry-After": str(RETRY_AFTER_S)} if TOO_MANY_SUBJECTS in reasons else {}


def _unavailable(error: Unavailable) -> Problem:
    return Problem(
        503,
        "broker-unavailable",
        "The events could not be made durable.",
        f"None of them is acknowledged: {error}. Send the request again; what did arrive counts "
        "once.",
        headers={"Retry-After": "5"},
    )


def _not_here() -> Problem:
    return Problem(
        503,
        "not-here",
        "This process takes no events over HTTP.",
        "Send to a process that runs the part `http`.",
    )


def lifespan_of(*parts: Any) -> Lifespan:
    """Start the parts in order and stop them in reverse; each has ``start`` and ``stop``."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        started: list[Any] = []
        try:
            for part in parts:
                await part.start()
                started.append(part)
            yield
        finally:
            for part in reversed(started):
                await part.stop()

    return life


_ONE_RESULT = {
    "type": "object",
    "required": ["source", "id", "status"],
    "properties": {
        "source": {"type": ["string", "null"]},
        "id": {"type": ["string", "null"]},
        "status": {"enum": ["accepted", "duplicate", "rejected"]},
    },
}
_RESULTS = {
    "type": "object",
    "required": ["accepted", "duplicate", "rejected", "results"],
    "properties": {
        "accepted": {"type": "integer"},
        "duplicate": {"type": "integer"},
        "rejected": {"type": "integer"},
        "results": {
            "type": "array",
            "items": {
                **_ONE_RESULT,
                "properties": {
                    **_ONE_RESULT["properties"],  # type: ignore[dict-item]
                    "index": {"type": "integer"},
                    "problem": {"type": "object"},
                },
            },
        },
    },
}


def _problems(*statuses: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": text, "content": {PROBLEM: {"schema": {"type": "object"}}}}
        for status, text in statuses
    }


_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The broker holds everything that was sent.",
        "content": {"application/json": {"schema": {"anyOf": [_ONE_RESULT, _RESULTS]}}},
    },
    207: {
        "description": "Some events of the batch were rejected; the others are with the broker.",
        "content": {"application/json": {"schema": _RESULTS}},
    },
    **_problems(
        (400, "The body can't be read."),
        (401, "No valid API key."),
        (403, "The role may not send this, or the answer is another party's to give."),
        (409, "The same event was sent with another content; it is in quarantine."),
        (413, "The body, the batch or the event is too large."),
        (415, "Content type, charset or encoding is not understood."),
        (408, "Head or body did not come in time."),
        (422, "The event does not fit its schema or the catalogue."),
        (429, "Too many events or subjects of this party came, or no more of it are kept today."),
        (431, "Address and header fields are too large."),
        (503, "Nothing of the request is acknowledged; send it again."),
    ),
}
_EVENT = {"type": "object", "description": "A CloudEvent; see the AsyncAPI document for its types."}
_EXTRA: dict[str, Any] = {
    "security": [{"apiKey": []}],
    "parameters": [PERSON_PARAMETER],
    "requestBody": {
        "required": True,
        "content": {
            body.SINGLE: {"schema": _EVENT, "example": _EXAMPLE},
            body.BATCH: {"schema": {"type": "array", "items": _EVENT}, "example": [_EXAMPLE]},
            body.JSON: {"schema": {"anyOf": [_EVENT, {"type": "array", "items": _EVENT}]}},
            body.LINES[0]: {"schema": {"type": "string", "description": "One event a line."}},
        },
    },
}
