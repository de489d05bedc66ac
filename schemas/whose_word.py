"""Whose word counts: which party may state a charge, a circumstance, a decision or a figure."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from schemas.base import Name, Noun

WordOf = Name
"""buyer, vendor, either (what one of the two states counts at once), both (what one states counts
once the other accepts it), or the name of a third party of the programme."""

SIDES = ("buyer", "vendor", "either", "both")
"""What is no name of a third party."""

SaidKind = Literal["charges", "circumstances", "decisions", "figures"]
SAID: tuple[SaidKind, ...] = get_args(SaidKind)
"""What a party can state. A decision is a circumstance by which a party makes a choice."""


class ThirdParty(Noun):
    """A party that neither buys nor owes service levels, such as an auditor."""

    party: Name = Field(description="Its name in contracts and events.")
    name: str = Field(description="Its name for people.", min_length=1, max_length=2000)


class Silence(Noun):
    """What becomes of a proposal that nobody answers."""

    after_days: Annotated[int, Field(ge=1, le=3660)] = Field(
        description="So many days of 24 hours after the proposal's time. It holds where they end "
        "before the period can be closed; what is proposed too late for that stays open."
    )
    counts_as: Literal["accepted", "rejected"] = Field(description="What it is then.")


class WhoseWord(Noun):
    """Whose word counts. What another party states is a proposal, without effect on its own."""

    charges: WordOf = Field(description="Of charges, the bases of percentages.")
    circumstances: WordOf = Field(description="Of circumstances that are no decisions.")
    decisions: WordOf = Field(description="Of claims, and of what a party decides or chooses.")
    figures: WordOf = Field(description="Of figures that are declared.")
    silence: Silence | None = Field(
        None, description="What becomes of proposals without an answer. Absent: they stay open."
    )


class OwnWord(Noun):
    """Whose word counts for one charge or circumstance of an agreement."""

    states: Literal["charge", "circumstance"] = Field(description="What it is.")
    name: Name = Field(description="The base, or the circumstance.")
    of: WordOf = Field(description="Whose word counts for it.")
