"""The settings: their defaults, what they accept and refuse, and which combinations are refused.

How values are parsed, and unknown keys, are tested in the template, with the tools.
"""

from dataclasses import dataclass, field

import pytest

from infrastructure.settings import Settings
from processor.timing import MESSAGE_SECONDS, retry_delay_seconds
from tests.unit.conftest import KEY_ARN
from tools.project import shown
from tools.settings import KEYS, MODEL, find_problems, is_allowed, read_settings
from tools.testing import PROJECT_NAME, STACKS, example_config, readable_config
from tools.testing.program import others


@dataclass(frozen=True)
class Expected:
    """What is expected of a setting.

    Attributes:
        allowed: The allowed values, in words.
        default: Its default; ``None`` if it must be in every stack file.
        good: Values that are accepted.
        bad: Values that are refused.
    """

    allowed: str
    default: str | None
    good: tuple[str, ...]
    bad: tuple[str, ...]


def number(least: int, most: int, default: str | None = None) -> Expected:
    """Expect a whole number."""
    good, bad = (str(least), str(most)), (str(least - 1), str(most + 1), "many")
    return Expected(f"a whole number from {least} to {most}", default, good, bad)


def choice(*values: str, bad: tuple[str, ...]) -> Expected:
    """Expect one of some values, without a default."""
    return Expected(f"one of {', '.join(values)}", None, values, bad)


# Time for one message, and ten seconds in which the others of a batch are started.
LEAST_TIMEOUT = MESSAGE_SECONDS + 10
OFF_BY_DEFAULT = Expected("true or false", "false", ("true", "false"), ("yes", ""))

EXPECTED = {
    "environment": choice("local", "dev", "staging", "prod", bad=("production", "Dev")),
    "environmentSuffix": Expected(
        "1 to 12 lower-case letters, digits and single hyphens, starting with a letter",
        None,
        good=("d", "feature-1", "abcdefghijkl"),
        bad=("", "1dev", "Dev", "dev-", "dev--1", "a_b", "abcdefghijklm", "dev\n"),
    ),
    "lambdaRuntime": choice(
        "python3.11", "python3.12", "python3.13", "python3.14", bad=("python3.10", "nodejs24.x", "3.13")
    ),
    "lambdaArchitecture": choice("arm64", "x86_64", bad=("amd64",)),
    "lambdaMemoryMb": number(128, 10240),
    "lambdaTimeoutSeconds": number(LEAST_TIMEOUT, 900, default="120"),
    "maximumConcurrency": number(2, 1000, default="10"),
    "lambdaReservedConcurrency": Expected(
        "-1 (none), or a whole number from 2 to 1000", "-1", good=("-1", "2", "1000"), bad=("-2", "0", "1", "1001")
    ),
    "batchSize": number(1, 10000, default="10"),
    "batchWindowSeconds": number(0, 300, default="0"),
    "maxReceiveCount": number(5, 1000, default="10"),
    # 13 days: a dead-letter queue keeps messages for 14, from when they were sent to the queue.
    "messageRetentionSeconds": number(60, 1123200, default="604800"),
    "messageAgeAlarmSeconds": number(60, 1209600, default="900"),
    "idleAlarmMinutes": Expected(
        "0 (no alarm), or a multiple of 5 up to 1440", "0", good=("0", "5", "1440"), bad=("-5", "4", "1445")
    ),
    "eventSourceMetrics": OFF_BY_DEFAULT,
    "tableMaxReadUnits": Expected(
        "0 (no maximum), or a whole number from 1 to 40000", "0", good=("0", "1", "40000"), bad=("-1", "40001")
    ),
    "tableMaxWriteUnits": Expected(
        "0 (no maximum), or a whole number from 1 to 40000", "0", good=("0", "1", "40000"), bad=("-1", "40001")
    ),
    "contributorInsights": OFF_BY_DEFAULT,
    "dataRetentionDays": Expected(
        "0 (for ever), or a whole number from 1 to 3650", "0", good=("0", "1", "3650"), bad=("-1", "3651")
    ),
    "noncurrentVersionDays": number(1, 3650, default="30"),
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    "logRetentionDays": choice(
        *("1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545", "731"),
        *("1096", "1827", "2192", "2557", "2922", "3288", "3653"),
        bad=("0", "2", "-1"),
    ),
    "notificationEmail": Expected(
        "empty (nobody), or an e-mail address",
        None,
        good=("", "first.last+tag@mail.example.com", "1@a-b.example.com", f"{'a' * 242}@example.com"),
        bad=(
            "team",
            "team@",
            "@example.com",
            "a b@example.com",
            "team@example",
            "%a@example.com",
            "a.@example.com",
            "a@-.example.com",
            "a@example.1",
            "a@example.com\n",
            f"{'a' * 243}@example.com",
        ),
    ),
    "bucketName": Expected(
        "empty (derived), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at either end, no prefix or "
        "suffix that S3 reserves",
        "",
        good=("", "abc", "b" * 63, "1-a"),
        bad=(
            *("ab", "b" * 64, "Bucket", "-bucket", "bucket-", "my.bucket"),
            *("xn--a", "sthree-a", "amzn-s3-demo-a", "a-s3alias", "a--ol-s3", "a--x-s3", "a--table-s3"),
        ),
    ),
    "kmsKeyArn": Expected(
        "empty (the stack creates one), or the ARN of a KMS key",
        "",
        good=("", KEY_ARN, KEY_ARN.replace("arn:aws:", "arn:aws-us-gov:"), KEY_ARN.replace("key/", "key/mrk-")),
        bad=(
            "alias/key",
            "arn:aws-----:kms:us-east-1:123456789012:key/1",
            "arn:aws:kms:us-east-1:123:key/1",
            KEY_ARN.replace("key/", "alias/"),
            f"{KEY_ARN}\n",
        ),
    ),
    "permissionsBoundaryArn": Expected(
        "empty (none), or the ARN of an IAM policy",
        "",
        good=(
            "",
            "arn:aws:iam::123456789012:policy/boundary",
            "arn:aws-us-gov:iam::123456789012:policy/a/path/of+=,.@_-",
            "arn:aws:iam::aws:policy/PowerUserAccess",
        ),
        bad=(
            "boundary",
            "arn:aws:iam::123:policy/boundary",
            "arn:aws:iam::123456789012:role/boundary",
            "arn:aws:iam:us-east-1:123456789012:policy/boundary",
            "arn:aws:iam::123456789012:policy/",
        ),
    ),
    "eventbridgeNotifications": OFF_BY_DEFAULT,
    "forceDestroy": OFF_BY_DEFAULT,
}


