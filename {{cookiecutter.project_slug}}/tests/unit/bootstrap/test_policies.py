"""Restrictions of the CI policies, and effects of a stack's settings. Missing permissions show only on AWS."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.policies import documents
from bootstrap.stacks import Stack
from tests.unit.bootstrap.conftest import ACCOUNT, BOUNDARY_ARN, KEY_ARN
from tools.settings import PROJECT_MAX_LENGTH
from tools.testing import ACCOUNT_ID, PROJECT_NAME

DEV = Stack("dev", PROJECT_NAME, ACCOUNT, "dev", "", "", BOUNDARY_ARN)
ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/{PROJECT_NAME}-dev-processor"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
POLICY_CHARACTERS = 6144


def statements(stack: Stack, policy: str) -> dict[str, Any]:
    """Return a policy's statements by Sid."""
    document = json.loads(documents(stack)[policy])
    assert document["Version"] == "2012-10-17"
    return {statement["Sid"]: statement for statement in document["Statement"]}


def guard(sid: str, actions: str, **conditions: str) -> dict[str, Any]:
    """Return the expected statement that allows actions on the function's role."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions.split(), "Resource": ROLE}
    return {**statement, "Condition": {"StringEquals": conditions}} if conditions else statement


def test_the_deploy_role_writes_only_the_functions_role_with_the_boundary() -> None:
    otherwise = "DeleteRole TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription"

    assert [each for each in statements(DEV, "compute").values() if "iam:" in str(each["Action"])] == [
        guard(
            "WriteRole",
            "iam:CreateRole iam:DeleteRolePolicy iam:PutRolePermissionsBoundary iam:PutRolePolicy",
            **{"iam:PermissionsBoundary": BOUNDARY_ARN},
        ),
        guard("WriteRoleDetails", " ".join(f"iam:{each}" for each in otherwise.split())),
        guard("PassRoleToLambdaOnly", "iam:PassRole", **{"iam:PassedToService": "lambda.amazonaws.com"}),
        {
            "Sid": "DenyCiRoles",
            "Effect": "Deny",
            "Action": "iam:*",
            "Resource": [
                f"arn:aws:iam::{ACCOUNT_ID}:role/{PROJECT_NAME}-*-ci-*",
                f"arn:aws:iam::{ACCOUNT_ID}:policy/{PROJECT_NAME}-*-ci-*",
                f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/*",
            ],
        },
    ]


@pytest.mark.parametrize(
    ("configured", "key", "tags", "grants"),
    [
        (
            "",
            f"arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/*",
            {"aws:ResourceTag/Project": PROJECT_NAME, "aws:ResourceTag/EnvironmentSuffix": "dev"},
            ["UseKeyThroughServices", "CreateKey", "TagNewKey", "ManageOwnKey", "NameOwnKey"],
        ),
        (KEY_ARN, KEY_ARN, {}, ["UseKeyThroughServices"]),
    ],
)
def test_ci_roles_use_a_stacks_key_and_manage_only_a_created_key(
    configured: str, key: str, tags: dict[str, str], grants: list[str]
) -> None:
    stack = replace(DEV, kms_key_arn=configured)
    through_lambda = {"kms:ViaService": ["lambda.us-east-1.amazonaws.com"], "kms:CallerAccount": ACCOUNT_ID}

    assert statements(stack, "read")["ReadEnvironment"] == {
        "Sid": "ReadEnvironment",
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": key,
        "Condition": {"StringEquals": tags | through_lambda},
    }
    assert ("Condition" in statements(stack, "read")["ReadKey"]) is bool(tags)
    assert [*statements(stack, "key")] == grants
    assert statements(stack, "key")["UseKeyThroughServices"]["Resource"] == key


def test_policies_with_the_longest_names_are_within_iams_size_limit() -> None:
    account = replace(ACCOUNT, region="ap-southeast-99", partition="aws-us-gov", dns_suffix="amazonaws.com.cn")
    stack = Stack("dev", "p" * PROJECT_MAX_LENGTH, account, "s" * 12, "b" * 63, "", "b" * 100)

    assert {name: text for name, text in documents(stack).items() if len(text) > POLICY_CHARACTERS} == {}
