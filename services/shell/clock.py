"""The only place that asks what time it is. Everything else is told."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def now_us() -> int:
    """Return the present moment in whole microseconds since 1970-01-01 UTC."""
    return microseconds(now())


def microseconds(moment: datetime) -> int:
    """Return an aware moment in whole microseconds since 1970-01-01 UTC, exactly (no float)."""
    assert moment.tzinfo is not None, "a moment without a zone means nothing here"
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
