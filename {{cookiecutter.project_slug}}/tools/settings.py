"""Defines the base class of settings models, and checks a stack's configuration with the project's model.

The Pulumi CLI fills in the defaults of ``Pulumi.yaml`` and refuses missing keys and wrong types, but accepts unknown
keys and wrong namespaces. This module reports all problems at once, before any resource is registered.
"""

import contextlib
import functools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import pulumi
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from tools.project import DECLARATION, load_declared, nearest, shown

REGION_KEY: Final = "aws:region"
EXAMPLE_REGION: Final = "us-east-1"
REGION_PATTERN: Final = r"^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]$"
# The longest resource name that contains the project name is the access log bucket's. S3 allows 63 characters:
# project (25) + "-" + suffix (12) + "-access-logs-" (13) + account ID (12) = 63.
PROJECT_MAX_LENGTH: Final = 25
PROJECT_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
PROJECT_NAME_KEY: Final = "name (Pulumi.yaml)"
MASKED: Final = "[secret]"


@dataclass(frozen=True)
class Contradiction:
    """A value that is valid on its own but contradicts other settings: the rule's name, and the setting to change.

    `found` is the value as text, `allowed` the allowed values in words.
    """

    rule: str
    key: str
    found: str
    allowed: str


class StackSettings(BaseModel):
    """Base class of a project's settings model: a complete, valid stack configuration.

    Fields are in snake case, keys of the stack files in camel case. Every field needs a ``description``. A string that
    is not an enum needs ``json_schema_extra={"allowed": ...}``: the allowed values, in words. A field with neither a
    default nor an enum needs ``examples``, for tests. Examples that depend on the region contain `EXAMPLE_REGION`.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:  # noqa: ARG003 # pylint: disable=unused-argument
        """Find valid settings that contradict each other. Override this in models with such settings.

        `good` has the values of the settings and the region, by stack-file key, without invalid and secret values.
        """
        yield from ()


Settings = TypeVar("Settings", bound=StackSettings)


def _whole_number(value: object) -> object:
    """Parse configuration text as an integer, but not lookalikes such as ``1.0`` and ``1_000``."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) else value


