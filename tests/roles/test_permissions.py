"""Tests that the CI roles have the permissions for previews, deployments and integration tests, and no others."""

import functools
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

import botocore.session
import pytest

from bootstrap.policies import documents
from bootstrap.roles import POLICIES
from bootstrap.stacks import Stack
from tests.roles.evaluator import Context, Document, allows, listed
from tests.roles.required_actions import ROWS, Need, required_actions, run
from tools.testing import PROJECT_NAME, RecordedProgram

ACCOUNT = "123456789012"
KEY_ARN = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/99999999-8888-7777-6666-555555555555"
# Settings that change the stack's resources, policies or names.
PROGRAMS: dict[str, dict[str, str]] = {
    "defaults": {},
    "no alarm subscription": {"notificationEmail": ""},
    "production": {"environment": "prod", "dataRetentionDays": "90"},
    "configured bucket name and KMS key": {"bucketName": "our-own-bucket", "kmsKeyArn": KEY_ARN},
    "another boundary": {"permissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/everybody"},
    "China": {"region": "cn-north-1"},
}
READING = re.compile(r"[a-z0-9]+:(Describe|Get|List)\w+|kms:Decrypt")
# Actions that do not support resource-level permissions.
UNRESTRICTABLE = {
    "kms:ListAliases",
    "lambda:ListEventSourceMappings",
    "logs:DescribeLogGroups",
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
    "sts:GetCallerIdentity",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
PREFIX = f"{PROJECT_NAME}-dev"


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}"


def through(service: str, account: str = ACCOUNT) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.us-east-1.amazonaws.com", "kms:CallerAccount": account}


INBOX, TABLE = arn("sqs", f"{PREFIX}-processor-test-0123"), arn("dynamodb", f"table/{PREFIX}-messages")
PAYLOADS = f"arn:aws:s3:::{PREFIX}-payloads-{ACCOUNT}"
# Calls by the integration tests on AWS, except control-plane reads: actions, resource, request context.
TESTED: list[tuple[str, str, Context]] = [
    ("sqs:SendMessage", arn("sqs", f"{PREFIX}-queue"), {}),
    (
        "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:ReceiveMessage",
        arn("sqs", f"{PREFIX}-dead-letter-queue"),
        {},
    ),
    ("sqs:CreateQueue sqs:DeleteMessage sqs:DeleteQueue sqs:ReceiveMessage sqs:TagQueue", INBOX, {}),
    ("sns:Subscribe", arn("sns", f"{PREFIX}-notifications"), {"sns:Protocol": "sqs", "sns:Endpoint": INBOX}),
    ("sns:Unsubscribe", "*", {}),
    ("lambda:InvokeFunction", arn("lambda", f"function:{PREFIX}-processor:live"), {}),
    ("dynamodb:DeleteItem dynamodb:GetItem dynamodb:Query", TABLE, {}),
    ("dynamodb:Query", f"{TABLE}/index/timestamp-index", {}),
    ("s3:ListBucketVersions", PAYLOADS, {}),
    ("s3:DeleteObjectVersion s3:GetObject", f"{PAYLOADS}/messages/2026-01-01/1.json", {}),
    *(("kms:Decrypt kms:GenerateDataKey", KEY_ARN, through(each)) for each in ("dynamodb", "lambda", "s3", "sqs")),
]

Ran = tuple[RecordedProgram, Stack]
# A stack that creates its own key.
PROGRAM, STACK = run()


@functools.cache
def policies_of(stack: Stack, to: str) -> list[Document]:
    """Return the policies of the CI role ``to``, or the permissions boundary if ``to`` is ``boundary``."""
    return [json.loads(documents(stack)[name]) for name in POLICIES.get(to, [to])]


PREVIEW, DEPLOY = policies_of(STACK, "preview"), policies_of(STACK, "deploy")


def statements(policies: list[Document]) -> Iterator[Document]:
    for policy in policies:
        yield from policy["Statement"]


def actions(policies: list[Document]) -> set[str]:
    return {action for each in statements(policies) if each["Effect"] == "Allow" for action in listed(each["Action"])}


def tags(stack: Stack, of: str = "Resource") -> dict[str, str]:
    """Return the condition keys for a stack's tags: ``aws:ResourceTag`` or ``aws:RequestTag``."""
    return {f"aws:{of}Tag/Project": stack.project, f"aws:{of}Tag/EnvironmentSuffix": stack.suffix}


def refused(policies: list[Document], needs: list[Need]) -> list[Need]:
    return [need for need in needs if not allows(policies, *need)]


@pytest.fixture(scope="module", name="ran", params=PROGRAMS.values(), ids=[*PROGRAMS])
def fixture_ran(request: pytest.FixtureRequest) -> Ran:
    """The recorded program with the settings of each entry in `PROGRAMS`, and its `Stack`."""
    return run(**request.param)


