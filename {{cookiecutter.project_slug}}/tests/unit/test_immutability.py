"""What a stack's components share, or a function's invocations, cannot be changed by one for the others."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from infrastructure.context import Context
from infrastructure.metrics import Metric, Metrics
from infrastructure.naming import Names
from processor.environment import Environment
from processor.identity import Identity
from processor.queues import Queues
from processor.storage import MessageStore


@pytest.mark.parametrize("type_", [Context, Metric, Metrics, Names, Environment, Identity, MessageStore, Queues])
def test_a_value_cannot_be_changed(type_: Any) -> None:
    names = [field.name for field in fields(type_)]
    value = type_(*names)

    with pytest.raises(FrozenInstanceError):
        setattr(value, names[0], "another")
