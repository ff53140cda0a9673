"""Checks of a stack's configuration: missing, misplaced and unknown keys, secrets, regions, endpoints."""

import json
from collections.abc import Mapping

import pulumi
import pytest

from infrastructure.settings import Settings
from tools.configuration.checks import (
    KEYS,
    MODEL,
    Problem,
    SettingsError,
    find_problems,
    is_allowed,
    load_settings,
    read_settings,
)
from tools.testing.recording import EMULATOR, example_config

PROJECT = "orders"
CONFIG = example_config(PROJECT) | {"orders:environment": "dev"}
LOCAL = CONFIG | {"orders:environment": "local"}
KEY_ARN = "arn:aws:kms:{}:123456789012:key/11111111-2222-3333-4444-555555555555"


def read(config: Mapping[str, str], project: str = PROJECT, **options: Mapping[str, str]) -> Settings:
    """Read a valid configuration."""
    return read_settings(Settings, project, config, **options)


def refused(config: Mapping[str, str], **options: object) -> dict[str, str]:
    """Read a configuration that must be refused, and return its problems by key."""
    with pytest.raises(SettingsError) as refusal:
        read_settings(Settings, PROJECT, config, **options)  # ty: ignore[invalid-argument-type] # by name
    return {problem.key: problem.message for problem in refusal.value.problems}


def without(key: str) -> dict[str, str]:
    """Return a valid configuration without a key."""
    return {name: value for name, value in CONFIG.items() if name != key}


def test_a_good_configuration_is_read_with_the_projects_own_model() -> None:
    settings = read(CONFIG | {"orders:batchSize": "7", "orders:forceDestroy": "true"})

    assert (settings.batch_size, settings.force_destroy, settings.environment) == (7, True, "dev")


def test_a_setting_without_a_value_has_the_models_default() -> None:
    assert read(without("orders:lambdaTimeoutSeconds")).lambda_timeout_seconds == 60


@pytest.mark.parametrize(
    ("key", "text"), [("batchSize", "0"), ("environment", "qa"), ("forceDestroy", "yes"), ("bucketName", "A")]
)
def test_a_bad_value_is_refused_with_what_is_allowed(key: str, text: str) -> None:
    assert refused(CONFIG | {f"orders:{key}": text}) == {
        f"orders:{key}": f'found "{text}"; allowed: {MODEL.allowed(key)}'
    }


@pytest.mark.parametrize("key", [key for key in KEYS if MODEL.default(key) is None])
def test_a_missing_key_is_refused_with_what_is_allowed(key: str) -> None:
    assert refused(without(f"orders:{key}")) == {f"orders:{key}": f"missing; allowed: {MODEL.allowed(key)}"}


@pytest.mark.parametrize("namespace", ["aws", "order", "orders-old"])
@pytest.mark.parametrize("key", KEYS)
def test_a_misplaced_key_is_refused_with_the_right_one(key: str, namespace: str) -> None:
    problems = refused(without(f"orders:{key}") | {f"{namespace}:{key}": CONFIG[f"orders:{key}"]})

    assert problems[f"{namespace}:{key}"] == f'wrong namespace "{namespace}"; the key is orders:{key}'
    assert (f"orders:{key}" in problems) is (MODEL.default(key) is None)


