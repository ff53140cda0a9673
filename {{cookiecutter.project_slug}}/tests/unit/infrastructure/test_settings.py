"""The settings: every key good, bad, missing, misplaced; what contradicts; what an emulator may be reached with."""

from collections.abc import Mapping

import pytest

from infrastructure.settings import (
    KEYS,
    Settings,
    SettingsError,
    allowed_values,
    is_allowed,
    model_schema,
    read_settings,
)
from tools.configuration.documents import shown
from tools.configuration.stack_files import read_project
from tools.testing.recording import EMULATOR, GOOD_CONFIG, STACKS, readable_config

SCHEMA = {key.partition(":")[2]: entry.value for key, entry in read_project().config}
PROJECT = "orders"
CONFIG = {"aws:region": "us-east-1"} | {f"orders:{key}": value for key, value in GOOD_CONFIG.items()}
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/99999999-8888-7777-6666-555555555555"

GOOD: dict[str, dict[str, object]] = {
    "environment": {"dev": "dev", "staging": "staging", "prod": "prod", "local": "local"},
    "environmentSuffix": {"d": "d", "feature-1": "feature-1", "abcdefghijkl": "abcdefghijkl"},
    "lambdaRuntime": {f"python3.{minor}": f"python3.{minor}" for minor in range(11, 15)},
    "lambdaArchitecture": {"arm64": "arm64", "x86_64": "x86_64"},
    "lambdaMemoryMb": {"128": 128, "10240": 10240},
    "lambdaTimeoutSeconds": {"1": 1, "900": 900},
    "lambdaReservedConcurrency": {"-1": -1, "2": 2, "1000": 1000},
    "batchSize": {"1": 1, "10": 10},
    "batchWindowSeconds": {"0": 0, "300": 300},
    "maxReceiveCount": {"1": 1, "600": 600},
    "messageRetentionSeconds": {"5400": 5400, "1209600": 1209600},
    "noncurrentVersionDays": {"1": 1, "3650": 3650},
    "logRetentionDays": {"1": 1, "365": 365, "3653": 3653},
    "notificationEmail": {
        "first.last+tag@mail.example.com": "first.last+tag@mail.example.com",
        "1@a-b.example.com": "1@a-b.example.com",
    },
    "bucketName": {"": "", "abc": "abc", "b" * 63: "b" * 63},
    "kmsKeyArn": {"": "", KEY_ARN: KEY_ARN},
    "forceDestroy": {"true": True, "false": False},
}
BAD = {
    "environment": ("", "production", "Dev"),
    "environmentSuffix": ("", "1dev", "Dev", "dev-", "dev--1", "a_b", "abcdefghijklm", "dev\n"),
    "lambdaRuntime": ("", "python3.10", "python3.15", "nodejs24.x", "3.13"),
    "lambdaArchitecture": ("", "arm", "amd64"),
    "lambdaMemoryMb": ("", "127", "10241", "512.0", "5_12", "0x200", "01000", "-0", " 512", "+512", "٥١٢", "9" * 30),
    "lambdaTimeoutSeconds": ("0", "901", "-1", "five"),
    "lambdaReservedConcurrency": ("-2", "0", "1", "1001"),
    "batchSize": ("0", "10001"),
    "batchWindowSeconds": ("-1", "301"),
    "maxReceiveCount": ("0", "1001"),
    "messageRetentionSeconds": ("59", "1209601"),
    "noncurrentVersionDays": ("0", "3651"),
    "logRetentionDays": ("0", "2", "366"),
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
    "forceDestroy": ("", "True", "yes", "1"),
}


def refused(config: Mapping[str, str], **options: object) -> dict[str, str]:
    """Read a configuration that must be refused, and return the problems by key."""
    with pytest.raises(SettingsError) as refusal:
        read_settings(PROJECT, config, **options)  # ty: ignore[invalid-argument-type]
    return {problem.key: problem.message for problem in refusal.value.problems}


def without(key: str) -> dict[str, str]:
    return {name: value for name, value in CONFIG.items() if name != key}


