"""The task ``mutate``: the changes that no test notices, the score, and the reasons for none."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tools import mutants, mutate, trials

LIMITS = """\
LEAST = 10
NAME = "limit"


def allows(number: int) -> bool:
    return number >= LEAST
"""
TESTS = """\
from package.limits import allows


def test_allows():
    assert [allows(number) for number in (9, 10, 11)] == [False, True, True]
"""
CONFIGURATION = """\
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib"]
pythonpath = ["."]
"""
# The numbers beside 10, two other comparisons, and another name, which no test notices.
SCORE = "5 changes in 0.{} minutes: the tests noticed 80.0 % and did not notice 1; 0 made them take too long or crash\n"
SURVIVOR = """\
Trying 5 changes ...
package/limits.py:2
-NAME = "limit"
+NAME = "Xlimit"

"""
# Stands in for the trials: prints an outcome for each mutant of its share, which is in the order of the mutants.
TRIALS = """\
import pathlib, sys, time
outcomes = {outcomes!r}
pathlib.Path(sys.argv[2]).write_text("1 failed")
for line in open(sys.argv[1]):
    print(outcomes.pop(0), flush=True)
time.sleep({seconds})
sys.exit({status})
"""


class Project:
    """A small project, and what stands in for the programs.

    Attributes:
        folder: Its folder.
        temporary: The folder of temporary files.
    """

    def __init__(self, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "project"
        self.temporary = temporary
        self.monkeypatch = monkeypatch
        self.write("project/pyproject.toml", CONFIGURATION)
        self.write("project/package/limits.py", LIMITS)
        self.write("project/tests/unit/package/test_limits.py", TESTS)

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def digests(self) -> dict[str, str]:
        """Digest every file."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def tried(self, *outcomes: str, seconds: int = 0, status: int = 0) -> None:
        """Let the trials of a single process have these outcomes."""
        program = self.write("trials.py", TRIALS.format(outcomes=[*outcomes], seconds=seconds, status=status))
        self.monkeypatch.setattr(trials, "__file__", str(program))
        self.monkeypatch.setattr(os, "cpu_count", lambda: None)


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project instead of this one. Cosmic Ray is in this environment, and there are two processors."""
    # Paths of sockets must be short, and those of pytest's folders are not.
    with tempfile.TemporaryDirectory() as temporary:
        project = Project(tmp_path, Path(temporary), monkeypatch)
        monkeypatch.setattr(mutate, "PROJECT_FOLDER", project.folder)
        monkeypatch.setattr(mutate, "find_interpreter", lambda _name, _package: sys.executable)
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        yield project


def test_real_changes_are_tried_with_real_tests_in_copies(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    before = project.digests()

    mutate.mutate("package", fail_under=80)

    output = capfd.readouterr().out
    assert output.startswith(SURVIVOR)
    assert output.removeprefix(SURVIVOR) in {SCORE.format(tenth) for tenth in range(10)}
    assert project.digests() == before
    assert [*project.temporary.iterdir()] == []


def test_nothing_is_measured_with_real_tests_that_fail_without_a_change(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write("project/tests/unit/other/test_wrong.py", "def test_wrong():\n    raise ValueError('wrong')\n")

    with pytest.raises(
        SystemExit, match=r"^mutate: nothing was measured: the unit tests do not pass without a change$"
    ):
        mutate.mutate("package", fail_under=0)

    assert "ValueError: wrong" in capfd.readouterr().out
    assert [*project.temporary.iterdir()] == []


@pytest.mark.parametrize(("survivors", "noticed"), [(0, "100.0"), (1, "80.0"), (2, "60.0")])
def test_the_score_is_the_share_of_noticed_changes(
    project: Project, capfd: pytest.CaptureFixture[str], survivors: int, noticed: str
) -> None:
    project.tried(*["survived"] * survivors, *["noticed"] * (5 - survivors))

    mutate.mutate("package", fail_under=60)

    assert f"the tests noticed {noticed} % and did not notice {survivors}; 0 made" in capfd.readouterr().out


def test_a_change_that_hangs_is_noticed_and_counted_apart(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    project.tried("ended", "noticed", "noticed", "noticed", "survived")

    mutate.mutate("package", fail_under=80)

    assert "the tests noticed 80.0 % and did not notice 1; 1 made them take too long" in capfd.readouterr().out


def test_a_score_below_the_floor_fails_the_task(project: Project) -> None:
    project.tried("survived", *["noticed"] * 4)

    with pytest.raises(SystemExit, match=r"^mutate: fewer than 80\.1 % of the changes were noticed$"):
        mutate.mutate("package", fail_under=80.1)


def test_a_score_is_never_rounded_up(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = {trials.NOTICED: 9499, trials.SURVIVED: 501, trials.ENDED: 0}

    with pytest.raises(SystemExit):
        mutate.judge(outcomes, 95, 0)

    assert "94.9 %" in capsys.readouterr().out


def test_nothing_is_measured_if_every_change_makes_the_tests_hang(project: Project) -> None:
    project.tried(*["ended"] * 5)

    with pytest.raises(SystemExit, match=r"^mutate: nothing was measured: .* took too long or crashed after each of 5"):
        mutate.mutate("package", fail_under=0)


def test_nothing_is_measured_if_there_is_nothing_to_change(project: Project) -> None:
    project.write("project/package/limits.py", "import os\n")

    with pytest.raises(SystemExit, match=r"^mutate: nothing was measured: there is nothing to change$"):
        mutate.mutate("package", fail_under=0)


def test_nothing_is_measured_if_cosmic_ray_fails(project: Project) -> None:
    program = project.write("mutants.py", "raise SystemExit('no such operator')")
    project.monkeypatch.setattr(mutants, "__file__", str(program))

    with pytest.raises(SystemExit, match=r"^mutate: nothing was measured: Cosmic Ray failed; its message is above$"):
        mutate.mutate("package", fail_under=0)


def test_a_trial_that_crashes_stops_the_task(project: Project) -> None:
    project.tried("noticed", "noticed", "noticed", "noticed", "noticed", status=1)

    with pytest.raises(SystemExit, match=r"^mutate: nothing was measured"):
        mutate.mutate("package", fail_under=0)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("path", ["pakage", "package/limit.py"])
def test_a_wrong_path_is_refused(path: str) -> None:
    with pytest.raises(SystemExit, match=rf"^mutate: {path} does not exist$"):
        mutate.mutate(f"package {path}", fail_under=0)


def is_running(process: psutil.Process) -> bool:
    """Whether a process runs. One that was ended stays as a zombie until somebody asks for its status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_interrupted_task_ends_its_processes_and_removes_its_files(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.tried(*["noticed"] * 5, seconds=60)
    # Other tests may have started some.
    others = {*psutil.Process().children(recursive=True)}
    running: list[psutil.Process] = []

    def interrupt(_seconds: float) -> None:
        project.monkeypatch.setattr(time, "sleep", sleep)
        running.extend({*psutil.Process().children(recursive=True)} - others)
        raise KeyboardInterrupt

    sleep = time.sleep
    project.monkeypatch.setattr(time, "sleep", interrupt)
    began = time.monotonic()

    with pytest.raises(SystemExit) as ended:
        mutate.mutate("package", fail_under=0)

    assert ended.value.code == 130
    assert time.monotonic() - began < 30
    assert capsys.readouterr().err == "\nmutate: interrupted\n"
    assert len(running) > 1
    # The system may still be ending those that nobody waits for.
    while [process for process in running if is_running(process)] and time.monotonic() - began < 30:
        time.sleep(0.1)
    assert not [process for process in running if is_running(process)]
    assert [*project.temporary.iterdir()] == []


def test_progress_is_shown_on_a_terminal(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.tried(*["noticed"] * 5)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    mutate.mutate("package", fail_under=0)

    assert "4 of 5\r5 of 5\r" in capsys.readouterr().out


@pytest.mark.parametrize("name", [".venv/large", ".git/large", "build/large", "coverage/large", "__pycache__/large"])
def test_what_the_tests_do_not_need_is_not_copied(project: Project, name: str) -> None:
    project.write(f"project/{name}", "")
    copied: list[str] = []
    project.tried(*["noticed"] * 5)

    def popen(*_arguments: object, **options: object) -> None:
        copied.extend(path.name for path in Path(str(options["cwd"])).rglob("*"))
        raise SystemExit

    project.monkeypatch.setattr(subprocess, "Popen", popen)

    with pytest.raises(SystemExit):
        mutate.Worker(project.temporary / "0", [])

    assert "limits.py" in copied
    assert "large" not in copied


def test_the_mutation_tool_is_pinned() -> None:
    assert mutate.COSMIC_RAY.count("==") == 1
