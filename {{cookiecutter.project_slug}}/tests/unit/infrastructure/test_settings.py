"""The settings: what the patterns accept and refuse, and which combinations are refused.

Bounds, choices, unknown and missing keys are tested in the template, with the tools.
"""

import pytest

from infrastructure.settings import Settings
from tools.configuration.checks import KEYS, MODEL, find_problems, is_allowed, read_settings
from tools.testing.recording import PROJECT_NAME, STACKS, example_config, readable_config

KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/99999999-8888-7777-6666-555555555555"
ACCEPTED = {
    "environmentSuffix": ("d", "feature-1", "abcdefghijkl"),
    "lambdaReservedConcurrency": ("-1", "2", "1000"),
    "notificationEmail": ("first.last+tag@mail.example.com", "1@a-b.example.com"),
    "bucketName": ("", "abc", "b" * 63),
    "kmsKeyArn": ("", KEY_ARN),
}
REFUSED = {
    "environmentSuffix": ("", "1dev", "Dev", "dev-", "dev--1", "a_b", "abcdefghijklm", "dev\n"),
    "lambdaReservedConcurrency": ("-2", "0", "1", "1001"),
    "notificationEmail": (
        "",
        "team",
        "team@",
        "@example.com",
        "a b@example.com",
        "team@example",
        "%a@example.com",
        "a.@example.com",
        "a@-.example.com",
        "a@example.1",
        "a" * 250 + "@example.com",
    ),
    "bucketName": (
        "ab",
        "b" * 64,
        "Bucket",
        "-bucket",
        "bucket-",
        "my.bucket",
        "xn--a",
        "sthree-a",
        "a-s3alias",
        "a--x-s3",
    ),
    "kmsKeyArn": (
        "alias/key",
        "arn:aws-----:kms:us-east-1:123456789012:key/1",
        "arn:aws:kms:us-east-1:123:key/1",
        KEY_ARN.replace("key/", "alias/"),
    ),
}


def problems(**settings: str) -> dict[str, str]:
    """Return the problems of an example stack with these settings, by setting."""
    config = example_config("orders") | {f"orders:{key}": value for key, value in settings.items()}
    return {problem.key.removeprefix("orders:"): problem.message for problem in find_problems("orders", config)}


def test_every_setting_with_a_pattern_has_test_values() -> None:
    patterns = {key for key, schema in MODEL.schema.items() if "pattern" in schema}

    assert patterns <= ACCEPTED.keys() & REFUSED.keys(), "ACCEPTED and REFUSED need values for each of these"


def test_every_tested_setting_exists() -> None:
    assert ACCEPTED.keys() | REFUSED.keys() <= set(KEYS), "ACCEPTED and REFUSED name settings that do not exist"


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, values in ACCEPTED.items() for text in values])
def test_a_good_value_is_accepted(key: str, text: str) -> None:
    assert is_allowed(key, text)


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, values in REFUSED.items() for text in values])
def test_a_bad_value_is_refused(key: str, text: str) -> None:
    assert not is_allowed(key, text)


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_is_described_and_has_a_good_example(key: str) -> None:
    assert MODEL.schema[key]["description"]
    assert MODEL.allowed(key)
    assert is_allowed(key, MODEL.example(key))


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_file_is_valid(stack: str) -> None:
    assert find_problems(PROJECT_NAME, readable_config(stack)) == []


def test_a_large_batch_needs_a_batching_window() -> None:
    assert problems(batchSize="11") == {"batchWindowSeconds": 'found "0"; allowed: 1 or more when batchSize is over 10'}
    assert problems(batchSize="11", batchWindowSeconds="1") == {}


def test_retention_must_cover_all_deliveries() -> None:
    # Three deliveries, each of which may take six times the function's timeout.
    limits = {"lambdaTimeoutSeconds": "300", "maxReceiveCount": "3", "batchWindowSeconds": "0"}

    refused = problems(messageRetentionSeconds="5399", **limits)

    assert refused["messageRetentionSeconds"].startswith('found "5399"; allowed: 5400 or more')
    assert problems(messageRetentionSeconds="5400", **limits) == {}


def test_the_key_must_be_in_the_stacks_region() -> None:
    key_arn = KEY_ARN.replace("us-east-1", "eu-west-1")

    assert problems(kmsKeyArn=KEY_ARN) == {}
    assert problems(kmsKeyArn=key_arn) == {
        "kmsKeyArn": f'found "{key_arn}"; allowed: a key in us-east-1, the region of the stack'
    }


def test_production_refuses_force_destroy() -> None:
    assert problems(environment="dev", forceDestroy="true") == {}
    assert problems(environment="prod", forceDestroy="true") == {"forceDestroy": 'found "true"; allowed: false in prod'}


@pytest.mark.parametrize("key", ["lambdaTimeoutSeconds", "maxReceiveCount", "messageRetentionSeconds"])
def test_a_bad_value_causes_no_second_problem(key: str) -> None:
    assert set(problems(**{"messageRetentionSeconds": "60", key: "none"})) == {key}


def test_the_visibility_timeout_is_six_function_timeouts_plus_the_batching_window() -> None:
    config = example_config("orders") | {"orders:batchWindowSeconds": "20", "orders:lambdaTimeoutSeconds": "60"}

    assert read_settings(Settings, "orders", config).visibility_timeout_seconds == 6 * 60 + 20
