"""How fast a party may have events accepted and refused: what is everybody's time and log.

All partitions of `measurements` are shared: one party's legal flood stands before the facts of
the others that lie in the same one. So what a party sends in a second has a bound, over HTTP and
from its topic together; and judging what is refused has a smaller one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf
from threading import Lock
from time import monotonic

from services.shell.http.problems import Problem

REFUSED_AT_ONCE = 20_000
REFUSED_PER_SECOND = 200.0
BURST_S = 2.0
"""A party may send the events of so many seconds at once."""


class PartyTokens:
    """Tokens of each party in this process: what it does takes some, time gives them back.

    Parties come from API keys and topics, so there are as many as the catalogue has.
    """

    def __init__(
        self, per_second: float, at_once: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self.per_second, self.at_once = per_second, at_once
        self._clock = clock
        self._lock = Lock()
        """The intake has a thread of its own."""
        self._tokens: dict[str, tuple[float, float]] = {}

    def left(self, party: str) -> float:
        """How many a party has; fewer than one: it has to wait."""
        with self._lock:
            return self._left(party)

    def took(self, party: str, number: int) -> None:
        """Take so many from a party, also where it has fewer."""
        if number:
            with self._lock:
                self._tokens[party] = (self._left(party) - number, self._clock())

    def seconds(self, party: str) -> int:
        """After how many seconds a party has one again; 0 where it has."""
        left = self.left(party)
        return 0 if left >= 1 else max(1, ceil((1 - left) / self.per_second))

    def _left(self, party: str) -> float:
        left, since = self._tokens.get(party, (self.at_once, self._clock()))
        return min(self.at_once, left + (self._clock() - since) * self.per_second)


class RefusalRate:
    """How many events of a party may be refused."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._tokens = PartyTokens(REFUSED_PER_SECOND, REFUSED_AT_ONCE, clock)

    def check(self, party: str) -> None:
        """Raise Problem 429 for a party that has none left, before its request is read."""
        if seconds := self._tokens.seconds(party):
            raise Problem(
                429,
                "too-many-refused",
                "Too many events of this party were refused lately.",
                f"Mend the sender, and send again in {seconds} seconds: nothing of this request "
                f"was read. {REFUSED_AT_ONCE} refused events are judged at once, then "
                f"{REFUSED_PER_SECOND:.0f} a second.",
                headers={"Retry-After": str(seconds)},
            )

    def took(self, party: str, refused: int) -> None:
        """Note how many events of a request were refused."""
        self._tokens.took(party, refused)


class EventRate:
    """How many events of a party may be accepted. ``per_second``: 0 for any number."""

    def __init__(self, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self.is_limited = per_second > 0
        self._tokens = PartyTokens(per_second, per_second * BURST_S, clock)

    def check(self, party: str) -> None:
        """Raise Problem 429 for a party that has sent too much, before its request is read."""
        if self.is_limited and (seconds := self._tokens.seconds(party)):
            raise Problem(
                429,
                "too-many-events",
                "More events of this party came than are taken in a second.",
                f"Send the request again in {seconds} seconds: nothing of it was read. "
                f"{self._tokens.per_second:.0f} events of a party are taken a second, "
                f"{self._tokens.at_once:.0f} at once.",
                headers={"Retry-After": str(seconds)},
            )

    def left(self, party: str) -> float:
        """How many more a party may send now."""
        return self._tokens.left(party) if self.is_limited else inf

    def took(self, party: str, accepted: int) -> None:
        """Note how many events were taken."""
        if self.is_limited:
            self._tokens.took(party, accepted)
