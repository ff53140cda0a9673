"""The trials of mutants: which tests run, in which order, and what becomes of a mutant."""

import gc
import multiprocessing
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import trials

CODE = "VALUE = 1\n"
MUTANT = "VALUE = 2\n"
FILE = Path("package", "module.py")
FILES = {
    FILE.as_posix(): CODE,
    "program.py": CODE,
    "tests/unit/package/test_module.py": "",
    "tests/unit/package/test_other.py": "",
    "tests/unit/other/test_other.py": "",
}
ALL = "tests/unit"
NEAREST = "tests/unit/package/test_module.py"
FOLDER = "tests/unit/package"
OTHERS = "tests/unit --ignore=tests/unit/package"


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, as the working directory."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Runs:
    """Stands in for runs of the tests, and records their arguments.

    Attributes:
        without_a_change: The exit status of tests that do not pass, by their arguments.
        with_a_mutant: The same with a mutant.
        checks: The runs without a change.
        trials: The runs with a mutant.
        seconds: The time that these may take.
    """

    def __init__(self) -> None:
        self.without_a_change: dict[str, int] = {}
        self.with_a_mutant: dict[str, int] = {}
        self.checks: list[str] = []
        self.trials: list[str] = []
        self.seconds: set[float | None] = set()

    def run(
        self,
        _start: str,
        tests: tuple[str, ...],
        seconds: float | None = None,
        log: Path | None = None,
        modules: Path | None = None,
    ) -> int:
        """Stand in for a run."""
        name = " ".join(tests).replace("\\", "/")
        if modules:
            modules.write_text("json\nos", encoding="utf-8")
        if MUTANT in (FILE.read_text(encoding="utf-8"), Path("program.py").read_text(encoding="utf-8")):
            assert log is None
            self.trials.append(name)
            self.seconds.add(seconds)
            return self.with_a_mutant.get(name, 0)
        self.checks.append(name)
        return self.without_a_change.get(name, 0)


