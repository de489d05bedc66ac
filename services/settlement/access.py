"""Who may see and do what. A vendor sees its own and nothing else; for the rest there is a 404."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from schemas.agreement import Agreement
from schemas.role import Role
from services.catalogue.api_key import bearer, recognise
from services.catalogue.cached import CatalogueCopy
from services.catalogue.snapshot import Catalogue
from services.shell.http.problems import Problem

READERS: tuple[Role, ...] = ("vendor", "procurement", "admin")
BOOK_READERS: tuple[Role, ...] = ("vendor", "procurement", "finance", "admin")
BUYERS: tuple[Role, ...] = ("procurement", "admin")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and the part of the world that is theirs."""

    party: str
    role: Role
    prefix: str
    catalogue: Catalogue

    @property
    def name(self) -> str:
        """Whose idempotency keys these are."""
        return f"{self.role}:{self.party}"

    @property
    def scope(self) -> tuple[str | None, str | None]:
        """The limits by vendor and by buyer, as queries take them."""
        return self.vendor, self.buyer

    @property
    def vendor(self) -> str | None:
        """The vendor that all they see belongs to; None: no limit by vendor."""
        return self.party if self.role == "vendor" else None

    @property
    def buyer(self) -> str | None:
        """The buyer that all they see belongs to; None: no limit by buyer."""
        return self.party if self.role in ("procurement", "finance") else None

    def buyer_of(self, programme: str) -> str:
        """The buyer of an applied programme."""
        found = self.catalogue.programme(programme)
        assert found is not None, "an agreement is applied after its programme"
        return found.buyer

    def sees(self, agreement: Agreement) -> bool:
        """Whether an agreement is in their part of the world."""
        return self.vendor in (None, agreement.vendor) and self.buyer in (
            None,
            self.buyer_of(agreement.programme),
        )

    def agreement(self, name: str) -> tuple[Agreement, ...]:
        """All versions of an agreement they may see. Raises a 404 for one they may not."""
        versions = self.catalogue.agreements.get(name)
        if not versions or not self.sees(versions[-1]):
            raise not_found(f"agreement {name}")
        return versions

    def agreements(self) -> list[str]:
        """The names of all agreements they may see, sorted."""
        return sorted(
            name for name, versions in self.catalogue.agreements.items() if self.sees(versions[-1])
        )

    def check_filters(self, agreement: str | None = None, vendor: str | None = None) -> None:
        """Raise a 404 for a filter that names what they do not know: a misspelt name would show
        an empty list."""
        if agreement is not None:
            self.agreement(agreement)
        if vendor is not None and vendor not in self._vendors():
            raise not_found(f"vendor {vendor}")

    def _vendors(self) -> set[str]:
        """Every vendor they may know of."""
        if self.vendor is not None:
            return {self.vendor}
        return {vendor for buyer, vendor in self._pairs() if self.buyer in (None, buyer)}

    def sees_source(self, source: str) -> bool:
        """Whether a source reports in their part of the world. Unknown ones are the operator's."""
        if self.role == "admin":
            return True
        owner = self.catalogue.sources.get(source)
        if owner is None:
            return False
        if self.vendor is not None:
            return owner.party == self.vendor
        return self.buyer_of(owner.programme) == self.buyer

    def sources(self) -> list[str] | None:
        """The sources they may see; None: all."""
        if self.role == "admin":
            return None
        return [source for source in self.catalogue.sources if self.sees_source(source)]

    def parties(self) -> list[str] | None:
        """Whose refusals by ingest they may see, whatever these say; None: everyone's.

        The buyer sees its own, and those of vendors that work for no other buyer.
        """
        if self.role == "admin":
            return None
        if self.vendor is not None:
            return [self.vendor]
        others = {vendor for buyer, vendor in self._pairs() if buyer != self.buyer}
        return [self.party, *(vendor for vendor in self.partners() if vendor not in others)]

    def partners(self) -> list[str]:
        """The vendors of a buyer's programmes; of them it may see what names its own sources."""
        if self.buyer is None:
            return []
        return sorted({vendor for buyer, vendor in self._pairs() if buyer == self.buyer})

    def _pairs(self) -> set[tuple[str, str]]:
        """Every buyer with every vendor of its programmes."""
        return {
            (version.buyer, vendor.vendor)
            for version in self.catalogue.programme_versions
            for vendor in version.vendors
        }

    def may_see_evidence_of(self, source: str) -> bool:
        """Whether an event may be named to them as evidence of a figure they may see.

        A vendor is told of its own events and the buyer's; those of other vendors are withheld.
        """
        if self.vendor is None:
            return True
        owner = self.catalogue.sources.get(source)
        return owner is not None and owner.party in (self.vendor, self.buyer_of(owner.programme))

    def is_settled_by(self, source: str, data: Mapping[str, object]) -> bool:
        """Whether an event of a source is one that an agreement they may see is settled by: it
        names the agreement, or a metric that the agreement's levels are measured by."""
        owner = self.catalogue.sources.get(source)
        mine = [self.catalogue.agreements[name] for name in self.agreements()]
        return owner is not None and any(
            data.get("agreement") == version.agreement
            or data.get("metric") in {level.metric for level in version.levels}
            for versions in mine
            for version in versions
            if version.programme == owner.programme
        )


def not_found(what: str) -> Problem:
    """There is none, or none that the asker may know of: the answer is the same."""
    return Problem(
        404,
        "not-found",
        f"There is no {what}, or it is not visible to you.",
        "Check the name, and whose key it is: what belongs to another party is not shown.",
    )


async def recognise_sender(request: Request) -> None:
    """Find out who asks, by the head of a request, for `asks` to read. Raises Problem 401."""
    copy: CatalogueCopy = request.app.state.parts.catalogue
    text = bearer(request.headers.get("authorization"))
    if text:  # else nobody asks, and the database need not be asked either
        await copy.refresh()  # what was applied a moment ago through another process is there
    catalogue = copy.current
    key = recognise(catalogue.keys, text) if text else None
    if key is None:
        raise Problem(
            401,
            "not-authenticated",
            "This key is not known or was revoked." if text else "The request has no key.",
            "Send a key that is not revoked as 'Authorization: Bearer eb_...'.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    request.state.asker = Principal(key.party, key.role, key.prefix, catalogue)


def asks(*roles: Role) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that lets only these roles pass."""

    async def principal(request: Request) -> Principal:
        asker: Principal = request.state.asker
        if asker.role not in roles:
            raise Problem(
                403,
                "not-allowed",
                f"The role {asker.role} may not do this.",
                f"It takes a key of the role {' or '.join(roles)}.",
            )
        return asker

    return principal


ReaderPrincipal = Annotated[Principal, Depends(asks(*READERS))]
"""Vendors, and the buyer's side that manages the agreements."""
BookReaderPrincipal = Annotated[Principal, Depends(asks(*BOOK_READERS))]
"""The same and the buyer's finance, who read statements and the ledger."""
Buyer = Annotated[Principal, Depends(asks(*BUYERS))]
VendorPrincipal = Annotated[Principal, Depends(asks("vendor"))]
OperatorPrincipal = Annotated[Principal, Depends(asks("admin"))]