@dataclass(frozen=True)
class Refused:
    """Settings that are good on their own, but not together.

    Attributes:
        settings: The settings.
        key: The one that the message is about.
        message: The message.
        cures: Changes after each of which they are accepted: the nearest values.
        besides: Other settings, without which there would be another contradiction.
    """

    settings: dict[str, str]
    key: str
    message: str
    cures: tuple[dict[str, str], ...]
    besides: dict[str, str] = field(default_factory=dict)


ELSEWHERE = KEY_ARN.replace("us-east-1", "eu-west-1")
REFUSED = {
    "batch-without-window": Refused(
        {"batchSize": "11", "batchWindowSeconds": "0"},
        "batchWindowSeconds",
        'found "0"; allowed: 1 or more when batchSize is over 10',
        cures=({"batchSize": "10"}, {"batchWindowSeconds": "1"}),
    ),
    # Ten messages a second, for as long as the function starts any.
    "batch-too-large": Refused(
        {"batchSize": "101", "lambdaTimeoutSeconds": str(LEAST_TIMEOUT)},
        "batchSize",
        'found "101"; allowed: 100 or less, as many as the function can start within lambdaTimeoutSeconds '
        f"({LEAST_TIMEOUT})",
        cures=({"batchSize": "100"}, {"lambdaTimeoutSeconds": str(LEAST_TIMEOUT + 1)}),
        besides={"batchWindowSeconds": "1"},
    ),
    "reservation-too-low": Refused(
        {"lambdaReservedConcurrency": "10", "maximumConcurrency": "11"},
        "lambdaReservedConcurrency",
        'found "10"; allowed: -1 (none), or 11 or more, which is maximumConcurrency',
        cures=(
            {"lambdaReservedConcurrency": "-1"},
            {"lambdaReservedConcurrency": "11"},
            {"maximumConcurrency": "10"},
        ),
    ),
    "age-alarm-too-early": Refused(
        {"messageAgeAlarmSeconds": "725", "lambdaTimeoutSeconds": "120", "batchWindowSeconds": "5"},
        "messageAgeAlarmSeconds",
        'found "725"; allowed: more than 725, the visibility timeout; otherwise one failure of the function raises the '
        "alarm",
        cures=({"messageAgeAlarmSeconds": "726"}, {"lambdaTimeoutSeconds": "119"}, {"batchWindowSeconds": "4"}),
    ),
    # Five times the visibility timeout of 721 seconds, which is longer than the first five delays, and a delay of 960.
    "retention-too-short": Refused(
        {
            "messageRetentionSeconds": "4564",
            "maxReceiveCount": "6",
            "lambdaTimeoutSeconds": "120",
            "batchWindowSeconds": "1",
        },
        "messageRetentionSeconds",
        'found "4564"; allowed: 4565 or more, the time that 6 deliveries (maxReceiveCount) may take; otherwise a '
        "message could expire before it is dead-lettered",
        cures=({"messageRetentionSeconds": "4565"}, {"maxReceiveCount": "5"}, {"batchWindowSeconds": "0"}),
    ),
    "key-elsewhere": Refused(
        {"kmsKeyArn": ELSEWHERE},
        "kmsKeyArn",
        f'found "{ELSEWHERE}"; allowed: a key in us-east-1, the region of the stack',
        cures=({"kmsKeyArn": KEY_ARN}, {"kmsKeyArn": ""}),
    ),
    "force-destroy": Refused(
        {"environment": "prod", "forceDestroy": "true"},
        "forceDestroy",
        'found "true"; allowed: false in prod',
        cures=({"forceDestroy": "false"}, {"environment": "staging"}),
    ),
}


