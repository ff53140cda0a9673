"""Shared fixtures: each stack of the tests' project, deployed once to Pulumi's mocks."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.remembered import deploy_once
from tools.testing import program
from tools.testing.recording import PROJECT_NAME, Deployment, deploy, readable_config
from tools.validate.policies import RUNTIMES

Deploy = Callable[..., Deployment]


@pytest.fixture(scope="session", name="build_folder")
def fixture_build_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle for every runtime and architecture."""
    folder = tmp_path_factory.mktemp("build")
    targets = [f"{runtime}-{architecture}" for runtime in RUNTIMES for architecture in ("arm64", "x86_64")]
    for target in ("local", *targets):
        with ZipFile(folder / f"processor-{target}.zip", "w") as bundle:
            bundle.writestr("processor/handler.py", "")
    return folder


@pytest.fixture(scope="session", name="deploy_stack")
def fixture_deploy_stack(build_folder: Path) -> Deploy:
    """Deploy a stack of the project, with changed settings."""

    def deploy_changed(stack: str, **settings: str) -> Deployment:
        config = readable_config(stack) | {f"{PROJECT_NAME}:{name}": value for name, value in settings.items()}
        return deploy(config, stack, build_folder)

    return deploy_changed


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache the program's runs in tests that only read the record."""
    monkeypatch.setattr(program, "deploy", deploy_once)


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this shell's AWS variables and configuration files from every test."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "absent")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
