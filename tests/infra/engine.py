"""A Docker engine as far as the ladder asks it before the first container: it has no image."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REFUSAL = "the registry is out of reach"


@contextmanager
def engine(pull_seconds: float = 0.0) -> Iterator[str]:
    """Its address for DOCKER_HOST. A pull is refused, after so many seconds."""
    over = threading.Event()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/version"):
                self._answer(200, {"ApiVersion": "1.41"})
            elif self.path.endswith("/_ping"):
                self._answer(200, "OK")
            else:
                self._answer(404, {"message": "no such image"})

        def do_POST(self) -> None:
            over.wait(pull_seconds)
            self._answer(500, {"message": REFUSAL})

        def _answer(self, status: int, said: object) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    serving = threading.Thread(target=server.serve_forever, name="engine")
    serving.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        serving.join()
        server.server_close()
