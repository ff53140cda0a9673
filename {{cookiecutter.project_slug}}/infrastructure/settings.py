"""The stack's configuration: one typed model, every mistake reported at once.

The engine checks little: it fills in the defaults of ``Pulumi.yaml``'s schema and refuses a missing or an ill-typed
key, but lets unknown keys and wrong namespaces pass. This module checks the rest, before any resource is declared.
"""

import contextlib
import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import pulumi
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from infrastructure.documents import shown

# The longest name that a project becomes part of is the access log bucket's. S3 allows 63 characters:
# project (25) + "-" + environmentSuffix (12) + "-access-logs-" (13) + account id (12) = 63.
PROJECT_MAX_LENGTH: Final = 25
SUFFIX_MAX_LENGTH: Final = 12
PROJECT_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
EMAIL_PATTERN: Final = (
    r"^[A-Za-z0-9_]([A-Za-z0-9._%+-]*[A-Za-z0-9_+-])?@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$"
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
RESERVED_BUCKET_NAMES: Final = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)")
REGION_KEY: Final = "aws:region"
REGION_PATTERN: Final = r"^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]$"
# AWS asks for six times the function's timeout and the batching window, so that a throttled batch can be retried before
# its messages reappear:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUT_FACTOR: Final = 6
MAX_BATCH_SIZE_WITHOUT_WINDOW: Final = 10
NO_RESERVATION: Final = -1
# An event source mapping's maximum concurrency is at least two, and a reservation below it would only throttle:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
MIN_RESERVATION: Final = 2
PROJECT_NAME_KEY: Final = "name (Pulumi.yaml)"
MASKED: Final = "[secret]"


@dataclass(frozen=True)
class Problem:
    """One mistake in a stack's configuration.

    Attributes:
        rule: What kind of mistake, for example ``unknown-key``.
        key: The key that is at fault, with its namespace.
        message: What is wrong and what is allowed, for a person.
        found: The value, or `MASKED` in its place; nothing if it is not the value that is wrong.
        allowed: What may stand there.
    """

    rule: str
    key: str
    message: str
    found: str | None
    allowed: str

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
        super().__init__(f"the stack's configuration has {len(self.problems)} problem(s):{listed}")


