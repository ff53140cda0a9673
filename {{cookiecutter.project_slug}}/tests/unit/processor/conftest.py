"""Fixtures for the function's tests."""

import importlib
from types import ModuleType

import pytest

from tests.unit.emulated import Emulated


@pytest.fixture(name="handler")
def fixture_handler(aws: Emulated) -> ModuleType:
    """The handler's module, imported with the example stack's environment variables."""
    assert aws
    return importlib.import_module("processor.handler")
