"""Who may see and do what. A vendor sees its own and nothing else; for the rest there is a 404."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request

from schemas.agreement import Agreement
from schemas.programme import VendorsSee
from schemas.role import Role
from services.catalogue.api_key import bearer, recognise
from services.catalogue.audit import Author
from services.catalogue.cached import CatalogueCopy
from services.catalogue.parked import DEFECT
from services.catalogue.person import PERSON, person_of
from services.catalogue.snapshot import Catalogue, SourceOwner
from services.core.events.wanted import looks_at
from services.core.visibility.extent import Belonging, Viewer, extent
from services.core.visibility.parties import parties_of
from services.core.visibility.shown import AgreementView
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
    person: str | None = None

    @property
    def name(self) -> str:
        """Whose idempotency keys these are."""
        return f"{self.role}:{self.party}"

    @property
    def author(self) -> Author:
        """Who they are, as the audit writes it down."""
        return Author(self.prefix, self.party, self.role, self.person)

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

    def book_position(self, position: int) -> int | None:
        """A place in the book as they see it: it counts what is others' too, so none but admin's
        is told."""
        return position if self.role == "admin" else None

    def buyer_of(self, programme: str) -> str:
        """The buyer of an applied programme."""
        found = self.catalogue.programme(programme)
        assert found is not None, "an agreement is applied after its programme"
        return found.buyer

    @property
    def viewer(self) -> Viewer:
        """Who looks, as the one decision on visibility takes them."""
        return Viewer(self.party, self.role)

    def sees(self, agreement: Agreement) -> bool:
        """Whether an agreement is in their part of the world."""
        thing = Belonging(self.buyer_of(agreement.programme), agreement.vendor)
        return extent(self.viewer, thing) == "whole"

    def view(self, agreement: Agreement) -> AgreementView:
        """What they see of the facts, figures and statements of an agreement."""
        programme = self.catalogue.programme(agreement.programme)
        assert programme is not None, "an agreement is applied after its programme"
        parties = parties_of(self.catalogue.programmes[agreement.programme])
        revealed = programme.vendors_see or "nothing"
        return AgreementView(self.viewer, agreement.vendor, revealed, parties)

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
        return owner is not None and extent(self.viewer, self._reported(owner)) == "whole"

    def _reported(self, owner: SourceOwner, data: Mapping[str, object] | None = None) -> Belonging:
        """Whose an event of a source is. ``data``: what it says; None: whatever it may say.

        What is said of another vendor, such as a ticket that it holds, is that vendor's.
        """
        buyer = self.buyer_of(owner.programme)
        if data is None:
            return Belonging(buyer, self._vendor_of(owner))
        said_of = data.get("assigned_to")
        return Belonging(
            buyer,
            self._vendor_of(owner) or (said_of if isinstance(said_of, str) else None),
            self._settled_by(owner.programme, data),
            self._revealed(owner.programme),
        )

    def _vendor_of(self, owner: SourceOwner) -> str | None:
        """The vendor whose a source is. What the buyer or a third party reports is no vendor's."""
        return owner.party if owner.party in self._vendors_of(owner.programme) else None

    def _vendors_of(self, programme: str) -> frozenset[str]:
        """The vendors of all versions of a programme."""
        return frozenset(
            vendor.vendor
            for version in self.catalogue.programmes[programme]
            for vendor in version.vendors
        )

    def _revealed(self, programme: str) -> VendorsSee:
        found = self.catalogue.programme(programme)
        return found.vendors_see or "nothing" if found is not None else "nothing"

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

    def may_see_events_of(self, source: str) -> bool:
        """Whether any event of a source may be shown to them, whatever it says."""
        owner = self.catalogue.sources.get(source)
        if owner is None:
            return False
        whole = self._reported(owner)
        settled = replace(
            whole, settles=frozenset({self.party}), revealed=self._revealed(owner.programme)
        )
        return self._takes_part_in(owner.programme) and extent(self.viewer, settled) == "whole"

    def sees_event(self, source: str, data: Mapping[str, object]) -> bool:
        """Whether an event may be shown to them as a whole. ``data``: what it says."""
        owner = self.catalogue.sources.get(source)
        return owner is not None and extent(self.viewer, self._reported(owner, data)) == "whole"

    def may_read(self, source: str, data: Mapping[str, object]) -> bool:
        """Whether an event may be named to them: of a source of theirs, or shown as a whole."""
        return self.sees_source(source) or self.sees_event(source, data)

    def told(self, reason: str) -> str:
        """Why work failed, as they read it: a vendor nothing that names, or may name, what is
        another's. What nobody foresaw may."""
        if self.vendor is None:
            return reason
        return _NOT_TOLD if DEFECT in reason or self._names_anothers(reason) else reason

    def _names_anothers(self, text: str) -> bool:
        """Whether a text names a party, an agreement or a source that is not theirs."""
        own = {buyer for buyer, vendor in self._pairs() if vendor == self.party} | {self.party}
        parties = {each for pair in self._pairs() for each in pair} - own
        known = self.catalogue.agreements
        return (
            any(_names(text, each) for each in parties)
            or any(_names(text, each) and not self.sees(known[each][-1]) for each in known)
            or any(
                _names(text, each) and not (self.sees_source(each) or self.may_see_events_of(each))
                for each in self.catalogue.sources
            )
        )

    def as_vendor(self, vendor: str) -> Principal:
        """What a vendor sees, to hold against it what the asker would tell it."""
        return replace(self, party=vendor, role="vendor", prefix="", person=None)

    def _takes_part_in(self, programme: str) -> bool:
        return any(
            self.catalogue.agreements[name][-1].programme == programme for name in self.agreements()
        )

    def _settled_by(self, programme: str, data: Mapping[str, object]) -> frozenset[str]:
        """The vendors with an agreement that is settled by what an event says: it names the
        agreement, or a metric and subject that the agreement looks at."""
        metric, subject = data.get("metric"), data.get("subject")
        of_subject = subject if isinstance(subject, str) else None
        return frozenset(
            version.vendor
            for version in self.catalogue.agreement_versions
            if version.programme == programme
            and (
                data.get("agreement") == version.agreement
                if not isinstance(metric, str)
                else looks_at(self.catalogue.programmes[programme], version, metric, of_subject)
            )
        )


_NOT_TOLD = "working it out failed; the buyer is told why, and report it with the trace id"


def _names(text: str, name: str) -> bool:
    """Whether a text has a name by itself, not as a part of a longer one."""
    found = name in text and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)
    return bool(found)


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
    request.state.asker = Principal(
        key.party, key.role, key.prefix, catalogue, person_of(request.headers.get(PERSON))
    )


def asks(*roles: Role) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that lets only these roles pass."""

    allowed = (", ".join(roles[:-1]), roles[-1])

    async def principal(request: Request) -> Principal:
        asker: Principal = request.state.asker
        if asker.role not in roles:
            raise Problem(
                403,
                "not-allowed",
                f"The role {asker.role} may not do this.",
                f"It takes a key of the role {' or '.join(filter(None, allowed))}.",
            )
        return asker

    return principal


ReaderPrincipal = Annotated[Principal, Depends(asks(*READERS))]
"""Vendors, and the buyer's side that manages the agreements."""
BookReaderPrincipal = Annotated[Principal, Depends(asks(*BOOK_READERS))]
"""The same and the buyer's finance, who read statements and the ledger."""
Buyer = Annotated[Principal, Depends(asks(*BUYERS))]
OperatorPrincipal = Annotated[Principal, Depends(asks("admin"))]
