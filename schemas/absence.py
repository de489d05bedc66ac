"""What a term makes of a fact that is not there.

Nothing is assumed: without a word of the term the period waits for the fact.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Noun, Number


class CountsAs(Noun):
    """What is absent is taken as this number."""

    counts_as: Number = Field(description="The number, in the unit of what is absent.")


IfAbsentCount = Literal["wait", "nothing"] | CountsAs
"""Of what is counted from a reading. nothing: no unit. counts_as: the reading is taken as N."""

IfAbsentNumber = Literal["wait"] | CountsAs
"""Of a number. counts_as: it is taken as N."""

IfAbsentOpening = Literal["wait", "nothing"]
"""Of what was given or banked before. nothing: there was none."""

IfAbsentYesNo = Literal["wait", "does_not_hold", "holds"]
"""Of what holds or does not."""

NO_OPENING = "if_absent speaks of the 'opening', and none is named; leave it out, or name one"
"""Why an ``if_absent`` beside no opening is refused."""


NothingToCount = Annotated[
    Literal["no_data", "no_result"] | CountsAs,
    Field(
        description="Where facts say that there was nothing to count, 0 of 0. no_data: as if "
        "nothing had been reported, the level's no_data holds. no_result: the period has no "
        "result, whatever no_data says. counts_as: the figure is N."
    ),
]
"""A period in which nothing fell due is not a period of which nothing is known."""
