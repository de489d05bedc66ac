"""How fast a party may have events refused: judging rubbish takes time that is everybody's."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from time import monotonic

from services.shell.http.problems import Problem

AT_ONCE = 20_000
PER_SECOND = 200.0


class RefusalRate:
    """Tokens of each party in this process: a refused event takes one, time gives them back.

    Parties come from API keys, so there are as many as the catalogue has.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._tokens: dict[str, tuple[float, float]] = {}

    def check(self, party: str) -> None:
        """Raise Problem 429 for a party that has none left, before its request is read."""
        left = self._left(party)
        if left > 0:
            return
        seconds = ceil((1 - left) / PER_SECOND)
        raise Problem(
            429,
            "too-many-refused",
            "Too many events of this party were refused lately.",
            f"Mend the sender, and send again in {seconds} seconds: nothing of this request was "
            f"read. {AT_ONCE} refused events are judged at once, then {PER_SECOND:.0f} a second.",
            headers={"Retry-After": str(seconds)},
        )

    def took(self, party: str, refused: int) -> None:
        """Note how many events of a request were refused."""
        if refused:
            self._tokens[party] = (self._left(party) - refused, self._clock())

    def _left(self, party: str) -> float:
        left, since = self._tokens.get(party, (float(AT_ONCE), self._clock()))
        return min(float(AT_ONCE), left + (self._clock() - since) * PER_SECOND)
