"""The stacks of an account, read from their files."""

from collections.abc import Mapping
from dataclasses import replace

import pulumi
import pytest

from bootstrap.stacks import Stack, find_stacks
from infrastructure.account import Account
from tests.unit.bootstrap.conftest import (
    KEY_ARN,
    OTHER_ACCOUNT_ID,
    STACKS,
    THIRD_ACCOUNT_ID,
    WriteStacks,
    boundary_arn,
    stack_file,
)
from tools.settings import SettingsError
from tools.testing import ACCOUNT_ID, PROJECT_NAME, example_account

ACCOUNT = example_account("us-east-1")
DEV = STACKS["dev"]


def own(key: str) -> str:
    return f"{PROJECT_NAME}:{key}"


# Stack files, and the message about each.
REFUSED = {
    "several accounts": (
        DEV | {"aws:allowedAccountIds": [ACCOUNT_ID, OTHER_ACCOUNT_ID]},
        rf'aws:allowedAccountIds: found "[\"{ACCOUNT_ID}\", \"{OTHER_ACCOUNT_ID}\"]"; allowed: a list with one account',
    ),
    "no list": (
        DEV | {"aws:allowedAccountIds": ACCOUNT_ID},
        f'Pulumi.dev.yaml: aws:allowedAccountIds: found "{ACCOUNT_ID}"; allowed: a list with one account',
    ),
    "no region": (DEV | {"aws:region": ""}, "Pulumi.dev.yaml: aws:region: found nothing; allowed: the stack's region"),
    "no suffix": (
        DEV | {own("environmentSuffix"): ""},
        f'Pulumi.dev.yaml: {own("environmentSuffix")}: found ""; allowed: what the task `validate` says',
    ),
    "a suffix that ends like CI's names": (
        DEV | {own("environmentSuffix"): "x-ci"},
        f'Pulumi.dev.yaml: {own("environmentSuffix")}: found "x-ci"; allowed: a suffix without -ci',
    ),
    "a suffix with CI's names in it": (
        DEV | {own("environmentSuffix"): "x-ci-y"},
        f'Pulumi.dev.yaml: {own("environmentSuffix")}: found "x-ci-y"; allowed: a suffix without -ci',
    ),
    "a bad bucket": (DEV | {own("bucketName"): "*"}, f'{own("bucketName")}: found "*"; allowed: what the task'),
    "a bad key": (DEV | {own("kmsKeyArn"): "*"}, f'{own("kmsKeyArn")}: found "*"; allowed: what the task'),
    "a bad boundary": (
        DEV | {own("permissionsBoundaryArn"): "*"},
        f'{own("permissionsBoundaryArn")}: found "*"; allowed: what the task',
    ),
    "the boundary of another stack": (
        DEV | {own("permissionsBoundaryArn"): boundary_arn("prod")},
        f'permissionsBoundaryArn: found "{boundary_arn("prod")}"; allowed: {boundary_arn("dev")}, or a boundary of',
    ),
    "a boundary in another account": (
        DEV | {own("permissionsBoundaryArn"): f"arn:aws:iam::{OTHER_ACCOUNT_ID}:policy/everybody"},
        f'permissionsBoundaryArn: found "arn:aws:iam::{OTHER_ACCOUNT_ID}:policy/everybody"; allowed: ',
    ),
    "no boundary": (
        DEV | {own("permissionsBoundaryArn"): ""},
        f'permissionsBoundaryArn: found ""; allowed: {boundary_arn("dev")}, or a boundary of your organisation',
    ),
}


def refusal(write_stacks: WriteStacks, files: Mapping[str, Mapping[str, object]], account: Account = ACCOUNT) -> str:
    with pytest.raises(SettingsError) as error:
        find_stacks(account, write_stacks(files))
    return str(error.value)


def test_the_stacks_that_name_the_account_are_found(write_stacks: WriteStacks) -> None:
    found = find_stacks(ACCOUNT, write_stacks(STACKS))

    assert found == [
        Stack(
            name="dev",
            project=PROJECT_NAME,
            account=example_account("us-east-2"),
            suffix="dev",
            bucket_name="",
            kms_key_arn="",
            boundary_arn=boundary_arn("dev"),
        ),
        Stack(
            name="qa",
            project=PROJECT_NAME,
            account=example_account("us-west-2"),
            suffix="test",
            bucket_name="our-own-bucket",
            kms_key_arn=KEY_ARN,
            boundary_arn="arn:aws:iam::123456789012:policy/everybody",
        ),
    ]


def test_a_boundary_can_be_one_that_aws_manages(write_stacks: WriteStacks) -> None:
    managed = "arn:aws:iam::aws:policy/PowerUserAccess"
    (stack,) = find_stacks(ACCOUNT, write_stacks({"dev": DEV | {own("permissionsBoundaryArn"): managed}}))

    assert stack.boundary_arn == managed


def test_a_stack_without_an_account_is_left_out_with_a_warning(
    write_stacks: WriteStacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    without = {key: value for key, value in DEV.items() if key != "aws:allowedAccountIds"}

    (stack,) = find_stacks(ACCOUNT, write_stacks(STACKS | {"feature": without}))[:1]

    assert stack.name == "dev"
    assert warnings == ["CI cannot deploy feature: Pulumi.feature.yaml does not set aws:allowedAccountIds"]


def test_names_begin_with_the_project_and_the_suffix(write_stacks: WriteStacks) -> None:
    _, stack = find_stacks(ACCOUNT, write_stacks(STACKS))

    assert stack.prefix == f"{PROJECT_NAME}-test"
    assert stack.ci_name("deploy") == f"{PROJECT_NAME}-test-ci-deploy"
    assert stack.own_boundary_arn == boundary_arn("test")


def test_a_stack_can_have_another_boundary(write_stacks: WriteStacks) -> None:
    assert [each.has_own_boundary for each in find_stacks(ACCOUNT, write_stacks(STACKS))] == [True, False]


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED)
def test_a_stack_that_cannot_be_deployed_is_refused(
    write_stacks: WriteStacks, config: Mapping[str, object], message: str
) -> None:
    text = refusal(write_stacks, {"dev": config})

    assert message in text
    assert "has 1 problem:" in text


@pytest.mark.parametrize("suffix", ["ci", "cinema", "x-cinema"])
def test_a_suffix_may_look_like_cis_names(write_stacks: WriteStacks, suffix: str) -> None:
    assert find_stacks(ACCOUNT, write_stacks({"dev": stack_file(suffix, "us-east-1")}))


def test_the_problems_of_all_stacks_are_said_at_once(write_stacks: WriteStacks) -> None:
    files = {"dev": DEV | {own("bucketName"): "*"}, "qa": STACKS["qa"] | {own("kmsKeyArn"): "*"}}

    assert "has 2 problems:" in refusal(write_stacks, files)


def test_an_account_without_a_stack_is_refused(write_stacks: WriteStacks) -> None:
    text = refusal(write_stacks, STACKS, replace(ACCOUNT, id=THIRD_ACCOUNT_ID))

    assert text.endswith(
        "aws:allowedAccountIds: found no stack with this account; "
        f'allowed: ["{THIRD_ACCOUNT_ID}"] in the file of each stack that is deployed to it'
    )


def test_a_file_that_cannot_be_read_is_named(write_stacks: WriteStacks) -> None:
    folder = write_stacks({})
    (folder / "Pulumi.dev.yaml").write_text("config: [", encoding="utf-8")

    with pytest.raises(pulumi.RunError, match=r"Pulumi\.dev\.yaml"):
        find_stacks(ACCOUNT, folder)
