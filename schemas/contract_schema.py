"""The JSON Schema of contract files, for completion and first checks in editors.

It knows shapes, names and choices. What only reading knows (ends of tables, names that refer to
something, totals) is left to the contract check.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from schemas.agreement import Agreement
from schemas.generate import DRAFT, ROOT
from schemas.programme import Programme

_DOCUMENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[Programme | Agreement, Field(discriminator="kind")]
)


def contract_schema() -> dict[str, Any]:
    """The JSON Schema of one document of a contract file."""
    schema = _for_editors(_DOCUMENT.json_schema())
    schema["$defs"]["Threshold"] |= {"minProperties": 1, "maxProperties": 1}
    return {
        "$schema": DRAFT,
        "$id": f"{ROOT}contract",
        "title": "A programme or an agreement",
        **schema,
    }


def _for_editors(node: Any) -> Any:
    """Without what only clutters completion, and with decimals as people write them in YAML."""
    if isinstance(node, list):
        return [_for_editors(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == ["string", "integer"]:
        # Read as text from the file, so that a plain 99.9 is as exact as a quoted one.
        return {**node, "type": ["string", "number"]}
    said = {name: _for_editors(one) for name, one in node.items() if name != "discriminator"}
    if isinstance(said.get("title"), str):
        del said["title"]
    if "default" in said and said["default"] is None:
        return _without_null(said)
    return said


def _without_null(said: dict[str, Any]) -> dict[str, Any]:
    """A term that may be left out: nobody needs to be offered to write ``null``."""
    rest = {name: one for name, one in said.items() if name not in ("default", "anyOf")}
    choices = [one for one in said.get("anyOf", ()) if one != {"type": "null"}]
    return {**choices[0], **rest} if len(choices) == 1 else {**rest, "anyOf": choices}
