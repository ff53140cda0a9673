"""What a model of settings is made of: how values are read, and how they are described in words."""

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
    """A value that is good by itself, and wrong beside the others.

    Attributes:
        rule: What kind of mistake, for example ``retention-too-short``.
        key: The setting that is to be changed.
        found: Its value, as text.
        allowed: What may stand there.
    """

    rule: str
    key: str
    found: str
    allowed: str


class StackSettings(BaseModel):
    """A stack's configuration, valid and complete: the base of a project's own model.

    Fields are named in snake case, their keys in the stack files in camel case. A field needs a ``description``. A text
    that is not one of a few needs ``json_schema_extra={"allowed": ...}``: what it may be, in words. What has no default
    needs ``examples``: a value that tests can take, and another one if the setting may be a secret. What depends on a
    region has `EXAMPLE_REGION` in it.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:  # noqa: ARG003 # pylint: disable=unused-argument
        """Find settings that are good each by itself and wrong together. A model without such settings leaves it out.

        Args:
            good: The settings that are good each by itself, by their keys in the stack files, and `REGION_KEY`. Any of
                them may be missing.
        """
        yield from ()


def _whole_number(value: object) -> object:
    """Turn the engine's text into a number, and nothing that merely resembles one (``1.0``, ``1_000``)."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) else value


def _truth_value(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


WHOLE_NUMBER: Final = BeforeValidator(_whole_number)
TRUTH_VALUE: Final = BeforeValidator(_truth_value)


def as_text(value: object) -> str:
    """Write a setting's value as configuration has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class SettingsModel:
    """A project's model of settings, seen by the keys of the stack files.

    Args:
        settings: The model.

    Attributes:
        settings: The model.
        keys: The settings' keys, in the model's order.
        schema: Each setting's JSON Schema, by its key.
    """

    def __init__(self, settings: type[StackSettings]) -> None:
        self.settings = settings
        self.schema: dict[str, dict[str, Any]] = settings.model_json_schema()["properties"]
        self.keys: tuple[str, ...] = tuple(self.schema)

    def default(self, key: str) -> str | None:
        """Tell what a setting is when no file says, or nothing if a file must."""
        return as_text(self.schema[key]["default"]) if "default" in self.schema[key] else None

    def example(self, key: str) -> str:
        """Tell a value that a setting may have.

        Raises:
            TypeError: If the model gives neither a default nor an example.
        """
        schema = self.schema[key]
        values = [schema["default"]] if "default" in schema else schema.get("examples", schema.get("enum", ()))
        if not values:
            raise TypeError(f"{key}: the model needs `examples`, because there is no default")
        return as_text(values[0])

    def allowed(self, key: str) -> str:
        """Say in words what a setting may be.

        Returns:
            For example ``a whole number from 1 to 900``.

        Raises:
            TypeError: If the setting is a text of which the model does not say what it may be.
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
