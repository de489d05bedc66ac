"""What the core cannot work out for one agreement is said of it, and the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CannotBeWorkedOut(ValueError):
    """An agreement that cannot be settled. The text is the reason."""


@contextmanager
def worked_out(agreements: str) -> Iterator[None]:
    """Turn whatever the core raises for these agreements into CannotBeWorkedOut."""
    try:
        yield
    except Exception as error:
        raise CannotBeWorkedOut(f"{agreements} cannot be settled: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """Why working something out failed: ValueError speaks to people, anything else is a defect."""
    if isinstance(error, ValueError) and str(error):
        return str(error)
    kind = type(error).__name__
    return (
        f"working it out failed ({kind}: {error}); this is a defect of earnback: report it with "
        "the contract and the period"
    )
