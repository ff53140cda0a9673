"""What the roles may do: all that a deployment of the program needs, and nothing that it does not."""

import json
import re
from dataclasses import replace

import botocore.session
import pytest

from bootstrap import policies
from bootstrap.stacks import Stack
from infrastructure.settings import SUFFIX_MAX_LENGTH
from tests.unit.bootstrap.conftest import OTHER_ACCOUNT_ID
from tests.unit.bootstrap.evaluator import Document, allows, listed, matches
from tests.unit.bootstrap.needs import ROWS, Need, needs, run
from tests.unit.conftest import CUSTOM_SETTINGS, KEY_ARN
from tools.project import PROJECT_FOLDER
from tools.settings import PROJECT_MAX_LENGTH
from tools.testing import PROJECT_NAME, Deployment, example_account

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
POLICY_CHARACTERS = 6144
POLICIES_OF_A_ROLE = 10

OPTIONS = {
    key: CUSTOM_SETTINGS[key]
    for key in (
        "contributorInsights",
        "eventbridgeNotifications",
        "eventSourceMetrics",
        "tableMaxReadUnits",
        "dataRetentionDays",
        "lambdaReservedConcurrency",
    )
} | {"idleAlarmMinutes": "60"}
# The program, with every option on and off.
PROGRAMS: dict[str, dict[str, str]] = {
    "defaults": {},
    "nobody gets alarms": {"notificationEmail": ""},
    "every option": OPTIONS,
    "every option, production": OPTIONS | {"environment": "prod", "environmentSuffix": "prod"},
    "a bucket and a key of its own": OPTIONS | {"bucketName": "our-own-bucket", "kmsKeyArn": KEY_ARN},
    "another boundary": {"permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/everybody"},
    "China": {"region": "cn-north-1", **OPTIONS},
}
READING = re.compile(r"[a-z0-9]+:(Describe|Get|List)\w+|kms:Decrypt")
# Actions that cannot be limited to resources.
UNRESTRICTABLE = {
    "cloudwatch:DescribeAlarms",
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
# Grants that no row of the needs has, and why they are there.
UNNEEDED = {
    "sts:GetCallerIdentity": "the provider asks for its account",
}
# Actions that the boundary allows besides those of the function's role, and why they are there, for example because the
# function of the next deployment needs them.
BOUNDARY_ONLY: dict[str, str] = {}
# What the boundary allows to do with keys, through services only.
BOUNDARY_KEY_USE = {"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"}
# What the tests do besides reading, as docs/validation.md lists it: action, resource, and what the request says.
INBOX = "arn:aws:sqs:us-east-1:123456789012:{prefix}-processor-test-0123"
TESTED = [
    ("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:{prefix}-queue", {}),
    *(
        (f"sqs:{action}", "arn:aws:sqs:us-east-1:123456789012:{prefix}-dead-letter-queue", {})
        for action in ("ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage")
    ),
    *(
        (f"sqs:{action}", INBOX, {})
        for action in ("CreateQueue", "DeleteMessage", "DeleteQueue", "ReceiveMessage", "TagQueue")
    ),
    (
        "sns:Subscribe",
        "arn:aws:sns:us-east-1:123456789012:{prefix}-notifications",
        {"sns:Protocol": "sqs", "sns:Endpoint": INBOX},
    ),
    ("sns:Unsubscribe", "*", {}),
    ("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:123456789012:function:{prefix}-processor:live", {}),
    *(
        (f"dynamodb:{action}", "arn:aws:dynamodb:us-east-1:123456789012:table/{prefix}-messages", {})
        for action in ("DeleteItem", "GetItem", "Query")
    ),
    (
        "dynamodb:Query",
        "arn:aws:dynamodb:us-east-1:123456789012:table/{prefix}-messages/index/timestamp-index",
        {},
    ),
    ("s3:ListBucketVersions", "arn:aws:s3:::{prefix}-payloads-123456789012", {}),
    ("s3:DeleteObjectVersion", "arn:aws:s3:::{prefix}-payloads-123456789012/messages/2026-01-01/1.json", {}),
    ("s3:GetObject", "arn:aws:s3:::{prefix}-payloads-123456789012/messages/2026-01-01/1.json", {}),
    *(
        (
            action,
            "arn:aws:kms:us-east-1:123456789012:key/1",
            {"kms:ViaService": f"{service}.us-east-1.amazonaws.com", "kms:CallerAccount": "123456789012"},
        )
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
        for service in ("dynamodb", "lambda", "s3", "sqs")
    ),
]

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"

Ran = tuple[Deployment, Stack]


def granted(stack: Stack, names: tuple[str, ...]) -> list[Document]:
    """Return policies of a stack."""
    grants = policies.role_policies(stack)
    return [json.loads(policies.document(stack, grants[name])) for name in names]


def deploys(stack: Stack) -> list[Document]:
    return granted(stack, policies.DEPLOY)


def previews(stack: Stack) -> list[Document]:
    return granted(stack, policies.PREVIEW)


def bounds(stack: Stack) -> list[Document]:
    return [json.loads(policies.document(stack, policies.boundary(stack)))]


@pytest.fixture(scope="module", name="ran", params=PROGRAMS.values(), ids=[*PROGRAMS])
def fixture_ran(request: pytest.FixtureRequest) -> Ran:
    """A run of the program with some options, and its stack."""
    return run(**{"region": "us-east-1", "environmentSuffix": "dev"} | request.param)


@pytest.fixture(scope="module", name="usual")
def fixture_usual() -> Ran:
    """A run of the program with every option, in a stack with its own key."""
    return run("us-east-1", environmentSuffix="dev", **OPTIONS)


@pytest.fixture(scope="module", name="stack")
def fixture_stack(usual: Ran) -> Stack:
    """A stack with its own key."""
    return usual[1]


def refused(documents: list[Document], wanted: list[Need]) -> list[Need]:
    return [need for need in wanted if not allows(documents, need.action, need.resource, need.context)]


def test_a_deployment_may_do_what_it_needs(ran: Ran) -> None:
    wanted = list(needs(*ran))

    assert len(wanted) > 100
    assert refused(deploys(ran[1]), wanted) == []


def test_a_preview_may_read_what_it_needs(ran: Ran) -> None:
    wanted = [need for need in needs(*ran) if READING.fullmatch(need.action)]
    # A preview creates nothing: only Lambda uses the key for it, when it reads the function's environment.
    key = [need for need in wanted if need.action == "kms:Decrypt"]
    environment = [
        Need(need.action, need.resource, {**need.context, **tags(ran[1])})
        for need in key
        if "lambda." in str(need.context)
    ]

    assert refused(previews(ran[1]), [need for need in wanted if need not in key and not of_new(need)]) == []
    assert environment
    assert refused(previews(ran[1]), environment) == []


def tags(stack: Stack) -> dict[str, str]:
    """Return the tags of a stack's resource, as a request sees them."""
    return {"aws:ResourceTag/Project": stack.project, "aws:ResourceTag/EnvironmentSuffix": stack.suffix}


def of_new(need: Need) -> bool:
    """Whether a request is made by a service that creates something."""
    return "kms:ViaService" in need.context


def test_a_type_that_nobody_knows_fails(usual: Ran) -> None:
    deployment, stack = usual
    other = Deployment(deployment.config, [*deployment.resources])
    resource = other.resources[-1]
    other.resources.append(replace(resource, type="aws:rds/instance:Instance"))

    with pytest.raises(KeyError, match="aws:rds/instance:Instance"):
        list(needs(other, stack))


def test_an_input_that_nobody_knows_fails(usual: Ran) -> None:
    deployment, stack = usual
    table = deployment.one("aws:dynamodb/table:Table", "table")
    replicated = replace(table, inputs=table.inputs | {"replicas": []})

    with pytest.raises(LookupError, match="aws:dynamodb/table:Table needs a row for replicas"):
        list(needs(Deployment(deployment.config, [*deployment.resources, replicated]), stack))


def test_every_row_is_needed(usual: Ran) -> None:
    types = {each.type for each in usual[0].resources}

    assert set(ROWS) - types == set()


def actions(documents: list[Document], effect: str = "Allow") -> set[str]:
    statements = [each for document in documents for each in document["Statement"] if each["Effect"] == effect]
    return {action for statement in statements for action in listed(statement["Action"])}


def test_nothing_is_granted_that_nobody_needs(usual: Ran) -> None:
    needed = {need.action for need in needs(*usual)} | {action for action, _, _ in TESTED}

    unneeded = {
        pattern for pattern in actions(deploys(usual[1])) if not any(matches(pattern, action) for action in needed)
    }
    assert unneeded == set(UNNEEDED)


def test_a_preview_only_reads(stack: Stack) -> None:
    assert [action for action in actions(previews(stack)) if not READING.fullmatch(action)] == []


def test_a_preview_reads_no_data(stack: Stack) -> None:
    data = {"dynamodb:GetItem", "dynamodb:Query", "s3:GetObject", "sqs:ReceiveMessage", "logs:GetLogEvents"}

    assert actions(previews(stack)).isdisjoint(data)


@pytest.mark.parametrize("service", ["dynamodb", "s3", "sns", "sqs"])
def test_a_preview_decrypts_nothing_but_the_functions_environment(stack: Stack, service: str) -> None:
    through = {"kms:ViaService": f"{service}.us-east-1.amazonaws.com", "kms:CallerAccount": "123456789012"}

    assert not allows(previews(stack), "kms:Decrypt", KEY, through | tags(stack))


def test_a_preview_does_not_use_the_key_of_another_stack(stack: Stack) -> None:
    through = {"kms:ViaService": "lambda.us-east-1.amazonaws.com", "kms:CallerAccount": "123456789012"}

    assert allows(previews(stack), "kms:Decrypt", KEY, through | tags(stack))
    assert not allows(previews(stack), "kms:Decrypt", KEY, through | tags(replace(stack, suffix="prod")))


@pytest.mark.parametrize(("action", "resource", "context"), TESTED)
def test_the_integration_tests_may_do_what_they_need(
    stack: Stack, action: str, resource: str, context: dict[str, str]
) -> None:
    filled = {key: value.format(prefix=stack.prefix) for key, value in context.items()}

    assert allows(deploys(stack), action, resource.format(prefix=stack.prefix), filled)


def test_the_actions_in_the_documents_are_granted(stack: Stack) -> None:
    text = (PROJECT_FOLDER / "docs" / "validation.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", text.partition("## Permissions")[2]))

    assert len(named) > 50
    assert named - actions(deploys(stack)) == {"kms:ViaService"}  # which is no action


