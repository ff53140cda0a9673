"""What the integration tests share: the deployed stack, what was promised, and the pipeline for messages."""

import os
from collections.abc import Iterator

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infrastructure.documents import DocumentError
from tests.integration.deployed import Deployed, NotDeployedError, find_deployed
from tests.integration.limits import EMULATOR_LIMITS
from tests.integration.pipeline import Pipeline, opened_pipeline
from tests.integration.promises import promised, recorded, secret_parts
from tests.unit.recording import Deployment, Resource

DEPLOYED = pytest.StashKey[Deployed]()
REASON = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Find the stack before anything is collected, or say in one line why there is none."""
    try:
        config.stash[DEPLOYED] = find_deployed()
    except (NotDeployedError, DocumentError) as error:
        # Other tests may be asked for, too, and have come before: then it is said once all are collected.
        config.stash[REASON] = str(error)
        if any("integration" in argument for argument in config.args):
            raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which stack is asked about, and where."""
    stack = config.stash.get(DEPLOYED, None)
    if stack is None:
        return None
    where = f"the emulator at {os.environ['AWS_ENDPOINT_URL']}" if stack.settings.is_local else "AWS"
    return f"stack: {stack.stack}, region: {stack.account.region}, in {where}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test each resource and each output of the program by itself."""
    stack = metafunc.config.stash.get(DEPLOYED, None)
    if stack is None:
        return
    if "resource" in metafunc.fixturenames:
        resources = [each for each in recorded(stack).resources if not each.is_component]
        ids = [f"{each.type.rpartition(':')[2]} {each.name}" for each in resources]
        metafunc.parametrize("resource", [(each.type, each.name) for each in resources], ids=ids, indirect=True)
    if "output" in metafunc.fixturenames:
        metafunc.parametrize("output", recorded(stack).exports)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say on AWS what can only be tested in the emulator."""
    if DEPLOYED not in config.stash:
        raise pytest.UsageError(config.stash[REASON])
    is_local = config.stash[DEPLOYED].settings.is_local
    for item in items:
        for marker in item.iter_markers("local_only"):
            if not is_local:
                item.add_marker(pytest.mark.skip(reason=marker.kwargs["reason"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Repeat the emulator's limits in every report of a run against it."""
    if DEPLOYED in config.stash and config.stash[DEPLOYED].settings.is_local:
        terminalreporter.section("limits of the emulator")
        for limit in EMULATOR_LIMITS:
            terminalreporter.write_line(f"- {limit}")


@pytest.fixture(scope="session", name="deployed")
def fixture_deployed(pytestconfig: pytest.Config) -> Deployed:
    """The deployed stack."""
    return pytestconfig.stash[DEPLOYED]


@pytest.fixture(scope="session", name="promises")
def fixture_promises(deployed: Deployed) -> Deployment:
    """What the program says of the stack; without access to AWS, no test is worth the wait."""
    try:
        return promised(deployed)
    except (BotoCoreError, ClientError) as error:
        return pytest.exit(f"AWS cannot be asked about the stack {deployed.stack}: {error}", returncode=1)


@pytest.fixture(name="resource")
def fixture_resource(request: pytest.FixtureRequest, promises: Deployment) -> Resource:
    """Each resource of the program in turn."""
    type_, name = request.param
    return promises.one(type_, name)


@pytest.fixture(scope="session", name="pipeline")
def fixture_pipeline(deployed: Deployed, promises: Deployment) -> Iterator[Pipeline]:
    """The pipeline that messages are sent through; what they leave there is removed in the end."""
    # What a secret is a part of, the outputs alone tell.
    outputs = promises.exports | {
        name: deployed.outputs[name] for name in secret_parts(deployed) if name in deployed.outputs
    }
    with opened_pipeline(deployed, outputs) as opened:
        yield opened
