"""The check: every step runs, also after one has failed, and the summary has all results."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.ci.conftest import Machine
from tests.validate.folder import ProjectFolder
from tools.ci import check as module
from tools.ci.check import check
from tools.validate import Report

PYPROJECT = """\
[tool.poe.tasks.check]
parallel = ["_format", "lint", "_validate", "test-py-unit"]
"""
TOTALS = {"covered_lines": 98, "num_statements": 100, "covered_branches": 20, "num_branches": 20}
STEPS = ["_format", "lint", "test-py-unit", "test-local"]
SUMMARY = """\
## Checks

| check | result |
|---|---|
| `format` | passed |
| `lint` | {lint} |
| `test-py-unit` | passed |
| `validate` | {validate} |
| `test-local` | passed |

Coverage: 98 of 100 lines, 20 of 20 branches

{findings}

"""


class Steps:
    """Stands in for the steps, and records them.

    Attributes:
        folder: The project's.
        done: The steps, in order.
        failing: The steps that fail.
    """

    def __init__(self, folder: ProjectFolder) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.failing: set[str] = set()

    def __call__(self, command: Sequence[str]) -> int:
        """Run a step."""
        assert [*command[:-1]] == [sys.executable, "-m", "poethepoet"]
        self.done.append(command[-1])
        if command[-1] == "test-py-unit":
            self.coverage.parent.mkdir(exist_ok=True)
            self.coverage.write_text(json.dumps({"totals": TOTALS}), encoding="utf-8")
        return int(command[-1] in self.failing)

    @property
    def coverage(self) -> Path:
        """The report of the coverage."""
        return self.folder.path / "coverage" / "coverage-summary.json"


@pytest.fixture(name="steps")
def fixture_steps(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Steps that succeed, in a project without problems."""
    steps = Steps(folder)
    folder.write("pyproject.toml", PYPROJECT)

    def validate(*, strict: bool) -> Report:
        return folder.validate(strict=strict)

    monkeypatch.setattr(module, "PROJECT_FOLDER", folder.path)
    monkeypatch.setattr(module, "run_to_its_end", steps)
    monkeypatch.setattr(module, "validate_configuration", validate)
    return steps


def test_all_steps_of_the_task_check_run_and_the_local_test(
    steps: Steps, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    check()

    assert steps.done == STEPS
    findings = "3 stacks compared: no problems found"
    assert machine.read("summary.md") == SUMMARY.format(lint="passed", validate="passed", findings=findings)
    assert capsys.readouterr().out.endswith("\nci-check: passed\n")


def test_a_failed_step_fails_the_check_after_the_others_have_run(steps: Steps, machine: Machine) -> None:
    steps.failing = {"lint"}

    with pytest.raises(SystemExit, match=r"^ci-check: failed: lint$"):
        check()

    assert steps.done == STEPS
    assert "| `lint` | **failed** |" in machine.read("summary.md")


def test_a_warning_of_validate_fails_the_check(steps: Steps, machine: Machine) -> None:
    steps.folder.set("dev", "batchSize", "7")

    with pytest.raises(SystemExit, match=r"^ci-check: failed: validate$"):
        check()

    assert "| `validate` | **failed** |" in machine.read("summary.md")
    assert '| error | `Pulumi.dev.yaml:8` | `orders:batchSize: found "7"; allowed in dev: 5 or 10' in machine.read(
        "summary.md"
    )


def test_on_github_the_findings_are_annotations(
    steps: Steps, on_github: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.folder.set("dev", "batchSize", "7")

    with pytest.raises(SystemExit):
        check()

    assert "\n::error file=Pulumi.dev.yaml,title=small-batches,line=8::" in capsys.readouterr().out
    assert (on_github / "summary").read_text(encoding="utf-8").startswith("## Checks\n")


def test_files_that_cannot_be_read_fail_the_check(
    steps: Steps, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.folder.write("policies.toml", "=")

    with pytest.raises(SystemExit, match=r"^ci-check: failed: validate$"):
        check()

    assert capsys.readouterr().err.startswith("policies.toml: is not TOML: ")
    assert "\n`policies.toml: is not TOML: " in machine.read("summary.md")


def test_an_earlier_report_is_not_taken_for_this_ones(steps: Steps, machine: Machine) -> None:
    steps([sys.executable, "-m", "poethepoet", "test-py-unit"])
    steps.folder.write("pyproject.toml", PYPROJECT.replace(', "test-py-unit"', ""))

    check()

    assert "\nCoverage: not measured\n" in machine.read("summary.md")


def test_an_interrupt_ends_the_check_with_one_line(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_to_its_end", interrupt)

    with pytest.raises(SystemExit):
        check()

    assert capsys.readouterr().err == "\nci-check: interrupted\n"
    assert steps.done == []