def test_every_key_is_tried_with_good_and_with_bad_values() -> None:
    assert set(GOOD) == set(BAD) == set(KEYS)


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, values in GOOD.items() for text in values])
def test_a_good_value_is_read(key: str, text: str) -> None:
    settings = read_settings(PROJECT, CONFIG | {f"orders:{key}": text})

    assert settings.model_dump(by_alias=True)[key] == GOOD[key][text]


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, values in BAD.items() for text in values])
def test_a_bad_value_is_refused_with_what_is_allowed(key: str, text: str) -> None:
    problems = refused(CONFIG | {f"orders:{key}": text})

    assert problems == {f"orders:{key}": f"found {shown(text)}; allowed: {allowed_values(key)}"}


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_refused_because_the_model_has_no_defaults(key: str) -> None:
    problems = refused(without(f"orders:{key}"))

    assert problems == {f"orders:{key}": f"missing; allowed: {allowed_values(key)}"}


@pytest.mark.parametrize("namespace", ["aws", "order", "orders-old"])
@pytest.mark.parametrize("key", KEYS)
def test_a_misplaced_key_is_refused_with_the_right_one(key: str, namespace: str) -> None:
    config = without(f"orders:{key}") | {f"{namespace}:{key}": CONFIG[f"orders:{key}"]}

    problems = refused(config)

    assert problems[f"{namespace}:{key}"] == f'wrong namespace "{namespace}"; the key is orders:{key}'
    assert problems[f"orders:{key}"].startswith("missing")


