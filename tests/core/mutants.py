"""Changes the core in thousands of small places and sees whether a test of the core notices.

mutmut makes the mutants; its own runner collects all tests anew for each of them. Here they are
collected once, and each mutant gets a copy of that process: first the tests that killed its
neighbours, then the approved pages, then the quick ones, until one fails.

    python -m tests.core.mutants [--sample N] [--seed N] [--of MODULE ...] [--again] RESULTS

RESULTS gets a line of JSON for each mutant; those that are there already are left out, so that a
run can be stopped and gone on with. ``--again``: only those that survived, tried once more.
To be run from the project's folder, with mutmut at hand (``make mutants`` does it all).
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import pickle
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

SECONDS = 10
TIMES = 15
"""How long a test may take with a mutant: so many times what it takes without, and the seconds."""
PROCESSES = 2
ORIGINAL = "_mutmut_orig"

Function = Callable[..., Any]


class Functions:
    """Every function of the core that has mutants, in place of mutmut's own switch.

    mutmut asks the environment at each call which mutant is on; here a call goes through one list.
    """

    def __init__(self) -> None:
        self._of: dict[str, list[tuple[dict[str, Function], list[Function]]]] = {}

    def wrap(self, mutants: dict[str, Function], is_classmethod: bool = False) -> Function:
        """What mutmut's decorator does: call the original, or the mutant that is on."""

        def decorate(function: Function) -> Function:
            def original(*args: Any, **more: Any) -> Any:
                if is_classmethod:
                    return getattr(args[0], mutants[ORIGINAL].__name__)(*args[1:], **more)
                return mutants[ORIGINAL](*args, **more)

            now = [original]

            @functools.wraps(function)
            def through(*args: Any, **more: Any) -> Any:
                return now[0](*args, **more)

            self._of.setdefault(function.__module__, []).append((mutants, now))
            return through

        return decorate

    def switch_on(self, mutant: str) -> None:
        """From now on the mutant is called."""
        module, _, name = mutant.rpartition(".")
        for mutants, now in self._of[module]:
            if name in mutants:
                now[0] = mutants[name]
                return
        raise KeyError(mutant)

    def note(self, called: set[str]) -> None:
        """From now on the name of every function that is called is added."""
        for module, functions in self._of.items():
            for mutants, now in functions:
                names = [name for name in mutants if name != ORIGINAL]
                if names:
                    now[0] = _noting(f"{module}.{_function_of(names[0])}", now[0], called)


def _noting(name: str, function: Function, called: set[str]) -> Function:
    def noting(*args: Any, **more: Any) -> Any:
        called.add(name)
        return function(*args, **more)

    return noting


def _function_of(mutant: str) -> str:
    return mutant.rpartition("__mutmut_")[0]


# --- copies of this process -----------------------------------------------------------------------


def in_copies(
    jobs: Iterable[tuple[Any, Callable[[], bytes]]], done: Callable[[Any, bytes, int], None]
) -> None:
    """Do each job in a copy of this process, a few at a time; tell what it gave, how it ended."""
    waiting = iter(jobs)
    running: dict[int, tuple[Any, int, bytes]] = {}
    while True:
        while len(running) < PROCESSES and (job := next(waiting, None)) is not None:
            process, pipe = _copy(job[1])
            running[pipe] = (job[0], process, b"")
        if not running:
            return
        for pipe in select.select(list(running), [], [])[0]:
            key, process, so_far = running[pipe]
            more = os.read(pipe, 1 << 20)
            if more:
                running[pipe] = (key, process, so_far + more)
                continue
            os.close(pipe)
            del running[pipe]
            done(key, so_far, os.waitpid(process, 0)[1])


def _copy(work: Callable[[], bytes]) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    try:
        said = work()
        while said:
            said = said[os.write(writing, said) :]
        os._exit(0)
    except BaseException:  # whatever it is, this copy must not go on as if it were the first
        os._exit(1)


# --- tests ----------------------------------------------------------------------------------------


def passes(item: pytest.Item) -> bool:
    """Run one test."""
    from _pytest.runner import runtestprotocol

    reports = runtestprotocol(item, log=False, nextitem=None)
    return all(report.passed or report.skipped for report in reports)


