"""Mutation testing of the rendered code: ``make mutate``, or ``make mutate SAMPLE=60`` for a random sample.

Each mutant of the default project has one mutation and should be killed by a unit test. Cosmic Ray makes most
mutations. This module adds mutations of strings, keyword arguments and dictionary items. Cosmic Ray's runner would run
all unit tests for each mutant. Here, the nearest tests run first, in one copy of the project per CPU.
"""

import ast
import difflib
import itertools
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from benchmarks.measure import rendered
from tests.projects import Environment, Project

FOLDERS: Final = ("infrastructure", "processor")
TESTS: Final = Path("tests", "unit")
FLOOR: Final = 95
# The same code gives the same sample.
SEED: Final = 18
# A mutant may make the tests run forever. Timeout: PATIENCE x usual duration + PATIENCE_SECONDS.
PATIENCE: Final = 3
PATIENCE_SECONDS: Final = 10

KILLED: Final = "killed"
SURVIVED: Final = "survived"
ENDED: Final = "timed out or crashed"

COMPARISONS: Final = (
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
)
CALCULATIONS: Final = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul")
# Excludes operators whose mutants no test can kill, such as `int ^ None` in an annotation.
# https://cosmic-ray.readthedocs.io/en/latest/reference/operators/
OPERATORS: Final = (
    *("AddNot", "ExceptionReplacer", "NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    "ReplaceUnaryOperator_Delete_Not",
    *(f"ReplaceComparisonOperator_{change}" for change in COMPARISONS),
    *(f"ReplaceBinaryOperator_{change}" for change in CALCULATIONS),
)
OPENING_QUOTES: Final = re.compile(rb"\w*(\"\"\"|'''|\"|')")
COMMA: Final = re.compile(rb"\s*,")


@dataclass(frozen=True)
class Mutant:
    """A file with one mutation.

    Attributes:
        file: Path in the project.
        original: The code without the mutation.
        code: The code with the mutation.
    """

    file: Path
    original: str
    code: str

    @property
    def diff(self) -> list[str]:
        """The unified diff, without file names and context."""
        return [*difflib.unified_diff(self.original.splitlines(), self.code.splitlines(), n=0, lineterm="")][2:]

    @property
    def matters(self) -> bool:
        """Whether the mutant is valid Python and can behave differently."""
        try:
            compile(self.code, self.file, "exec", dont_inherit=True)
        except SyntaxError:
            return False
        # Cosmic Ray mutates the keyword-only `*` to `/`, as if it multiplied.
        return self.code.replace("/,", "*,") != self.original


def list_mutants(project: Project, sample: int | None) -> list[Mutant]:
    """List a project's mutants, file by file, or a random sample of them."""
    changes = []
    for path in sorted(path for folder in FOLDERS for path in (project.path / folder).rglob("*.py")):
        file, original = path.relative_to(project.path), path.read_text(encoding="utf-8")
        changes += [(file, original, change) for change in _changes(original)]
    if sample:
        random.Random(SEED).shuffle(changes)  # noqa: S311 # not cryptographic
    mutants = (Mutant(file, original, str(change(original))) for file, original, change in changes)
    chosen = itertools.islice((mutant for mutant in mutants if mutant.matters), sample)
    return sorted(chosen, key=lambda mutant: mutant.file)


def _changes(source: str) -> Iterator[partial[str]]:
    """Yield functions that return a file's code with one mutation."""
    nodes = [*ast_nodes(get_ast(source))]
    for operator in (get_operator(f"core/{name}")() for name in OPERATORS):
        for number in range(sum(len([*operator.mutation_positions(node)]) for node in nodes)):
            yield partial(mutate_code, operator=operator, occurrence=number)
    for begin, end, text in sorted({*_cuts(source.encode())}):
        yield partial(_cut, begin=begin, end=end, text=text)


def _cut(source: str, *, begin: int, end: int, text: bytes) -> str:
    code = source.encode()
    return (code[:begin] + text + code[end:]).decode()


def _cuts(code: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield mutations of strings, keyword arguments and dictionary items: begin, end and replacement."""
    lines = [0, *(match.end() for match in re.finditer(b"\n", code))]
    tree = ast.parse(code)
    docstrings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    items: list[tuple[ast.expr | ast.keyword, ast.expr | ast.keyword]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            items.append((node, node))
        elif isinstance(node, ast.Dict):
            items += [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key]
        elif isinstance(node, ast.Constant | ast.JoinedStr) and node not in docstrings:
            # Among constants, only strings have quotes. The parts of an f-string have no quotes of their own.
            quotes = OPENING_QUOTES.match(code, lines[node.lineno - 1] + node.col_offset)
            yield from [(quotes.end(), quotes.end(), b"X")] if quotes else []
    for first, last in items:
        end = lines[(last.end_lineno or 0) - 1] + (last.end_col_offset or 0)
        comma = COMMA.match(code, end)
        yield lines[first.lineno - 1] + first.col_offset, comma.end() if comma else end, b""


class Trial:
    """A copy of a project for testing mutants.

    Args:
        project: The copy.
        environment: The virtual environment for the tests.
        seconds: Measured durations of tests on the unmutated code, shared by all copies.
    """

    def __init__(self, project: Project, environment: Environment, seconds: dict[Path, float]) -> None:
        self._project, self._environment, self._seconds = project, environment, seconds
        self._versions = itertools.count()

    def outcome(self, mutant: Mutant) -> str:
        """Run the tests of the mutant's module, then of its folder, then all, until a test fails; return the outcome.

        Raises:
            SystemExit: If the tests fail on the unmutated code.
        """
        folder = TESTS / mutant.file.parent
        for tests in (folder / f"test_{mutant.file.stem}.py", folder, TESTS):
            if not (self._project.path / tests).exists():
                continue
            seconds = self._seconds.get(tests) or self._measure(tests)
            self._write(mutant.file, mutant.code)
            try:
                status = self._run(tests, PATIENCE * seconds + PATIENCE_SECONDS).returncode
            except subprocess.TimeoutExpired:
                return ENDED
            finally:
                self._write(mutant.file, mutant.original)
            if status:
                return KILLED if status > 0 else ENDED
        return SURVIVED

    def _measure(self, tests: Path) -> float:
        began = time.monotonic()
        finished = self._run(tests)
        if finished.returncode:
            sys.exit(f"{finished.stdout}\nmutate: {tests} fails on the unmutated code")
        return self._seconds.setdefault(tests, time.monotonic() - began)

    def _write(self, file: Path, code: str) -> None:
        path, version = self._project.path / file, next(self._versions)
        path.write_text(code, encoding="utf-8")
        # Python recompiles a module only if the modification time or the size of the file changes.
        os.utime(path, (version, version))

    def _run(self, tests: Path, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._environment.executable("pytest"), "-x", "-q", "-p", "no:cacheprovider", tests],
            check=False,
            cwd=self._project.path,
            env=self._environment.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=timeout,
        )


def measure(project: Project, environment: Environment, sample: int | None) -> None:
    """Test a project's mutants, and print the survivors and the mutation score.

    Raises:
        SystemExit: If the score is below the floor, or if the tests fail on the unmutated code.
    """
    mutants = list_mutants(project, sample)
    print(f"Trying {len(mutants)} mutants ...", flush=True)
    processors, outcomes = os.cpu_count() or 1, Counter[str]()
    free: SimpleQueue[Trial] = SimpleQueue()

    def try_one(mutant: Mutant) -> str:
        trial = free.get()
        try:
            return trial.outcome(mutant)
        finally:
            free.put(trial)

    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(processors) as pool:
        seconds: dict[Path, float] = {}
        for number in range(processors):
            free.put(Trial(project.copy(Path(name, str(number))), environment, seconds))
        for mutant, outcome in zip(mutants, pool.map(try_one, mutants), strict=True):
            outcomes[outcome] += 1
            if outcome == SURVIVED:
                print(mutant.file.as_posix(), *mutant.diff, "", sep="\n", flush=True)
    score = 100 * (1 - outcomes[SURVIVED] / len(mutants))
    print(f"mutation score {math.floor(score)} % ({outcomes[SURVIVED]} survived, {outcomes[ENDED]} {ENDED})")
    if score < FLOOR:
        sys.exit(f"mutate: the mutation score is below {FLOOR} %")


def main() -> None:
    """Render the default project and measure its mutation score."""
    sample = os.environ.get("SAMPLE")
    with rendered() as (project, environment):
        measure(project, environment, int(sample) if sample else None)


if __name__ == "__main__":
    main()
