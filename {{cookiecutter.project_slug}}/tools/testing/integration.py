"""pytest hooks and fixtures of the integration tests. Each resource and each output is a separate test.

The project's ``conftest.py`` imports everything from here.
"""

import os

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tools.configuration.documents import DocumentError
from tools.testing.deployed import Deployed, NotDeployedError, find_deployed
from tools.testing.limits import EMULATOR_LIMITS
from tools.testing.promises import promised
from tools.testing.recording import Deployment, Resource

DEPLOYED = pytest.StashKey[Deployed]()
REASON = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Find the stack before tests are collected, or fail with one line."""
    try:
        config.stash[DEPLOYED] = find_deployed()
    except (NotDeployedError, DocumentError) as error:
        # If other tests were selected too, fail only after integration tests have been collected.
        config.stash[REASON] = str(error)
        if any("integration" in argument for argument in config.args):
            raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the stack, and AWS or the emulator."""
    stack = config.stash.get(DEPLOYED, None)
    if stack is None:
        return None
    where = f"the emulator at {os.environ['AWS_ENDPOINT_URL']}" if stack.is_local else "AWS"
    return f"stack: {stack.stack}, region: {stack.account.region}, in {where}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests with the program's resources and outputs."""
    stack = metafunc.config.stash.get(DEPLOYED, None)
    if stack is None:
        return
    if "resource" in metafunc.fixturenames:
        resources = [each for each in stack.program.recorded.resources if not each.is_component]
        ids = [f"{each.type.rpartition(':')[2]} {each.name}" for each in resources]
        metafunc.parametrize("resource", [(each.type, each.name) for each in resources], ids=ids, indirect=True)
    if "output" in metafunc.fixturenames:
        metafunc.parametrize("output", stack.program.recorded.exports)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests on AWS that can only run in the emulator."""
    if DEPLOYED not in config.stash:
        raise pytest.UsageError(config.stash[REASON])
    is_local = config.stash[DEPLOYED].is_local
    for item in items:
        for marker in item.iter_markers("local_only"):
            if not is_local:
                item.add_marker(pytest.mark.skip(reason=marker.kwargs["reason"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the emulator's limits after every run against it."""
    if DEPLOYED in config.stash and config.stash[DEPLOYED].is_local:
        terminalreporter.section("limits of the emulator")
        for limit in EMULATOR_LIMITS:
            terminalreporter.write_line(f"- {limit}")


@pytest.fixture(scope="session", name="deployed")
def fixture_deployed(pytestconfig: pytest.Config) -> Deployed:
    """The deployed stack."""
    return pytestconfig.stash[DEPLOYED]


@pytest.fixture(scope="session", name="promises")
def fixture_promises(deployed: Deployed) -> Deployment:
    """What the program promises of the stack. Without access to AWS, all tests are aborted."""
    try:
        return promised(deployed)
    except (BotoCoreError, ClientError) as error:
        return pytest.exit(f"the stack {deployed.stack} cannot be read from AWS: {error}", returncode=1)


@pytest.fixture(name="resource")
def fixture_resource(request: pytest.FixtureRequest, promises: Deployment) -> Resource:
    """Each resource of the program in turn."""
    type_, name = request.param
    return promises.one(type_, name)
