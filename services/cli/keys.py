"""API keys by command: who may have one, which there are, and their end."""

from __future__ import annotations

from datetime import datetime

from schemas.role import ROLES, Role
from services.catalogue import keys
from services.catalogue.four_eyes import AgreementNeeded, ask
from services.catalogue.keys import KnownKey
from services.catalogue.snapshot import Catalogue
from services.catalogue.store import load
from services.cli.client import AskedForByCommand
from services.cli.person import command_author
from services.shell.postgres import connected

NAME = "earnback-keys"
OF_BUYERS = ("procurement", "finance", "probe")
OF_VENDORS = ("vendor", "probe")


async def make(postgres: str, party: str, role: str, label: str) -> tuple[str, str | None]:
    """Create a key: its text, and a warning where no programme can say whether the party is one.

    Raises ValueError for an unknown role, and for a party that no programme names for it.
    """
    checked = _role(role)
    async with connected(postgres, name=NAME) as connection:
        warning = _doubt(await load(connection), party, checked)
        text = await keys.create(
            connection, party=party, role=checked, label=label, by=command_author()
        )
        return text, warning


async def every(postgres: str) -> tuple[KnownKey, ...]:
    """Every key, the oldest first."""
    async with connected(postgres, name=NAME) as connection:
        return await keys.known_keys(connection)


async def end(postgres: str, prefix: str, reason: str) -> None:
    """Revoke a key. Raises UnknownKey, and AskedForByCommand where another has to agree first."""
    by = command_author()
    async with connected(postgres, name=NAME) as connection:
        try:
            await keys.revoke(connection, prefix, reason=reason, by=by)
        except AgreementNeeded as needed:
            async with connection.transaction():
                asked = await ask(connection, needed.act, by)
            raise AskedForByCommand([str(asked)]) from needed


def cells(one: KnownKey) -> tuple[str, ...]:
    """A key as a row of a table."""
    revoked = f"{_day(one.revoked_at)}: {one.reason}" if one.revoked_at else ""
    return one.prefix, one.party, one.role, one.label, _day(one.created_at), revoked


def as_json(one: KnownKey) -> dict[str, str | None]:
    """A key as JSON; times in UTC."""
    return {
        "prefix": one.prefix,
        "party": one.party,
        "role": one.role,
        "label": one.label,
        "created_at": one.created_at.isoformat(),
        "revoked_at": one.revoked_at.isoformat() if one.revoked_at else None,
        "reason": one.reason,
    }


def _day(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise ValueError(f"role '{text}' is unknown; use one of {', '.join(ROLES)}")


def _doubt(catalogue: Catalogue, party: str, role: Role) -> str | None:
    """Why nobody can tell whether a role fits a party; None where it does fit.

    The operator's own role stands for no party. Raises ValueError where the role does not fit.
    """
    if role == "admin":
        return None
    if not catalogue.programmes:
        return (
            f"no programme is applied yet, so none says that {party} is a party; the key sees "
            f"nothing until one names it, as {' or '.join(_sides(role))}"
        )
    own = {
        "buyer": {one.buyer for one in catalogue.programme_versions},
        "vendor": set(catalogue.vendors),
    }
    if any(party in own[side] for side in _sides(role)):
        return None
    is_one = [side for side in own if party in own[side]]
    if is_one:
        fitting = OF_BUYERS if is_one == ["buyer"] else OF_VENDORS
        raise ValueError(
            f"role {role}: {party} is a {is_one[0]}, and the role is one of a "
            f"{_sides(role)[0]}; give it {' or '.join(fitting)}"
        )
    known = sorted(set().union(*(own[side] for side in _sides(role))))
    raise ValueError(
        f"party '{party}': no programme that is applied names it as {' or '.join(_sides(role))}; "
        f"use one of {', '.join(known)}, or apply the programme that names it first"
    )


def _sides(role: Role) -> tuple[str, ...]:
    return tuple(
        side for side, roles in (("buyer", OF_BUYERS), ("vendor", OF_VENDORS)) if role in roles
    )
