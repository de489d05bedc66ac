"""What sets installations apart that share a Kafka cluster or a Postgres server: one prefix, and
the names that follow from it."""

import re
from dataclasses import fields, replace
from typing import Any, TypeVar

Topics = TypeVar("Topics", bound=Any)

FORM = "up to 24 small letters, digits and hyphens, a letter first, not intake"
_FORM = re.compile(r"[a-z](?:[a-z0-9-]{0,22}[a-z0-9])?")


def prefix(text: str) -> str:
    """The prefix as it was given; "" is none.

    It holds no dot, so no installation's names begin as another's; `intake` would make its topics
    look like those of vendors of an installation without a prefix. Raises ValueError for another
    form.
    """
    if text and (not _FORM.fullmatch(text) or text == "intake"):
        raise ValueError("it has another form")
    return text


def beginning(prefix: str) -> str:
    """What the name of each topic, consumer group and transactional id begins with."""
    return f"{prefix}." if prefix else ""


def role_beginning(prefix: str) -> str:
    """What the name of each role in Postgres begins with: without signs that SQL would quote."""
    return f"{prefix.replace('-', '_')}_" if prefix else ""


def under(prefix: str, topics: Topics) -> Topics:
    """A record of topic names, each with the prefix."""
    names = {one.name: beginning(prefix) + getattr(topics, one.name) for one in fields(topics)}
    found: Topics = replace(topics, **names)
    return found
