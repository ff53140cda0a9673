"""The evaluator of policies that the other tests rely on."""

from typing import Any

import pytest

from tests.unit.bootstrap.evaluator import allows

QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"


def statement(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE} | more


def document(*statements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Statement": list(statements)}]


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("sqs:SendMessage", QUEUE, True),
        ("SQS:sendmessage", QUEUE, True),
        ("sqs:SendMessageBatch", QUEUE, False),
        ("sqs:SendMessage", f"{QUEUE}2", False),
        ("sqs:SendMessage", "*", False),
    ],
)
def test_an_action_is_allowed_on_its_resource(action: str, resource: str, expected: bool) -> None:
    assert allows(document(statement()), action, resource) is expected


def test_nothing_is_allowed_by_no_statement() -> None:
    assert not allows([], "sqs:SendMessage", QUEUE)


def test_wildcards_match_any_text_and_dots_only_themselves() -> None:
    granted = document(statement(Action="sqs:*", Resource=["arn:aws:s3:::other", "arn:aws:s3:::a.b-*/?"]))

    assert allows(granted, "sqs:SendMessage", "arn:aws:s3:::a.b-c/d/e")
    assert not allows(granted, "sqs:SendMessage", "arn:aws:s3:::a.b-c")
    assert not allows(granted, "sqs:SendMessage", "arn:aws:s3:::axb-c/d")


def test_a_denial_outweighs_every_permission() -> None:
    denial = statement(Effect="Deny", Action="sqs:*", Resource="*")

    assert not allows(document(statement(), denial), "sqs:SendMessage", QUEUE)
    assert not allows([*document(denial), *document(statement())], "sqs:SendMessage", QUEUE)


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"key": "a"}}, {"key": "a"}, True),
        ({"StringEquals": {"key": ["a", "b"]}}, {"key": "b"}, True),
        ({"StringEquals": {"key": "a*"}}, {"key": "ab"}, False),
        ({"StringEquals": {"key": "a"}}, {}, False),
        ({"StringEquals": {"key": "a", "other": "b"}}, {"key": "a"}, False),
        ({"StringLike": {"key": "a*"}}, {"key": "ab"}, True),
        ({"StringLike": {"key": "a*"}}, {"key": "ba"}, False),
        ({"StringLike": {"key": "*"}}, {}, False),
        ({"ArnLike": {"key": "arn:*"}}, {"key": "arn:aws"}, True),
        ({"StringEqualsIfExists": {"key": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"key": "a"}}, {"key": "b"}, False),
        ({"Null": {"key": "true"}}, {}, True),
        ({"Null": {"key": "true"}}, {"key": ""}, False),
        ({"Null": {"key": "false"}}, {"key": ""}, True),
        ({"StringEquals": {"key": "a"}, "StringLike": {"key": "b*"}}, {"key": "a"}, False),
    ],
)
def test_all_conditions_must_be_met(condition: dict[str, Any], context: dict[str, str], expected: bool) -> None:
    assert allows(document(statement(Condition=condition)), "sqs:SendMessage", QUEUE, context) is expected


def test_an_unknown_operator_is_an_error() -> None:
    with pytest.raises(KeyError, match="ForAllValues"):
        allows(document(statement(Condition={"ForAllValues:StringEquals": {"key": "a"}})), "sqs:SendMessage", QUEUE)