def _truth_value(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


WHOLE_NUMBER: Final = BeforeValidator(_whole_number)
TRUTH_VALUE: Final = BeforeValidator(_truth_value)


def as_text(value: object) -> str:
    """Format a setting's value as configuration text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class SettingsModel:
    """Defaults, examples and allowed values of a settings model, and each setting's JSON Schema, by stack-file key."""

    def __init__(self, settings: type[StackSettings]) -> None:
        self.settings = settings
        self.schema: dict[str, dict[str, Any]] = settings.model_json_schema()["properties"]
        self.keys: tuple[str, ...] = tuple(self.schema)

    def default(self, key: str) -> str | None:
        """Return a setting's default, or ``None`` if it is required."""
        return as_text(self.schema[key]["default"]) if "default" in self.schema[key] else None

    def example(self, key: str) -> str:
        """Return a setting's default or, if it is required, a valid example.

        Raises:
            TypeError: If the setting has neither a default, nor examples, nor an enum.
        """
        schema = self.schema[key]
        values = [schema["default"]] if "default" in schema else schema.get("examples", schema.get("enum", ()))
        if not values:
            raise TypeError(f"{key}: the field has no default, so it needs `examples`")
        return as_text(values[0])

    def allowed(self, key: str) -> str:
        """Describe the allowed values of a setting in words, for example ``a whole number from 1 to 900``.

        Raises:
            TypeError: If a string setting has neither ``allowed`` nor an enum.
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
        raise TypeError(f"{key}: json_schema_extra needs `allowed`: the allowed values, in words")

    def parse(self, key: str, text: str) -> Any:
        """Validate a setting's text, and convert it to the field's type.

        Raises:
            pydantic.ValidationError: If the value is not allowed.
        """
        return self._adapters[key].validate_python(text)

    def allows(self, key: str, text: str) -> bool:
        """Whether a value is allowed for a setting, regardless of the other settings."""
        with contextlib.suppress(ValidationError):
            self.parse(key, text)
            return True
        return False

    @functools.cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        """A validator for each setting, by key."""
        return {
            field.alias or name: TypeAdapter(
                Annotated[field.annotation, Field(), *field.metadata],  # ty: ignore[invalid-type-form] # dynamic
                config=ConfigDict(strict=True),
            )
            for name, field in self.settings.model_fields.items()
        }


@functools.cache
def model_of(settings: type[StackSettings]) -> SettingsModel:
    """Return the cached `SettingsModel` of a settings model."""
    return SettingsModel(settings)


def declared_model() -> SettingsModel:
    """Return the settings model that the project declares."""
    return model_of(load_declared(DECLARATION.settings))


@dataclass(frozen=True)
class Problem:
    """A problem in a stack's configuration: the rule's name, the key with namespace, and the message without the key.

    `allowed` has the allowed values in words, or the correct key. A contradiction depends on the other settings.
    """

    rule: str
    key: str
    message: str
    allowed: str
    is_contradiction: bool = False

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class SettingsError(pulumi.RunError):
    """A stack's configuration is invalid. The Pulumi CLI prints only the message, without a stack trace."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        listed = "".join(f"\n  - {problem}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"the stack's configuration has {count}:{listed}")


def load_settings(settings: type[Settings]) -> Settings:
    """Load the settings of the program's current stack, and check them with the project's settings model.

    Raises:
        SettingsError: If the configuration is invalid.
    """
    project, config = pulumi.get_project(), pulumi.runtime.get_config_env()
    secret_keys = pulumi.runtime.get_config_secret_keys_env()
    problems = find_problems(settings, project, config, secret_keys, os.environ)
    if problems:
        raise SettingsError(problems)
    return settings.model_validate(own_settings(project, config))


def find_problems(
    settings: type[StackSettings],
    project: str,
    config: Mapping[str, str],
    secret_keys: Collection[str] = (),
    variables: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Return all problems in the configuration of a stack of the Pulumi project.

    `config` has values as text, by key with namespace, including defaults. Values of `secret_keys` are not printed. The
    AWS endpoints in the environment variables must fit the stack; by default, they are not checked.
    """
    model = model_of(settings)
    environment = config.get(f"{project}:{DECLARATION.environment}", "")
    problems = [
        *_project_problems(project),
        *_namespace_problems(project, config, model.keys),
        *_region_problems(config, secret_keys),
        *own_problems(model, project, config, secret_keys),
    ]
    if environment == DECLARATION.local and "aws:endpoints" in config:
        message = "not allowed in a local stack; remove it: AWS_ENDPOINT_URL already points to the emulator"
        problems.append(Problem("local-endpoints", "aws:endpoints", message, "none in a local stack"))
    if variables is not None:
        environments = model.schema[DECLARATION.environment]["enum"]
        problems += _endpoint_problems(project, environment, environments, variables)
    return problems


def own_problems(
    model: SettingsModel, project: str, config: Mapping[str, str], secret_keys: Collection[str] = ()
) -> Iterator[Problem]:
    """Find missing, unknown, invalid and contradictory settings in a project's namespace; see `find_problems`."""
    own = own_settings(project, config)
    good: dict[str, Any] = {}
    for key in model.keys:
        full_key = f"{project}:{key}"
        if key not in own:
            if model.default(key) is None:
                yield missing_key(full_key, model.allowed(key))
            continue
        try:
            value = model.parse(key, own[key])
        except ValidationError:
            yield bad_value(full_key, MASKED if full_key in secret_keys else own[key], model.allowed(key))
        else:
            # Exclude secrets, because the message of a contradiction contains values.
            if full_key not in secret_keys:
                good[key] = value
    yield from (_unknown_key(project, key, model.keys) for key in own if key not in model.keys)
    region = config.get(REGION_KEY, "")
    if REGION_KEY not in secret_keys and re.fullmatch(REGION_PATTERN, region):
        good[REGION_KEY] = region
    for each in model.settings.contradictions(good):
        message = f"found {shown(each.found)}; allowed: {each.allowed}"
        key = f"{project}:{each.key}"
        yield Problem(each.rule, key, message, each.allowed, is_contradiction=True)


def own_settings(project: str, config: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in a project's namespace, by key without the namespace."""
    namespace = f"{project}:"
    return {key.removeprefix(namespace): value for key, value in config.items() if key.startswith(namespace)}


def bad_value(key: str, found: str, allowed: str, *, rule: str = "bad-value", circumstances: str = "") -> Problem:
    """Return the problem for a disallowed value. The text `circumstances` says when it is disallowed."""
    written = found if found == MASKED else shown(found)
    message = f"found {written}{circumstances}; allowed: {allowed}"
    return Problem(rule, key, message, allowed)


def missing_key(key: str, allowed: str) -> Problem:
    """Return the problem for a required setting that is not set."""
    return Problem("missing-key", key, f"is not set; allowed: {allowed}", allowed)


def _project_problems(project: str) -> Iterator[Problem]:
    if len(project) > PROJECT_MAX_LENGTH or not re.fullmatch(PROJECT_PATTERN, project):
        allowed = (
            f"1 to {PROJECT_MAX_LENGTH} lower-case letters, digits and single hyphens, starting with a letter; "
            "every AWS name starts with it"
        )
        yield bad_value(PROJECT_NAME_KEY, project, allowed)


def _namespace_problems(project: str, config: Mapping[str, str], keys: Collection[str]) -> Iterator[Problem]:
    """Find the project's settings in a wrong namespace, where nothing reads them."""
    for full_key in config:
        namespace, _, key = full_key.rpartition(":")
        if key in keys and namespace != project:
            right = f"{project}:{key}"
            message = f"wrong namespace {shown(namespace)}; the key is {right}"
            yield Problem("wrong-namespace", full_key, message, right)


def _region_problems(config: Mapping[str, str], secret_keys: Collection[str]) -> Iterator[Problem]:
    region = config.get(REGION_KEY)
    allowed = f"the name of an AWS region, for example {EXAMPLE_REGION}"
    if region is None:
        yield missing_key(REGION_KEY, allowed)
    elif not re.fullmatch(REGION_PATTERN, region):
        yield bad_value(REGION_KEY, MASKED if REGION_KEY in secret_keys else region, allowed)


def _unknown_key(project: str, key: str, keys: Collection[str]) -> Problem:
    known = nearest(key, keys)
    allowed = f"{project}:{known}" if known else ", ".join(keys)
    message = f"unknown key; did you mean {allowed}?" if known else "unknown key; remove this line"
    return Problem("unknown-key", f"{project}:{key}", message, allowed)


def _endpoint_problems(
    project: str, environment: str, environments: Collection[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Refuse to deploy a local stack to AWS, or another stack to an emulator.

    ``AWS_ENDPOINT_URL`` and related variables:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    endpoints = {name: value for name, value in variables.items() if name.startswith("AWS_ENDPOINT_URL") and value}
    refused = functools.partial(bad_value, f"{project}:{DECLARATION.environment}", environment, rule="endpoint")
    if environment != DECLARATION.local:
        for name, value in endpoints.items():
            if _is_loopback(value):
                yield refused(DECLARATION.local, circumstances=f" while {name} points to this machine")
        return
    others = ", ".join(each for each in environments if each != DECLARATION.local)
    if "AWS_ENDPOINT_URL" not in endpoints:
        allowed = f"{others}, or set it to the emulator's address"
        yield refused(allowed, circumstances=" while AWS_ENDPOINT_URL is not set")
    for name, value in endpoints.items():
        if not _is_loopback(value):
            yield refused(others, circumstances=f" while {name} does not point to this machine")
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        allowed = f"{others}, or unset it"
        yield refused(allowed, circumstances=" while AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set")


def _is_loopback(url: str) -> bool:
    """Whether a URL, or an address without a scheme, points to this machine."""
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
        has_local_name = host == "localhost" or host.endswith((".localhost", "localhost.localstack.cloud"))
        return has_local_name or ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False
