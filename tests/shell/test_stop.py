"""A process that serves an API ends well when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import httpx
import pytest

from infra.processes import free_port

SERVE = """
import asyncio, sys
from contextlib import asynccontextmanager
from services.shell.http.server import make_api, run_api
from services.shell.settings import Settings

@asynccontextmanager
async def life(_):
    yield
    print("closed", flush=True)

settings = Settings("shop", "localhost:1", "postgresql://nowhere", http_port=int(sys.argv[1]))
api = make_api(settings, title="Shop", version="1", lifespan=life)

@api.get("/slow")
async def slow() -> str:
    print("asked", flush=True)
    await asyncio.sleep(1)
    return "done"

run_api(api, settings)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_and_the_process_ends_with_exit_zero(number: int) -> None:
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.05)
        asked = subprocess.Popen(
            [sys.executable, "-c", _ASK.format(port=port)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(number)
        assert asked.communicate(timeout=60)[0] == '200 "done"\n'
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "closed\n")
    finally:
        process.kill()
        process.wait()


_ASK = """
import httpx
client = httpx.Client()
client.get("http://127.0.0.1:{port}/livez", timeout=30)
answer = client.get("http://127.0.0.1:{port}/slow", timeout=30)
print(answer.status_code, answer.text)
"""


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=1).status_code == 200
    except httpx.TransportError:
        return False
