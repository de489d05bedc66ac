"""The evaluator's process on topics of a test's own."""

import os

from services.evaluator.app import EvaluatorProcess
from services.evaluator.settings import read_pace
from services.evaluator.topics import EvaluatorTopics
from services.shell.kafka import run_worker
from services.shell.settings import read

if __name__ == "__main__":
    run_worker(
        EvaluatorProcess(
            read("evaluator"), read_pace(), EvaluatorTopics(*os.environ["TEST_TOPICS"].split(","))
        ).app
    )
