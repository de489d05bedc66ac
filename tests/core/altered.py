"""A document with each of its parts altered in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def variants(node: Any, odd: Sequence[Any]) -> Iterator[Any]:
    """The node with each of its parts taken away, cut short, or replaced by something odd."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield {key: one for key, one in node.items() if key != name}
            for other in (*odd, *variants(inner, odd)):
                yield {**node, name: other}
    elif isinstance(node, list):
        yield node[:1]
        for place, inner in enumerate(node):
            for other in (*odd, *variants(inner, odd)):
                yield [*node[:place], other, *node[place + 1 :]]