@pytest.mark.parametrize(
    ("key", "intended"),
    [("lambdaMemoryMB", "lambdaMemoryMb"), ("batchsize", "batchSize"), ("notificationMail", "notificationEmail")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, intended: str) -> None:
    assert refused(CONFIG | {f"orders:{key}": "1"}) == {
        f"orders:{key}": f"unknown key; did you mean orders:{intended}?"
    }


def test_an_unknown_key_without_a_similar_one_is_refused_with_all_known_ones() -> None:
    assert refused(CONFIG | {"orders:zzz": "1"}) == {"orders:zzz": f"unknown key; allowed: {', '.join(KEYS)}"}


def test_keys_of_providers_and_pulumi_are_not_checked() -> None:
    assert read(CONFIG | {"aws:profile": "orders", "pulumi:tags": "{}"})


def test_all_problems_are_reported_at_once() -> None:
    config = without("orders:environment") | {"orders:batchSize": "0", "orders:zzz": "1", "aws:forceDestroy": "true"}

    assert set(refused(config)) == {"orders:environment", "orders:batchSize", "orders:zzz", "aws:forceDestroy"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"orders:batchSize": "0", "orders:maxReceiveCount": "0"},
            (
                "the stack's configuration has 2 problems:\n"
                '  - orders:batchSize: found "0"; allowed: a whole number from 1 to 10000\n'
                '  - orders:maxReceiveCount: found "0"; allowed: a whole number from 1 to 1000'
            ),
        ),
        (
            {"orders:batchSize": "0"},
            (
                "the stack's configuration has 1 problem:\n"
                '  - orders:batchSize: found "0"; allowed: a whole number from 1 to 10000'
            ),
        ),
    ],
    ids=["two", "one"],
)
def test_the_message_counts_and_lists_the_problems(changed: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(CONFIG | changed)

    assert str(refusal.value) == message


def test_the_engine_prints_a_refusal_without_a_stack_trace() -> None:
    assert issubclass(SettingsError, pulumi.RunError)


def test_a_problem_has_separate_fields_for_what_was_found_and_what_is_allowed() -> None:
    assert find_problems(PROJECT, CONFIG | {"orders:batchSize": "0"}) == [
        Problem(
            "bad-value",
            "orders:batchSize",
            'found "0"; allowed: a whole number from 1 to 10000',
            "0",
            "a whole number from 1 to 10000",
        )
    ]


def test_a_secret_is_never_printed() -> None:
    problems = refused(
        CONFIG | {"orders:notificationEmail": "NOT-FOR-THE-LOGS"}, secret_keys=["orders:notificationEmail"]
    )

    assert problems == {"orders:notificationEmail": "found [secret]; allowed: an e-mail address"}


def test_a_secret_region_is_never_printed() -> None:
    problems = refused(CONFIG | {"aws:region": "NOT-FOR-THE-LOGS"}, secret_keys=["aws:region"])

    assert problems["aws:region"].startswith("found [secret]; allowed: ")


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_a_region_is_accepted(region: str) -> None:
    assert read(CONFIG | {"aws:region": region})


@pytest.mark.parametrize("region", ["", "us-east", "US-EAST-1", "useast1", "us-east-1a"])
def test_an_invalid_region_is_refused(region: str) -> None:
    assert refused(CONFIG | {"aws:region": region}) == {
        "aws:region": f'found "{region}"; allowed: the name of an AWS region, for example us-east-1'
    }


def test_a_missing_region_is_refused_instead_of_using_the_shells() -> None:
    assert refused(without("aws:region"))["aws:region"].startswith("missing")


@pytest.mark.parametrize("project", ["Orders", "or_ders", "1orders", "o" * 26])
def test_a_project_name_that_is_no_valid_prefix_is_refused(project: str) -> None:
    config = {key.replace("orders:", f"{project}:"): value for key, value in CONFIG.items()}

    with pytest.raises(SettingsError, match=r"name \(Pulumi.yaml\)") as refusal:
        read(config, project)

    assert len(refusal.value.problems) == 1


def test_a_contradiction_in_the_model_is_a_problem_and_marked_as_one() -> None:
    (problem,) = find_problems(PROJECT, CONFIG | {"orders:batchSize": "11"})

    assert str(problem) == 'orders:batchWindowSeconds: found "0"; allowed: 1 or more when batchSize is over 10'
    assert (problem.rule, problem.is_contradiction) == ("batch-without-window", True)


def test_contradictions_are_reported_together_with_other_problems() -> None:
    config = without("orders:notificationEmail") | {
        "orders:zzz": "1",
        "orders:lambdaMemoryMb": "1",
        "orders:batchSize": "20",
        "orders:kmsKeyArn": KEY_ARN.format("eu-west-1"),
    }

    assert set(refused(config)) == {
        "orders:notificationEmail",
        "orders:zzz",
        "orders:lambdaMemoryMb",
        "orders:batchWindowSeconds",
        "orders:kmsKeyArn",
    }


def test_the_model_gets_the_region_to_find_contradictions() -> None:
    elsewhere = KEY_ARN.format("eu-west-1")

    assert refused(CONFIG | {"orders:kmsKeyArn": elsewhere}) == {
        "orders:kmsKeyArn": f'found "{elsewhere}"; allowed: a key in us-east-1, where the stack is'
    }


@pytest.mark.parametrize("region", [None, "here", "us-east-1"])
def test_a_missing_bad_or_secret_region_causes_no_contradiction(region: str | None) -> None:
    config = without("aws:region") | {"orders:kmsKeyArn": KEY_ARN.format("eu-west-1"), "orders:zzz": "1"}
    if region:
        config["aws:region"] = region

    assert "orders:kmsKeyArn" not in refused(config, secret_keys=["aws:region"])


@pytest.mark.parametrize("key", ["batchSize", "batchWindowSeconds"])
def test_a_bad_value_causes_no_contradiction(key: str) -> None:
    config = CONFIG | {"orders:batchSize": "20", f"orders:{key}": "none"}

    assert set(refused(config)) == {f"orders:{key}"}


def test_a_secret_causes_no_contradiction() -> None:
    config = CONFIG | {"orders:batchSize": "20", "orders:zzz": "1"}

    assert set(refused(config, secret_keys=["orders:batchWindowSeconds"])) == {"orders:zzz"}


@pytest.mark.parametrize(
    ("key", "text", "allowed"),
    [
        ("batchSize", "10000", True),
        ("batchSize", "10001", False),
        ("forceDestroy", "true", True),
        ("forceDestroy", "True", False),
        ("environmentSuffix", "abcdefghijkl", True),
        ("environmentSuffix", "abcdefghijklm", False),
        ("logRetentionDays", "7", True),
        ("logRetentionDays", "8", False),
        ("zzz", "1", False),
    ],
)
def test_whether_a_value_is_allowed_depends_on_its_own_setting_only(key: str, text: str, allowed: bool) -> None:
    assert is_allowed(key, text) is allowed


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:4566", "127.1.2.3", "[::1]:5000"])
def test_a_local_stack_accepts_an_endpoint_on_this_machine(host: str) -> None:
    assert read(LOCAL, variables={"AWS_ENDPOINT_URL": f"http://{host}"})


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.us-east-1.amazonaws.com",
        "http://10.0.0.1:5000",
        "emulator",
        "http://localhost.example.com",
        "http://[",
    ],
)
def test_a_local_stack_refuses_an_endpoint_elsewhere(url: str) -> None:
    problems = refused(LOCAL, variables={"AWS_ENDPOINT_URL": url})

    assert "AWS_ENDPOINT_URL does not point to this machine" in problems["orders:environment"]


