"""Fixtures of the bootstrap program's tests: an account with stacks, and a run of the program there."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import pytest

from bootstrap import stacks
from tools.project import PROJECT_FOLDER
from tools.testing import ACCOUNT_ID, PROJECT_NAME, Aws, Deployment, deploy, example_account

BOOTSTRAP = f"{PROJECT_NAME}-bootstrap"
REGION = "us-east-1"
OTHER_ACCOUNT_ID = ACCOUNT_ID[::-1]
THIRD_ACCOUNT_ID = "9" * 12
KEY_ARN = f"arn:aws:kms:us-west-2:{ACCOUNT_ID}:key/99999999-8888-7777-6666-555555555555"

GITHUB = {"ci": "github", "repository": "acme/orders", "repositoryId": "456", "repositoryOwnerId": "123"}
GITLAB = {"ci": "gitlab", "repository": "acme/shop/orders"}
STATE = {"stateBucket": "acme-state"}


def boundary_arn(suffix: str) -> str:
    """Return the ARN of the boundary that a stack with a suffix asks for."""
    return f"arn:aws:iam::{ACCOUNT_ID}:policy/{PROJECT_NAME}-{suffix}-ci-boundary"


def stack_file(suffix: str, region: str, **settings: str) -> dict[str, object]:
    """Return the configuration of a stack that can be deployed from CI."""
    own = {"environmentSuffix": suffix, "permissionsBoundaryArn": boundary_arn(suffix)} | settings
    return {"aws:region": region, "aws:allowedAccountIds": [ACCOUNT_ID]} | {
        f"{PROJECT_NAME}:{key}": value for key, value in own.items()
    }


STACKS = {
    "dev": stack_file("dev", "us-east-2"),
    "qa": stack_file(
        "test",
        "us-west-2",
        bucketName="our-own-bucket",
        kmsKeyArn=KEY_ARN,
        permissionsBoundaryArn="arn:aws:iam::123456789012:policy/everybody",
    ),
    "prod": stack_file("prod", "us-east-1") | {"aws:allowedAccountIds": [OTHER_ACCOUNT_ID]},
    "local": {"aws:region": "us-east-1", f"{PROJECT_NAME}:environmentSuffix": "local"},
}

Bootstrap = Callable[..., Deployment]
WriteStacks = Callable[[Mapping[str, Mapping[str, object]]], Path]


@pytest.fixture(scope="session", name="write_stacks")
def fixture_write_stacks(tmp_path_factory: pytest.TempPathFactory) -> WriteStacks:
    """Write a project with stack files, and return its folder."""

    def write(files: Mapping[str, Mapping[str, object]]) -> Path:
        folder = tmp_path_factory.mktemp("project")
        shutil.copy(PROJECT_FOLDER / "Pulumi.yaml", folder)
        for name, config in files.items():
            (folder / f"Pulumi.{name}.yaml").write_text(json.dumps({"config": config}), encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session", name="bootstrap")
def fixture_bootstrap(write_stacks: WriteStacks) -> Bootstrap:
    """Run the bootstrap program with settings, in an account with these stacks."""
    folder = write_stacks(STACKS)

    def run(settings: Mapping[str, str], account_id: str = ACCOUNT_ID, credentials_of: str | None = None) -> Deployment:
        config = {"aws:region": REGION, "aws:allowedAccountIds": json.dumps([account_id])}
        config |= {f"{BOOTSTRAP}:{key}": value for key, value in settings.items()}
        account = stacks.replace(example_account(REGION), id=credentials_of or account_id)
        with mock.patch.object(stacks, "PROJECT_FOLDER", folder):
            return deploy(
                config, "account", provider=Aws(account), folder=PROJECT_FOLDER / "bootstrap", project=BOOTSTRAP
            )

    return run


@pytest.fixture(scope="session")
def on_github(bootstrap: Bootstrap) -> Deployment:
    """An account for GitHub, with its state in Pulumi Cloud."""
    return bootstrap(GITHUB)


@pytest.fixture(scope="session")
def with_state(bootstrap: Bootstrap) -> Deployment:
    """An account for GitHub, with the state bucket."""
    return bootstrap(GITHUB | STATE)
