"""Finds the deployed stack before any test runs, and skips the tests that must not run in its environment."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.pipeline import Pipeline, opened_pipeline
from tests.integration.stack import Stack, find_stack

STACK = pytest.StashKey[Stack]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Find the stack, and skip the tests whose marker ``only_in`` does not name its environment."""
    config.stash[STACK] = stack = find_stack()
    for item in items:
        for marker in item.iter_markers("only_in"):
            if stack.settings.environment not in marker.args:
                item.add_marker(pytest.mark.skip(reason=marker.kwargs["reason"]))


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Report the stack, its region and the AWS endpoint."""
    stack = config.stash.get(STACK, None)
    where = stack and stack.client("sts").meta.endpoint_url
    return [f"stack {stack.name} in {stack.session.region_name}, at {where}"] if stack else []


@pytest.fixture(scope="session", name="stack")
def fixture_stack(pytestconfig: pytest.Config) -> Stack:
    """The deployed stack. Without access to its account, the test run is aborted."""
    stack = pytestconfig.stash[STACK]
    try:
        account = stack.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        pytest.exit(f"stack {stack.name}: cannot access AWS: {error}", returncode=1)
    if account != stack.account:
        pytest.exit(f"stack {stack.name} is in account {stack.account}, not in {account}", returncode=1)
    return stack


@pytest.fixture(scope="session", name="pipeline")
def fixture_pipeline(stack: Stack) -> Iterator[Pipeline]:
    """The client of the deployed pipeline. The data of all sent messages is deleted at the end."""
    with opened_pipeline(stack) as pipeline:
        yield pipeline