def test_notifications_go_to_the_inbox_of_the_tests_only(stack: Stack) -> None:
    topic = f"arn:aws:sns:us-east-1:123456789012:{stack.prefix}-notifications"

    for protocol, endpoint in (
        ("email", "mallory@example.com"),
        ("sqs", f"arn:aws:sqs:us-east-1:{OTHER_ACCOUNT_ID}:inbox"),
    ):
        context = {"sns:Protocol": protocol, "sns:Endpoint": endpoint}
        assert not allows(deploys(stack), "sns:Subscribe", topic, context)


def test_only_actions_without_a_resource_are_for_all(ran: Ran) -> None:
    _, stack = ran
    documents = [*deploys(stack), *bounds(stack)]
    for_all = [each for document in documents for each in document["Statement"] if "*" in listed(each["Resource"])]

    # What does not exist yet: its tags, or its function, must be the stack's.
    requested = {"aws:RequestTag/Project": stack.project, "aws:RequestTag/EnvironmentSuffix": stack.suffix}
    function = stack.account.arn("lambda", f"function:{stack.prefix}-*")
    limits = [{"StringEquals": requested}, {"ArnLike": {"lambda:FunctionArn": function}}]
    unlimited = [each for each in for_all if each.get("Condition") not in limits]
    assert {action for each in unlimited for action in listed(each["Action"])} == UNRESTRICTABLE