def test_the_roles_have_the_permissions_for_deployments_and_previews(ran: Ran) -> None:
    needs, stack = list(required_actions(*ran)), ran[1]
    # A preview uses the key only through Lambda, which decrypts the function's environment variables.
    reading = [each for each in needs if READING.fullmatch(each.action) and "kms:ViaService" not in each.context]
    environment = [each for each in needs if each.action == "kms:Decrypt" and "lambda." in str(each.context)]
    assert len(reading) > 50
    assert len(environment) == 1

    assert refused(policies_of(stack, "deploy"), needs) == []
    reading += [each._replace(context={**each.context, **tags(stack)}) for each in environment]
    assert refused(policies_of(stack, "preview"), reading) == []


def test_the_deploy_role_has_the_permissions_of_the_integration_tests() -> None:
    needs = [Need(action, on, context) for several, on, context in TESTED for action in several.split()]

    assert refused(DEPLOY, needs) == []


def test_no_role_has_an_unneeded_permission() -> None:
    needed = {need.action for need in required_actions(PROGRAM, STACK)}
    needed |= {action for each in TESTED for action in each[0].split()}
    granted = actions(DEPLOY)

    unneeded = {each for each in granted if not any(fnmatchcase(action, each) for action in needed)}
    assert unneeded == {"sts:GetCallerIdentity"}  # The provider looks up its account.
    assert {*ROWS} == {each.type for each in PROGRAM.resources if not each.is_component}


def test_a_preview_reads_no_data_and_changes_nothing() -> None:
    granted = actions(PREVIEW)

    assert [action for action in granted if not READING.fullmatch(action)] == []
    assert granted.isdisjoint({"dynamodb:GetItem", "s3:GetObject", "sqs:ReceiveMessage", "logs:GetLogEvents"})
    assert not allows(PREVIEW, "kms:DescribeKey", KEY_ARN)
    for service, owner, expected in (("lambda", "dev", True), ("lambda", "prod", False), ("s3", "dev", False)):
        context = through(service) | tags(replace(STACK, suffix=owner))
        assert allows(PREVIEW, "kms:Decrypt", KEY_ARN, context) is expected


def test_permissions_are_scoped_to_the_stack(ran: Ran) -> None:
    _, stack = ran
    function = stack.account.arn("lambda", f"function:{stack.prefix}-*")
    limits = [{"StringEquals": tags(stack, "Request")}, {"ArnLike": {"lambda:FunctionArn": function}}]
    bucket = re.escape(stack.bucket_name or "-")
    # A name follows the last colon or slash. AWS generates the IDs of keys and event source mappings.
    named = re.compile(rf".+:(key/|event-source-mapping:)\*|.+[:/]{stack.prefix}-.+|arn:[a-z-]+:s3:::{bucket}(/.+)?")
    unlimited = [
        each
        for each in statements(policies_of(stack, "deploy") + policies_of(stack, "boundary"))
        if each["Effect"] == "Allow"
        and each.get("Condition") not in limits
        and not all(named.fullmatch(on) or on == stack.kms_key_arn for on in listed(each["Resource"]))
    ]

    assert {action for each in unlimited for action in listed(each["Action"])} == UNRESTRICTABLE


@pytest.mark.parametrize(("own", "other"), [("-dev-", "-prod-"), ("us-east-1", "us-west-2"), (ACCOUNT, ACCOUNT[::-1])])
def test_a_role_changes_nothing_of_another_stack_region_or_account(own: str, other: str) -> None:
    def elsewhere(text: str) -> str:
        return text.replace(own, other) if text != own.strip("-") else other.strip("-")

    needs = [need for need in required_actions(PROGRAM, STACK) if not READING.fullmatch(need.action)]
    there = [
        Need(need.action, elsewhere(need.resource), {key: elsewhere(each) for key, each in need.context.items()})
        for need in needs
    ]
    changed = [need for need in there if need not in needs]

    assert len(changed) > 50
    assert refused(DEPLOY, changed) == changed


IAM = f"arn:aws:iam::{ACCOUNT}"
ROLE = f"{IAM}:role/{PREFIX}-processor"
# Resources that the deploy role must never change; for `CI_RESOURCES`, even if another statement allows the action.
CI_RESOURCES = [
    *(f"{IAM}:role/{PROJECT_NAME}-{name}" for name in ("dev-ci-deploy", "dev-ci-preview", "prod-ci-deploy")),
    *(f"{IAM}:policy/{PROJECT_NAME}-{name}" for name in ("dev-ci-boundary", "dev-ci-compute", "prod-ci-boundary")),
    f"{IAM}:oidc-provider/token.actions.githubusercontent.com",
]
OTHERS = [
    *(f"{IAM}:role/{name}" for name in (f"{PROJECT_NAME}-dev-admin", f"{PROJECT_NAME}-prod-processor", "admin")),
    *(f"{IAM}:{name}" for name in ("policy/everybody", "user/admin", "group/admins", "instance-profile/admin")),
    "*",
]
OPERATIONS = botocore.session.get_session().get_service_model("iam").operation_names


