"""What the integration tests share: the deployed stack and its promises (from the tools), and a pipeline."""

from collections.abc import Iterator

import pytest

from tests.integration.pipeline import Pipeline, opened_pipeline
from tools.testing.deployed import Deployed
from tools.testing.integration import (
    fixture_deployed,
    fixture_promises,
    fixture_resource,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    pytest_report_header,
    pytest_terminal_summary,
)
from tools.testing.recording import Deployment

__all__ = [
    "fixture_deployed",
    "fixture_promises",
    "fixture_resource",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_report_header",
    "pytest_terminal_summary",
]


@pytest.fixture(scope="session", name="pipeline")
def fixture_pipeline(deployed: Deployed, promises: Deployment) -> Iterator[Pipeline]:
    """The pipeline that messages are sent through; what they leave there is removed in the end."""
    # What a secret is a part of, the outputs alone tell.
    outputs = promises.exports | {
        name: deployed.outputs[name] for name in deployed.program.secret_parts if name in deployed.outputs
    }
    with opened_pipeline(deployed, outputs) as opened:
        yield opened
