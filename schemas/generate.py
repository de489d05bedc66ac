"""JSON Schemas and the AsyncAPI document, made from the nouns. Pure: who calls writes the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.base import Noun
from schemas.evaluation import PeriodEvaluation
from schemas.event import EVENT_TYPES, CloudEvent
from schemas.finance import (
    AMOUNT_RELEASED,
    AMOUNT_WITHHELD,
    ENTRY_BOOKED,
    STATEMENT_ADJUSTED,
    STATEMENT_POSTED,
    EntryBooked,
    StatementPosted,
    WithholdingChanged,
)
from schemas.frame import FRAME_CONTENT_TYPE
from schemas.quarantined import FACT_QUARANTINED, QUARANTINED, FactQuarantined, Quarantined

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ROOT = "urn:earnback:schema:"
PERIOD_EVALUATED = "earnback.period.evaluated.v1"

MESSAGES: Mapping[str, Mapping[str, type[Noun]]] = {
    "intake.{vendor}": EVENT_TYPES,
    "refused": {QUARANTINED: Quarantined},
    "quarantine": {FACT_QUARANTINED: FactQuarantined},
    "evaluations": {PERIOD_EVALUATED: PeriodEvaluation},
    "settlements": {
        STATEMENT_POSTED: StatementPosted,
        STATEMENT_ADJUSTED: StatementPosted,
        AMOUNT_WITHHELD: WithholdingChanged,
        AMOUNT_RELEASED: WithholdingChanged,
    },
    "ledger-entries": {ENTRY_BOOKED: EntryBooked},
}
"""Topic to the types of CloudEvent on it, with the model of their data."""

ACCEPTED: Mapping[str, type[Noun]] = {**EVENT_TYPES, QUARANTINED: Quarantined}
"""Types whose data schema is written here; those of finance are settlement's."""


def data_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of an event's data, as senders must write it."""
    return {"$schema": DRAFT, "$id": ROOT + kind, **ACCEPTED[kind].model_json_schema()}


def event_schema() -> dict[str, Any]:
    """The JSON Schema of the events that ingest takes: the envelope, and by its type the data."""
    envelope = CloudEvent.model_json_schema()
    envelope["properties"]["type"] = {"enum": list(EVENT_TYPES)}
    # Extension attributes are part of CloudEvents; they are taken and ignored.
    envelope["additionalProperties"] = True
    return {
        "$schema": DRAFT,
        "$id": ROOT + "event",
        **envelope,
        "allOf": [
            {
                "if": {"properties": {"type": {"const": kind}}},
                "then": {"properties": {"data": {"$ref": ROOT + kind}}},
            }
            for kind in EVENT_TYPES
        ],
    }


def asyncapi(topics: Mapping[str, Mapping[str, Any]], version: str) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of all topics.

    ``topics``: name to its declaration, as in schemas/topics. Raises KeyError for a topic of which
    it isn't said what is on it.
    """
    messages: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, topic in sorted(topics.items()):
        channel = name.replace(".{vendor}", "")
        found = _messages(name, topic)
        messages |= found
        channels[channel] = _channel(name, topic, found)
        for action, parties in (("send", topic["producers"]), ("receive", topic["consumers"])):
            for party in parties:
                operations[f"{party.replace(' ', '-')}-{action}s-{channel}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{channel}"},
                    "summary": f"{party} {action}s {name}.",
                }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "earnback topics",
            "version": version,
            "description": "What crosses Kafka: facts in, evaluations, and what finance hears.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _messages(name: str, topic: Mapping[str, Any]) -> dict[str, Any]:
    if name == "measurements":
        return {
            "frame": {
                "name": "frame",
                "contentType": FRAME_CONTENT_TYPE,
                "summary": "Many facts in columns: one Arrow IPC stream, in LZ4 if it is large.",
                "payload": {"type": "string", "format": "binary"},
            }
        }
    return {kind: _event_message(kind, model) for kind, model in MESSAGES[name].items()}


def _event_message(kind: str, model: type[Noun]) -> dict[str, Any]:
    mode: Any = "validation" if kind in ACCEPTED else "serialization"
    data = model.model_json_schema(mode=mode, ref_template=f"{ROOT}{kind}#/$defs/{{model}}")
    return {
        "name": kind,
        "title": model.__name__,
        "summary": (model.__doc__ or kind).strip().split("\n", 1)[0],
        "contentType": "application/cloudevents+json",
        "payload": {
            "type": "object",
            # A time is optional in CloudEvents, and the evaluator's events have none.
            "required": ["specversion", "id", "source", "type", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {"type": "string"},
                "source": {"type": "string"},
                "type": {"const": kind},
                "time": {"type": "string", "format": "date-time"},
                "data": {"$id": ROOT + kind, **data},
            },
        },
    }


def _channel(name: str, topic: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": name,
        "description": topic["description"],
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in found},
        "bindings": {
            "kafka": {
                "partitions": topic["partitions"]["production"],
                "topicConfiguration": {
                    "cleanup.policy": [topic["config"]["cleanup.policy"]],
                    "retention.ms": int(topic["config"]["retention.ms"]),
                    "max.message.bytes": int(topic["config"]["max.message.bytes"]),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }
    if "{vendor}" in name:
        channel["parameters"] = {"vendor": {"description": "A vendor of a programme."}}
    return channel
