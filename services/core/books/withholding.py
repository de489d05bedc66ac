"""What of a disputed line is not due: the part that is disputed by the party that owes it."""

from __future__ import annotations

from schemas.dispute import DisputeSide


def withheld(raised_by: DisputeSide, *, effect: int, disputed: int, posted: int) -> int:
    """The part of a line that is not due while a dispute of it is open, in minor units.

    Signed as the line is: positive where the vendor owes. Only who owes an amount withholds it; a
    party that disputes what it is owed gets the amount meanwhile.

    ``effect``: by how much the line is too high, as its debtor says. ``disputed``: what the line
    came to in the revision that is disputed; ``posted``: what it comes to now. Never more than the
    effect, and never anything of the undisputed part, also where a later revision has changed the
    line: the undisputed part is due on time.
    """
    sign = 1 if raised_by == "vendor" else -1
    owed, undisputed = sign * posted, max(0, sign * disputed - effect)
    return sign * max(0, min(effect, owed - undisputed))