def _whole_number(value: object) -> object:
    """Turn the engine's text into a number, and nothing that merely resembles one (``1.0``, ``1_000``)."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) else value


def _truth_value(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _bucket_name(value: str) -> str:
    if RESERVED_BUCKET_NAMES.fullmatch(value):
        raise ValueError(f"{value} begins or ends as S3 reserves it")
    return value


def _reservation(value: int) -> int:
    if NO_RESERVATION < value < MIN_RESERVATION:
        raise ValueError(f"a reservation of {value} would stop the function")
    return value


WHOLE_NUMBER: Final = BeforeValidator(_whole_number)
TRUTH_VALUE: Final = BeforeValidator(_truth_value)


class Settings(BaseModel):
    """A stack's configuration, valid and complete.

    There are no defaults here: they stand in ``Pulumi.yaml``, where the engine reads them. Fields are named in snake
    case, their keys in the stack files in camel case.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    environment: Annotated[
        Literal["local", "dev", "staging", "prod"], Field(description="Kind of environment that the stack is")
    ]
    environment_suffix: Annotated[
        str,
        Field(
            pattern=PROJECT_PATTERN,
            max_length=SUFFIX_MAX_LENGTH,
            description="Second part of every name, different for each stack of an account",
            json_schema_extra={
                "allowed": "lower-case letters, digits and single hyphens, from a letter, "
                f"1 to {SUFFIX_MAX_LENGTH} long"
            },
        ),
    ]
    lambda_runtime: Annotated[
        Literal["python3.11", "python3.12", "python3.13", "python3.14"],
        Field(description="Runtime of the function"),
    ]
    lambda_architecture: Annotated[
        Literal["arm64", "x86_64"], Field(description="Instruction set that the function runs on")
    ]
    lambda_memory_mb: Annotated[int, Field(ge=128, le=10240, description="Memory of the function, in MB"), WHOLE_NUMBER]
    lambda_timeout_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=900,
            description="Time a batch may take, in seconds; what it has not begun with before the end comes back later",
        ),
        WHOLE_NUMBER,
    ]
    lambda_reserved_concurrency: Annotated[
        int,
        Field(
            ge=NO_RESERVATION,
            le=1000,
            description="Executions reserved for the function, and the most that may run at once",
            json_schema_extra={"allowed": f"{NO_RESERVATION} (none), or a whole number from {MIN_RESERVATION} to 1000"},
        ),
        AfterValidator(_reservation),
        WHOLE_NUMBER,
    ]
    batch_size: Annotated[
        int, Field(ge=1, le=10000, description="Messages handed to the function at once, at most"), WHOLE_NUMBER
    ]
    batch_window_seconds: Annotated[
        int, Field(ge=0, le=300, description="Time to wait for a batch to fill, in seconds"), WHOLE_NUMBER
    ]
    max_receive_count: Annotated[
        int, Field(ge=1, le=1000, description="Deliveries of a message before it is dead-lettered"), WHOLE_NUMBER
    ]
    message_retention_seconds: Annotated[
        int, Field(ge=60, le=1209600, description="Time the queue keeps a message, in seconds"), WHOLE_NUMBER
    ]
    noncurrent_version_days: Annotated[
        int, Field(ge=1, le=3650, description="Days that an object's replaced versions are kept"), WHOLE_NUMBER
    ]
    log_retention_days: Annotated[
        Literal[
            1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
        ],
        Field(description="Days that the function's logs are kept"),
        WHOLE_NUMBER,
    ]
    notification_email: Annotated[
        str,
        Field(
            pattern=EMAIL_PATTERN,
            max_length=254,
            description="Who receives notifications and alarms",
            json_schema_extra={"allowed": "an e-mail address"},
        ),
    ]
    bucket_name: Annotated[
        str,
        Field(
            pattern=r"^$|^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
            description="Name of the payload bucket",
            json_schema_extra={
                "allowed": "empty (derived), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at the ends"
            },
        ),
        AfterValidator(_bucket_name),
    ]
    kms_key_arn: Annotated[
        str,
        Field(
            pattern=r"^$|^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
            description="Customer-managed key that encrypts everything",
            json_schema_extra={"allowed": "empty (the stack makes its own), or the ARN of a KMS key"},
        ),
    ]
    force_destroy: Annotated[
        bool, Field(description="Whether destroying the stack deletes buckets that still hold objects"), TRUTH_VALUE
    ]

    @property
    def is_local(self) -> bool:
        """Whether the stack is deployed to an emulator on this machine."""
        return self.environment == "local"

    @property
    def is_production(self) -> bool:
        """Whether the stack's data must survive a mistake: protected, and kept when its resource is deleted."""
        return self.environment == "prod"

    @property
    def visibility_timeout_seconds(self) -> int:
        """Time that a received message stays hidden from other receivers, in seconds."""
        return visibility_timeout_seconds(self.lambda_timeout_seconds, self.batch_window_seconds)


def visibility_timeout_seconds(lambda_timeout_seconds: int, batch_window_seconds: int) -> int:
    """Tell how long a received message must stay hidden from other receivers, in seconds."""
    return VISIBILITY_TIMEOUT_FACTOR * lambda_timeout_seconds + batch_window_seconds


KEYS: Final = tuple(field.alias or name for name, field in Settings.model_fields.items())


@functools.cache
def model_schema() -> dict[str, Any]:
    """Describe the settings as JSON Schema, by the keys of the stack files."""
    return Settings.model_json_schema()


def is_allowed(key: str, text: str) -> bool:
    """Whether a setting may have a value, as far as the others do not contradict it.

    Args:
        key: A key of the stack files, without its namespace.
        text: The value as configuration has it.
    """
    return key in _good_values({key: text})


def allowed_values(key: str) -> str:
    """Say in words what a setting may be, from the model alone.

    Args:
        key: A key of the stack files, without its namespace.

    Returns:
        For example ``a whole number from 1 to 900``.

    Raises:
        KeyError: If there is no such key.
        TypeError: If the setting is a text of which the model does not say what it may be.
    """
    schema = model_schema()["properties"][key]
    if "allowed" in schema:
        return schema["allowed"]
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema["type"] == "integer":
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    if schema["type"] == "boolean":
        return "true or false"
    raise TypeError(f"{key}: json_schema_extra must say under `allowed` what the text may be")


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
        Settings.model_validate(own)
    except ValidationError as error:
        problems += _model_problems(namespace, own, secrets, error)
    problems += _contradictions(namespace, good, good_region)
    if own.get("environment") == "local" and "aws:endpoints" in config:
        message = "not allowed in a local stack; AWS_ENDPOINT_URL says where the emulator is"
        problems.append(Problem("local-endpoints", "aws:endpoints", message, None, "none in a local stack"))
    if variables is not None:
        problems += _endpoint_problems(namespace, own.get("environment", ""), variables)
    return problems


