"""The ``mutate`` task: changes the code in one place at a time, and counts the changes that the unit tests notice.

Cosmic Ray makes the changes. Its own runner tries one after the other and starts pytest anew for each. Here they are
tried in parallel, each in a process that has already imported the libraries, which takes a fraction of the time.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tools import mutants, trials
from tools.environments import find_interpreter
from tools.package import BUILD_FOLDER
from tools.project import PROJECT_FOLDER
from tools.pulumi_cli import interruptible
from tools.watchdog import Watchdog

COSMIC_RAY: Final = "cosmic-ray==8.7.0"
# The tests need neither environments and caches nor what the tasks have built.
NOT_COPIED: Final = (".*", "__pycache__", BUILD_FOLDER.name, "coverage")
# The programs must not import modules of this folder instead of libraries of the same name.
ISOLATED: Final = "-P"
PAUSE_SECONDS: Final = 0.2

Mutant = Mapping[str, Any]


def mutate(paths: str, fail_under: float) -> None:
    """Change the code in one place at a time, and print the changes that no unit test notices.

    The code is changed in temporary copies of the project.

    Args:
        paths: Files and folders, separated by spaces.
        fail_under: How many changes in a hundred must be noticed.

    Raises:
        SystemExit: If fewer are noticed, or if nothing could be measured, with the reason.
    """
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    with (
        interruptible("mutate"),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        # On the way out, the watchdog ends the processes first. Then they are waited for, and their files are deleted.
        ExitStack() as processes,
        Watchdog() as watchdog,
    ):
        folder = Path(name)
        changes = _list_mutants([*_python_files(paths.split())], folder)
        shares = [changes[first :: _processors()] for first in range(min(_processors(), len(changes)))]
        print(f"Trying {len(changes)} changes ...", flush=True)
        workers = []
        for number, share in enumerate(shares):
            workers.append(Worker(folder / str(number), share))
            watchdog.watch(processes.enter_context(workers[-1].process).pid)
        for mutant, outcome in _outcomes(workers):
            outcomes[outcome] += 1
            if outcome == trials.SURVIVED:
                print(f"{mutant['file']}:{mutant['line']}", *mutant["change"], "", sep="\n", flush=True)
            _show_progress(outcomes.total(), len(changes))
    judge(outcomes, fail_under, time.monotonic() - began)


def _python_files(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        target = PROJECT_FOLDER / path
        if not target.exists():
            sys.exit(f"mutate: {path} does not exist")
        files = sorted(target.rglob("*.py")) if target.is_dir() else [target]
        yield from (file.relative_to(PROJECT_FOLDER).as_posix() for file in files)


def _list_mutants(files: Sequence[str], folder: Path) -> Sequence[Mutant]:
    command = [find_interpreter("mutation tool", COSMIC_RAY), ISOLATED, mutants.__file__, *files]
    # Otherwise Cosmic Ray leaves a cache in the home directory.
    variables = os.environ | {"XDG_CACHE_HOME": str(folder)}
    listed = subprocess.run(
        command, check=False, cwd=PROJECT_FOLDER, env=variables, stdout=subprocess.PIPE, encoding="utf-8"
    )
    if listed.returncode:
        sys.exit("mutate: nothing was measured: Cosmic Ray failed; its message is above")
    return [json.loads(line) for line in listed.stdout.splitlines()]


def _processors() -> int:
    return os.cpu_count() or 1


class Worker:
    """A process that tries a share of the mutants in a copy of the project.

    Args:
        folder: A new folder for the copy, and all files that the tests write.
        share: The mutants.

    Attributes:
        process: The process.
        log: A file with the output of the tests without a change.
    """

    def __init__(self, folder: Path, share: Sequence[Mutant]) -> None:
        copy = folder / PROJECT_FOLDER.name
        shutil.copytree(PROJECT_FOLDER, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        mutants_file, self._outcomes, self.log = (folder / name for name in ("mutants", "outcomes", "log"))
        mutants_file.write_text("".join(f"{json.dumps(mutant)}\n" for mutant in share), encoding="utf-8")
        with self._outcomes.open("wb") as outcomes:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with # it outlives this method
                [sys.executable, ISOLATED, trials.__file__, mutants_file, self.log],
                stdin=subprocess.DEVNULL,
                stdout=outcomes,
                cwd=copy,
                env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)),
            )
        self._left = iter(share)
        self._told = 0

    def outcomes(self) -> Iterator[tuple[Mutant, str]]:
        """Tell what became of the mutants that were tried since the last call."""
        *lines, _unfinished = self._outcomes.read_text(encoding="utf-8").split("\n")
        for line, mutant in zip(lines[self._told :], self._left, strict=False):
            self._told += 1
            yield mutant, line


def _outcomes(workers: Sequence[Worker]) -> Iterator[tuple[Mutant, str]]:
    """Tell what became of each mutant, as soon as it is known.

    Raises:
        SystemExit: If the tests do not pass without a change.
    """
    running = [*workers]
    while running:
        time.sleep(PAUSE_SECONDS)
        ended = [worker for worker in running if worker.process.poll() is not None]
        for worker in running:
            yield from worker.outcomes()
        for worker in ended:
            if worker.process.returncode:
                print(worker.log.read_text(encoding="utf-8"))
                sys.exit("mutate: nothing was measured: the unit tests do not pass without a change")
            running.remove(worker)


def _show_progress(done: int, total: int) -> None:
    if sys.stdout.isatty():
        print(f"{done} of {total}", end="\r", flush=True)


def judge(outcomes: Mapping[str, int], fail_under: float, seconds: float) -> None:
    """Print the score.

    Args:
        outcomes: How many mutants had each outcome.
        fail_under: How many changes in a hundred must be noticed.
        seconds: How long it took.

    Raises:
        SystemExit: If fewer are noticed, or if nothing was measured, with the reason.
    """
    total, survived, ended = sum(outcomes.values()), outcomes[trials.SURVIVED], outcomes[trials.ENDED]
    if not total:
        sys.exit("mutate: nothing was measured: there is nothing to change")
    if ended == total:
        sys.exit(f"mutate: nothing was measured: the tests took too long or crashed after each of {total} changes")
    share = 100 * (total - survived) / total
    print(
        f"{total} changes in {seconds / 60:.1f} minutes: the tests noticed {math.floor(10 * share) / 10} %"
        f" and did not notice {survived}; {ended} made them take too long or crash"
    )
    if share < fail_under:
        sys.exit(f"mutate: fewer than {fail_under} % of the changes were noticed")
