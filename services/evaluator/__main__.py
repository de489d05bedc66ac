"""`python -m services.evaluator`: run one evaluator until it is told to stop."""

import sys

from services.evaluator.app import EvaluatorProcess
from services.evaluator.settings import read_pace, read_parts
from services.shell.settings import BadSettings, read


def main() -> None:
    """Read the environment and run; exit 78 when it does not describe a process that can run."""
    try:
        evaluator = EvaluatorProcess(read("evaluator"), read_pace(), parts=read_parts())
    except BadSettings as error:
        sys.exit(_refused(error))
    evaluator.run()


def _refused(error: BadSettings) -> int:
    sys.stderr.write(f"{error}\n")
    return 78


if __name__ == "__main__":
    main()
