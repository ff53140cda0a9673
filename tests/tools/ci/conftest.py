"""Fixtures of the tests of CI's tasks: a machine without a CI system, and stand-ins for what is not on it."""

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.validate.folder import ProjectFolder
from tools import outputs, package
from tools.ci import bundles, pipeline, records, system
from tools.configuration.stack_files import Place, StackConfig
from tools.testing.recording import PROJECT_NAME
from tools.validate.report import Deployment, Finding, Report

# Variables of CI systems.
OF_CI = (
    *("CI", "GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_REPOSITORY", "GITHUB_REF"),
    *("GITHUB_RUN_ATTEMPT", "GITHUB_EVENT_NAME", "PARENT_PIPELINE_SOURCE"),
    *("ACTIONS_ID_TOKEN_REQUEST_URL", "AWS_ID_TOKEN", "CI_JOB_ID", "CI_ALLOW_DATA_LOSS"),
)
# Answers from a file, and records its calls there, with what it was sent.
STAND_IN = f"""\
#!{sys.executable}
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
sent = sys.stdin.read() if "--input" in words else ""
with (folder / "calls").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps([words, sent]) + "\\n")
for option in ("--save-plan", "--plan"):
    if option in words:
        pathlib.Path(words[words.index(option) + 1]).touch()
answers = json.loads((folder / "answers").read_text(encoding="utf-8"))
for begin, (output, messages, status) in answers:
    if words[: len(begin)] == begin:
        sys.stdout.write(output)
        sys.stderr.write(messages)
        sys.exit(status)
sys.exit(f"not recorded: {{words}}")
"""


class StandIn:
    """A program on the PATH that answers as recorded.

    Args:
        folder: An empty folder for it, on the PATH.
        name: Its name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._answers: list[tuple[list[str], tuple[str, str, int]]] = []
        program = folder / name
        program.write_text(STAND_IN, encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)

    def answer(self, *words: str, output: str = "", messages: str = "", status: int = 0) -> None:
        """Answer a command that begins with these words; the latest answer counts."""
        self._answers.insert(0, ([*words], (output, messages, status)))
        (self._folder / "answers").write_text(json.dumps(self._answers), encoding="utf-8")

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Its calls, each as a line, with what it was sent."""
        record = self._folder / "calls"
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
        return [(" ".join(words), sent) for words, sent in map(json.loads, lines)]

    @property
    def calls(self) -> list[str]:
        """Its calls, each as a line."""
        return [call for call, _ in self.requests]


@dataclass
class Machine:
    """The machine that runs a task.

    Attributes:
        folder: Where the tasks write.
        pulumi: The stand-in for the engine.
        gh: The stand-in for GitHub's CLI.
        bundles: What was done for bundles.
        deployments: The deployment that ``validate`` finds, by stack.
        findings: What it finds, by stack.
        tests: Exit status of the integration tests.
        tested: The commands of the integration tests.
    """

    folder: Path
    pulumi: StandIn
    gh: StandIn
    bundles: list[str] = field(default_factory=list)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    tests: int = 0
    tested: list[str] = field(default_factory=list)

    def read(self, name: str) -> str:
        """Read a file that a task has written."""
        return (self.folder / name).read_text(encoding="utf-8")

    def record(self, stack: str = "dev") -> dict[str, Any]:
        """Read the record of a stack."""
        return json.loads(self.read(f"{stack}.json"))

    def validate(self, *, stacks: str, live: bool, strict: bool) -> Report:
        """Stand in for the validation of a deployed stack."""
        assert live
        assert strict
        deployment = self.deployments.get(stacks, Deployment(stack=stacks, state="deployed"))
        return Report(
            project=PROJECT_NAME,
            date=date(2026, 3, 1),
            strict=True,
            stacks=(),
            findings=tuple(self.findings.get(stacks, ())),
            settings=(),
            deployments=(deployment,),
        )

    def run_tests(self, command: tuple[str, ...]) -> int:
        """Stand in for the integration tests."""
        self.tested.append(" ".join(command[1:]))
        return self.tests


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of the CI system that runs the tests."""
    for name in OF_CI:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with stand-ins for everything outside the tasks."""
    programs = {name: tmp_path / "bin" / name for name in ("pulumi", "gh")}
    for path in programs.values():
        path.mkdir(parents=True)
    monkeypatch.setenv("PATH", os.pathsep.join([*map(str, programs.values()), os.environ["PATH"]]))
    stand_ins = {name: StandIn(path, name) for name, path in programs.items()}
    machine = Machine(tmp_path / "ci", pulumi=stand_ins["pulumi"], gh=stand_ins["gh"])
    for module in (system, records, pipeline):
        monkeypatch.setattr(module, "FOLDER", machine.folder)
    monkeypatch.setattr(outputs, "PROJECT_FOLDER", tmp_path)
    monkeypatch.setattr(bundles, "build_bundle", lambda stack: machine.bundles.append(f"build {stack}"))
    monkeypatch.setattr(bundles, "check_bundle", lambda stack: machine.bundles.append(f"check {stack}"))
    monkeypatch.setattr(pipeline, "validate_configuration", machine.validate)
    monkeypatch.setattr(pipeline, "run_to_its_end", machine.run_tests)
    return machine


@pytest.fixture(name="on_github")
def fixture_on_github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Run on GitHub, in a job that may ask for an identity token. Returns the folder of the runner's files."""
    variables = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "example/orders",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example.com",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def set_values(
    monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str | None], secret_keys: tuple[str, ...] = ()
) -> None:
    """Change keys of every stack file, or remove them."""
    original = package.read_stack_config

    def read_changed(stack: str) -> StackConfig:
        config = original(stack)
        changed = {key: value for key, value in {**config.values, **values}.items() if value is not None}
        places = config.places | dict.fromkeys(values, Place(f"Pulumi.{stack}.yaml", 1))
        return replace(config, values=changed, secret_keys=frozenset(secret_keys), places=places)

    monkeypatch.setattr(package, "read_stack_config", read_changed)


@pytest.fixture
def with_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name an account in every stack file."""
    set_values(monkeypatch, {"aws:allowedAccountIds": '["123456789012"]'})


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    """A copy of the project, without problems."""
    (tmp_path / "project").mkdir()
    return ProjectFolder.create(tmp_path / "project")
