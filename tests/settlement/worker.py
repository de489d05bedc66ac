"""The settlement process on topics of a test's own."""

import os

from services.settlement import app
from services.settlement.finance_events import SettlementTopics
from services.shell.kafka import run_worker
from services.shell.settings import read

if __name__ == "__main__":
    topics = SettlementTopics(
        evaluations=os.environ["TEST_EVALUATIONS"],
        settlements=os.environ["TEST_SETTLEMENTS"],
        ledger_entries=os.environ["TEST_LEDGER_ENTRIES"],
    )
    # Few per step, so that there are many steps to die in.
    app.RECORDS = 3
    run_worker(app.settlement_app(read("settlement"), evaluator=None, topics=topics))
