"""The settings: accepted and refused values, the resource inputs that each setting changes, and refused combinations.

The template's own tests cover parsing and unknown keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import ANY

import pytest

from infrastructure.settings import Settings
from processor.timing import MESSAGE_SECONDS, retry_delay_seconds
from tests.unit.conftest import recorded_inputs
from tools import generate
from tools.settings import Problem, SettingsError, declared_model, find_problems
from tools.testing import RecordedProgram, example_config, run_program

MODEL: Final = declared_model()
KEY_ARN: Final = "arn:aws:kms:us-east-1:123456789012:key/99999999-8888-7777-6666-555555555555"
BOUNDARY_ARN: Final = "arn:aws:iam::123456789012:policy/boundary"
# A message is processed only if MESSAGE_SECONDS remain; the other 10 are for earlier messages of its batch.
LEAST_TIMEOUT: Final = MESSAGE_SECONDS + 10


@dataclass(frozen=True)
class Expected:
    """Expectations for a setting.

    Attributes:
        good: Values that are accepted.
        bad: Values that are refused.
        value: A value that differs from the example stack's.
        changes: The inputs that ``value`` changes, in the format of `differences`.
    """

    good: tuple[str, ...]
    bad: tuple[str, ...]
    value: str
    changes: dict[str, Any]


def number(least: int, most: int, value: int, changes: dict[str, Any]) -> Expected:
    return Expected((str(least), str(most)), (str(least - 1), str(most + 1), "many"), str(value), changes)


SETTINGS: Final = {
    "environment": Expected(
        good=("local", "dev", "staging", "prod"),
        bad=("production", "Dev"),
        value="prod",
        changes={
            "table.deletionProtectionEnabled": True,
            "function-logs.deletionProtectionEnabled": True,
            "function.environment.variables.ENVIRONMENT": "prod",
        },
    ),
    # `test_resources` tests the effect of the suffix on every name.
    "environmentSuffix": Expected(
        good=("d", "feature-1", "abcdefghijkl"),
        bad=("", "1dev", "Dev", "dev-", "dev--1", "a_b", "abcdefghijklm", "dev\n"),
        value="dev",
        changes={},
    ),
    "lambdaRuntime": Expected(
        good=("python3.11", "python3.12", "python3.13", "python3.14"),
        bad=("python3.10", "nodejs24.x", "3.13"),
        value="python3.14",
        changes={"function.runtime": "python3.14", "function.code": "processor-python3.14-arm64.zip"},
    ),
    "lambdaArchitecture": Expected(
        good=("arm64", "x86_64"),
        bad=("amd64",),
        value="x86_64",
        changes={"function.architectures.0": "x86_64", "function.code": "processor-python3.11-x86_64.zip"},
    ),
    "lambdaMemoryMb": number(128, 10240, 2048, {"function.memorySize": 2048}),
    "lambdaTimeoutSeconds": number(
        LEAST_TIMEOUT,
        900,
        200,
        {
            "function.timeout": 200,
            "queue.visibilityTimeoutSeconds": 1200,
            "errors-alarm.evaluationPeriods": 20 + 3 + 5,
            "not-received-alarm.datapointsToAlarm": 6,
            "not-received-alarm.evaluationPeriods": 6,
            # Visibility timeout + function timeout, so that a single failure does not fire the alarm.
            "oldest-message-alarm.threshold": 1400,
        },
    ),
    "maximumConcurrency": number(2, 1000, 20, {"function-event-source.scalingConfig.maximumConcurrency": 20}),
    "batchSize": number(1, 10000, 5, {"function-event-source.batchSize": 5}),
    "batchWindowSeconds": number(
        0,
        300,
        150,
        {
            "function-event-source.maximumBatchingWindowInSeconds": 150,
            "queue.visibilityTimeoutSeconds": 720 + 150,
            "errors-alarm.evaluationPeriods": 14 + 2 + 5,
            "returned-alarm.evaluationPeriods": 10 + 5,
            "misconfigured-alarm.evaluationPeriods": 10 + 5,
            # Visibility timeout + batch window + function timeout.
            "oldest-message-alarm.threshold": 1140,
        },
    ),
    "maxReceiveCount": number(
        5,
        1000,
        7,
        {"queue.redrivePolicy.maxReceiveCount": 7, "function.environment.variables.MAX_RECEIVE_COUNT": "7"},
    ),
    # 13 days: messages expire from the dead-letter queue 14 days after they were sent.
    "messageRetentionSeconds": number(60, 13 * 86_400, 86_400, {"queue.messageRetentionSeconds": 86_400}),
    "dataRetentionDays": Expected(
        good=("0", "1", "3650"),
        bad=("-1", "3651"),
        value="1",
        changes={
            "function.environment.variables.DATA_RETENTION_DAYS": "1",
            "payloads-lifecycle.rules.2.id": "expire-objects",
            "payloads-lifecycle.rules.2.status": "Enabled",
            "payloads-lifecycle.rules.2.filter.prefix": "",
            "payloads-lifecycle.rules.2.expiration.days": 1,
        },
    ),
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    "logRetentionDays": Expected(
        good=(
            *("1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545", "731"),
            *("1096", "1827", "2192", "2557", "2922", "3288", "3653"),
        ),
        bad=("0", "2", "-1"),
        value="30",
        changes={"function-logs.retentionInDays": 30},
    ),
    "notificationEmail": Expected(
        good=("", "first.last+tag@mail.example.com", "1@a-b.example.com", f"{'a' * 242}@example.com"),
        bad=(
            *("team", "team@", "@example.com", "a b@example.com", "team@example", "%a@example.com", "a.@example.com"),
            *("a@-.example.com", "a@example.1", "a@example.com\n", f"{'a' * 243}@example.com"),
        ),
        value="",
        changes={"alarm-subscription": None},
    ),
    "bucketName": Expected(
        good=("", "abc", "b" * 63, "1-a"),
        bad=(
            *("ab", "b" * 64, "Bucket", "-bucket", "bucket-", "my.bucket", "xn--a", "sthree-a", "amzn-s3-demo-a"),
            *("a-s3alias", "a--ol-s3", "a--x-s3", "a--table-s3", "a-an"),
        ),
        value="our-bucket",
        changes={
            "payloads.bucket": "our-bucket",
            "payloads-policy.policy.Statement.0.Resource.0": "arn:aws:s3:::our-bucket",
            "payloads-policy.policy.Statement.0.Resource.1": "arn:aws:s3:::our-bucket/*",
            "access-logs-policy.policy.Statement.1.Condition.ArnLike.aws:SourceArn": "arn:aws:s3:::our-bucket",
            "function-role-policy.policy.Statement.3.Resource": "arn:aws:s3:::our-bucket/messages/*",
            "function.environment.variables.BUCKET_NAME": "our-bucket",
        },
    ),
    "kmsKeyArn": Expected(
        good=("", KEY_ARN, KEY_ARN.replace("arn:aws:", "arn:aws-us-gov:"), KEY_ARN.replace("key/", "key/mrk-")),
        bad=(
            *("alias/key", "arn:aws-----:kms:us-east-1:123456789012:key/1", "arn:aws:kms:us-east-1:123:key/1"),
            *(KEY_ARN.replace("key/", "alias/"), f"{KEY_ARN}\n"),
        ),
        value=KEY_ARN,
        changes={
            "key": None,
            "key-alias": None,
            "payloads-encryption.rules.0.applyServerSideEncryptionByDefault.kmsMasterKeyId": KEY_ARN,
            "table.serverSideEncryption.kmsKeyArn": KEY_ARN,
            "queue.kmsMasterKeyId": KEY_ARN,
            "dead-letter-queue.kmsMasterKeyId": KEY_ARN,
            "topic.kmsMasterKeyId": KEY_ARN,
            "function-logs.kmsKeyId": KEY_ARN,
            "function.kmsKeyArn": KEY_ARN,
            "function-role-policy.policy.Statement.6.Resource": KEY_ARN,
        },
    ),
    "permissionsBoundaryArn": Expected(
        good=(
            *("", BOUNDARY_ARN, "arn:aws-us-gov:iam::123456789012:policy/a/path/of+=,.@_-"),
            "arn:aws:iam::aws:policy/PowerUserAccess",
        ),
        bad=(
            *("boundary", "arn:aws:iam::123:policy/boundary", "arn:aws:iam::123456789012:role/boundary"),
            *("arn:aws:iam:us-east-1:123456789012:policy/boundary", "arn:aws:iam::123456789012:policy/"),
        ),
        value=BOUNDARY_ARN,
        changes={"function-role.permissionsBoundary": BOUNDARY_ARN},
    ),
    "forceDestroy": Expected(
        good=("true", "false"),
        bad=("yes", ""),
        value="true",
        changes={"payloads.forceDestroy": True, "access-logs.forceDestroy": True},
    ),
}
# Keys in both the model and `SETTINGS`, so that a mismatch fails only one test.
KEYS: Final = [key for key in MODEL.keys if key in SETTINGS]


@dataclass(frozen=True)
class Refused:
    """Settings that are valid alone but not in combination.

    Attributes:
        settings: The settings. The problem is reported for the first setting.
        allowed: The first setting's allowed values, in words.
        cures: Changes to the nearest valid values. Each change alone is sufficient.
        besides: Other settings that avoid a second contradiction.
    """

    settings: dict[str, str]
    allowed: str
    cures: tuple[dict[str, str], ...]
    besides: dict[str, str] = field(default_factory=dict)


REFUSED: Final = {
    "batch-without-window": Refused(
        {"batchWindowSeconds": "0", "batchSize": "11"},
        "1 or more when batchSize is over 10",
        cures=({"batchSize": "10"}, {"batchWindowSeconds": "1"}),
    ),
    # 10 messages per second x (lambdaTimeoutSeconds - MESSAGE_SECONDS).
    "batch-too-large": Refused(
        {"batchSize": "101", "lambdaTimeoutSeconds": str(LEAST_TIMEOUT)},
        f"100 or less, as many as fit into lambdaTimeoutSeconds ({LEAST_TIMEOUT})",
        cures=({"batchSize": "100"}, {"lambdaTimeoutSeconds": str(LEAST_TIMEOUT + 1)}),
        besides={"batchWindowSeconds": "1"},
    ),
    # 5 x 721 (visibility timeout > first five delays) + 960 (sixth delay) = 4565.
    "retention-too-short": Refused(
        {
            "messageRetentionSeconds": "4564",
            "maxReceiveCount": "6",
            "lambdaTimeoutSeconds": "120",
            "batchWindowSeconds": "1",
        },
        "4565 or more, the time that 6 deliveries (maxReceiveCount) may take; otherwise a message could expire before "
        "it is dead-lettered",
        cures=({"messageRetentionSeconds": "4565"}, {"maxReceiveCount": "5"}, {"batchWindowSeconds": "0"}),
    ),
    "key-elsewhere": Refused(
        {"kmsKeyArn": KEY_ARN.replace("us-east-1", "eu-west-1")},
        "a key in us-east-1, the region of the stack",
        cures=({"kmsKeyArn": KEY_ARN}, {"kmsKeyArn": ""}),
    ),
    "force-destroy": Refused(
        {"forceDestroy": "true", "environment": "prod"},
        "false in prod",
        cures=({"forceDestroy": "false"}, {"environment": "staging"}),
    ),
}


def problems(settings: dict[str, str]) -> dict[str, Problem]:
    """Return the problems of an example stack with changed settings, by setting."""
    found = find_problems(Settings, "orders", example_config("orders", **settings))
    return {problem.key.removeprefix("orders:"): problem for problem in found}


def flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of every leaf in nested inputs."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(each, f"{path}.{key}")
    else:
        yield path, value


def differences(before: RecordedProgram, after: RecordedProgram) -> dict[str, Any]:
    """Return the new values of changed inputs except tags, by resource and path; ``None`` if removed."""
    gone = recorded_inputs(before).keys() - recorded_inputs(after)
    old, new = (
        {path: value for name, each in recorded_inputs(program).items() for path, value in flat(each, name)}
        for program in (before, after)
    )
    differ = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path) and ".tags." not in path}
    return dict.fromkeys(gone) | {path: new.get(path) for path in differ if path.partition(".")[0] not in gone}


def test_the_table_lists_the_settings() -> None:
    assert tuple(SETTINGS) == MODEL.keys


def test_generated_blocks_are_up_to_date() -> None:
    generate.check()


def test_settings_that_differ_by_environment_have_no_default() -> None:
    assert [key for key in MODEL.keys if MODEL.default(key) is None] == [
        *("environment", "environmentSuffix", "lambdaRuntime", "lambdaArchitecture", "lambdaMemoryMb"),
        *("logRetentionDays", "notificationEmail"),
    ]


@pytest.mark.parametrize("key", KEYS)
def test_a_good_value_is_accepted(key: str) -> None:
    assert [text for text in SETTINGS[key].good if not MODEL.allows(key, text)] == []


@pytest.mark.parametrize("key", KEYS)
def test_a_bad_value_is_refused_with_the_allowed_values(key: str) -> None:
    for text in SETTINGS[key].bad:
        assert {name: problem.allowed for name, problem in problems({key: text}).items()} == {key: MODEL.allowed(key)}


@pytest.mark.parametrize("key", KEYS)
def test_a_setting_in_another_namespace_is_refused_with_its_key(key: str) -> None:
    config = example_config("orders")
    config[f"other:{key}"] = config.pop(f"orders:{key}")

    found = {problem.rule: problem for problem in find_problems(Settings, "orders", config)}

    assert found["wrong-namespace"].allowed == f"orders:{key}"
    assert found.keys() - {"wrong-namespace"} == ({"missing-key"} if MODEL.default(key) is None else set())


@pytest.mark.parametrize("key", KEYS)
def test_a_setting_changes_these_inputs_only(example: RecordedProgram, key: str) -> None:
    changed = run_program(example_config(**{key: SETTINGS[key].value}), "example")

    assert differences(example, changed) == SETTINGS[key].changes


def test_a_bad_setting_stops_the_program() -> None:
    with pytest.raises(SettingsError, match="lambdaMemoryMb"):
        run_program(example_config(lambdaMemoryMb="64"), "example")


@pytest.mark.parametrize("rule", REFUSED)
def test_settings_that_contradict_each_other_are_refused(rule: str) -> None:
    refused = REFUSED[rule]
    key = next(iter(refused.settings))

    assert problems(refused.settings | refused.besides) == {
        key: Problem(rule, f"orders:{key}", ANY, refused.allowed, is_contradiction=True)
    }


@pytest.mark.parametrize(("rule", "cure"), [(rule, cure) for rule, each in REFUSED.items() for cure in each.cures])
def test_settings_that_no_longer_contradict_each_other_are_accepted(rule: str, cure: dict[str, str]) -> None:
    assert problems(REFUSED[rule].settings | REFUSED[rule].besides | cure) == {}


@pytest.mark.parametrize(("rule", "key"), [(rule, key) for rule, each in REFUSED.items() for key in each.settings])
def test_a_bad_value_contradicts_no_other_setting(rule: str, key: str) -> None:
    assert set(problems(REFUSED[rule].settings | REFUSED[rule].besides | {key: "none"})) == {key}


def test_a_key_is_accepted_if_the_region_is_unknown() -> None:
    config = example_config("orders", region="somewhere", kmsKeyArn=KEY_ARN)

    assert [problem.key for problem in find_problems(Settings, "orders", config)] == ["aws:region"]


def test_by_default_messages_survive_an_outage_of_three_hours() -> None:
    deliveries = int(MODEL.example("maxReceiveCount"))

    assert sum(map(retry_delay_seconds, range(1, deliveries))) > 3 * 60 * 60
