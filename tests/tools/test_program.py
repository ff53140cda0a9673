"""The program of a stack with its names in AWS, and what depends on secrets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tools.configuration.checks import KEYS, MODEL, is_allowed
from tools.configuration.stack_files import StackConfig, read_stack_config
from tools.testing import program
from tools.testing.program import Program, comparable, expected_outputs, others
from tools.testing.recording import Deployment, example_account

ACCOUNT = example_account("us-east-2")
ARN = ACCOUNT.arn("lambda", "function:any")


def config_of(stack: str = "dev", secrets: tuple[str, ...] = (), **values: str) -> StackConfig:
    """Read a stack's configuration with changed and encrypted values."""
    config = read_stack_config(stack)
    changed = {f"orders:{key}": value for key, value in values.items()}
    encrypted = dict.fromkeys(secrets, '{"secure": "AAAB"}')
    return replace(config, values=config.values | changed | encrypted, secret_keys=frozenset(secrets))


@pytest.fixture(name="dev")
def fixture_dev() -> Program:
    """The program of the dev stack."""
    return Program("dev", config_of(), ACCOUNT)


def test_the_program_runs_with_the_given_configuration() -> None:
    recorded = Program("dev", config_of(batchSize="5"), ACCOUNT).recorded

    assert recorded.setting("batchSize") == "5"


def test_a_resource_has_the_id_that_it_has_on_aws(dev: Program) -> None:
    versioning = dev.recorded.one("aws:s3/bucketVersioning:BucketVersioning", "versioning")
    permissions = dev.recorded.one("aws:iam/rolePolicy:RolePolicy", "permissions")

    assert versioning.inputs["bucket"] == f"orders-dev-payloads-{ACCOUNT.id}"
    assert permissions.inputs["role"] == "orders-dev-processor"


def test_generated_values_are_those_asked_from_aws(dev: Program) -> None:
    asked = {("aws:sqs/queue:Queue", "queue"): {"url": "http://127.0.0.1:5000/queue"}}

    assert dev.run(asked).exports["queue_url"] == "http://127.0.0.1:5000/queue"
    assert dev.run().exports["queue_url"] == f"https://sqs.us-east-2.amazonaws.com/{ACCOUNT.id}/orders-dev-queue"


@pytest.mark.parametrize(
    ("stack", "name"), [("dev", "processor-python3.13-arm64.zip"), ("local", "processor-local.zip")]
)
def test_the_bundle_is_that_of_the_stack(stack: str, name: str) -> None:
    assert Program(stack, config_of(stack), ACCOUNT).bundle.name == name


def test_a_bundle_that_was_built_here_is_the_functions_code(
    dev: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path | None] = []

    def deploy(_config: object, _stack: str, build_folder: Path | None, _provider: object) -> Deployment:
        folders.append(build_folder)
        return Deployment({})

    monkeypatch.setattr(program, "deploy", deploy)
    monkeypatch.setattr(program, "BUILD_FOLDER", tmp_path)
    monkeypatch.setattr("tools.bundle.BUILD_FOLDER", tmp_path)
    dev.run()
    dev.bundle.touch()
    dev.run()

    assert folders == [None, tmp_path]


def test_without_secrets_nothing_depends_on_them(dev: Program) -> None:
    assert dev.secret_parts == {}


def test_what_depends_on_a_secret_is_returned_with_the_setting() -> None:
    secret = Program("dev", config_of(secrets=("orders:notificationEmail", "orders:logRetentionDays")), ACCOUNT)

    assert secret.secret_parts == {
        "aws:sns/topicSubscription:TopicSubscription email": "notificationEmail",
        "aws:cloudwatch/logGroup:LogGroup log": "logRetentionDays",
    }


