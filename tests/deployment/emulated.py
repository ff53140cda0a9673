"""Rendered projects deployed to emulators without the engine."""

import json
import os
import stat
import subprocess
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.projects import Environment, Project

DRIVER = Path(__file__).with_name("driver.py")
EMULATOR = Path(__file__).with_name("emulator.py")
OUTPUTS = "cfn-outputs/flat-outputs.json"


def stand_in_for_the_engine(environment: Environment, folder: Path) -> dict[str, str]:
    """Write a ``pulumi`` command that is the stand-in, and return the environment variables for it.

    Args:
        environment: Environment that it runs in.
        folder: Folder for the command and the record of its calls, ``calls``.
    """
    program = folder / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f"#!{environment.executable('python')}\nimport engine\n\nengine.main()\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    return {
        "PATH": os.pathsep.join([str(program.parent), environment.variables()["PATH"]]),
        # The stand-in's modules are in the same folder.
        "PYTHONPATH": str(DRIVER.parent),
        "PULUMI_CALLS": str(folder / "calls"),
    }


@dataclass(frozen=True)
class Report:
    """The report of a run of the integration tests.

    Attributes:
        status: Its exit status.
        output: Its output.
        outcomes: ``passed``, ``failed``, ``xfailed`` or ``skipped``, by the tests' names.
    """

    status: int
    output: str
    outcomes: dict[str, str]

    def tests(self, outcome: str) -> set[str]:
        """Return the tests with an outcome."""
        return {name for name, found in self.outcomes.items() if found == outcome}


@dataclass(frozen=True)
class Emulated:
    """A project with its own emulator.

    Attributes:
        project: The project.
        environment: Environment of its commands.
        address: The emulator's address.
    """

    project: Project
    environment: Environment
    address: str

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables for the emulator."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def python(self, *arguments: str) -> str:
        """Run Python in the project's folder and environment, with the emulator instead of AWS.

        Returns:
            Its output.
        """
        finished = self.environment.run(self.project, "python", *arguments, **self.variables)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def deploy(self) -> None:
        """Reset the emulator, deploy to it, and write the outputs."""
        reset = urllib.request.Request(f"{self.address}/_ministack/reset", method="POST")  # noqa: S310 # our own
        urllib.request.urlopen(reset).close()  # noqa: S310
        self.python(str(DRIVER))

    def integration_tests(self, *arguments: str, **variables: str) -> Report:
        """Run the project's integration tests with the task.

        Args:
            arguments: Arguments for pytest.
            variables: More environment variables.
        """
        report = self.project.path / "report.xml"
        report.unlink(missing_ok=True)
        command = ("poe", "test-py-integration", *arguments, f"--junit-xml={report}")
        finished = self.environment.run(self.project, *command, **self.variables, **variables)
        return Report(finished.returncode, finished.stdout, _outcomes(report))


class DeploymentError(Exception):
    """A deployment to the emulator failed; the message is the driver's."""


class Deployer:
    """Deploys a project with breakages, repeatedly in one process, and runs its integration tests.

    Args:
        emulated: The project, with its own emulator.
        log: File for the process's messages.
    """

    def __init__(self, emulated: Emulated, log: Path) -> None:
        self._emulated = emulated
        self._log = log
        self._process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        with self._log.open("w", encoding="utf-8") as messages:
            return subprocess.Popen(
                [str(self._emulated.environment.executable("python")), str(DRIVER), "--serve"],
                cwd=self._emulated.project.path,
                env=self._emulated.environment.variables(**self._emulated.variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                encoding="utf-8",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def integration_tests(self, broken: Sequence[str], tests: Sequence[str], expected: frozenset[str]) -> Report:
        """Reset the emulator, deploy with breakages, and run integration tests.

        Tests wait only a short time for results. If others fail than expected, the machine may have been busy: this is
        then done once more, with tests that wait as long as in a project.

        Args:
            broken: Names of the breakages.
            tests: Tests for pytest.
            expected: Names of the tests that should fail.

        Raises:
            DeploymentError: If the deployment failed.
        """
        report = self._asked({"broken": broken, "tests": tests, "impatient": True})
        if report.tests("failed") == expected:
            return report
        return self._asked({"broken": broken, "tests": tests, "impatient": False})

    def _asked(self, request: dict[str, object]) -> Report:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            # Start again: otherwise all later runs would fail too.
            self._process.communicate()
            said = self._log.read_text(encoding="utf-8")
            self._process = self._started()
            raise DeploymentError(said)
        return Report(**json.loads(answer))


def _outcomes(report: Path) -> dict[str, str]:
    """Read pytest's report, if it exists."""
    if not report.exists():
        return {}
    outcomes: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 # written by pytest
        skipped = case.find("skipped")
        if skipped is not None:
            outcome = "xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"
        else:
            outcome = "passed" if case.find("failure") is None and case.find("error") is None else "failed"
        # An error in the teardown is a case of its own.
        name = str(case.get("name"))
        outcomes[name] = outcome if outcomes.get(name, "passed") == "passed" else outcomes[name]
    return outcomes


@contextmanager
def emulated(project: Project, environment: Environment, folder: Path) -> Generator[Emulated]:
    """Start the emulator of a project, as its own tasks do.

    Args:
        project: The project.
        environment: Environment of its commands.
        folder: Folder for the emulator's files.

    Yields:
        The project with its emulator.
    """
    with subprocess.Popen(
        [str(environment.executable("python")), str(EMULATOR), str(folder)],
        cwd=project.path,
        env=environment.variables(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin
        assert process.stdout
        # The first time, it prints before that it is being installed.
        address = next((line.strip() for line in process.stdout if line.startswith("http")), None)
        assert address, f"the emulator did not start; its log is {folder}"
        try:
            yield Emulated(project, environment, address)
        finally:
            process.stdin.close()