# Resources with an id that AWS makes up instead of a name, or with a name of AWS.
NAMELESS = re.compile(r"\*|.+:(key|event-source-mapping)[:/]\*|.+:role/aws-service-role/contributorinsights\..+")


def test_everything_that_has_a_name_begins_with_the_stacks(ran: Ran) -> None:
    _, stack = ran
    statements = [each for document in [*deploys(stack), *bounds(stack)] for each in document["Statement"]]
    resources = {resource for each in statements if each["Effect"] == "Allow" for resource in listed(each["Resource"])}
    known = {stack.kms_key_arn, *(f"arn:aws:s3:::{stack.bucket_name}{path}" for path in ("", "/*", "/messages/*"))}

    named = {each for each in resources - known if not NAMELESS.fullmatch(each)}
    assert len(named) > 10
    # The name is what comes after the last colon, slash, or both.
    name = re.compile(rf".+[:/]{re.escape(stack.prefix)}-.+")
    assert [each for each in named if not name.fullmatch(each)] == []


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"region": "us-east-1", "environmentSuffix": "prod"},
        {"region": "us-west-2", "environmentSuffix": "dev"},
        {"region": "us-east-1", "environmentSuffix": "dev", "account_id": OTHER_ACCOUNT_ID},
    ],
    ids=["another stack", "another region", "another account"],
)
def test_a_role_changes_nothing_elsewhere(usual: Ran, elsewhere: dict[str, str]) -> None:
    _, stack = usual
    there = [need for need in needs(*run(**elsewhere)) if not READING.fullmatch(need.action)]
    # What is global has the same name in every region of the account.
    own = {need.resource for need in needs(*usual)}
    others = [need for need in there if need.resource not in own and "event-source-mapping" not in need.resource]

    assert len(others) > 50
    allowed = [need for need in others if allows(deploys(stack), need.action, need.resource, need.context)]
    # DynamoDB and Lambda may use any key of the account and region: see USE_OWN_KEY.
    assert [need for need in allowed if not need.action.startswith("kms:") or not of_new(need)] == []