def problems(settings: dict[str, str], *, without: str = "") -> dict[str, str]:
    """Return the problems of an example stack.

    Args:
        settings: Its settings, as far as they differ from the examples.
        without: A setting that is missing.

    Returns:
        The messages, by setting.
    """
    config = example_config("orders") | {f"orders:{key}": value for key, value in settings.items()}
    config.pop(f"orders:{without}", None)
    return {problem.key.removeprefix("orders:"): problem.message for problem in find_problems("orders", config)}


def test_these_are_the_settings() -> None:
    assert tuple(EXPECTED) == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_is_described_and_has_a_good_example(key: str) -> None:
    assert MODEL.schema[key]["description"]
    assert is_allowed(key, MODEL.example(key))


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_has_a_second_good_value(key: str) -> None:
    # Tried in place of a secret, to find out what depends on it.
    assert any(others(key))


def test_the_example_stack_is_not_the_emulators() -> None:
    assert MODEL.example("environment") == "dev"


@pytest.mark.parametrize("key", EXPECTED)
def test_a_setting_has_its_default_or_none(key: str) -> None:
    assert MODEL.default(key) == EXPECTED[key].default


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, each in EXPECTED.items() for text in each.good])
def test_a_good_value_is_accepted(key: str, text: str) -> None:
    assert is_allowed(key, text)


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, each in EXPECTED.items() for text in each.bad])
def test_a_bad_value_is_refused_with_what_is_allowed(key: str, text: str) -> None:
    assert problems({key: text}) == {key: f"found {shown(text)}; allowed: {EXPECTED[key].allowed}"}


@pytest.mark.parametrize("key", [key for key, each in EXPECTED.items() if each.default is None])
def test_a_setting_without_a_default_must_be_set(key: str) -> None:
    assert problems({}, without=key) == {key: f"missing; allowed: {EXPECTED[key].allowed}"}


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_file_is_valid(stack: str) -> None:
    assert find_problems(PROJECT_NAME, readable_config(stack)) == []


@pytest.mark.parametrize("rule", REFUSED)
def test_settings_that_contradict_each_other_are_refused(rule: str) -> None:
    refused = REFUSED[rule]
    own = {f"orders:{key}": value for key, value in (refused.settings | refused.besides).items()}
    (problem,) = find_problems("orders", example_config("orders") | own)

    assert (problem.rule, problem.is_contradiction) == (rule, True)
    assert str(problem) == f"orders:{refused.key}: {refused.message}"


@pytest.mark.parametrize(("rule", "cure"), [(rule, cure) for rule, each in REFUSED.items() for cure in each.cures])
def test_settings_that_no_longer_contradict_each_other_are_accepted(rule: str, cure: dict[str, str]) -> None:
    assert problems(REFUSED[rule].settings | REFUSED[rule].besides | cure) == {}


@pytest.mark.parametrize(("rule", "key"), [(rule, key) for rule, each in REFUSED.items() for key in each.settings])
def test_a_bad_value_causes_no_second_problem(rule: str, key: str) -> None:
    assert set(problems(REFUSED[rule].settings | REFUSED[rule].besides | {key: "none"})) == {key}


@pytest.mark.parametrize(("rule", "key"), [(rule, key) for rule, each in REFUSED.items() for key in each.settings])
def test_a_missing_value_contradicts_none(rule: str, key: str) -> None:
    assert problems(REFUSED[rule].settings | REFUSED[rule].besides, without=key).keys() <= {key}


def test_a_key_is_not_elsewhere_if_the_region_is_unknown() -> None:
    config = example_config("orders") | {"orders:kmsKeyArn": KEY_ARN, "aws:region": "somewhere"}

    assert [problem.key for problem in find_problems("orders", config)] == ["aws:region"]


def test_the_visibility_timeout_is_six_function_timeouts_plus_the_batching_window() -> None:
    config = example_config("orders") | {"orders:batchWindowSeconds": "20", "orders:lambdaTimeoutSeconds": "110"}

    assert read_settings(Settings, "orders", config).visibility_timeout_seconds == 6 * 110 + 20


def test_by_default_no_message_is_dead_lettered_in_an_outage_of_three_hours() -> None:
    settings = read_settings(Settings, "orders", example_config("orders"))

    before_the_last_delivery = sum(map(retry_delay_seconds, range(1, settings.max_receive_count)))
    assert before_the_last_delivery > 3 * 60 * 60