def read_settings(
    project: str,
    config: Mapping[str, str],
    secret_keys: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Settings:
    """Read a stack's whole configuration, if there is nothing wrong with it; the arguments are `find_problems`'s.

    Raises:
        SettingsError: If anything is wrong, with all that is wrong.
    """
    problems = find_problems(project, config, secret_keys, variables)
    if problems:
        raise SettingsError(problems)
    return Settings.model_validate(_own_settings(f"{project}:", config))


def load_settings() -> Settings:
    """Read the settings of the stack that the program runs for.

    Raises:
        SettingsError: If anything is wrong, with all that is wrong.
    """
    return read_settings(
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
            f"lower-case letters, digits and single hyphens, from a letter, 1 to {PROJECT_MAX_LENGTH} long, "
            "because every AWS name begins with it"
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
            yield _missing_key(full_key, allowed_values(key))
        elif detail["type"] == "extra_forbidden":
            yield _unknown_key(namespace, key)
        else:
            yield _bad_value(full_key, MASKED if full_key in secrets else own[key], allowed_values(key))


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
        for name, field in Settings.model_fields.items()
    }


def _good_values(own: Mapping[str, str]) -> dict[str, Any]:
    """Read the settings that are good each by itself, by their keys."""
    good: dict[str, Any] = {}
    for key in KEYS:
        if key in own:
            with contextlib.suppress(ValidationError):
                good[key] = _adapters()[key].validate_python(own[key])
    return good


def _contradictions(namespace: str, good: Mapping[str, Any], region: str | None) -> Iterator[Problem]:
    """Find settings that are good each by itself and wrong together, as far as all that it takes is known."""
    if good.get("batchSize", 0) > MAX_BATCH_SIZE_WITHOUT_WINDOW and good.get("batchWindowSeconds") == 0:
        allowed = f"1 or more when batchSize is over {MAX_BATCH_SIZE_WITHOUT_WINDOW}"
        yield _bad_value(f"{namespace}batchWindowSeconds", "0", allowed, rule="batch-without-window")
    if {"messageRetentionSeconds", "lambdaTimeoutSeconds", "batchWindowSeconds", "maxReceiveCount"} <= good.keys():
        hidden = visibility_timeout_seconds(good["lambdaTimeoutSeconds"], good["batchWindowSeconds"])
        retries_take = hidden * good["maxReceiveCount"]
        if good["messageRetentionSeconds"] < retries_take:
            allowed = (
                f"{retries_take} or more, the time that maxReceiveCount deliveries take, or a message would expire "
                "before it is dead-lettered"
            )
            found = str(good["messageRetentionSeconds"])
            yield _bad_value(f"{namespace}messageRetentionSeconds", found, allowed, rule="retention-too-short")
    key_arn = good.get("kmsKeyArn")
    if key_arn and region and key_arn.split(":")[3] != region:
        allowed = f"a key in {region}, where the stack is"
        yield _bad_value(f"{namespace}kmsKeyArn", key_arn, allowed, rule="key-elsewhere")
    if good.get("environment") == "prod" and good.get("forceDestroy"):
        yield _bad_value(f"{namespace}forceDestroy", "true", "false in prod", rule="force-destroy")


def _endpoint_problems(namespace: str, environment: str, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Keep an emulator's stack away from every account, and an account's stack away from every emulator.

    The variables are those of the AWS SDKs: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    endpoints = {name: value for name, value in variables.items() if name.startswith("AWS_ENDPOINT_URL") and value}
    refused = functools.partial(_bad_value, f"{namespace}environment", environment, rule="endpoint")
    if environment != "local":
        for name, value in endpoints.items():
            if _is_loopback(value):
                yield refused("local", circumstances=f" while {name} is on this machine")
        return
    if "AWS_ENDPOINT_URL" not in endpoints:
        allowed = "dev, staging, prod, or set it to the emulator's address"
        yield refused(allowed, circumstances=" while AWS_ENDPOINT_URL is not set")
    for name, value in endpoints.items():
        if not _is_loopback(value):
            yield refused("dev, staging, prod", circumstances=f" while {name} is not on this machine")
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        allowed = "dev, staging, prod, or unset it"
        yield refused(allowed, circumstances=" while AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set")


def _is_loopback(url: str) -> bool:
    """Whether a URL, or an address without a scheme, leads to this machine."""
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
        named_so = host == "localhost" or host.endswith((".localhost", "localhost.localstack.cloud"))
        return named_so or ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False