# A request context that meets every condition on IAM actions.
BEST = {"iam:PermissionsBoundary": STACK.boundary_arn, "iam:PassedToService": "lambda.amazonaws.com"}


def test_a_deployment_cannot_touch_the_permissions_of_others() -> None:
    every = [*(f"iam:{name}" for name in OPERATIONS), "iam:PassRole", "sts:AssumeRole"]
    everything = [*DEPLOY, {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}]

    for resource in CI_RESOURCES + OTHERS:
        assert [each for each in every if allows(DEPLOY, each, resource, BEST)] == []
    assert [each for each in CI_RESOURCES if allows(everything, "iam:PutRolePolicy", each, BEST)] == []
    assert allows(everything, "iam:PutRolePolicy", ROLE, BEST)


def test_roles_require_the_boundary_and_are_passed_only_to_lambda() -> None:
    other = {"iam:PermissionsBoundary": f"{IAM}:policy/other", "iam:PassedToService": "ec2.amazonaws.com"}
    written = ["CreateRole", "PutRolePolicy", "DeleteRolePolicy", "PutRolePermissionsBoundary", "PassRole"]
    never = ["DeleteRolePermissionsBoundary", "AttachRolePolicy", "DetachRolePolicy"]

    def allowed(names: list[str], context: dict[str, str]) -> list[str]:
        return [name for name in names if allows(DEPLOY, f"iam:{name}", ROLE, context)]

    assert allowed(written + never, BEST) == written
    assert allowed(written + never, other) == allowed(written + never, {}) == []


def test_alarms_go_only_to_email_and_notifications_only_to_the_inbox() -> None:
    abroad = INBOX.replace(ACCOUNT, ACCOUNT[::-1])
    elsewhere = [("notifications", "email", "a@b.org"), ("notifications", "sqs", abroad), ("alarms", "sqs", INBOX)]

    for topic, protocol, endpoint in elsewhere:
        context = {"sns:Protocol": protocol, "sns:Endpoint": endpoint}
        assert not allows(DEPLOY, "sns:Subscribe", arn("sns", f"{PREFIX}-{topic}"), context)


MANAGED = ["CancelKeyDeletion", "CreateAlias", "DisableKey", "DisableKeyRotation", "EnableKey", "PutKeyPolicy"]
MANAGED += ["ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateKeyDescription"]
PROJECT_TAG = {"aws:ResourceTag/Project": PROJECT_NAME}


# The README documents the exception: a key without tags or aliases may be new, or belong to another owner.
@pytest.mark.parametrize(
    ("key", "possible"),
    [
        (PROJECT_TAG | {"aws:ResourceTag/EnvironmentSuffix": "dev"}, MANAGED),
        (PROJECT_TAG | {"aws:ResourceTag/EnvironmentSuffix": "prod"}, []),
        (PROJECT_TAG | {"kms:ResourceAliases": f"alias/{PROJECT_NAME}-pulumi-secrets"}, []),
        ({"aws:ResourceTag/Project": "other", "aws:ResourceTag/EnvironmentSuffix": "dev"}, []),
        ({"kms:ResourceAliases": "alias/billing"}, []),
        ({}, ["TagResource"]),
    ],
)
def test_only_the_stacks_key_can_be_changed(key: dict[str, str], possible: list[str]) -> None:
    def changes(of: Stack, request: dict[str, str]) -> list[str]:
        return [each for each in MANAGED if allows(policies_of(of, "deploy"), f"kms:{each}", KEY_ARN, request | key)]

    assert changes(STACK, tags(STACK, "Request")) == possible
    assert changes(replace(STACK, kms_key_arn=KEY_ARN), tags(STACK, "Request")) == []
    assert possible == MANAGED or changes(STACK, {}) == []


def test_a_key_is_used_through_services_only() -> None:
    everything = DEPLOY + policies_of(STACK, "boundary")
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"):
        for context in ({}, through("ec2"), through("lambda", ACCOUNT[::-1])):
            assert not allows(everything, action, KEY_ARN, context | tags(STACK))


def test_the_boundary_allows_exactly_the_permissions_of_the_function(ran: Ran) -> None:
    program, stack = ran
    role_policy = program.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").document("policy")

    assert actions(policies_of(stack, "boundary")) == actions([role_policy])
    for statement in role_policy["Statement"]:
        services = statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", [""])
        for service in services:
            context = {"kms:ViaService": service, "kms:CallerAccount": ACCOUNT}
            requests = itertools.product(listed(statement["Action"]), listed(statement["Resource"]), [context])
            assert refused(policies_of(stack, "boundary"), list(itertools.starmap(Need, requests))) == []