@pytest.fixture(name="runs")
def fixture_runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Tests that pass."""
    runs = Runs()
    monkeypatch.setattr(trials, "_run", runs.run)
    return runs


def outcomes(folder: Path, *files: str) -> list[str]:
    """Try a mutant of each file."""
    mutants = [{"file": file, "code": MUTANT} for file in files or [FILE.as_posix()]]
    return [*trials.try_mutants(mutants, folder / "log")]


def test_a_mutant_survives_if_all_tests_pass_those_of_its_file_first(folder: Path, runs: Runs) -> None:
    assert outcomes(folder) == [trials.SURVIVED]

    assert runs.trials == [NEAREST, FOLDER, OTHERS]


@pytest.mark.parametrize(("failing", "number"), [(NEAREST, 1), (FOLDER, 2), (OTHERS, 3)])
def test_no_more_tests_run_when_one_has_noticed_a_mutant(folder: Path, runs: Runs, failing: str, number: int) -> None:
    runs.with_a_mutant = {failing: 1}

    assert outcomes(folder) == [trials.NOTICED]

    assert runs.trials == [NEAREST, FOLDER, OTHERS][:number]


@pytest.mark.parametrize("status", [1, 2, 3, 4])
def test_a_mutant_that_breaks_the_collection_is_noticed_too(folder: Path, runs: Runs, status: int) -> None:
    runs.with_a_mutant = {NEAREST: status}

    assert outcomes(folder) == [trials.NOTICED]


def test_a_mutant_that_makes_the_tests_crash_or_hang_is_told_apart(folder: Path, runs: Runs) -> None:
    runs.with_a_mutant = {NEAREST: -9}

    assert outcomes(folder) == [trials.ENDED]


def test_all_tests_run_for_a_file_without_a_folder_of_tests(folder: Path, runs: Runs) -> None:
    assert outcomes(folder, "program.py") == [trials.SURVIVED]

    assert runs.trials == [ALL]


def test_a_folder_may_have_all_tests(folder: Path, runs: Runs) -> None:
    runs.without_a_change = runs.with_a_mutant = {OTHERS: 5}

    assert outcomes(folder) == [trials.SURVIVED]


def test_tests_that_notice_something_are_trusted_when_they_have_passed_without_a_change(
    folder: Path, runs: Runs
) -> None:
    runs.with_a_mutant = {FOLDER: 1}

    assert outcomes(folder, FILE.as_posix(), FILE.as_posix()) == [trials.NOTICED] * 2

    assert runs.checks == [ALL, FOLDER]


@pytest.mark.parametrize("failing", [NEAREST, FOLDER, OTHERS])
def test_tests_that_need_others_to_pass_notice_nothing(folder: Path, runs: Runs, failing: str) -> None:
    runs.without_a_change = runs.with_a_mutant = {failing: 1}

    with pytest.raises(SystemExit) as ended:
        outcomes(folder)

    assert ended.value.code == 1


def test_nothing_is_tried_if_the_tests_fail_without_a_change(folder: Path, runs: Runs) -> None:
    runs.without_a_change = {ALL: 1}

    with pytest.raises(SystemExit) as ended:
        outcomes(folder)

    assert ended.value.code == 1
    assert runs.trials == []


def test_nothing_is_tried_if_there_are_no_tests(folder: Path, runs: Runs) -> None:
    runs.without_a_change = {ALL: 5}

    with pytest.raises(SystemExit) as ended:
        outcomes(folder)

    assert ended.value.code == 1


def test_the_time_for_a_mutant_is_limited(folder: Path, runs: Runs) -> None:
    outcomes(folder)

    (seconds,) = runs.seconds
    assert seconds is not None
    assert trials.PATIENCE_SECONDS < seconds < trials.PATIENCE_SECONDS + 1


def test_a_file_is_as_before_after_its_mutant(folder: Path, runs: Runs) -> None:
    os.utime(folder / FILE, ns=(10**18, 10**18))
    before = (folder / FILE).stat()

    outcomes(folder)

    assert runs.trials
    assert (folder / FILE).read_text(encoding="utf-8") == CODE
    assert (folder / FILE).stat().st_mtime_ns == before.st_mtime_ns


class Pytest:
    """Stands in for pytest in this process."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.arguments: list[str] = []
        self.writes_bytecode = False

    def main(self, arguments: list[str]) -> int:
        """Print something, as pytest does."""
        self.arguments = arguments
        self.writes_bytecode = not sys.dont_write_bytecode
        print("1 failed")
        print("a warning", file=sys.stderr)
        return self.status


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what a run changes in its process."""
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    yield
    gc.unfreeze()
    gc.enable()


def test_a_run_ends_with_pytests_status_and_writes_its_output_to_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = Pytest(1)
    monkeypatch.setattr(pytest, "main", stand_in.main)

    with pytest.raises(SystemExit) as ended:
        trials.run_tests(("tests/unit",), folder / "log", None)

    assert ended.value.code == 1
    assert {"-x", "tests/unit"} <= {*stand_in.arguments}
    assert (folder / "log").read_text(encoding="utf-8") == "1 failed\na warning\n"
    assert capsys.readouterr() == ("", "")


def test_a_run_does_not_look_for_garbage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest, "main", Pytest(0).main)

    with pytest.raises(SystemExit):
        trials.run_tests((), folder / "log", None)

    assert not gc.isenabled()
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("mutated", [True, False])
def test_python_keeps_what_it_compiles_only_of_the_original(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mutated: bool
) -> None:
    stand_in = Pytest(0)
    monkeypatch.setattr(pytest, "main", stand_in.main)

    with pytest.raises(SystemExit):
        trials.run_tests((), folder / "log", None if mutated else folder / "modules")

    assert stand_in.writes_bytecode is not mutated


def test_the_libraries_that_the_tests_import_are_listed_and_nothing_of_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest, "main", Pytest(0).main)
    monkeypatch.setitem(sys.modules, "package", type(sys)("package"))
    monkeypatch.setattr(sys.modules["package"], "__file__", str(folder / "package.py"), raising=False)

    with pytest.raises(SystemExit):
        trials.run_tests((), folder / "log", folder / "modules")

    listed = (folder / "modules").read_text(encoding="utf-8").splitlines()
    assert {"json", "pytest"} <= {*listed}
    assert not {"package", "__main__", "sys"} & {*listed}


class Context:
    """Stands in for processes in which all tests pass."""

    def set_forkserver_preload(self, names: list[str]) -> None:
        """Import nothing."""
        assert names == ["json"]

    def Process(self, target: object, args: tuple[object, object, Path | None]) -> "Context":  # noqa: N802
        """Run nothing."""
        assert getattr(target, "__name__", "") == "run_tests"
        if args[2]:
            args[2].write_text("json", encoding="utf-8")
        return self

    def start(self) -> None:
        """Do nothing."""

    def join(self, seconds: float | None = None) -> None:
        """Do nothing."""

    kill = start
    exitcode = 0


def test_the_program_prints_the_outcomes_in_the_order_of_the_mutants(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mutants").write_text('{"file": "program.py", "code": ""}\n' * 2, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["trials.py", str(folder / "mutants"), str(folder / "log")])
    monkeypatch.setattr(multiprocessing, "get_context", lambda _start: Context())

    runpy.run_path(trials.__file__, run_name="__main__")

    assert capsys.readouterr().out == f"{trials.SURVIVED}\n{trials.SURVIVED}\n"


def test_tests_that_take_too_long_are_killed(folder: Path) -> None:
    status = trials._run("spawn", (), seconds=0, log=folder / "log")  # noqa: SLF001

    assert status is not None
    assert status < 0
