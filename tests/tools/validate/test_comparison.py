"""The comparison: every setting in every stack; every input affects the result."""

from datetime import UTC, date, datetime

import pytest

from tests.validate.folder import IN_EVERY_FILE, TODAY, ProjectFolder
from tools.configuration.checks import KEYS
from tools.configuration.stack_files import PROJECT_FOLDER
from tools.testing.recording import PROJECT_NAME, STACKS
from tools.validate import CannotValidateError, validate_configuration
from tools.validate.report import Report, Setting, Value


def of(report: Report, key: str) -> Setting:
    """Return a setting of a report."""
    (setting,) = (setting for setting in report.settings if setting.key == key)
    return setting


def test_the_stacks_are_in_the_order_of_promotion(folder: ProjectFolder) -> None:
    folder.write(
        "Pulumi.a.yaml", folder.read("Pulumi.prod.yaml").replace("environmentSuffix: prod", "environmentSuffix: a")
    )
    folder.set("local", "environment", "elsewhere")

    report = folder.validate("local", "dev", "staging", "a", "prod")

    assert [stack.name for stack in report.stacks] == ["dev", "staging", "a", "prod", "local"]
    assert [stack.environment for stack in report.stacks] == ["dev", "staging", "prod", "prod", None]


def test_the_settings_are_in_the_models_order_before_other_keys(folder: ProjectFolder) -> None:
    keys = [setting.key for setting in folder.validate().settings]

    assert keys == [*(f"{PROJECT_NAME}:{key}" for key in KEYS), "aws:region"]


def test_set_default_and_missing_values_are_distinguished(folder: ProjectFolder) -> None:
    folder.set("dev", "batchSize", "10")
    folder.set("prod", "aws:region", None)

    report = folder.validate("dev", "prod")

    assert of(report, "orders:batchSize").values == {
        "dev": Value(text="10", origin="set"),
        "prod": Value(text="10", origin="default"),
    }
    assert of(report, "aws:region").values["prod"] == Value(origin="missing")


def test_the_same_value_from_another_origin_is_no_difference(folder: ProjectFolder) -> None:
    folder.set("dev", "batchSize", "10")

    assert not of(folder.validate(), "orders:batchSize").differs


def test_another_value_is_a_difference(folder: ProjectFolder) -> None:
    folder.set("dev", "batchSize", "5")

    assert of(folder.validate(), "orders:batchSize").differs


def test_a_missing_value_is_a_difference(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:profile", '""')

    assert of(folder.validate(), "aws:profile").differs


def test_secrets_are_masked_and_count_as_equal(folder: ProjectFolder) -> None:
    for stack in ("dev", "staging"):
        folder.set(stack, "notificationEmail", f"{{secure: {stack}}}")

    setting = of(folder.validate("dev", "staging"), "orders:notificationEmail")

    assert not setting.differs
    assert setting.values["dev"] == Value(origin="set", secret=True)


def test_a_secret_differs_from_a_missing_value(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:token", "{secure: AAAB}")

    assert of(folder.validate("dev", "staging"), "aws:token").differs


def test_a_secret_differs_from_plain_text(folder: ProjectFolder) -> None:
    folder.set("dev", "notificationEmail", "{secure: AAAB}")

    assert of(folder.validate("dev", "staging"), "orders:notificationEmail").differs


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("key", [*KEYS, "aws:region"])
def test_no_value_can_change_without_changing_the_result(folder: ProjectFolder, stack: str, key: str) -> None:
    before = folder.validate(*STACKS)
    folder.set(stack, key, "changed")

    assert folder.validate(*STACKS) != before


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("key", IN_EVERY_FILE)
def test_no_value_can_be_removed_without_changing_the_result(folder: ProjectFolder, stack: str, key: str) -> None:
    before = folder.validate()
    folder.set(stack, key, None)

    assert folder.validate() != before


@pytest.mark.parametrize("key", [key for key in KEYS if key not in IN_EVERY_FILE])
def test_no_default_can_change_without_changing_the_result(folder: ProjectFolder, key: str) -> None:
    before = folder.validate()
    folder.set_default(key, "changed")

    assert folder.validate() != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('namespaces = ["aws", "pulumi"]', 'namespaces = ["pulumi"]'),
        ('credentials = ["aws:secretKey"]', 'credentials = ["aws:region"]'),
        ('prod = ["dev", "staging"]', 'prod = ["local"]'),
        ('staging = ["dev"]', 'staging = ["prod"]'),
        ('lambdaMemoryMb = "higher"', 'lambdaMemoryMb = "lower"'),
        ('batchWindowSeconds = "lower"', 'maxReceiveCount = "lower"'),
        ('forceDestroy = "false"', 'forceDestroy = "true"'),
        ('kmsKeyArn = "set"', 'kmsKeyArn = "empty"'),
        ('bucketName = "empty"', 'bucketName = "set"'),
        ('environments = ["prod", "staging"]', 'environments = ["local"]'),
        ("allowed = [false]", "allowed = [true]"),
        ('"nobody@.*"', '"team@.*"'),
        ('["us-east-1", "eu-west-1"]', '["eu-west-1"]'),
        ("[5, 10]", "[5]"),
        ("warning_days = 90", "warning_days = 2000"),
        ('setting = "environmentSuffix"', 'setting = "lambdaTimeoutSeconds"'),
        ("besides = ['{project}", "besides = ['our-bucket|{project}"),
        ("when_empty = ['{project}", "when_empty = ['our-bucket|{project}"),
        ('"python3.13" = 2029-06-30', '"python3.13" = 2026-02-28'),
    ],
)
def test_no_policy_can_change_without_changing_the_result(folder: ProjectFolder, old: str, new: str) -> None:
    # Production is stronger than the environments before it, in every way that a policy supports.
    folder.set("dev", "maxReceiveCount", "2")
    folder.set("dev", "bucketName", "our-bucket")
    folder.set("prod", "kmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555")
    for stack in ("local", "dev"):
        folder.set(stack, "forceDestroy", "true")
    folder.set("local", "lambdaMemoryMb", "4096")
    assert folder.validate().findings == ()
    folder.replace("policies.toml", old, new)

    assert folder.validate().findings != ()


