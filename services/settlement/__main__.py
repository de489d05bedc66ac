"""The settlement process: the worker, the relay of what finance is told, and the API."""

from __future__ import annotations

import os

from services.settlement.app import settlement_app
from services.shell.kafka import run_worker
from services.shell.settings import read

if __name__ == "__main__":
    run_worker(settlement_app(read("settlement"), evaluator=os.environ.get("EARNBACK_EVALUATOR")))
