"""What the command reads of lists over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from services.cli.client import Client

UNREAD = {"what": "proposal 7", "reason": "this release cannot read it"}
PAGES = {
    "/v1/proposals": {"items": [{"name": "a"}], "next": "more", "unread": [UNREAD]},
    "/v1/proposals?cursor=more": {"items": [{"name": "b"}], "next": None, "unread": []},
}


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(PAGES[self.path]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of an API that has two pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_port}"
        made = Client(ingest=where, settlement=where, key="eb_k")
        try:
            yield made
        finally:
            made.close()
            server.shutdown()


def test_what_a_list_cannot_show_is_told_on_stderr_and_the_rest_is_read(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [each["name"] for each in client.items("/v1/proposals")] == ["a", "b"]
    told = capsys.readouterr()
    assert told.err == "proposal 7 is not shown: this release cannot read it\n"
    assert told.out == ""
