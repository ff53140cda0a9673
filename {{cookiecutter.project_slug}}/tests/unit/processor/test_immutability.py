"""Lambda runs one invocation after the other in the same process: what they share cannot be changed."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from processor.environment import Environment
from processor.identity import Identity
from processor.queues import Queues
from processor.storage import MessageStore


@pytest.mark.parametrize("type_", [Environment, Identity, MessageStore, Queues])
def test_a_value_cannot_be_changed(type_: Any) -> None:
    names = [field.name for field in fields(type_)]
    value = type_(*names)

    with pytest.raises(FrozenInstanceError):
        setattr(value, names[0], "another")
