"""Runs ``tests/function`` in a rendered project, to check the function's assumptions about the AWS SDK."""

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
