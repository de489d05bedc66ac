"""What this process has lately seen acknowledged: identities with their payloads, bounded."""

from __future__ import annotations


class Recent:
    """Remembers at least the last ``size`` identities, at most twice as many.

    Two generations: when the young one is full it becomes the old one, and the old is dropped.
    What it does not remember, the evaluator still knows; ingest only cannot answer it.
    """

    def __init__(self, size: int = 200_000) -> None:
        self._size = size
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, identity: bytes) -> bytes | None:
        """The payload first acknowledged under an identity, if remembered."""
        return self._young.get(identity) or self._old.get(identity)

    def add(self, identity: bytes, payload: bytes) -> None:
        """Remember an acknowledged event; of two payloads the one that was acknowledged first."""
        if self.get(identity) is None:
            self.put(identity, payload)

    def put(self, identity: bytes, payload: bytes) -> None:
        """Remember what is known to count under an identity, whatever was remembered."""
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[identity] = payload