class Run:
    """A plugin that runs mutants in place of tests."""

    def __init__(self, functions: Functions, names: list[str], results: Path) -> None:
        self._functions, self._names, self._results = functions, names, results
        self._seconds: dict[str, float] = {}
        self._tests: dict[str, list[str]] = {}
        self._killers: dict[str, dict[str, int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        gc.freeze()  # else every copy would soon copy all memory for real
        in_copies(((name, self._look(item)) for name, item in items.items()), self._looked)
        print(f"\n{len(items)} tests call {len(self._tests)} functions", flush=True)
        with self._results.open("a", encoding="utf-8", buffering=1) as out:

            def tried(mutant: str, said: bytes, status: int) -> None:
                out.write(json.dumps(self._verdict(mutant, said.decode(), status)) + "\n")

            in_copies(self._mutants(items), tried)
        return True

    def _look(self, item: pytest.Item) -> Callable[[], bytes]:
        def work() -> bytes:
            called: set[str] = set()
            self._functions.note(called)
            began = time.perf_counter()
            good = passes(item)
            return pickle.dumps((good, time.perf_counter() - began, called))

        return work

    def _looked(self, test: str, said: bytes, status: int) -> None:
        good, seconds, called = pickle.loads(said) if not status else (False, 0, set())
        assert good, f"{test} fails without any mutant"
        self._seconds[test] = seconds
        for name in called:
            self._tests.setdefault(name, []).append(test)

    def _mutants(self, items: dict[str, pytest.Item]) -> Iterator[tuple[str, Callable[[], bytes]]]:
        for mutant in self._names:
            killers = self._killers.get(_function_of(mutant), {})
            tests = sorted(
                self._tests.get(_function_of(mutant), []),
                key=lambda test: (-killers.get(test, 0), "_told" not in test, self._seconds[test]),
            )
            yield mutant, functools.partial(self._try, mutant, [items[test] for test in tests])

    def _try(self, mutant: str, tests: list[pytest.Item]) -> bytes:
        self._functions.switch_on(mutant)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for test in tests:
            signal.setitimer(signal.ITIMER_REAL, TIMES * self._seconds[test.nodeid] + SECONDS)
            if not passes(test):
                return test.nodeid.encode()
        return b"survived" if tests else b"never called"

    def _verdict(self, mutant: str, said: str, status: int) -> dict[str, str]:
        if status:
            return {"mutant": mutant, "verdict": "killed", "by": "its time or a crash"}
        if said in ("survived", "never called"):
            return {"mutant": mutant, "verdict": said}
        killers = self._killers.setdefault(_function_of(mutant), {})
        killers[said] = killers.get(said, 0) + 1
        return {"mutant": mutant, "verdict": "killed", "by": said}


# --- what is run ----------------------------------------------------------------------------------


def made() -> list[str]:
    """Have mutmut write the core with all its mutants, and give their names."""
    mutmut = import_module("mutmut.__main__")
    Path("mutants").mkdir(exist_ok=True)
    mutmut.set_mutant_under_test("mutant_generation")
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    mutmut.setup_source_paths()
    mutmut.create_mutants(PROCESSES)
    names = []
    for path in Path("mutants/services/core").rglob("*.meta"):
        names += json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return sorted(names)


def chosen(asked: argparse.Namespace, names: list[str]) -> list[str]:
    """The mutants to be tried, in an order drawn by the seed."""
    if asked.of:
        names = [name for name in names if name.startswith(tuple(f"{one}." for one in asked.of))]
    known = _known(asked.results)
    if asked.again:
        names = [name for name in names if known.get(name, "killed") != "killed"]
        asked.results.rename(asked.results.with_suffix(".before"))
        kept = [name for name, verdict in known.items() if verdict == "killed"]
        lines = (json.dumps({"mutant": name, "verdict": "killed"}) for name in kept)
        asked.results.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    random.Random(asked.seed).shuffle(names)
    if asked.sample is not None:
        names = names[: asked.sample]
    return names if asked.again else [name for name in names if name not in known]


def _known(results: Path) -> dict[str, str]:
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    found = map(json.loads, lines)
    return {one["mutant"]: one["verdict"] for one in found}


def main() -> int:
    """Make the mutants, try those that were asked for, and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", nargs="*", default=[])
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    asked.results = asked.results.absolute()
    names = chosen(asked, made())
    config = import_module("mutmut.configuration").config()
    functions = Functions()
    vars(import_module("mutmut.mutation.trampoline"))["wrap_in_trampoline"] = functions.wrap
    quick = ["--rootdir=.", "-q", "--tb=line", "--assert=plain", "-o", "timeout=0"]
    selected = [*config.pytest_add_cli_args, *config.pytest_add_cli_args_test_selection]
    os.chdir("mutants")
    for loaded in [name for name in sys.modules if name.split(".")[0] in ("services", "tests")]:
        del sys.modules[loaded]
    code = pytest.main([*quick, *selected], plugins=[Run(functions, names, asked.results)])
    verdicts = list(_known(asked.results).values())
    killed = verdicts.count("killed")
    print(f"{killed} of {len(verdicts)} killed ({100 * killed / max(1, len(verdicts)):.1f} %)")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