IAM = "arn:aws:iam::123456789012"
# What nobody who can only deploy may ever change.
TABOO = [
    f"{IAM}:role/{PROJECT_NAME}-dev-ci-deploy",
    f"{IAM}:role/{PROJECT_NAME}-dev-ci-preview",
    f"{IAM}:role/{PROJECT_NAME}-prod-ci-deploy",
    f"{IAM}:role/{PROJECT_NAME}-dev-eu-ci-deploy",
    f"{IAM}:role/{PROJECT_NAME}-dev-admin",
    f"{IAM}:role/{PROJECT_NAME}-prod-processor",
    f"{IAM}:role/admin",
    f"{IAM}:policy/{PROJECT_NAME}-dev-ci-boundary",
    f"{IAM}:policy/{PROJECT_NAME}-dev-ci-compute",
    f"{IAM}:policy/{PROJECT_NAME}-prod-ci-boundary",
    f"{IAM}:policy/everybody",
    f"{IAM}:oidc-provider/token.actions.githubusercontent.com",
    f"{IAM}:user/admin",
    f"{IAM}:group/admins",
    f"{IAM}:instance-profile/admin",
    "*",
]
IAM_ACTIONS = [f"iam:{name}" for name in botocore.session.get_session().get_service_model("iam").operation_names]


