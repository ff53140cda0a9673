"""The whole of a stack's configuration, checked with the project's model: every mistake reported at once.

The engine checks little: it fills in the defaults of ``Pulumi.yaml``'s schema and refuses a missing or an ill-typed
key, but lets unknown keys and wrong namespaces pass. This module checks the rest, before any resource is declared.
"""

import contextlib
import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import pulumi
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from infrastructure.project import PROJECT
from tools.configuration.documents import shown
from tools.configuration.model import REGION_KEY, SettingsModel, StackSettings

# The longest name that a project becomes part of is that of a bucket with the account in it. S3 allows 63 characters:
# project (25) + "-" + a suffix (12) + "-access-logs-" (13) + account id (12) = 63.
PROJECT_MAX_LENGTH: Final = 25
PROJECT_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
REGION_PATTERN: Final = r"^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]$"
PROJECT_NAME_KEY: Final = "name (Pulumi.yaml)"
MASKED: Final = "[secret]"

MODEL: Final = SettingsModel(PROJECT.settings)
KEYS: Final = MODEL.keys
ENVIRONMENTS: Final[tuple[str, ...]] = tuple(MODEL.schema[PROJECT.environment]["enum"])
ACCOUNT_ENVIRONMENTS: Final = tuple(each for each in ENVIRONMENTS if each != PROJECT.local)

Settings = TypeVar("Settings", bound=StackSettings)


@dataclass(frozen=True)
class Problem:
    """One mistake in a stack's configuration.

    Attributes:
        rule: What kind of mistake, for example ``unknown-key``.
        key: The key that is at fault, with its namespace.
        message: What is wrong and what is allowed, for a person.
        found: The value, or `MASKED` in its place; nothing if it is not the value that is wrong.
        allowed: What may stand there.
        is_contradiction: Whether the value is wrong only beside others.
    """

    rule: str
    key: str
    message: str
    found: str | None
    allowed: str
    is_contradiction: bool = False

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class SettingsError(pulumi.RunError):
    """A stack's configuration was refused. The engine prints the message alone, without a stack trace.

    Attributes:
        problems: Every mistake found, in the order of the settings.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        listed = "".join(f"\n  - {problem}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"the stack's configuration has {count}:{listed}")


def is_allowed(key: str, text: str) -> bool:
    """Whether a setting may have a value, as far as the others do not contradict it.

    Args:
        key: A key of the stack files, without its namespace.
        text: The value as configuration has it.
    """
    return key in _good_values({key: text})


def find_problems(
    project: str,
    config: Mapping[str, str],
    secret_keys: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Check a stack's whole configuration.

    Args:
        project: The Pulumi project, which is the namespace of its keys.
        config: Every key with its namespace, every value as the engine's text, defaults filled in.
        secret_keys: The keys whose values must not be printed.
        variables: Environment variables, of which the AWS endpoint must fit the stack; not checked when left out.

    Returns:
        Everything that is wrong, or nothing.
    """
    namespace = f"{project}:"
    own = _own_settings(namespace, config)
    secrets = set(secret_keys)
    # Of a secret, and of what is no region, nothing can be told.
    good = _good_values({key: value for key, value in own.items() if f"{namespace}{key}" not in secrets})
    region = config.get(REGION_KEY, "")
    good_region = region if REGION_KEY not in secrets and re.fullmatch(REGION_PATTERN, region) else None

    problems = [*_project_problems(project), *_namespace_problems(namespace, config)]
    problems += _region_problems(config, hidden=REGION_KEY in secrets)
    try:
        PROJECT.settings.model_validate(own)
    except ValidationError as error:
        problems += _model_problems(namespace, own, secrets, error)
    if good_region:
        good[REGION_KEY] = good_region
    problems += _contradictions(namespace, good)
    if own.get(PROJECT.environment) == PROJECT.local and "aws:endpoints" in config:
        message = "not allowed in a local stack; AWS_ENDPOINT_URL is the emulator's address"
        problems.append(Problem("local-endpoints", "aws:endpoints", message, None, "none in a local stack"))
    if variables is not None:
        problems += _endpoint_problems(namespace, own.get(PROJECT.environment, ""), variables)
    return problems


