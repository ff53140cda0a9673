"""Base of a project's settings model: parsing of values, and their description in words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

REGION_KEY: Final = "aws:region"
EXAMPLE_REGION: Final = "us-east-1"


@dataclass(frozen=True)
class Contradiction:
    """A value that is valid on its own but contradicts other settings.

    Attributes:
        rule: Name of the rule, for example ``retention-too-short``.
        key: The setting to change.
        found: Its value, as text.
        allowed: What is allowed.
    """

    rule: str
    key: str
    found: str
    allowed: str


class StackSettings(BaseModel):
    """Base class of a project's settings model: a complete, valid stack configuration.

    Fields are in snake case, keys of the stack files in camel case. Every field needs a ``description``. A string that
    is not an enum needs ``json_schema_extra={"allowed": ...}``: the allowed values, in words. A field without a default
    needs ``examples``: a value for tests, and a second one if the setting may be a secret. Values that depend on the
    region contain `EXAMPLE_REGION`.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:  # noqa: ARG003 # pylint: disable=unused-argument
        """Find valid settings that contradict each other. Models override this if they have such settings.

        Args:
            good: The settings that are valid on their own, by their keys in the stack files, and `REGION_KEY`. Any of
                them may be missing.
        """
        yield from ()


def _whole_number(value: object) -> object:
    """Parse the engine's text as an integer, but not lookalikes such as ``1.0`` and ``1_000``."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) else value


def _truth_value(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


WHOLE_NUMBER: Final = BeforeValidator(_whole_number)
TRUTH_VALUE: Final = BeforeValidator(_truth_value)


def as_text(value: object) -> str:
    """Format a setting's value as configuration text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class SettingsModel:
    """A project's settings model, by the keys of the stack files.

    Args:
        settings: The model.

    Attributes:
        keys: The settings' keys, in the model's order.
        schema: Each setting's JSON Schema, by its key.
    """

    def __init__(self, settings: type[StackSettings]) -> None:
        self.schema: dict[str, dict[str, Any]] = settings.model_json_schema()["properties"]
        self.keys: tuple[str, ...] = tuple(self.schema)

    def default(self, key: str) -> str | None:
        """Return a setting's default, or ``None`` if it is required."""
        return as_text(self.schema[key]["default"]) if "default" in self.schema[key] else None

    def example(self, key: str) -> str:
        """Return a valid value of a setting.

        Raises:
            TypeError: If the model has neither a default nor an example.
        """
        schema = self.schema[key]
        values = [schema["default"]] if "default" in schema else schema.get("examples", schema.get("enum", ()))
        if not values:
            raise TypeError(f"{key}: the model needs `examples`, because there is no default")
        return as_text(values[0])

    def allowed(self, key: str) -> str:
        """Describe the allowed values of a setting in words.

        Returns:
            For example ``a whole number from 1 to 900``.

        Raises:
            TypeError: If the setting is a string and the model does not describe the allowed values.
        """
        schema = self.schema[key]
        if "allowed" in schema:
            return schema["allowed"]
        if "enum" in schema:
            return f"one of {', '.join(map(str, schema['enum']))}"
        if schema["type"] == "integer":
            return f"a whole number from {schema['minimum']} to {schema['maximum']}"
        if schema["type"] == "boolean":
            return "true or false"
        raise TypeError(f"{key}: json_schema_extra needs `allowed`, which values are allowed in words")
