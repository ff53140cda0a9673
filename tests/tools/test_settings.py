"""Tests of configuration checks: values, namespaces, secrets, regions and endpoints."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pulumi
import pytest
from pydantic import Field

from infrastructure.settings import Settings
from tools.settings import (
    TRUTH_VALUE,
    WHOLE_NUMBER,
    SettingsError,
    SettingsModel,
    StackSettings,
    declared_model,
    find_problems,
    load_settings,
)
from tools.testing import EMULATOR, example_config

MODEL = declared_model()
CONFIG = example_config("orders", environment="dev")
LOCAL = CONFIG | {"orders:environment": "local"}
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"


class Example(StackSettings):
    """A model with one setting of each kind."""

    kind_of: Annotated[Literal["a", "b"], Field(description="")]
    days_kept: Annotated[Literal[1, 7], Field(description=""), WHOLE_NUMBER] = 7
    number_of: Annotated[int, Field(ge=-5, le=900, description="", examples=[5]), WHOLE_NUMBER] = 1
    is_on: Annotated[bool, Field(description=""), TRUTH_VALUE] = False
    name: Annotated[str, Field(description="", examples=["x", "y"], json_schema_extra={"allowed": "any text"})]
    unknown: Annotated[str, Field(description="")]


EXAMPLE = SettingsModel(Example)


def problems(config: Mapping[str, str], **options: Any) -> dict[str, str]:
    """Return the messages of a configuration's problems, by key."""
    return {each.key: each.message for each in find_problems(Settings, "orders", config, **options)}


def without(key: str) -> dict[str, str]:
    """Return `CONFIG` without one key."""
    return {name: value for name, value in CONFIG.items() if name != key}


@pytest.mark.parametrize(
    ("key", "default", "example", "allowed"),
    [
        ("kindOf", None, "a", "one of a, b"),
        ("daysKept", "7", "7", "one of 1, 7"),
        ("numberOf", "1", "1", "a whole number from -5 to 900"),
        ("isOn", "false", "false", "true or false"),
        ("name", None, "x", "any text"),
    ],
)
def test_setting_is_described_as_text(key: str, default: str | None, example: str, allowed: str) -> None:
    assert (EXAMPLE.default(key), EXAMPLE.example(key), EXAMPLE.allowed(key)) == (default, example, allowed)


@pytest.mark.parametrize(("method", "needed"), [("example", "`examples`"), ("allowed", "`allowed`")])
def test_incomplete_model_raises_a_type_error(method: str, needed: str) -> None:
    with pytest.raises(TypeError, match=f"unknown: .* needs {needed}"):
        getattr(EXAMPLE, method)("unknown")


def test_model_has_keys_in_order_and_no_contradictions() -> None:
    assert not list(Example.contradictions({}))
    assert EXAMPLE.keys == ("kindOf", "daysKept", "numberOf", "isOn", "name", "unknown")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("daysKept", "7", 7), ("numberOf", "-5", -5), ("numberOf", "0", 0), ("isOn", "true", True), ("name", "1", "1")],
)
def test_value_is_parsed_from_text(key: str, text: str, value: object) -> None:
    assert repr(EXAMPLE.parse(key, text)) == repr(value)
    assert EXAMPLE.allows(key, text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("numberOf", text) for text in ("", "5.0", "5_0", "0x5", "05", "-0", " 5", "\u0665", "9" * 30, "-6", "901")),
        *(("isOn", value) for value in ("", "True", "yes", "1", 1, ["true"])),
        ("numberOf", 5.0),
        ("daysKept", "2"),
        ("kindOf", "A"),
    ],
)
def test_lookalike_of_a_value_is_refused(key: str, value: Any) -> None:
    assert not EXAMPLE.allows(key, value)


def test_good_configuration_has_no_problems() -> None:
    others = {"aws:profile": "orders", "pulumi:tags": "{}", "orders:forceDestroy": "true"}

    assert problems(CONFIG | others) == {}


