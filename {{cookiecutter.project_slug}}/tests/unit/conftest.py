"""What the unit tests share: each stack of the project, deployed once to Pulumi's mocks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.testing.recording import PROJECT, STACKS, Deployment, deploy, readable_config

CUSTOM = {
    "lambdaRuntime": "python3.14",
    "lambdaArchitecture": "x86_64",
    "lambdaReservedConcurrency": "25",
    "bucketName": "our-own-bucket",
}

Deploy = Callable[..., Deployment]


@pytest.fixture(scope="session", name="build_folder")
def fixture_build_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a bundle for every runtime and architecture."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "processor-local.zip").touch()
    for minor in range(11, 15):
        for architecture in ("arm64", "x86_64"):
            (folder / f"processor-python3.{minor}-{architecture}.zip").touch()
    return folder


@pytest.fixture(scope="session", name="deploy_stack")
def fixture_deploy_stack(build_folder: Path) -> Deploy:
    """Deploy a stack of the project, with settings of the test's own in place of the file's."""
    finished: dict[tuple[object, ...], Deployment] = {}

    def deploy_once(stack: str, **settings: str) -> Deployment:
        config = readable_config(stack) | {f"{PROJECT}:{name}": value for name, value in settings.items()}
        key = (stack, *sorted(config.items()))
        if key not in finished:
            finished[key] = deploy(config, stack, build_folder)
        return finished[key]

    return deploy_once


@pytest.fixture(scope="session", params=STACKS)
def deployed(request: pytest.FixtureRequest, deploy_stack: Deploy) -> Deployment:
    """Each stack of the project in turn, as its file configures it."""
    return deploy_stack(request.param)


@pytest.fixture(scope="session")
def customized(deploy_stack: Deploy) -> Deployment:
    """The dev stack with settings that differ from every file's."""
    region = readable_config("dev")["aws:region"]
    key_arn = f"arn:aws:kms:{region}:123456789012:key/99999999-8888-7777-6666-555555555555"
    return deploy_stack("dev", kmsKeyArn=key_arn, **CUSTOM)


@pytest.fixture(scope="session")
def dev(deploy_stack: Deploy) -> Deployment:
    """The dev stack, with a key of its own."""
    return deploy_stack("dev", kmsKeyArn="")


@pytest.fixture(scope="session")
def prod(deploy_stack: Deploy) -> Deployment:
    """The prod stack, with a key of its own."""
    return deploy_stack("prod", kmsKeyArn="")
