"""The ledger: double entry, append-only. An entry names both accounts, so it always balances."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from schemas.base import Name, Noun
from schemas.evaluation import Digest
from schemas.money import Currency
from schemas.period import PeriodLabel
from schemas.statement import LineKind

Account = Annotated[str, StringConstraints(pattern=r"^[a-z0-9:._-]{3,200}$")]


class LedgerEntry(Noun):
    """One movement between two accounts. Corrections are further entries, never edits."""

    entry_id: UUID = Field(description="Made from run, line and currency: a replay collides.")
    run_id: UUID
    programme: Name
    agreement: Name
    version: Annotated[int, Field(ge=1)]
    vendor: Name
    period: PeriodLabel
    line: str
    kind: LineKind
    level: Name | None = None
    debit_account: Account
    credit_account: Account
    minor_units: Annotated[int, Field(gt=0, strict=True)]
    currency: Currency
    facts_digest: Digest

    @model_validator(mode="after")
    def _between_two(self) -> Self:
        if self.debit_account == self.credit_account:
            raise ValueError("an entry moves money between two different accounts")
        return self


class SettlementRun(Noun):
    """One dated computation of an agreement's settlement. It posts differences to the last one."""

    run_id: UUID
    agreement: Name
    number: Annotated[int, Field(ge=1)]
    reason: str
    because_of: PeriodLabel = Field(
        description="The period whose evaluation caused the run; of a restatement the first period "
        "restated."
    )
    caused_by: Name | None = Field(
        None,
        description="The agreement that was evaluated, where it is another one that shares a cap "
        "with this one.",
    )
    revision: Annotated[int, Field(ge=1)] = Field(description="The revision of that evaluation.")
    ordered_by: str | None = Field(
        None, description="Who ordered it, as role:party, where `reason` is restated."
    )
    order_reason: str | None = Field(None, description="The reason that they gave.")