@pytest.mark.parametrize(
    ("key", "intended"),
    [("lambdaMemoryMB", "lambdaMemoryMb"), ("batchsize", "batchSize"), ("notificationMail", "notificationEmail")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, intended: str) -> None:
    assert refused(CONFIG | {f"orders:{key}": "1"}) == {
        f"orders:{key}": f"unknown key; did you mean orders:{intended}?"
    }


def test_an_unknown_key_that_resembles_none_is_refused_with_the_known_ones() -> None:
    assert refused(CONFIG | {"orders:zzz": "1"}) == {"orders:zzz": f"unknown key; allowed: {', '.join(KEYS)}"}


def test_keys_of_providers_and_of_pulumi_are_left_to_them() -> None:
    assert read_settings(PROJECT, CONFIG | {"aws:profile": "orders", "pulumi:tags": "{}"})


def test_every_mistake_is_reported_at_once() -> None:
    config = without("orders:environment") | {"orders:batchSize": "0", "orders:zzz": "1", "aws:forceDestroy": "true"}

    assert set(refused(config)) == {"orders:environment", "orders:batchSize", "orders:zzz", "aws:forceDestroy"}


def test_the_message_lists_every_mistake() -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings(PROJECT, CONFIG | {"orders:batchSize": "0", "orders:maxReceiveCount": "0"})

    assert str(refusal.value) == (
        "the stack's configuration has 2 problem(s):\n"
        '  - orders:batchSize: found "0"; allowed: a whole number from 1 to 10000\n'
        '  - orders:maxReceiveCount: found "0"; allowed: a whole number from 1 to 1000'
    )


def test_a_secret_is_never_printed() -> None:
    problems = refused(
        CONFIG | {"orders:notificationEmail": "not-for-the-logs"}, secret_keys=["orders:notificationEmail"]
    )

    assert problems == {"orders:notificationEmail": "found [secret]; allowed: an e-mail address"}


def test_a_secret_region_is_never_printed() -> None:
    problems = refused(CONFIG | {"aws:region": "not-for-the-logs"}, secret_keys=["aws:region"])

    assert problems["aws:region"].startswith("found [secret]; allowed: ")


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_a_region_is_accepted(region: str) -> None:
    assert read_settings(PROJECT, CONFIG | {"aws:region": region})


@pytest.mark.parametrize("region", ["", "us-east", "US-EAST-1", "useast1", "us-east-1a"])
def test_what_is_no_region_is_refused(region: str) -> None:
    assert refused(CONFIG | {"aws:region": region}) == {
        "aws:region": f'found "{region}"; allowed: the name of an AWS region, for example us-east-1'
    }


def test_a_missing_region_is_refused_because_the_shells_would_be_taken() -> None:
    assert refused(without("aws:region"))["aws:region"].startswith("missing")


@pytest.mark.parametrize("project", ["Orders", "or_ders", "1orders", "o" * 26])
def test_a_project_that_cannot_begin_a_name_is_refused(project: str) -> None:
    config = {key.replace("orders:", f"{project}:"): value for key, value in CONFIG.items()}

    with pytest.raises(SettingsError, match=r"name \(Pulumi.yaml\)") as refusal:
        read_settings(project, config)

    assert len(refusal.value.problems) == 1


def test_a_large_batch_needs_time_to_fill() -> None:
    assert refused(CONFIG | {"orders:batchSize": "11"}) == {
        "orders:batchWindowSeconds": 'found "0"; allowed: 1 or more when batchSize is over 10'
    }
    assert read_settings(PROJECT, CONFIG | {"orders:batchSize": "11", "orders:batchWindowSeconds": "1"})


def test_a_message_must_outlive_its_deliveries() -> None:
    problems = refused(CONFIG | {"orders:messageRetentionSeconds": "5399"})

    assert problems["orders:messageRetentionSeconds"].startswith('found "5399"; allowed: 5400 or more')


def test_a_key_must_be_where_the_stack_is() -> None:
    key_arn = KEY_ARN.replace("us-east-1", "eu-west-1")

    problems = refused(CONFIG | {"orders:kmsKeyArn": key_arn})

    assert problems == {"orders:kmsKeyArn": f"found {shown(key_arn)}; allowed: a key in us-east-1, where the stack is"}


@pytest.mark.parametrize("region", [None, "here", "us-east-1"])
def test_where_a_key_must_be_is_not_told_of_a_region_that_is_not_known(region: str | None) -> None:
    config = without("aws:region") | {"orders:kmsKeyArn": KEY_ARN.replace("us-east-1", "eu-west-1")}
    if region:
        config["aws:region"] = region

    assert "orders:kmsKeyArn" not in refused(config | {"orders:zzz": "1"}, secret_keys=["aws:region"])


def test_contradictions_are_found_beside_other_mistakes() -> None:
    config = without("orders:notificationEmail") | {
        "orders:zzz": "1",
        "orders:lambdaMemoryMb": "1",
        "orders:batchSize": "20",
        "orders:messageRetentionSeconds": "60",
        "orders:kmsKeyArn": KEY_ARN.replace("us-east-1", "eu-west-1"),
        "orders:environment": "prod",
        "orders:forceDestroy": "true",
    }

    assert set(refused(config)) == {
        "orders:notificationEmail",
        "orders:zzz",
        "orders:lambdaMemoryMb",
        "orders:batchWindowSeconds",
        "orders:messageRetentionSeconds",
        "orders:kmsKeyArn",
        "orders:forceDestroy",
    }


@pytest.mark.parametrize("key", ["lambdaTimeoutSeconds", "maxReceiveCount", "messageRetentionSeconds"])
def test_what_a_bad_value_would_contradict_is_not_told(key: str) -> None:
    config = CONFIG | {"orders:messageRetentionSeconds": "60", f"orders:{key}": "none"}

    assert set(refused(config)) == {f"orders:{key}"}


def test_a_secret_contradicts_nothing() -> None:
    config = CONFIG | {"orders:batchSize": "20", "orders:zzz": "1"}

    assert set(refused(config, secret_keys=["orders:batchWindowSeconds"])) == {"orders:zzz"}


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, values in GOOD.items() for text in values])
def test_a_good_value_is_allowed(key: str, text: str) -> None:
    assert is_allowed(key, text)


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, values in BAD.items() for text in values])
def test_a_bad_value_is_not_allowed(key: str, text: str) -> None:
    assert not is_allowed(key, text)


def test_the_visibility_timeout_is_six_times_the_functions_and_the_time_for_a_batch_to_fill() -> None:
    settings = read_settings(PROJECT, CONFIG | {"orders:batchWindowSeconds": "20", "orders:lambdaTimeoutSeconds": "60"})

    assert settings.visibility_timeout_seconds == 6 * 60 + 20


