"""The stacks of an account, read from the stack files."""

import re
from dataclasses import replace

import pulumi
import pytest

from bootstrap.stacks import Stack, deployed_configs, find_stacks
from tests.unit.bootstrap.conftest import (
    ACCOUNT,
    BOUNDARY_ARN,
    DEV,
    KEY_ARN,
    ORGANIZATION_BOUNDARY_ARN,
    OTHER_ACCOUNT_ID,
    QA,
    STACKS,
    WriteStacks,
)
from tools.project import PROJECT_FOLDER, read_project
from tools.settings import SettingsError
from tools.testing import ACCOUNT_ID, PROJECT_NAME

ACCOUNTS = "aws:allowedAccountIds"
SUFFIX, BUCKET, KEY, BOUNDARY = (
    f"{PROJECT_NAME}:{key}" for key in ("environmentSuffix", "bucketName", "kmsKeyArn", "permissionsBoundaryArn")
)
WANTED = f"{BOUNDARY_ARN}, or a boundary of your organization"


def test_the_stacks_that_name_the_account_are_found(write_stacks: WriteStacks) -> None:
    ohio, oregon = (replace(ACCOUNT, region=region) for region in ("us-east-2", "us-west-2"))

    assert find_stacks(write_stacks(STACKS), ACCOUNT) == [
        Stack("dev", PROJECT_NAME, ohio, "dev", "", "", BOUNDARY_ARN),
        Stack("qa", PROJECT_NAME, oregon, "test", "our-own-bucket", KEY_ARN, ORGANIZATION_BOUNDARY_ARN),
    ]


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        (ACCOUNTS, [ACCOUNT_ID, OTHER_ACCOUNT_ID], "a list with exactly one account ID"),
        (ACCOUNTS, f"not {ACCOUNT_ID}", "a list with exactly one account ID"),
        ("aws:region", "Ohio", "the name of an AWS region"),
        (SUFFIX, "x-ci", "any suffix except pulumi, *-ci and *-ci-*"),
        (SUFFIX, "x-ci-y", "any suffix except pulumi, *-ci and *-ci-*"),
        (SUFFIX, "pulumi", "any suffix except pulumi, *-ci and *-ci-*"),
        (SUFFIX, "*", "1 to 12 lower-case letters"),
        (BUCKET, "*", "empty (derived), or 3 to 63 lower-case letters"),
        (KEY, KEY_ARN, "a key in us-east-2, the region of the stack"),
        (BOUNDARY, "", WANTED),
        (BOUNDARY, ORGANIZATION_BOUNDARY_ARN.replace(ACCOUNT_ID, OTHER_ACCOUNT_ID), WANTED),
        (BOUNDARY, BOUNDARY_ARN.replace("-dev-", "-prod-"), WANTED),
    ],
)
def test_a_stack_that_ci_cannot_deploy_is_refused(
    write_stacks: WriteStacks, key: str, value: object, allowed: str
) -> None:
    usable = DEV | {BOUNDARY: ORGANIZATION_BOUNDARY_ARN if key == SUFFIX else BOUNDARY_ARN}

    with pytest.raises(SettingsError, match="has 1 problem") as error:
        find_stacks(write_stacks({"dev": usable | {key: value}}), ACCOUNT)

    assert f"- Pulumi.dev.yaml: {key}: found " in str(error.value)
    assert f"allowed: {allowed}" in str(error.value)


@pytest.mark.parametrize("suffix", ["ci", "x-cinema", "pulumi-x"])
def test_similar_suffixes_and_aws_managed_boundaries_are_accepted(write_stacks: WriteStacks, suffix: str) -> None:
    managed = {SUFFIX: suffix, BOUNDARY: "arn:aws:iam::aws:policy/PowerUserAccess"}

    assert find_stacks(write_stacks({"dev": DEV | managed}), ACCOUNT)


def test_the_problems_of_all_stacks_are_reported_at_once(write_stacks: WriteStacks) -> None:
    with pytest.raises(SettingsError, match="has 2 problems"):
        find_stacks(write_stacks({"dev": DEV | {BUCKET: "*"}, "qa": QA | {KEY: "*"}}), ACCOUNT)


def test_an_account_without_a_stack_is_refused(write_stacks: WriteStacks, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    feature = {key: value for key, value in DEV.items() if key != ACCOUNTS}

    expected = rf'{ACCOUNTS}: no stack file lists this account; set \["{ACCOUNT_ID}"\] in the'
    with pytest.raises(SettingsError, match=expected):
        find_stacks(write_stacks({"feature": feature, "prod": STACKS["prod"], "local": {}}), ACCOUNT)

    assert warnings == [f"CI cannot deploy feature: Pulumi.feature.yaml does not set {ACCOUNTS}"]


def test_a_file_that_is_not_yaml_stops_the_program_with_its_line(write_stacks: WriteStacks) -> None:
    project = write_stacks(STACKS)
    (project.folder / "Pulumi.qa.yaml").write_text("config:\n  a: [", encoding="utf-8")

    with pytest.raises(pulumi.RunError, match=r"^Pulumi\.qa\.yaml:3: invalid YAML: "):
        find_stacks(project, ACCOUNT)


def test_the_workflows_name_every_stack_that_has_an_account() -> None:
    files = [*PROJECT_FOLDER.glob(".github/workflows/*.yml"), *PROJECT_FOLDER.glob(".gitlab-ci.yml")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    inspected = {name for listed in re.findall(r"(?i)\bstack: \[(.+)\]", text) for name in listed.split(", ")}
    deployed = {*re.findall(r"(?im)\bstack: ([a-z0-9][\w.-]*)$", text)}
    choices = [{*listed.split(", ")} for listed in re.findall(r"options: \[none, (.+)\]", text)]
    configs = deployed_configs(read_project())
    named = {config.stack for config in configs if ACCOUNTS in config.values}

    assert named | deployed == inspected, "stacks that the workflows preview"
    assert named <= deployed, "stacks that the workflows deploy"
    assert choices == [deployed] * len(choices), "stacks that a manual run can choose"
    assert deployed <= {config.stack for config in configs}, "stacks that have a file"
