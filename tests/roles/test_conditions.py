"""The conditions of the policies: which ones there are, and that each of them counts."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bootstrap import policies
from bootstrap.stacks import Stack
from tests.unit.bootstrap.conftest import boundary_arn
from tests.unit.bootstrap.evaluator import Context, Document, allows, listed, statements
from tests.unit.conftest import KEY_ARN
from tools.testing import PROJECT_NAME, example_account

OWN_KEY = Stack(
    name="dev",
    project=PROJECT_NAME,
    account=example_account("us-east-1"),
    suffix="dev",
    bucket_name="",
    kms_key_arn="",
    boundary_arn=boundary_arn("dev"),
)
STACKS = {"own key": OWN_KEY, "configured key": replace(OWN_KEY, kms_key_arn=KEY_ARN)}

TAGGED = {"StringEquals aws:ResourceTag/EnvironmentSuffix", "StringEquals aws:ResourceTag/Project"}
REQUESTED = {"StringEquals aws:RequestTag/EnvironmentSuffix", "StringEquals aws:RequestTag/Project"}
THROUGH = {"StringEquals kms:CallerAccount", "StringEquals kms:ViaService"}
# The conditions of each statement, by its name: operator and key. A statement that is not here has none.
OF_EVERY_STACK = {
    "FindDefaultKey": {"StringEquals kms:RequestAlias"},
    "LetDynamoDBCountKeys": {"StringEquals iam:AWSServiceName"},
    "PassRoleToLambdaOnly": {"StringEquals iam:PassedToService"},
    "ReadEnvironment": THROUGH,
    "SubscribeInbox": {"ArnLike sns:Endpoint", "StringEquals sns:Protocol"},
    "SubscribeToAlarms": {"StringEquals sns:Protocol"},
    "UseKeyForTests": THROUGH,
    "UseKeyThroughServices": THROUGH,
    "UseTheKey": THROUGH,
    "WriteBuckets": {"StringEqualsIfExists aws:ResourceAccount"},
    "WriteEventSource": {"ArnLike lambda:FunctionArn"},
    "WriteRole": {"StringEquals iam:PermissionsBoundary"},
}
CONDITIONS = {
    "configured key": OF_EVERY_STACK,
    "own key": OF_EVERY_STACK
    | {
        "CreateKey": REQUESTED,
        "ManageOwnKey": TAGGED,
        "ReadEnvironment": THROUGH | TAGGED,
        "ReadOwnKey": TAGGED,
        "TagNewKey": REQUESTED | {"Null aws:ResourceTag/Project", "Null kms:ResourceAliases"},
    },
}
OTHER = "other"


def conditional(stack: Stack) -> Iterator[tuple[Document, Document]]:
    """Yield each statement with conditions, after the policy that has it."""
    for grants in (*policies.role_policies(stack).values(), policies.boundary(stack)):
        document = json.loads(policies.document(stack, grants))
        for statement in statements([document]):
            if "Condition" in statement:
                yield document, statement


def conditions(statement: Document) -> Iterator[tuple[str, str, str]]:
    """Yield each condition of a statement: operator, key, and a value that it asks for."""
    for operator, keys in statement["Condition"].items():
        for key, wanted in keys.items():
            yield operator, key, example(listed(wanted)[0])


def example(pattern: str) -> str:
    """Return a text that matches a pattern."""
    return pattern.replace("*", "x")


def meeting(statement: Document) -> Context:
    """Return what a request says that meets all conditions of a statement."""
    return {key: value for operator, key, value in conditions(statement) if (operator, value) != ("Null", "true")}


def failing(statement: Document) -> Iterator[Context]:
    """Yield what requests say that meet all conditions of a statement but one."""
    met = meeting(statement)
    # IfExists is also met by a request without the key, and Null by every value of a key that must be there.
    for operator, key, _ in conditions(statement):
        if key in met and not operator.endswith("IfExists"):
            yield {other: value for other, value in met.items() if other != key}
        if operator != "Null" or key not in met:
            yield {**met, key: OTHER}


def requests(statement: Document) -> list[tuple[str, str]]:
    """Return each action of a statement with each of its resources."""
    return [
        (example(action), example(resource))
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]


CASES = {
    f"{kind}: {statement['Sid']}": (document, statement)
    for kind, stack in STACKS.items()
    for document, statement in conditional(stack)
    if statement["Effect"] == "Allow"
}


@pytest.mark.parametrize("kind", STACKS)
def test_no_condition_is_missing_and_none_is_new(kind: str) -> None:
    found = [
        (statement["Sid"], {f"{operator} {key}" for operator, key, _ in conditions(statement)})
        for _, statement in conditional(STACKS[kind])
    ]

    assert sorted(found) == sorted(CONDITIONS[kind].items())


@pytest.mark.parametrize(("document", "statement"), CASES.values(), ids=CASES)
def test_a_request_is_allowed_only_if_it_meets_every_condition(document: Document, statement: Document) -> None:
    wanted, others = requests(statement), list(failing(statement))

    assert [each for each in wanted if not allows([document], *each, meeting(statement))] == []
    assert others
    assert [(each, other) for each in wanted for other in others if allows([document], *each, other)] == []