@pytest.mark.parametrize(("key", "text"), [("batchSize", "0"), ("forceDestroy", "yes"), ("bucketName", "A")])
def test_bad_value_is_refused_with_the_allowed_values(key: str, text: str) -> None:
    found = problems(CONFIG | {f"orders:{key}": text})

    assert found == {f"orders:{key}": f'found "{text}"; allowed: {MODEL.allowed(key)}'}


def test_missing_keys_without_a_default_are_refused() -> None:
    required = [key for key in MODEL.keys if MODEL.default(key) is None]

    assert problems({"aws:region": "us-east-1"}) == {
        f"orders:{key}": f"is not set; allowed: {MODEL.allowed(key)}" for key in required
    }


@pytest.mark.parametrize("namespace", ["aws", "order", "orders-old"])
def test_key_in_another_namespace_is_refused_with_the_right_one(namespace: str) -> None:
    config = {f"{namespace}:{key}": CONFIG[f"orders:{key}"] for key in MODEL.keys}

    assert problems(CONFIG | config) == {
        f"{namespace}:{key}": f'wrong namespace "{namespace}"; the key is orders:{key}' for key in MODEL.keys
    }


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lambdaMemoryMB", "unknown key; did you mean orders:lambdaMemoryMb?"),
        ("notificationMail", "unknown key; did you mean orders:notificationEmail?"),
        ("zzz", "unknown key; remove this line"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest(key: str, message: str) -> None:
    assert problems(CONFIG | {f"orders:{key}": "1"}) == {f"orders:{key}": message}


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_region_is_accepted(region: str) -> None:
    assert problems(CONFIG | {"aws:region": region}) == {}


@pytest.mark.parametrize("region", ["", "us-east", "US-EAST-1", "useast1", "us-east-1a"])
def test_bad_region_is_refused(region: str) -> None:
    allowed = "the name of an AWS region, for example us-east-1"

    assert problems(CONFIG | {"aws:region": region}) == {"aws:region": f'found "{region}"; allowed: {allowed}'}
    assert problems(without("aws:region")) == {"aws:region": f"is not set; allowed: {allowed}"}


@pytest.mark.parametrize("project", ["Orders", "or_ders", "1orders", "o" * 26])
def test_project_name_that_is_not_a_valid_prefix_is_refused(project: str) -> None:
    config = {key.replace("orders:", f"{project}:"): value for key, value in CONFIG.items()}

    (problem,) = find_problems(Settings, project, config)

    assert str(problem).startswith(f'name (Pulumi.yaml): found "{project}"; allowed: 1 to 25 lower-case letters')


@pytest.mark.parametrize("key", ["orders:notificationEmail", "aws:region"])
def test_secret_is_never_printed(key: str) -> None:
    found = problems(CONFIG | {key: "NOT-FOR-THE-LOGS"}, secret_keys=[key])

    assert found[key].startswith("found [secret]; allowed: ")


def test_contradictions_are_found_beside_other_problems() -> None:
    config = without("orders:notificationEmail") | {"orders:batchSize": "20", "orders:kmsKeyArn": KEY_ARN}

    found = find_problems(Settings, "orders", config)

    assert [(each.rule, each.is_contradiction) for each in found] == [
        ("missing-key", False),
        ("batch-without-window", True),
        ("key-elsewhere", True),
    ]
    assert found[1].message == 'found "0"; allowed: 1 or more when batchSize is over 10'


@pytest.mark.parametrize("region", [None, "here", "us-east-1"])
def test_missing_bad_or_secret_region_causes_no_contradiction(region: str | None) -> None:
    config = without("aws:region") | {"orders:kmsKeyArn": KEY_ARN} | ({"aws:region": region} if region else {})

    assert "orders:kmsKeyArn" not in problems(config, secret_keys=["aws:region"])


def test_bad_value_and_secret_cause_no_contradiction() -> None:
    config = CONFIG | {"orders:batchSize": "20"}

    assert [*problems(config | {"orders:batchWindowSeconds": "none"})] == ["orders:batchWindowSeconds"]
    assert problems(config, secret_keys=["orders:batchWindowSeconds"]) == {}


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:4566", "127.1.2.3", "[::1]:5000"])
def test_local_stack_accepts_an_endpoint_on_this_machine(host: str) -> None:
    assert problems(LOCAL, variables={"AWS_ENDPOINT_URL": f"http://{host}"}) == {}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        *(
            ({"AWS_ENDPOINT_URL": url}, "AWS_ENDPOINT_URL does not point to this machine; allowed: dev, staging")
            for url in (
                "https://sqs.us-east-1.amazonaws.com",
                "http://10.0.0.1",
                "http://localhost.example",
                "http://[",
            )
        ),
        ({}, "AWS_ENDPOINT_URL is not set; allowed: dev, staging, prod, or set it to the emulator's address"),
        (EMULATOR | {"AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com"}, "AWS_ENDPOINT_URL_S3 does not point to this"),
        (EMULATOR | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set"),
    ],
)
def test_local_stack_is_never_deployed_to_aws(variables: dict[str, str], message: str) -> None:
    assert message in problems(LOCAL, variables=variables)["orders:environment"]


