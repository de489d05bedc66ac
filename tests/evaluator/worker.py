"""The evaluator's process on topics of a test's own."""

import os

from services.evaluator.app import EvaluatorProcess
from services.evaluator.settings import read_pace, read_parts
from services.evaluator.topics import EvaluatorTopics
from services.shell.settings import read

if __name__ == "__main__":
    topics = EvaluatorTopics(*os.environ["TEST_TOPICS"].split(","))
    EvaluatorProcess(read("evaluator"), read_pace(), topics, read_parts()).run()
