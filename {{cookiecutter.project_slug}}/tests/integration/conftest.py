"""Fixtures of the integration tests: the deployed stack, what the program declares, and the pipeline."""

from collections.abc import Iterator

import pytest

from tests.integration.pipeline import Pipeline, opened_pipeline
from tools.testing import Deployment
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
def fixture_pipeline(deployed: Deployed, promises: Deployment, pytestconfig: pytest.Config) -> Iterator[Pipeline]:
    """The pipeline to send messages through. What they leave behind is deleted at the end."""
    # Values that contain a secret are known only from the outputs.
    outputs = promises.exports | {
        name: deployed.outputs[name] for name in deployed.program.secret_parts if name in deployed.outputs
    }
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")
    with opened_pipeline(deployed, outputs, reporter.write_line) as opened:
        yield opened
