"""All components of a stack share these values: none can change them for the others."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from infrastructure.context import Context
from infrastructure.metrics import Metric, Metrics
from infrastructure.naming import Names


@pytest.mark.parametrize("type_", [Context, Metric, Metrics, Names])
def test_a_value_cannot_be_changed(type_: Any) -> None:
    names = [field.name for field in fields(type_)]
    value = type_(*names)

    with pytest.raises(FrozenInstanceError):
        setattr(value, names[0], "another")
