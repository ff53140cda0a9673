"""Fixtures for the unit tests: the project's stacks, two example stacks, and AWS mocked by moto."""

import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi import FileArchive

from tests.unit.emulated import fixture_aws, fixture_clients, fixture_queues, fixture_store
from tools.testing import STACKS, RecordedProgram, example_config, run_program, stack_config

__all__ = ["fixture_aws", "fixture_clients", "fixture_queues", "fixture_store"]


@pytest.fixture(scope="session", name="stacks")
def fixture_stacks() -> dict[str, RecordedProgram]:
    """The recorded program of each stack file."""
    return {stack: record(stack, stack_config(stack)) for stack in STACKS}


@pytest.fixture(scope="session", name="example")
def fixture_example() -> RecordedProgram:
    """The recorded program of an example stack with default settings."""
    return record("example", example_config())


@pytest.fixture(scope="session", name="production")
def fixture_production() -> RecordedProgram:
    """The recorded program of an example production stack."""
    return record("production", example_config(environment="prod"))


def record(stack: str, config: Mapping[str, str]) -> RecordedProgram:
    """Record the program. If it fails, end the test run: nearly every test would fail for the same reason."""
    try:
        return run_program(config, stack)
    except Exception:  # noqa: BLE001 # pylint: disable=broad-exception-caught
        return pytest.exit(f"the program fails for the stack {stack}:\n{traceback.format_exc()}", returncode=1)


def recorded_inputs(program: RecordedProgram) -> dict[str, dict[str, Any]]:
    """Return the inputs of all resources by logical name, with JSON parsed and archives as file names."""
    return {
        resource.name: {key: _readable(value) for key, value in resource.inputs.items()}
        for resource in program.resources
        if not resource.is_component
    }


def _readable(value: Any) -> Any:
    if isinstance(value, FileArchive):
        return Path(value.path).name
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value
