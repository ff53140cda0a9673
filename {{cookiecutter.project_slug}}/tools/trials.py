"""Runs the unit tests against one mutant after the other, in a copy of the project.

A program of its own that imports nothing of the project: what was imported already would not be mutated. A run of the
tests spends most of its time on importing libraries, so each one is forked from a process that has imported them.
"""

import gc
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Final

import pytest

TESTS: Final = Path("tests", "unit")
OPTIONS: Final = ("-x", "-q", "-p", "no:cacheprovider")
NOWHERE: Final = Path(os.devnull)
# There are no others if all tests are in one folder.
PASSED: Final = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
# A mutant may make the tests run forever.
PATIENCE: Final = 3
PATIENCE_SECONDS: Final = 10
# A forked process can crash on macOS, and Windows cannot fork. There, each run imports the libraries again.
START: Final = "forkserver" if sys.platform == "linux" else "spawn"

NOTICED: Final = "noticed"
SURVIVED: Final = "survived"
# The tests took too long, or their process crashed.
ENDED: Final = "ended"

# Arguments for pytest.
Tests = tuple[str, ...]


def try_mutants(mutants: Iterable[dict[str, Any]], log: Path) -> Iterator[str]:
    """Run the unit tests without a change, and then against each mutant.

    Args:
        mutants: Each with its file, relative to the working directory, and its code.
        log: A file for the output of the tests without a change.

    Returns:
        What became of each mutant.

    Raises:
        SystemExit: If the tests do not pass without a change.
    """
    modules = log.with_suffix(".modules")
    began = time.monotonic()
    if _run("spawn", (str(TESTS),), log=log, modules=modules) != pytest.ExitCode.OK:
        sys.exit(1)
    seconds = PATIENCE * (time.monotonic() - began) + PATIENCE_SECONDS
    multiprocessing.get_context(START).set_forkserver_preload(modules.read_text(encoding="utf-8").split())
    trusted: set[Tests] = set()
    for mutant in mutants:
        file = Path(mutant["file"])
        with _changed(file, mutant["code"]):
            outcome, tests = _try(_stages(file), seconds)
        # These tests may need others to pass, or processes may not start in this way on this machine.
        if outcome != SURVIVED and tests not in trusted:
            if _run(START, tests, log=log) not in PASSED:
                sys.exit(1)
            trusted.add(tests)
        yield outcome


def run_tests(tests: Tests, log: Path, modules: Path | None) -> None:
    """Run tests until one fails, and exit with pytest's exit status.

    Args:
        tests: Arguments for pytest.
        log: A file for the output.
        modules: A file for the names of the libraries' modules that the tests have imported.
    """
    # Up to half of the time would be spent on looking for garbage among the libraries, and this process ends soon.
    gc.freeze()
    gc.disable()
    # Python could take what it compiles of a mutant for the original.
    sys.dont_write_bytecode = modules is None
    with log.open("w", encoding="utf-8") as output, redirect_stdout(output), redirect_stderr(output):
        status = pytest.main([*OPTIONS, *tests])
    if modules:
        modules.write_text("\n".join(_libraries()), encoding="utf-8")
    sys.exit(status)


def _libraries() -> Iterator[str]:
    """Name the modules that were imported, but not those of the project and not the program."""
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if file and not name.startswith("__") and not Path(file).is_relative_to(Path.cwd()):
            yield name


def _stages(file: Path) -> Iterator[Tests]:
    """Put the tests in order: those of the file first, then those of its folder, and then the others."""
    folder = TESTS / file.parent
    nearest = folder / f"test_{file.stem}.py"
    if nearest.exists():
        yield (str(nearest),)
    if folder != TESTS and folder.exists():
        yield (str(folder),)
        yield (str(TESTS), f"--ignore={folder}")
    else:
        yield (str(TESTS),)


def _try(stages: Iterable[Tests], seconds: float) -> tuple[str, Tests]:
    """Tell what becomes of a mutant, and which tests ran last."""
    tests: Tests = ()
    for tests in stages:
        status = _run(START, tests, seconds)
        if status not in PASSED:
            return NOTICED if status and status > 0 else ENDED, tests
    return SURVIVED, tests


def _run(
    start: str, tests: Tests, seconds: float | None = None, log: Path = NOWHERE, modules: Path | None = None
) -> int | None:
    """Run tests in a process of their own and return its exit status, which is negative if they took too long."""
    context: Any = multiprocessing.get_context(start)
    process = context.Process(target=run_tests, args=(tests, log, modules))
    process.start()
    process.join(seconds)
    # This does nothing to a process that has ended.
    process.kill()
    process.join()
    return process.exitcode


@contextmanager
def _changed(file: Path, code: str) -> Generator[None]:
    """Change a file for a while. Its times are restored too, so that Python still knows what it has compiled of it."""
    original, times = file.read_bytes(), file.stat()
    file.write_text(code, encoding="utf-8")
    # Otherwise a file of the same size, saved in the same second, would be the original to Python.
    os.utime(file, (times.st_atime, times.st_mtime + 1))
    yield
    file.write_bytes(original)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


if __name__ == "__main__":
    with Path(sys.argv[1]).open(encoding="utf-8") as share:
        for result in try_mutants(map(json.loads, share), Path(sys.argv[2])):
            print(result, flush=True)
