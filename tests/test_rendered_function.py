"""Tests of the function in a rendered project: what it assumes about the AWS SDK, and the benchmark of its own time."""

import re
import shutil
from pathlib import Path

import pytest

from tests.combinations import ROOT
from tests.projects import Environment, Project

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "BUCKET_NAME": "",
    "TABLE_NAME": "",
    "TOPIC_ARN": "",
    "QUEUE_URL": "",
    "DLQ_URL": "",
    "MAX_RECEIVE_COUNT": "1",
    "DATA_RETENTION_DAYS": "0",
    "ENVIRONMENT": "",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["pytest -q tests/function", "ty check tests/function"])
def test_assumptions_about_the_sdk_are_true(
    default_project: Project, environment: Environment, tmp_path: Path, command: str
) -> None:
    project = default_project.copy(tmp_path)
    shutil.copytree(ROOT / "tests" / "function", project.path / "tests" / "function")

    finished = environment.run(project, *command.split(), **VARIABLES)

    assert finished.returncode == 0, finished.stdout


@pytest.mark.slow
def test_the_benchmark_prints_only_a_line_for_each_batch_size(
    default_project: Project, environment: Environment
) -> None:
    finished = environment.run(default_project, "python", str(ROOT / "benchmarks" / "function_timing.py"))

    assert re.fullmatch(r"(\d+;\d+ µs;\d+ µs;\d+\.\d;\d+ µs\n){3}", finished.stdout), finished.stdout[:1000]
