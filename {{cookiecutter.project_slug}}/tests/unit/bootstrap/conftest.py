"""Example stack files, and fixtures that run the bootstrap program."""

import json
import shutil
from collections.abc import Callable, Mapping
from unittest import mock

import pytest

from bootstrap.trust import TrustSettings
from infrastructure.account import Account
from tools.project import PROJECT_FOLDER, Project, read_project
from tools.settings import model_of
from tools.testing import ACCOUNT_ID, PROJECT_NAME, RecordedProgram, run_program

BOOTSTRAP = f"{PROJECT_NAME}-bootstrap"
MODEL = model_of(TrustSettings)
ACCOUNT = Account(ACCOUNT_ID, "us-east-1", "aws", "amazonaws.com")
OTHER_ACCOUNT_ID = ACCOUNT_ID[::-1]
KEY_ARN = f"arn:aws:kms:us-west-2:{ACCOUNT_ID}:key/99999999-8888-7777-6666-555555555555"
BOUNDARY_ARN = f"arn:aws:iam::{ACCOUNT_ID}:policy/{PROJECT_NAME}-dev-ci-boundary"
ORGANIZATION_BOUNDARY_ARN = f"arn:aws:iam::{ACCOUNT_ID}:policy/everybody"


def stack_file(region: str, suffix: str, boundary_arn: str, **settings: str) -> dict[str, object]:
    """Return the configuration of a stack in the account `ACCOUNT_ID`."""
    settings |= {"environmentSuffix": suffix, "permissionsBoundaryArn": boundary_arn}
    own = {f"{PROJECT_NAME}:{key}": value for key, value in settings.items()}
    return {"aws:region": region, "aws:allowedAccountIds": [ACCOUNT_ID], **own}


DEV = stack_file("us-east-2", "dev", BOUNDARY_ARN)
QA = stack_file("us-west-2", "test", ORGANIZATION_BOUNDARY_ARN, bucketName="our-own-bucket", kmsKeyArn=KEY_ARN)
STACKS = {"dev": DEV, "qa": QA, "prod": DEV | {"aws:allowedAccountIds": [OTHER_ACCOUNT_ID]}, "local": {}}

WriteStacks = Callable[[Mapping[str, Mapping[str, object]]], Project]
Bootstrap = Callable[..., RecordedProgram]


@pytest.fixture(scope="session", name="write_stacks")
def fixture_write_stacks(tmp_path_factory: pytest.TempPathFactory) -> WriteStacks:
    """A function that writes a project with the given stack files."""

    def write(files: Mapping[str, Mapping[str, object]]) -> Project:
        folder = tmp_path_factory.mktemp("project")
        shutil.copy(PROJECT_FOLDER / "Pulumi.yaml", folder)
        for name, config in files.items():
            (folder / f"Pulumi.{name}.yaml").write_text(json.dumps({"config": config}), encoding="utf-8")
        return read_project(folder)

    return write


@pytest.fixture(scope="session", name="bootstrap")
def fixture_bootstrap(write_stacks: WriteStacks) -> Bootstrap:
    """A function that runs the bootstrap program with example values for omitted settings."""
    project = write_stacks(STACKS)

    def run(accounts: str = f'["{ACCOUNT_ID}"]', **settings: str) -> RecordedProgram:
        own = {key: MODEL.example(key) for key in MODEL.keys} | settings
        config = {"aws:region": ACCOUNT.region, "aws:allowedAccountIds": accounts}
        config |= {f"{BOOTSTRAP}:{key}": text for key, text in own.items()}
        with mock.patch("tools.project.read_project", return_value=project):
            return run_program(config, "account", folder=PROJECT_FOLDER / "bootstrap", project=BOOTSTRAP)

    return run


@pytest.fixture(scope="session")
def program(bootstrap: Bootstrap) -> RecordedProgram:
    """The recorded bootstrap program with example settings."""
    return bootstrap()