def best_case(stack: Stack) -> dict[str, str]:
    """Return a request that meets every condition on IAM's actions."""
    return {
        "iam:PermissionsBoundary": stack.boundary_arn,
        "iam:PassedToService": "lambda.amazonaws.com",
        "iam:AWSServiceName": "contributorinsights.dynamodb.amazonaws.com",
    }


@pytest.mark.parametrize("resource", TABOO)
def test_a_deployment_cannot_touch_permissions_of_others(stack: Stack, resource: str) -> None:
    every = [*IAM_ACTIONS, "iam:PassRole"]

    assert len(every) > 150
    assert [each for each in every if allows(deploys(stack), each, resource, best_case(stack))] == []


def test_cis_own_names_are_denied_whatever_else_is_granted(stack: Stack) -> None:
    everything = [*deploys(stack), {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}]

    for resource in TABOO[:4] + TABOO[7:10] + TABOO[11:12]:
        assert not allows(everything, "iam:PutRolePolicy", resource, best_case(stack))
    assert allows(everything, "iam:PutRolePolicy", f"{IAM}:role/{PROJECT_NAME}-dev-processor", best_case(stack))


@pytest.mark.parametrize("boundary", [None, f"{IAM}:policy/other", f"{IAM}:policy/{PROJECT_NAME}-prod-ci-boundary"])
@pytest.mark.parametrize(
    "action", ["CreateRole", "PutRolePolicy", "DeleteRolePolicy", "PutRolePermissionsBoundary", "AttachRolePolicy"]
)
def test_a_role_has_no_permissions_without_the_boundary(stack: Stack, action: str, boundary: str | None) -> None:
    context = {"iam:PermissionsBoundary": boundary} if boundary else {}

    assert not allows(deploys(stack), f"iam:{action}", f"{IAM}:role/{PROJECT_NAME}-dev-processor", context)


@pytest.mark.parametrize("action", ["DeleteRolePermissionsBoundary", "AttachRolePolicy", "DetachRolePolicy"])
def test_the_boundary_cannot_be_removed_and_no_managed_policy_attached(stack: Stack, action: str) -> None:
    role = f"{IAM}:role/{PROJECT_NAME}-dev-processor"

    assert not allows(deploys(stack), f"iam:{action}", role, best_case(stack))