def read_settings(
    settings: type[Settings],
    project: str,
    config: Mapping[str, str],
    secret_keys: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Settings:
    """Read a stack's whole configuration, if there is nothing wrong with it.

    Args:
        settings: The project's model, for its type; the other arguments are `find_problems`'s.
        project: The Pulumi project.
        config: Every key and value.
        secret_keys: The keys whose values must not be printed.
        variables: Environment variables.

    Raises:
        SettingsError: If anything is wrong, with all that is wrong.
    """
    problems = find_problems(project, config, secret_keys, variables)
    if problems:
        raise SettingsError(problems)
    return settings.model_validate(_own_settings(f"{project}:", config))


def load_settings(settings: type[Settings]) -> Settings:
    """Read the settings of the stack that the program runs for.

    Args:
        settings: The project's model.

    Raises:
        SettingsError: If anything is wrong, with all that is wrong.
    """
    return read_settings(
        settings,
        project=pulumi.get_project(),
        config=pulumi.runtime.get_config_env(),
        secret_keys=pulumi.runtime.get_config_secret_keys_env(),
        variables=os.environ,
    )


def _own_settings(namespace: str, config: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix(namespace): value for key, value in config.items() if key.startswith(namespace)}


def _bad_value(key: str, found: str, allowed: str, *, rule: str = "bad-value", circumstances: str = "") -> Problem:
    written = found if found == MASKED else shown(found)
    message = f"found {written}{circumstances}; allowed{' there' if circumstances else ''}: {allowed}"
    return Problem(rule, key, message, found, allowed)


def _missing_key(key: str, allowed: str) -> Problem:
    return Problem("missing-key", key, f"missing; allowed: {allowed}", None, allowed)


def _project_problems(project: str) -> Iterator[Problem]:
    if len(project) > PROJECT_MAX_LENGTH or not re.fullmatch(PROJECT_PATTERN, project):
        allowed = (
            f"1 to {PROJECT_MAX_LENGTH} lower-case letters, digits and single hyphens, starting with a letter; "
            "every AWS name starts with it"
        )
        yield _bad_value(PROJECT_NAME_KEY, project, allowed)


def _namespace_problems(namespace: str, config: Mapping[str, str]) -> Iterator[Problem]:
    """Find the project's keys under another namespace, where nothing would read them."""
    for full_key in config:
        prefix, _, key = full_key.rpartition(":")
        if key in KEYS and f"{prefix}:" != namespace:
            right = f"{namespace}{key}"
            message = f"wrong namespace {shown(prefix)}; the key is {right}"
            yield Problem("wrong-namespace", full_key, message, None, right)


def _region_problems(config: Mapping[str, str], *, hidden: bool) -> Iterator[Problem]:
    region = config.get(REGION_KEY)
    allowed = "the name of an AWS region, for example us-east-1"
    if region is None:
        yield _missing_key(REGION_KEY, allowed)
    elif not re.fullmatch(REGION_PATTERN, region):
        yield _bad_value(REGION_KEY, MASKED if hidden else region, allowed)


def _model_problems(
    namespace: str, own: Mapping[str, str], secrets: set[str], error: ValidationError
) -> Iterator[Problem]:
    """Put the model's errors into the stack files' words: what was found, what is allowed."""
    for detail in error.errors():
        key = str(detail["loc"][0])
        full_key = f"{namespace}{key}"
        if detail["type"] == "missing":
            yield _missing_key(full_key, MODEL.allowed(key))
        elif detail["type"] == "extra_forbidden":
            yield _unknown_key(namespace, key)
        else:
            yield _bad_value(full_key, MASKED if full_key in secrets else own[key], MODEL.allowed(key))


def _unknown_key(namespace: str, key: str) -> Problem:
    close = difflib.get_close_matches(key.lower(), map(str.lower, KEYS), n=1)
    nearest = [f"{namespace}{known}" for known in KEYS if known.lower() in close]
    allowed = nearest[0] if nearest else ", ".join(KEYS)
    message = f"unknown key; did you mean {allowed}?" if nearest else f"unknown key; allowed: {allowed}"
    return Problem("unknown-key", f"{namespace}{key}", message, None, allowed)


@functools.cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    """Form a validator for each setting by itself."""
    return {
        field.alias or name: TypeAdapter(
            Annotated[field.annotation, Field(), *field.metadata],  # ty: ignore[invalid-type-form] # the model's own
            config=ConfigDict(strict=True),
        )
        for name, field in PROJECT.settings.model_fields.items()
    }


def _good_values(own: Mapping[str, str]) -> dict[str, Any]:
    """Read the settings that are good each by itself, by their keys."""
    good: dict[str, Any] = {}
    for key in KEYS:
        if key in own:
            with contextlib.suppress(ValidationError):
                good[key] = _adapters()[key].validate_python(own[key])
    return good


def _contradictions(namespace: str, good: Mapping[str, Any]) -> Iterator[Problem]:
    """Ask the model which settings are wrong together."""
    for each in PROJECT.settings.contradictions(good):
        problem = _bad_value(f"{namespace}{each.key}", each.found, each.allowed, rule=each.rule)
        yield replace(problem, is_contradiction=True)


def _endpoint_problems(namespace: str, environment: str, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Keep an emulator's stack away from every account, and an account's stack away from every emulator.

    The variables are those of the AWS SDKs: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    endpoints = {name: value for name, value in variables.items() if name.startswith("AWS_ENDPOINT_URL") and value}
    refused = functools.partial(_bad_value, f"{namespace}{PROJECT.environment}", environment, rule="endpoint")
    if environment != PROJECT.local:
        for name, value in endpoints.items():
            if _is_loopback(value):
                yield refused(PROJECT.local, circumstances=f" while {name} points to this machine")
        return
    others = ", ".join(ACCOUNT_ENVIRONMENTS)
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
    """Whether a URL, or an address without a scheme, leads to this machine."""
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
        named_so = host == "localhost" or host.endswith((".localhost", "localhost.localstack.cloud"))
        return named_so or ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False
