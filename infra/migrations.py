"""Brings a database to the newest schema: plain SQL, in order, each file once.

Migrations lie in `infra/postgres/migrations/NNNN-name/` as `up.sql`, with `why.md` beside it. What
was applied is recorded with the sha256 of its file, and an applied file that changed is refused:
history is added to, never edited.

    python -m infra.migrations postgresql://…
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import asyncpg

FOLDER = Path(__file__).parent / "postgres" / "migrations"
ROLES, GRANTS = FOLDER.parent / "roles.sql", FOLDER.parent / "grants.sql"
"""Before and after the migrations: the roles of the services, and what each may do."""

# Any constant will do, as long as every runner uses the same one.
_LOCK = 0x6561_726E_6261_636B

_ROLE = re.compile(r"\b(earnback_(?:party|relay|ingest|evaluator|settlement))\b")
_TABLE = """
create table if not exists schema_migration (
    name        text primary key,
    sha256      text not null,
    applied_at  timestamptz not null default now()
)
"""


class MigrationError(RuntimeError):
    """The files and the database don't fit together."""


@dataclass(frozen=True)
class Migration:
    """One step: the folder's `name`, the `sql` to run, the file's `sha256` in hex."""

    name: str
    sql: str
    sha256: str


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """All migrations in order. `MigrationError` for a malformed name or a number left out."""
    found = []
    for number, path in enumerate(sorted(p for p in folder.iterdir() if p.is_dir()), 1):
        if not re.fullmatch(rf"{number:04d}-[a-z0-9-]+", path.name):
            raise MigrationError(
                f"migration {path.name}: expected {number:04d}-some-name; number the folders from "
                "0001 without gaps, in small letters, digits and hyphens"
            )
        content = (path / "up.sql").read_bytes()
        found.append(Migration(path.name, content.decode(), hashlib.sha256(content).hexdigest()))
    return found


async def migrate(dsn: str, folder: Path = FOLDER, beginning: str = "") -> list[str]:
    """Apply what is missing, all of it or nothing; the names of what was applied, in order.

    The roles of the services and their rights are made as `roles.sql` and `grants.sql` list them.

    `beginning`: what the name of each role begins with. Roles are of the whole server:
    installations that share one have roles of their own, each without a right in the others'
    databases.

    Runners that come at the same time wait for each other. Raises `MigrationError` when the
    database holds a migration that is not there any more, or whose file changed.
    """
    wanted = migrations(folder)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(_TABLE)
            if folder == FOLDER:
                await connection.execute(_named(ROLES.read_text(encoding="utf-8"), beginning))
            rows = await connection.fetch("select name, sha256 from schema_migration order by name")
            missing = pending(wanted, {row["name"]: row["sha256"] for row in rows})
            for migration in missing:
                await connection.execute(_named(migration.sql, beginning))
                await connection.execute(
                    "insert into schema_migration (name, sha256) values ($1, $2)",
                    migration.name,
                    migration.sha256,
                )
            if folder == FOLDER:
                await _check_roles(connection, beginning)
                await connection.execute(_named(GRANTS.read_text(encoding="utf-8"), beginning))
        return [migration.name for migration in missing]
    finally:
        await connection.close()


async def _check_roles(connection: asyncpg.Connection, beginning: str) -> None:
    """Refuse another prefix than the database was made with: its row security binds that role."""
    bound = await connection.fetch(
        "select distinct role from pg_policies, unnest(roles) as role"
        " where policyname = 'party' and role <> $1 order by role",
        f"{beginning}earnback_party",
    )
    if bound:
        raise MigrationError(
            f"row security of this database binds the role {bound[0]['role']}, not "
            f"{beginning}earnback_party: a prefix is chosen once, give the one that the database "
            "was prepared with"
        )


@dataclass(frozen=True)
class Missing:
    """What a database lacks: names of migrations, in order, and of roles.

    `makes_roles`: whether who logs in may make those.
    """

    migrations: tuple[str, ...]
    roles: tuple[str, ...]
    makes_roles: bool


async def missing(connection: asyncpg.Connection, beginning: str = "") -> Missing:
    """What `migrate` would make. Changes nothing.

    Raises `MigrationError` as `migrate` does.
    """
    applied = {}
    if await connection.fetchval("select to_regclass('schema_migration') is not null"):
        rows = await connection.fetch("select name, sha256 from schema_migration order by name")
        applied = {row["name"]: row["sha256"] for row in rows}
    await _check_roles(connection, beginning)
    named = _ROLE.findall(_named(ROLES.read_text(encoding="utf-8"), ""))
    wanted = [beginning + name for name in dict.fromkeys(named)]
    there = await connection.fetch(
        "select rolname from pg_roles where rolname = any($1::text[])", wanted
    )
    may = await connection.fetchval(
        "select rolsuper or rolcreaterole from pg_roles where rolname = current_user"
    )
    return Missing(
        tuple(each.name for each in pending(migrations(), applied)),
        tuple(name for name in wanted if name not in {row["rolname"] for row in there}),
        bool(may),
    )


def _named(sql: str, beginning: str) -> str:
    """The SQL with the roles of this installation: files name them as they are without a prefix."""
    return _ROLE.sub(rf"{beginning}\1", sql)


def pending(wanted: list[Migration], applied: dict[str, str]) -> list[Migration]:
    """What is still to be applied, given the sha256 of each applied name."""
    for name, sha256 in applied.items():
        known = next((migration for migration in wanted if migration.name == name), None)
        if known is None:
            raise MigrationError(
                f"migration {name}: applied to this database but not known here; "
                "the database is newer than the program: run the newer program"
            )
        if known.sha256 != sha256:
            raise MigrationError(
                f"migration {name}: up.sql changed after it was applied (sha256 {known.sha256}, "
                f"applied {sha256}); restore the file and put the change into a new migration"
            )
    missing = [migration for migration in wanted if migration.name not in applied]
    if missing != wanted[len(applied) :]:
        raise MigrationError(
            f"migration {missing[0].name}: a later one is applied already; renumber it to come last"
        )
    return missing


def main() -> int:
    """Migrate the database named as argument or in EARNBACK_POSTGRES."""
    dsn = sys.argv[1] if len(sys.argv) == 2 else os.environ.get("EARNBACK_POSTGRES")
    if not dsn or len(sys.argv) > 2:
        print("usage: python -m infra.migrations DSN (or set EARNBACK_POSTGRES)", file=sys.stderr)
        return 2
    try:
        applied = asyncio.run(migrate(dsn))
    except (MigrationError, OSError, asyncpg.PostgresError) as error:
        print(f"migration failed, nothing was changed: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    return 0


if __name__ == "__main__":
    sys.exit(main())
