"""Deploys a rendered project to an emulator of its own, and runs the integration tests there."""

import os
import stat
import xml.etree.ElementTree as ET
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.projects import Environment, Project

DRIVER = Path(__file__).with_name("driver.py")
OUTPUTS = "cfn-outputs/flat-outputs.json"


def put_stand_in_on_path(environment: Environment, folder: Path) -> dict[str, str]:
    """Write an executable ``pulumi`` that runs `stand_in_cli`, and return environment variables for its callers.

    Args:
        environment: Virtual environment that runs `stand_in_cli`.
        folder: Folder for ``bin/pulumi`` and for the file ``calls``, which records all commands.
    """
    program = folder / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(
        f"#!{environment.executable('python')}\nimport stand_in_cli\n\nstand_in_cli.main()\n", encoding="utf-8"
    )
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    return {
        "PATH": os.pathsep.join([str(program.parent), environment.variables()["PATH"]]),
        # `stand_in_cli` and its imports are next to the driver.
        "PYTHONPATH": str(DRIVER.parent),
        "PULUMI_CALLS": str(folder / "calls"),
    }


@dataclass(frozen=True)
class Report:
    """The result of a run of the integration tests.

    Attributes:
        status: The task's exit status.
        output: The task's output.
        outcomes: ``passed``, ``failed``, ``xfailed`` or ``skipped``, by test name.
    """

    status: int
    output: str
    outcomes: dict[str, str]

    def tests(self, outcome: str) -> set[str]:
        """Return the names of the tests with the given outcome."""
        return {name for name, found in self.outcomes.items() if found == outcome}


@dataclass(frozen=True)
class Emulated:
    """A project with its own emulator.

    Attributes:
        project: The project.
        environment: Virtual environment of the project's commands.
        address: The emulator's URL.
    """

    project: Project
    environment: Environment
    address: str

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that direct an AWS SDK to the emulator."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def python(self, *arguments: str) -> str:
        """Run ``python`` in the project's folder against the emulator, and return the output."""
        finished = self.environment.run(self.project, "python", *arguments, **self.variables)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def deploy(self) -> None:
        """Reset the emulator, deploy the local stack, and write the outputs file."""
        self.python(str(DRIVER))

    def integration_tests(self, *arguments: str, **variables: str) -> Report:
        """Run the project's task ``test-py-integration`` against the emulator.

        Args:
            arguments: Arguments for pytest.
            variables: Additional environment variables.
        """
        report = self.project.path / "report.xml"
        report.unlink(missing_ok=True)
        command = ("poe", "test-py-integration", *arguments, f"--junit-xml={report}")
        finished = self.environment.run(self.project, *command, **self.variables, **variables)
        return Report(finished.returncode, finished.stdout, _outcomes(report))


def _outcomes(report: Path) -> dict[str, str]:
    """Read the outcome of each test from pytest's JUnit XML report; without a report, return no outcomes."""
    if not report.exists():
        return {}
    outcomes: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 # written by pytest
        skipped = case.find("skipped")
        if skipped is not None:
            outcome = "xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"
        else:
            outcome = "passed" if case.find("failure") is None and case.find("error") is None else "failed"
        # A test whose call and teardown both fail has two cases.
        name = str(case.get("name"))
        outcomes[name] = outcome if outcomes.get(name, "passed") == "passed" else outcomes[name]
    return outcomes


@contextmanager
def emulated(project: Project, environment: Environment, folder: Path) -> Generator[Emulated]:
    """Start a project's emulator, and stop it on exit.

    Args:
        project: The project.
        environment: Virtual environment of the project's commands.
        folder: Folder for the emulator's files.

    Yields:
        The project with its emulator.
    """

    def run(call: str) -> str:
        program = f"from pathlib import Path; from tools.emulator import *; folder = Path({str(folder)!r}); {call}"
        finished = environment.run(project, "python", "-c", program)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    # The first start also prints that the emulator is being installed.
    address = run("print(start_emulator(folder))").splitlines()[-1]
    try:
        yield Emulated(project, environment, address)
    finally:
        run("stop_emulator(folder)")
