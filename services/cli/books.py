"""What a running earnback has settled, as the commands ask for it over the settlement API."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from schemas.period import first_day, period_length
from services.cli.client import AskedFor, Client, RequestRefused
from services.core.calendar.windows import labels_between

SETTLED_SECONDS = 20.0
"""How long a close is waited for to reach the books; it takes a moment."""


def statements(client: Client, agreement: str | None) -> list[dict[str, Any]]:
    """The latest statement of every period, by agreement and period. Raises RequestRefused."""
    query = {"agreement": agreement} if agreement else {}
    rows = list(client.items("/v1/statements", **query))
    return sorted(rows, key=lambda row: (row["agreement"], first_day(row["period"])))


def statement(client: Client, agreement: str, period: str, revision: int | None) -> dict[str, Any]:
    """A statement with its revision; the latest where none is asked for. Raises RequestRefused."""
    found: dict[str, Any] = client.get(_path(agreement, period), **_revision(revision))
    return found


def document(client: Client, agreement: str, period: str, revision: int | None) -> bytes:
    """The canonical bytes of a statement. Raises RequestRefused."""
    return client.bytes_at(f"{_path(agreement, period)}/document", **_revision(revision))


def history(client: Client, agreement: str, period: str) -> Sequence[str]:
    """A sentence for each revision of a period, the first one first."""
    query: dict[str, str] = {"agreement": agreement, "period": period, "all_revisions": "true"}
    rows = sorted(client.items("/v1/statements", **query), key=lambda row: int(row["revision"]))
    return [
        f"revision {row['revision']} of {row['recorded_at'][:10]}: {row['total']['amount']} "
        f"{row['total']['currency']}"
        for row in rows
    ]


def explanation(
    client: Client, agreement: str, period: str, line: str, revision: int | None
) -> dict[str, Any]:
    """Why a line is what it is. Raises RequestRefused, with the revision that has it."""
    path = f"{_path(agreement, period)}/lines/{quote(line)}/explanation"
    try:
        found: dict[str, Any] = client.get(path, **_revision(revision))
    except RequestRefused as refused:
        if refused.status == 404 and revision is None:
            _tell_of_an_older_line(client, agreement, period, line, refused)
        raise
    return found


def events_behind(
    client: Client, agreement: str, period: str, line: str, revision: int | None
) -> Iterator[dict[str, Any]]:
    """All events behind a line: those of its figures, page by page, then those of the amount.

    Each once. Raises RequestRefused.
    """
    path = f"{_path(agreement, period)}/lines/{quote(line)}/explanation"
    query: dict[str, str | int] = {**_revision(revision), "limit": 500}
    listed = set()
    while True:
        found = client.get(path, **query)
        page = found["facts"]
        if page["unavailable"]:
            raise RequestRefused(page["unavailable"])
        listed |= {(event["source"], event["id"]) for event in page["items"]}
        yield from page["items"]
        if not page["next"]:
            break
        query["cursor"] = page["next"]
    own = found["events"]
    yield from (event for event in own if (event["source"], event["id"]) not in listed)


def _tell_of_an_older_line(
    client: Client, agreement: str, period: str, line: str, refused: RequestRefused
) -> None:
    """Raise the refusal with the latest revision that had the line; return where none had."""
    latest = statement(client, agreement, period, None)
    for revision in range(latest["revision"] - 1, 0, -1):
        older = statement(client, agreement, period, revision)
        if any(each["line"] == line for each in older["statement"]["lines"]):
            raise RequestRefused(
                f"revision {latest['revision']} of {agreement} {period} has no line {line}; "
                f"revision {revision} has: explain it with --revision {revision}",
                refused.status,
            ) from None


def held_restatements(
    client: Client, agreement: str | None, periods: Sequence[str]
) -> list[dict[str, Any]]:
    """The settled periods that today's rules would settle otherwise. Raises RequestRefused."""
    query = {"agreement": agreement} if agreement else {}
    rows = client.items("/v1/restatements", **query)
    return [row for row in rows if not periods or row["period"] in periods]


def order_restatement(
    client: Client, agreement: str, periods: Sequence[str], reason: str
) -> dict[str, Any]:
    """Order a restatement; the run with what it restated. Raises RequestRefused and AskedFor."""
    order = {"agreement": agreement, "periods": list(periods), "reason": reason}
    done: dict[str, Any] = client.post("/v1/restatements", order)
    if "request_id" in done:
        raise AskedFor(done["request_id"])
    return done


def waits_after_close(client: Client, order: dict[str, Any]) -> str | None:
    """Why there is no statement once a close has reached the books; None where there is one.

    A sentence too where that takes longer than SETTLED_SECONDS.
    """
    agreement, period = order["agreement"], order["period"]
    until = time.monotonic() + SETTLED_SECONDS
    while not _is_in_the_books(client, agreement, period, order.get("revision") or 1):
        if time.monotonic() > until:
            return (
                "settlement has not processed it yet; look again with: "
                f"earnback statements {agreement} {period}"
            )
        time.sleep(0.1)
    for waits in client.items("/v1/pending"):
        if waits["state"] not in ("waits", "parked"):
            continue  # a dispute or a proposal holds back no statement
        if (waits["agreement"], waits["period"]) == (agreement, period):
            return (
                f"no statement yet, it waits: {'; '.join(waits['reasons'])}. It will be issued "
                "automatically once that is there"
            )
    return None


def labels_of(text: str) -> Sequence[str]:
    """A period's label, or all labels from a first to a last: ``2025-01..2025-03``.

    Raises ValueError where they are not of one length, or the last comes before the first.
    """
    first, dots, last = text.partition("..")
    if not dots:
        return (first,)
    if period_length(first) != period_length(last):
        raise ValueError(f"{text}: write both periods in one length, such as 2025-01..2025-03")
    labels = tuple(labels_between(first, last))
    if not labels:
        raise ValueError(f"{text}: the last period comes before the first; exchange them")
    return labels


def _is_in_the_books(client: Client, agreement: str, period: str, revision: int) -> bool:
    path = f"/v1/agreements/{quote(agreement, safe='')}/evaluations/{quote(period, safe='')}"
    try:
        return bool(client.get(path)["revision"] >= revision)
    except RequestRefused as refused:
        if refused.status != 404:
            raise
        return False


def _path(agreement: str, period: str) -> str:
    return f"/v1/statements/{quote(agreement, safe='')}/{quote(period, safe='')}"


def _revision(revision: int | None) -> dict[str, int]:
    return {} if revision is None else {"revision": revision}