def test_local_stack_has_no_endpoints_in_its_configuration() -> None:
    message = "not allowed in a local stack; remove it: AWS_ENDPOINT_URL already points to the emulator"

    assert problems(LOCAL | {"aws:endpoints": "[]"}) == {"aws:endpoints": message}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
@pytest.mark.parametrize(
    "url", ["http://localhost:5000", "localhost:5000", "http://localhost.", "http://a.localhost", "http://0.0.0.0:5000"]
)
def test_stack_on_aws_is_never_deployed_to_an_emulator(environment: str, variable: str, url: str) -> None:
    found = problems(CONFIG | {"orders:environment": environment}, variables={variable: url})

    assert found == {
        "orders:environment": f'found "{environment}" while {variable} points to this machine; allowed: local'
    }


def test_stack_on_aws_accepts_an_endpoint_in_its_network() -> None:
    assert (
        problems(CONFIG, variables={"AWS_ENDPOINT_URL": "https://vpce-1.example.com", "AWS_ENDPOINT_URL_S3": ""}) == {}
    )


@pytest.fixture(name="read")
def fixture_read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that calls `load_settings` with a given stack configuration and secret keys."""

    def read(config: Mapping[str, str], *secret_keys: str) -> Settings:
        monkeypatch.setattr(pulumi, "get_project", lambda: "orders")
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(config))
        monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", json.dumps(secret_keys))
        return load_settings(Settings)

    return read


def test_program_reads_its_settings(read: Any) -> None:
    settings = read(without("orders:lambdaTimeoutSeconds") | {"orders:batchSize": "7", "orders:forceDestroy": "true"})

    assert (settings.batch_size, settings.force_destroy, settings.lambda_timeout_seconds) == (7, True, 60)


def test_refusal_counts_and_lists_all_problems_without_secrets(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")
    email = "orders:notificationEmail"

    # The Pulumi CLI prints a `RunError` without a stack trace.
    with pytest.raises(pulumi.RunError) as refusal:
        read(CONFIG | {email: "NOT-FOR-THE-LOGS"}, email)

    assert str(refusal.value) == (
        "the stack's configuration has 2 problems:\n"
        "  - orders:notificationEmail: found [secret]; allowed: an e-mail address\n"
        '  - orders:environment: found "dev" while AWS_ENDPOINT_URL points to this machine; allowed: local'
    )
    assert str(SettingsError(find_problems(Settings, "orders", CONFIG | {"orders:batchSize": "0"}))) == (
        "the stack's configuration has 1 problem:\n"
        '  - orders:batchSize: found "0"; allowed: a whole number from 1 to 10000'
    )