@pytest.mark.parametrize("service", ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com", None])
def test_roles_are_passed_to_lambda_only(stack: Stack, service: str | None) -> None:
    context = {"iam:PassedToService": service} if service else {}

    assert not allows(deploys(stack), "iam:PassRole", f"{IAM}:role/{PROJECT_NAME}-dev-processor", context)


@pytest.mark.parametrize("action", ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:GetFederationToken"])
def test_a_deployment_becomes_nobody_else(stack: Stack, action: str) -> None:
    assert not allows(deploys(stack), action, f"{IAM}:role/admin", best_case(stack))


# Keys that are not the stack's: their tags and aliases.
FOREIGN_KEYS: dict[str, dict[str, str]] = {
    "of another stack": {
        "aws:ResourceTag/Project": PROJECT_NAME,
        "aws:ResourceTag/EnvironmentSuffix": "prod",
        "kms:ResourceAliases": f"alias/{PROJECT_NAME}-prod-key",
    },
    "of the state": {"aws:ResourceTag/Project": PROJECT_NAME, "kms:ResourceAliases": f"alias/{PROJECT_NAME}-state"},
    "of another project": {"aws:ResourceTag/Project": "other", "aws:ResourceTag/EnvironmentSuffix": "dev"},
    "with an alias": {"kms:ResourceAliases": "alias/billing"},
}
# The exception, which the README tells of: nothing shows whether a key without tags and aliases is new or somebody's.
UNMARKED_KEY: dict[str, str] = {}
MANAGED = (
    "CancelKeyDeletion CreateAlias DisableKey DisableKeyRotation EnableKey PutKeyPolicy ScheduleKeyDeletion "
    "TagResource UntagResource UpdateKeyDescription"
)


@pytest.mark.parametrize("key", FOREIGN_KEYS.values(), ids=FOREIGN_KEYS)
def test_a_key_of_others_cannot_be_changed_or_taken_over(stack: Stack, key: dict[str, str]) -> None:
    wanted = {"aws:RequestTag/Project": stack.project, "aws:RequestTag/EnvironmentSuffix": stack.suffix}

    assert [action for action in MANAGED.split() if allows(deploys(stack), f"kms:{action}", KEY, wanted | key)] == []


def test_a_key_without_tags_and_aliases_can_be_taken_over(stack: Stack) -> None:
    wanted = {"aws:RequestTag/Project": stack.project, "aws:RequestTag/EnvironmentSuffix": stack.suffix}
    possible = [each for each in MANAGED.split() if allows(deploys(stack), f"kms:{each}", KEY, wanted | UNMARKED_KEY)]

    # Only with the stack's own tags, but then it is like the stack's key.
    assert possible == ["TagResource"]
    assert not allows(deploys(stack), "kms:TagResource", KEY, UNMARKED_KEY)


def test_no_key_can_be_taken_over_by_a_stack_with_a_configured_key(stack: Stack) -> None:
    configured = replace(stack, kms_key_arn=KEY_ARN)
    wanted = {"aws:RequestTag/Project": stack.project, "aws:RequestTag/EnvironmentSuffix": stack.suffix}

    for key in (KEY, KEY_ARN):
        assert [
            each
            for each in MANAGED.split()
            if allows(deploys(configured), f"kms:{each}", key, wanted | UNMARKED_KEY | tags(stack))
        ] == []


def test_the_stacks_key_can_be_changed(stack: Stack) -> None:
    assert [action for action in MANAGED.split() if not allows(deploys(stack), f"kms:{action}", KEY, tags(stack))] == []


def test_a_new_key_needs_the_stacks_tags(stack: Stack) -> None:
    other = {"aws:RequestTag/Project": stack.project, "aws:RequestTag/EnvironmentSuffix": "prod"}

    assert not allows(deploys(stack), "kms:CreateKey", "*", {})
    assert not allows(deploys(stack), "kms:CreateKey", "*", other)


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"])
def test_keys_are_used_through_services_only(stack: Stack, action: str) -> None:
    assert not allows(deploys(stack), action, KEY, tags(stack))


def test_a_stack_with_a_configured_key_has_no_other(stack: Stack) -> None:
    configured = replace(stack, kms_key_arn=KEY_ARN)

    assert "kms:CreateKey" not in actions(deploys(configured))
    for document in (*deploys(configured), *bounds(configured)):
        for statement in document["Statement"]:
            if str(statement["Action"]).startswith("['kms:") and statement["Sid"] != "FindDefaultKey":
                assert listed(statement["Resource"]) == [KEY_ARN]


def test_the_function_may_do_all_that_its_role_allows(ran: Ran) -> None:
    deployment, stack = ran
    role_policy = deployment.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").document("policy")

    assert len(role_policy["Statement"]) > 5
    for statement in role_policy["Statement"]:
        services = statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", [""])
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                for service in services:
                    context = {"kms:ViaService": service, "kms:CallerAccount": stack.account.id}
                    assert allows(bounds(stack), action, resource, context), (action, resource)


def test_the_boundary_allows_the_actions_of_the_function_and_no_other(ran: Ran) -> None:
    deployment, stack = ran
    role_policy = deployment.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").document("policy")

    assert actions(bounds(stack)) == actions([role_policy]) | set(BOUNDARY_ONLY)


def test_the_boundary_gives_no_permissions_and_uses_keys_only(ran: Ran) -> None:
    allowed = actions(bounds(ran[1]))

    # A pattern would also allow what AWS adds to a service one day.
    assert [action for action in allowed if "*" in action] == []
    assert [action for action in allowed if action.startswith(("iam:", "sts:"))] == []
    assert {action for action in allowed if action.startswith("kms:")} == BOUNDARY_KEY_USE


def test_the_boundary_is_for_resources_of_the_stack_only(ran: Ran) -> None:
    _, stack = ran
    account = stack.account
    granted_there = [each for document in bounds(stack) for each in document["Statement"]]
    restricted = [each for each in granted_there if not UNRESTRICTABLE.issuperset(listed(each["Action"]))]
    # A key that the stack creates has an id that AWS makes up: the use of keys is limited to services instead.
    keys = stack.kms_key_arn or account.arn("kms", "key/*")
    own = re.compile(
        rf"arn:{account.partition}:(s3:::|[a-z]+:{account.region}:{account.id}:(table/|log-group:/aws/lambda/)?)"
        rf"{re.escape(stack.prefix)}-.+"
    )

    assert len(restricted) > 5
    for statement in restricted:
        is_of_keys = BOUNDARY_KEY_USE.issuperset(listed(statement["Action"]))
        known = {keys} if is_of_keys else {f"arn:{account.partition}:s3:::{stack.bucket_name}/*"}
        assert [each for each in listed(statement["Resource"]) if each not in known and not own.fullmatch(each)] == []


def test_the_boundary_keeps_a_role_from_permissions_and_other_data(stack: Stack) -> None:
    other = [
        ("iam:CreateUser", "*"),
        ("sts:AssumeRole", f"{IAM}:role/admin"),
        ("s3:GetObject", "arn:aws:s3:::acme-state/.pulumi/stacks/x.json"),
        ("s3:PutObject", "arn:aws:s3:::acme-state/.pulumi/stacks/x.json"),
        ("sqs:SendMessage", f"arn:aws:sqs:us-east-1:123456789012:{PROJECT_NAME}-prod-queue"),
        ("dynamodb:PutItem", f"arn:aws:dynamodb:us-east-1:123456789012:table/{PROJECT_NAME}-prod-messages"),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:us-east-1:123456789012:function:{stack.prefix}-processor"),
        ("kms:Decrypt", KEY),
    ]

    assert [each for each in other if allows(bounds(stack), *each)] == []


def long_named(kms_key_arn: str = "") -> Stack:
    """Return a stack with the longest names."""
    account = example_account("us-gov-west-1")
    suffix, project = "s" * SUFFIX_MAX_LENGTH, "p" * PROJECT_MAX_LENGTH
    return Stack(
        name="s" * 50,
        project=project,
        account=replace(account, region="ap-southeast-99", dns_suffix="amazonaws.com.cn"),
        suffix=suffix,
        bucket_name="b" * 63,
        kms_key_arn=kms_key_arn,
        boundary_arn=f"arn:aws-us-gov:iam::{account.id}:policy/{project}-{suffix}-ci-boundary",
    )


@pytest.mark.parametrize(
    "key_arn", ["", "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-" + "1" * 32], ids=["own key", "configured"]
)
def test_policies_are_not_too_long(key_arn: str) -> None:
    stack = long_named(key_arn)
    grants = {**policies.role_policies(stack), "boundary": policies.boundary(stack)}

    lengths = {name: len(re.sub(r"\s", "", policies.document(stack, each))) for name, each in grants.items()}
    assert {name: length for name, length in lengths.items() if length > POLICY_CHARACTERS} == {}


def test_roles_have_not_too_many_policies() -> None:
    assert len(policies.PREVIEW) <= len(policies.DEPLOY) <= POLICIES_OF_A_ROLE
    assert set(policies.PREVIEW) | set(policies.DEPLOY) == set(policies.role_policies(long_named()))


def test_statements_of_a_policy_have_names_of_their_own(ran: Ran) -> None:
    for document in (*deploys(ran[1]), *bounds(ran[1])):
        sids = [statement["Sid"] for statement in document["Statement"]]
        assert len(sids) == len(set(sids))
        assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
        assert document["Version"] == "2012-10-17"