def test_a_local_stack_needs_an_endpoint() -> None:
    assert "AWS_ENDPOINT_URL is not set" in refused(LOCAL, variables={})["orders:environment"]


def test_a_local_stack_refuses_another_endpoint_for_one_service() -> None:
    problems = refused(LOCAL, variables=EMULATOR | {"AWS_ENDPOINT_URL_S3": "https://s3.us-east-1.amazonaws.com"})

    assert "AWS_ENDPOINT_URL_S3 does not point to this machine" in problems["orders:environment"]


def test_a_local_stack_refuses_a_variable_that_makes_sdks_ignore_the_endpoint() -> None:
    problems = refused(LOCAL, variables=EMULATOR | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})

    assert "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set" in problems["orders:environment"]


@pytest.mark.parametrize("variables", [EMULATOR, None])
def test_a_local_stack_refuses_endpoints_in_its_configuration(variables: dict[str, str] | None) -> None:
    problems = refused(LOCAL | {"aws:endpoints": "[]"}, variables=variables)

    assert problems["aws:endpoints"].startswith("not allowed in a local stack")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
@pytest.mark.parametrize(
    "url", ["http://localhost:5000", "localhost:5000", "http://localhost.", "http://a.localhost", "http://0.0.0.0:5000"]
)
def test_a_stack_on_aws_refuses_an_endpoint_on_this_machine(environment: str, variable: str, url: str) -> None:
    problems = refused(CONFIG | {"orders:environment": environment}, variables={variable: url})

    assert f"{variable} points to this machine" in problems["orders:environment"]


def test_a_stack_on_aws_accepts_an_endpoint_in_its_network() -> None:
    assert read(CONFIG, variables={"AWS_ENDPOINT_URL": "https://vpce-1.example.com"})


def test_the_endpoint_is_not_checked_without_environment_variables() -> None:
    assert read(LOCAL)


def test_the_program_reads_its_settings_from_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_project", lambda: PROJECT)
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(CONFIG | {"orders:notificationEmail": "NOT-FOR-THE-LOGS"}))
    monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", json.dumps(["orders:notificationEmail"]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")

    with pytest.raises(SettingsError) as refusal:
        load_settings(Settings)

    assert {problem.key for problem in refusal.value.problems} == {"orders:notificationEmail", "orders:environment"}
    assert "NOT-FOR-THE-LOGS" not in str(refusal.value)
