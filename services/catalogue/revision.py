"""The catalogue's revision: one number that grows with every change, and the lock for changing."""

from services.shell.postgres import Connection

CHANNEL = "catalogue"


async def revision(connection: Connection) -> int:
    """The catalogue's revision: one cheap number to poll."""
    return int(await connection.fetchval("select revision from catalogue_revision"))


async def move(connection: Connection) -> int:
    """Take the catalogue's lock until the transaction ends and return its next revision."""
    moved = await connection.fetchval(
        "update catalogue_revision set revision = revision + 1 returning revision"
    )
    await connection.execute("select pg_notify($1, $2)", CHANNEL, str(moved))
    return int(moved)