def test_what_exists_only_for_some_values_of_a_secret_depends_on_it() -> None:
    parts = Program("dev", config_of(secrets=("orders:kmsKeyArn",)), ACCOUNT).secret_parts

    assert {"aws:kms/key:Key key", "aws:kms/alias:Alias alias", "aws:sqs/queue:Queue queue"} <= parts.keys()
    assert "aws:s3/bucket:Bucket payloads" not in parts


def test_everything_depends_on_a_secret_without_a_second_value_to_try() -> None:
    # The only other value, true, is refused in production.
    prod = Program("prod", config_of("prod", ("orders:forceDestroy",)), example_account("us-east-1"))

    parts = [f"{each.type} {each.name}" for each in prod.recorded.resources]
    assert prod.secret_parts == dict.fromkeys([*parts, *prod.recorded.exports], "forceDestroy")


def test_an_output_that_contains_a_secret_depends_on_it() -> None:
    parts = Program("dev", config_of(secrets=("orders:bucketName",)), ACCOUNT).secret_parts

    assert parts["bucket_name"] == "bucketName"
    assert "table_name" not in parts


@pytest.mark.parametrize("key", ["aws:token", "orders:zzz", "shop:batchSize"])
def test_nothing_depends_on_secrets_that_are_not_settings(key: str) -> None:
    config = config_of(secrets=(key,))
    # The program would refuse this value, which does not matter here.
    config = replace(config, values={name: text for name, text in config.values.items() if name != key})

    assert Program("dev", config, ACCOUNT).secret_parts == {}


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("environment", "dev"),
        ("environmentSuffix", "true"),
        ("lambdaMemoryMb", "128"),
        ("batchSize", "1"),
        ("notificationEmail", "somebody@example.com"),
        ("forceDestroy", "true"),
    ],
)
def test_other_values_of_a_setting_are_valid_and_differ_from_the_example(key: str, found: str) -> None:
    values = [*others(key)]

    assert values[0] == found
    assert all(is_allowed(key, value) and value != MODEL.example(key) for value in values)


def test_the_expected_outputs_are_the_programs_exports(deploy_stack: Callable[..., Deployment]) -> None:
    assert expected_outputs("dev", config_of(), ["dev", ARN]) == deploy_stack("dev").exports


def test_an_output_that_depends_on_a_secret_is_not_expected() -> None:
    outputs = expected_outputs("dev", config_of(secrets=("orders:bucketName",)), [ARN])

    assert "bucket_name" not in outputs
    assert "table_name" in outputs


@pytest.mark.parametrize(
    ("config", "outputs"),
    [(config_of(), ["dev", "arn:aws:s3:::bucket"]), (config_of(batchSize="0"), [ARN])],
    ids=["no account", "refused"],
)
def test_no_outputs_are_expected_without_an_account_or_with_a_refused_configuration(
    config: StackConfig, outputs: list[str]
) -> None:
    assert expected_outputs("dev", config, outputs) == {}


@pytest.mark.parametrize("key", ["aws:region", *(f"orders:{key}" for key in KEYS if MODEL.default(key) is None)])
def test_no_outputs_are_expected_of_a_stack_that_lacks_a_setting(key: str) -> None:
    config = config_of()
    lacking = replace(config, values={name: text for name, text in config.values.items() if name != key})

    assert expected_outputs("dev", lacking, [ARN]) == {}


@pytest.mark.parametrize("key", ["environment", "lambdaRuntime", "lambdaArchitecture"])
def test_no_outputs_are_expected_with_a_target_that_is_not_allowed(key: str) -> None:
    assert expected_outputs("dev", config_of("dev", (), **{key: "no/such"}), [ARN]) == {}


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("https://sqs.us-east-1.amazonaws.com/123456789012/queue", "/123456789012/queue"),
        ("http://127.0.0.1:5000/123456789012/queue", "/123456789012/queue"),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket"),
        ("bucket", "bucket"),
    ],
)
def test_a_url_is_compared_without_its_domain(text: str, compared: str) -> None:
    assert comparable(text) == compared
