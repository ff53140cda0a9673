"""pytest's part of the integration tests: the stack is found, and each resource and each output is a test of its own.

The project's ``conftest.py`` imports all of it.
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
    where = f"the emulator at {os.environ['AWS_ENDPOINT_URL']}" if stack.is_local else "AWS"
    return f"stack: {stack.stack}, region: {stack.account.region}, in {where}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test each resource and each output of the program by itself."""
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
    """Say on AWS what can only be tested in the emulator."""
    if DEPLOYED not in config.stash:
        raise pytest.UsageError(config.stash[REASON])
    is_local = config.stash[DEPLOYED].is_local
    for item in items:
        for marker in item.iter_markers("local_only"):
            if not is_local:
                item.add_marker(pytest.mark.skip(reason=marker.kwargs["reason"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Repeat the emulator's limits in every report of a run against it."""
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
    """What the program says of the stack; without access to AWS, no test is worth the wait."""
    try:
        return promised(deployed)
    except (BotoCoreError, ClientError) as error:
        return pytest.exit(f"the stack {deployed.stack} cannot be read from AWS: {error}", returncode=1)


@pytest.fixture(name="resource")
def fixture_resource(request: pytest.FixtureRequest, promises: Deployment) -> Resource:
    """Each resource of the program in turn."""
    type_, name = request.param
    return promises.one(type_, name)
