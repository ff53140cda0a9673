"""Checks a stack's configuration with the project's model and reports all problems at once.

The engine fills in the defaults of ``Pulumi.yaml`` and refuses missing keys and wrong types, but accepts unknown keys
and wrong namespaces. This module checks the rest, before any resource is declared.
"""

import contextlib
import difflib
import functools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import pulumi
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from infrastructure.project import PROJECT
from tools.configuration.documents import shown
from tools.configuration.model import REGION_KEY, SettingsModel, StackSettings

# The longest resource name with the project in it is a bucket's with the account ID. S3 allows 63 characters:
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
    """One problem in a stack's configuration.

    Attributes:
        rule: Name of the rule, for example ``unknown-key``.
        key: The key with its namespace.
        message: What is wrong and what is allowed, for a person.
        found: The value, or `MASKED` instead of a secret; ``None`` if the problem is not the value.
        allowed: What is allowed.
        is_contradiction: Whether the value is wrong only in combination with other settings.
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
    """A stack's configuration was refused. The engine prints only the message, without a stack trace.

    Attributes:
        problems: All problems, in the order of the settings.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        listed = "".join(f"\n  - {problem}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"the stack's configuration has {count}:{listed}")


def promotion_order(environment: str, stack: str) -> tuple[int, str]:
    """Return a key that sorts stacks in the order of promotion. An unknown environment comes last.

    Args:
        environment: The stack's environment.
        stack: The stack's name.
    """
    return (ENVIRONMENTS.index(environment) if environment in ENVIRONMENTS else len(ENVIRONMENTS), stack)


def is_allowed(key: str, text: str) -> bool:
    """Whether a value is allowed for a setting, contradictions with other settings aside.

    Args:
        key: The setting's key, without its namespace.
        text: The value, as text.
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
        config: The configuration: keys with their namespaces, values as the engine's text, defaults filled in.
        secret_keys: Keys whose values must not be printed.
        variables: Environment variables, whose AWS endpoint must fit the stack; not checked by default.

    Returns:
        All problems.
    """
    namespace = f"{project}:"
    own = own_settings(namespace, config)
    secrets = set(secret_keys)
    # Contradictions cannot be checked for secrets and invalid regions.
    good = _good_values({key: value for key, value in own.items() if f"{namespace}{key}" not in secrets})
    region = config.get(REGION_KEY, "")
    good_region = region if REGION_KEY not in secrets and re.fullmatch(REGION_PATTERN, region) else None

    problems = [*_project_problems(project), *_namespace_problems(namespace, config)]
    problems += _region_problems(config, hidden=REGION_KEY in secrets)
    try:
        PROJECT.settings.model_validate(own)
    except ValidationError as error:
        problems += model_problems(MODEL, namespace, own, secrets, error)
    if good_region:
        good[REGION_KEY] = good_region
    problems += contradiction_problems(PROJECT.settings, namespace, good)
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
    """Read a stack's configuration and refuse it if it has problems.

    Args:
        settings: The project's model. The other arguments are those of `find_problems`.
        project: The Pulumi project.
        config: The configuration.
        secret_keys: Keys whose values must not be printed.
        variables: Environment variables.

    Raises:
        SettingsError: If there are problems.
    """
    problems = find_problems(project, config, secret_keys, variables)
    if problems:
        raise SettingsError(problems)
    return settings.model_validate(own_settings(f"{project}:", config))


def load_settings(settings: type[Settings]) -> Settings:
    """Read the settings of the current stack.

    Args:
        settings: The project's model.

    Raises:
        SettingsError: If there are problems.
    """
    return read_settings(
        settings,
        project=pulumi.get_project(),
        config=pulumi.runtime.get_config_env(),
        secret_keys=pulumi.runtime.get_config_secret_keys_env(),
        variables=os.environ,
    )


def model_problems(
    model: SettingsModel, namespace: str, own: Mapping[str, str], secret_keys: Collection[str], error: ValidationError
) -> Iterator[Problem]:
    """Translate a model's errors into what was found and what is allowed in the stack file, one for each setting.

    Args:
        model: The model.
        namespace: The namespace of its keys, with the colon.
        own: The settings that it has refused, by their keys without the namespace.
        secret_keys: Keys, with their namespaces, whose values must not be printed.
        error: The model's error.
    """
    for key, type_ in {str(detail["loc"][0]): detail["type"] for detail in error.errors()}.items():
        full_key = f"{namespace}{key}"
        if type_ == "missing":
            yield _missing_key(full_key, model.allowed(key))
        elif type_ == "extra_forbidden":
            yield _unknown_key(namespace, key, model.keys)
        else:
            yield _bad_value(full_key, MASKED if full_key in secret_keys else own[key], model.allowed(key))


def contradiction_problems(settings: type[StackSettings], namespace: str, good: Mapping[str, Any]) -> Iterator[Problem]:
    """Ask a model which settings contradict each other.

    Args:
        settings: The model.
        namespace: The namespace of its keys, with the colon.
        good: The settings that are valid on their own.
    """
    for each in settings.contradictions(good):
        problem = _bad_value(f"{namespace}{each.key}", each.found, each.allowed, rule=each.rule)
        yield replace(problem, is_contradiction=True)


def own_settings(namespace: str, config: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in a namespace, by their keys without it."""
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
    """Find the project's keys in another namespace, where nothing reads them."""
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


def _unknown_key(namespace: str, key: str, keys: Sequence[str]) -> Problem:
    close = difflib.get_close_matches(key.lower(), map(str.lower, keys), n=1)
    nearest = [f"{namespace}{known}" for known in keys if known.lower() in close]
    allowed = nearest[0] if nearest else ", ".join(keys)
    message = f"unknown key; did you mean {allowed}?" if nearest else f"unknown key; allowed: {allowed}"
    return Problem("unknown-key", f"{namespace}{key}", message, None, allowed)


@functools.cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    """Build a validator for each single setting."""
    return {
        field.alias or name: TypeAdapter(
            Annotated[field.annotation, Field(), *field.metadata],  # ty: ignore[invalid-type-form] # the model's own
            config=ConfigDict(strict=True),
        )
        for name, field in PROJECT.settings.model_fields.items()
    }


def _good_values(own: Mapping[str, str]) -> dict[str, Any]:
    """Parse the settings that are valid on their own, by key."""
    good: dict[str, Any] = {}
    for key in KEYS:
        if key in own:
            with contextlib.suppress(ValidationError):
                good[key] = _adapters()[key].validate_python(own[key])
    return good


def _endpoint_problems(namespace: str, environment: str, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Refuse to deploy a local stack to AWS, or another stack to an emulator.

    The AWS SDKs read these variables: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
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
    """Whether a URL, or an address without a scheme, points to this machine."""
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
        has_local_name = host == "localhost" or host.endswith((".localhost", "localhost.localstack.cloud"))
        return has_local_name or ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False
