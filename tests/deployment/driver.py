"""Deploys the rendered program to an emulator, instead of the engine, and can also run its integration tests.

Runs in a rendered project's folder and environment, for the local stack and the emulator at ``AWS_ENDPOINT_URL``.
``python driver.py`` deploys once and writes the outputs file. ``python driver.py --serve`` answers requests, so that
everything is imported once: each input line requests a deployment with breakages and tests to run, and each output line
is their report.
"""

import contextlib
import functools
import io
import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from applier import Applier
from breakages import BREAKAGES, OUTPUT, Breakage

STACK = "local"
# Failing tests wait until their deadline, so these are shorter than the project's.
IMPATIENT = {"LOCAL_FIRST_DEADLINE_SECONDS": 15, "LOCAL_DEADLINE_SECONDS": 5}


class Outcomes:
    """A pytest plugin that records the outcome of each test.

    Attributes:
        tests: The outcome of each test, by its name.
    """

    def __init__(self) -> None:
        self.tests: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the outcome of a test's phase; if any phase fails, the test fails."""
        name = report.nodeid.partition("::")[2]
        outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        if report.when == "call" or outcome != "passed":
            self.tests[name] = "failed" if "failed" in (outcome, self.tests.get(name)) else outcome


def run_program(
    broken: Sequence[Breakage] = (),
    before: Mapping[str, Any] | None = None,
    *,
    preview: bool = False,
    stack: str = STACK,
) -> tuple[Applier, dict[str, Any]]:
    """Run the program with its resources created or updated.

    Args:
        broken: Breakages to apply.
        before: State of an earlier deployment.
        preview: Whether creations and updates are only planned.
        stack: Name of the stack.

    Returns:
        The applier, and the stack's outputs.
    """
    # The rendered project is the working directory.
    sys.path.insert(0, str(Path.cwd()))
    from tools.bundle import BUILD_FOLDER  # noqa: PLC0415
    from tools.testing import recording  # noqa: PLC0415

    config = recording.readable_config(stack)
    recording.EMULATOR["AWS_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
    session = boto3.Session("testing", "testing", region_name=config["aws:region"])
    applier = Applier(session, broken, before, preview=preview)
    return applier, dict(recording.deploy(config, stack, BUILD_FOLDER, applier).exports)


def deploy(broken: Sequence[Breakage] = ()) -> dict[str, Any]:
    """Deploy to an empty emulator.

    Args:
        broken: What is created otherwise than the program says.

    Returns:
        The stack's outputs.

    Raises:
        RuntimeError: If a breakage has changed nothing.
    """
    applier, outputs = run_program(broken)
    for breakage in broken:
        if breakage.type == OUTPUT:
            outputs |= breakage.change or {}
        elif breakage not in applier.broken:
            raise RuntimeError(f"{breakage} has changed nothing")
    return outputs


def deploy_and_write(broken: Sequence[Breakage] = ()) -> None:
    """Deploy, and write the outputs file."""
    outputs = deploy(broken)
    from tools.outputs import OUTPUTS_FILE, write_outputs  # noqa: PLC0415

    write_outputs(outputs, Path.cwd() / OUTPUTS_FILE)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Reset the emulator, deploy with breakages, and run integration tests.

    Args:
        request: Names of the breakages (``broken``), the ``tests`` for pytest, and whether these wait only a short time
            for results (``impatient``).

    Returns:
        The ``status`` of pytest, its ``output``, and the ``outcomes``.
    """
    reset = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/_ministack/reset", method="POST")  # noqa: S310
    urllib.request.urlopen(reset).close()  # noqa: S310 # our own emulator
    deploy_and_write([BREAKAGES[name] for name in request["broken"]])
    from tests.integration import pipeline  # noqa: PLC0415 # of the rendered project

    deadlines = IMPATIENT if request["impatient"] else {}
    outcomes = Outcomes()
    with contextlib.ExitStack() as changed, contextlib.redirect_stdout(io.StringIO()) as output:
        for name, seconds in deadlines.items():
            changed.enter_context(mock.patch.object(pipeline, name, seconds))
        status = pytest.main(
            [*request["tests"], "--tb=short", "-p", "no:cacheprovider", "-p", "no:unraisableexception"],
            plugins=[outcomes],
        )
    return {"status": int(status), "output": output.getvalue(), "outcomes": outcomes.tests}


def serve() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Creating a client takes longer than its calls, and every run needs the same clients.
    boto3.Session.client = cached_clients(boto3.Session.client)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


def cached_clients(create: Any) -> Any:
    """Create each client once."""
    clients: dict[str, Any] = {}

    @functools.wraps(create)
    def client(session: boto3.Session, service: str, **options: Any) -> Any:
        key = repr((service, session.region_name, sorted(options.items(), key=str)))
        # S3's client caches the regions of buckets.
        if service == "s3" or key not in clients:
            clients[key] = create(session, service, **options)
        return clients[key]

    return client


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        deploy_and_write()