def test_production_keeps_its_objects() -> None:
    assert refused(CONFIG | {"orders:environment": "prod", "orders:forceDestroy": "true"}) == {
        "orders:forceDestroy": 'found "true"; allowed: false in prod'
    }


LOCAL = CONFIG | {"orders:environment": "local"}


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:4566", "127.1.2.3", "[::1]:5000"])
def test_a_local_stack_reaches_an_emulator_on_this_machine(host: str) -> None:
    assert read_settings(PROJECT, LOCAL, variables={"AWS_ENDPOINT_URL": f"http://{host}"}).is_local


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
def test_a_local_stack_reaches_nothing_else(url: str) -> None:
    problems = refused(LOCAL, variables={"AWS_ENDPOINT_URL": url})

    assert "AWS_ENDPOINT_URL is not on this machine" in problems["orders:environment"]


def test_a_local_stack_needs_an_endpoint() -> None:
    assert "AWS_ENDPOINT_URL is not set" in refused(LOCAL, variables={})["orders:environment"]


def test_a_local_stack_refuses_another_endpoint_for_one_service() -> None:
    problems = refused(LOCAL, variables=EMULATOR | {"AWS_ENDPOINT_URL_S3": "https://s3.us-east-1.amazonaws.com"})

    assert "AWS_ENDPOINT_URL_S3 is not on this machine" in problems["orders:environment"]


def test_a_local_stack_refuses_what_makes_the_sdks_ignore_the_endpoint() -> None:
    problems = refused(LOCAL, variables=EMULATOR | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})

    assert "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set" in problems["orders:environment"]


@pytest.mark.parametrize("variables", [EMULATOR, None])
def test_a_local_stack_refuses_endpoints_of_its_own(variables: dict[str, str] | None) -> None:
    problems = refused(LOCAL | {"aws:endpoints": "[]"}, variables=variables)

    assert problems["aws:endpoints"].startswith("not allowed in a local stack")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
@pytest.mark.parametrize(
    "url", ["http://localhost:5000", "localhost:5000", "http://localhost.", "http://a.localhost", "http://0.0.0.0:5000"]
)
def test_an_accounts_stack_never_reaches_an_emulator(environment: str, variable: str, url: str) -> None:
    problems = refused(CONFIG | {"orders:environment": environment}, variables={variable: url})

    assert f"{variable} is on this machine" in problems["orders:environment"]


def test_an_accounts_stack_may_reach_an_endpoint_of_its_network() -> None:
    assert read_settings(PROJECT, CONFIG, variables={"AWS_ENDPOINT_URL": "https://vpce-1.example.com"})


def test_the_endpoint_is_left_alone_when_only_the_file_is_read() -> None:
    assert read_settings(PROJECT, LOCAL).is_local


@pytest.mark.parametrize("key", KEYS)
def test_the_schema_says_what_the_model_allows(key: str) -> None:
    declared = SCHEMA[key]
    field = next(field for field in Settings.model_fields.values() if field.alias == key)

    assert declared["description"] == f"{field.description}; {allowed_values(key)}"
    assert declared["type"] == model_schema()["properties"][key]["type"]


def test_a_text_without_words_for_what_is_allowed_is_the_programmers_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_schema()["properties"], "team", {"type": "string"})

    with pytest.raises(TypeError, match="team: json_schema_extra must say"):
        allowed_values("team")


def test_the_schema_knows_the_models_keys_and_no_others() -> None:
    assert tuple(SCHEMA) == KEYS


def test_defaults_stand_in_the_schema_alone() -> None:
    assert all(field.is_required() for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    "key", ["environment", "environmentSuffix", "lambdaMemoryMb", "logRetentionDays", "notificationEmail"]
)
def test_what_must_differ_between_environments_has_no_default(key: str) -> None:
    assert "default" not in SCHEMA[key]


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_file_is_valid(stack: str) -> None:
    assert read_settings(read_project().name, readable_config(stack))
