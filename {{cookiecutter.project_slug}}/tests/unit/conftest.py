"""Fixtures of the unit tests: the project's stacks, example stacks with other settings, and an emulated AWS."""

from collections.abc import Callable

import pytest

from tests.unit.emulated import fixture_aws, fixture_clients, fixture_queues, fixture_store
from tools.settings import EXAMPLE_REGION, SettingsError
from tools.testing import PROJECT_NAME, STACKS, Deployment, deploy, example_config, readable_config

__all__ = ["fixture_aws", "fixture_clients", "fixture_queues", "fixture_store"]

KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/99999999-8888-7777-6666-555555555555"
CUSTOMIZED = "customized"
# Other values than the defaults and those of the stack files.
CUSTOM_SETTINGS = {
    "lambdaRuntime": "python3.14",
    "lambdaArchitecture": "x86_64",
    "lambdaMemoryMb": "2048",
    "lambdaTimeoutSeconds": "140",
    "maximumConcurrency": "20",
    "lambdaReservedConcurrency": "25",
    "batchSize": "50",
    "batchWindowSeconds": "5",
    "maxReceiveCount": "7",
    "messageRetentionSeconds": "86400",
    "eventSourceMetrics": "true",
    "tableMaxReadUnits": "100",
    "tableMaxWriteUnits": "50",
    "contributorInsights": "true",
    "dataRetentionDays": "90",
    "noncurrentVersionDays": "10",
    "logRetentionDays": "14",
    "bucketName": "our-own-bucket",
    "kmsKeyArn": KEY_ARN,
    "permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
    "eventbridgeNotifications": "true",
    "forceDestroy": "true",
}

Deploy = Callable[..., Deployment]


@pytest.fixture(scope="session", name="deploy_example")
def fixture_deploy_example() -> Deploy:
    """Deploy an example stack, with the test's settings instead of the model's examples."""
    finished: dict[tuple[str, frozenset[tuple[str, str]]], Deployment] = {}

    def deploy_once(region: str = EXAMPLE_REGION, **settings: str) -> Deployment:
        key = (region, frozenset(settings.items()))
        if key not in finished:
            own = {f"{PROJECT_NAME}:{name}": value for name, value in settings.items()}
            finished[key] = deploy(example_config(PROJECT_NAME, region) | own, "example")
        return finished[key]

    return deploy_once


@pytest.fixture(scope="session", name="stacks")
def fixture_stacks() -> dict[str, Deployment]:
    """Each stack of the project, as its file configures it. A wrong file ends the run: every test would fail."""
    try:
        return {stack: deploy(readable_config(stack), stack) for stack in STACKS}
    except SettingsError as error:
        return pytest.exit(f"the task `validate` says more: {error}", returncode=1)


@pytest.fixture(scope="session", params=[*STACKS, CUSTOMIZED])
def deployed(request: pytest.FixtureRequest, stacks: dict[str, Deployment], customized: Deployment) -> Deployment:
    """Each stack of the project in turn, and an example stack without any default."""
    return customized if request.param == CUSTOMIZED else stacks[request.param]


@pytest.fixture(scope="session")
def example(deploy_example: Deploy) -> Deployment:
    """An example stack with the defaults."""
    return deploy_example()


@pytest.fixture(scope="session")
def production(deploy_example: Deploy) -> Deployment:
    """An example stack for production."""
    return deploy_example(environment="prod")


@pytest.fixture(scope="session", name="customized")
def fixture_customized(deploy_example: Deploy) -> Deployment:
    """An example stack with other values than the defaults."""
    return deploy_example(**CUSTOM_SETTINGS)


@pytest.fixture(scope="session")
def china(deploy_example: Deploy) -> Deployment:
    """An example stack in China, where some names of services have another domain."""
    return deploy_example(region="cn-north-1")


def key_arn(deployment: Deployment) -> str:
    """Return the ARN of the configured key, or of the one that the stack creates."""
    return deployment.setting("kmsKeyArn") or deployment.arn("aws:kms/key:Key", "key")