def test_the_projects_name_changes_the_result(folder: ProjectFolder) -> None:
    folder.replace("Pulumi.yaml", f"name: {PROJECT_NAME}", "name: other")

    assert {finding.rule for finding in folder.validate().findings} >= {"wrong-namespace"}


def test_the_date_changes_the_result(folder: ProjectFolder) -> None:
    assert folder.validate(today=date(2030, 1, 1)).findings != folder.validate().findings


def test_the_date_is_today_by_default(folder: ProjectFolder) -> None:
    before = datetime.now(tz=UTC).date()
    report = validate_configuration(folder.path)

    assert before <= report.date <= datetime.now(tz=UTC).date()


def test_one_stack_can_be_selected_by_a_string(folder: ProjectFolder) -> None:
    assert validate_configuration(folder.path, stacks="prod", today=TODAY) == folder.validate("prod")


def test_the_local_stack_is_compared_only_if_it_is_named(folder: ProjectFolder) -> None:
    assert [stack.name for stack in folder.validate().stacks] == ["dev", "staging", "prod"]
    assert [stack.name for stack in folder.validate("local", "dev").stacks] == ["local", "dev"]


def test_problems_of_the_local_stack_are_always_reported(folder: ProjectFolder) -> None:
    folder.set("local", "batchSize", "0")

    (finding,) = folder.validate().findings

    assert (finding.stacks, finding.key) == (("local",), "orders:batchSize")


def test_a_local_stack_is_compared_if_it_is_the_only_one(folder: ProjectFolder) -> None:
    for stack in {*STACKS} - {"local"}:
        (folder.path / f"Pulumi.{stack}.yaml").unlink()

    assert [stack.name for stack in folder.validate().stacks] == ["local"]


def test_another_stack_changes_the_result(folder: ProjectFolder) -> None:
    before = folder.validate()
    folder.write("Pulumi.qa.yaml", folder.read("Pulumi.dev.yaml"))

    assert folder.validate() != before


def test_the_current_projects_stacks_are_compared_by_default() -> None:
    report = validate_configuration()

    assert {stack.name for stack in report.stacks} == {*STACKS} - {"local"}
    assert report == validate_configuration(PROJECT_FOLDER, today=report.date)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Pulumi.yaml", "runtime: python\n", r"^Pulumi\.yaml: has no project name$"),
        ("Pulumi.yaml", "name: orders\nconfig: [a]\n", r"^Pulumi\.yaml:2: config is not a mapping of keys to values$"),
        ("Pulumi.yaml", "name: &a orders\n", r"^Pulumi\.yaml:1: anchors and aliases are not allowed"),
        ("policies.toml", "a =", r"^policies\.toml: is not TOML"),
    ],
)
def test_an_unreadable_project_is_not_validated(folder: ProjectFolder, name: str, content: str, message: str) -> None:
    folder.write(name, content)

    with pytest.raises(CannotValidateError, match=message):
        folder.validate()


def test_an_unreadable_stack_folder_is_not_validated(folder: ProjectFolder) -> None:
    folder.replace("Pulumi.yaml", "runtime: python\n", f"stackConfigDir: {'a' * 5000}\n")

    with pytest.raises(CannotValidateError, match=r"^the stacks' folder cannot be read: "):
        folder.validate()


def test_a_project_without_stacks_is_not_validated(folder: ProjectFolder) -> None:
    for stack in STACKS:
        (folder.path / f"Pulumi.{stack}.yaml").unlink()

    with pytest.raises(CannotValidateError, match=r"^no stack files in .*; allowed: Pulumi\.STACK\.yaml$"):
        folder.validate()


def test_an_unknown_stack_is_not_validated(folder: ProjectFolder) -> None:
    with pytest.raises(CannotValidateError, match=r'^no file for the stack "qa"; allowed: dev, local, prod, staging$'):
        folder.validate("dev", "qa")
