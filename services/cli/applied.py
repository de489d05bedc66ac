"""What is applied already, for commands that check files beside it where it can be read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.catalogue.snapshot import Catalogue
from services.catalogue.store import load
from services.cli.files import ContractFiles
from services.cli.where import reached
from services.shell.postgres import NotReached, connected


@dataclass(frozen=True, slots=True)
class AppliedContracts:
    """Versions that are applied, as far as they could be read.

    ``unread``: why they could not be, so that files are taken by themselves. ``failed``: whether
    that is because something was in the way.
    """

    programmes: tuple[Programme, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    unread: str = ""
    failed: bool = False

    def lacked(self, found: ContractFiles) -> list[str]:
        """A line where these versions might have made a difference, had they been read."""
        unknown = not found.partial and any(one.path == "programme" for one in found.refusals)
        return [self.unread] if self.failed or (self.unread and unknown) else []


def applied() -> AppliedContracts:
    """The versions of the earnback that runs here or that the environment names."""
    postgres = reached().postgres
    if not postgres:
        return AppliedContracts(
            unread="no running earnback was found, so it was not compared with what is applied: "
            "start it with 'earnback up', or set EARNBACK_POSTGRES"
        )
    try:
        found = asyncio.run(_catalogue(postgres))
    except NotReached as error:
        return AppliedContracts(
            unread=f"it was not compared with what is applied: {error}, or unset it", failed=True
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return AppliedContracts(
            unread=f"it was not compared with what is applied, as the database cannot be read "
            f"({error or type(error).__name__}): start it, or correct or unset EARNBACK_POSTGRES",
            failed=True,
        )
    return AppliedContracts(found.programme_versions, found.agreement_versions)


async def _catalogue(postgres: str) -> Catalogue:
    async with connected(postgres, name="earnback-check") as connection:
        return await load(connection)
