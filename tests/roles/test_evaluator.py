"""Tests of the IAM policy evaluator on which the other tests in `tests/roles` rely."""

from typing import Any

import pytest

from tests.roles.evaluator import allows

QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE}


def evaluate(*statements: dict[str, Any], resource: str = QUEUE, context: dict[str, str] | None = None) -> bool:
    return allows([{"Statement": [statement]} for statement in statements], "sqs:SendMessage", resource, context)


def test_an_action_is_allowed_on_its_resource_unless_it_is_denied() -> None:
    assert evaluate(ALLOW)
    assert not evaluate()
    assert not evaluate(ALLOW | {"Action": "sqs:Send"})
    assert not evaluate(ALLOW, resource=f"{QUEUE}2")
    assert not evaluate(ALLOW, ALLOW | {"Effect": "Deny", "Action": "sqs:*", "Resource": "*"})


def test_wildcards_match_any_text_and_dots_only_themselves() -> None:
    granted = ALLOW | {"Action": "sqs:*", "Resource": ["arn:aws:s3:::other", "arn:aws:s3:::a.b-*/?"]}

    assert evaluate(granted, resource="arn:aws:s3:::a.b-c/d/e")
    assert not evaluate(granted, resource="arn:aws:s3:::a.b-c")
    assert not evaluate(granted, resource="arn:aws:s3:::axb-c/d")


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"key": ["a", "b"]}}, {"key": "b"}, True),
        ({"StringEquals": {"key": "a"}}, {}, False),
        ({"StringLike": {"key": "a*"}}, {"key": "ab"}, True),
        ({"StringLike": {"key": "*"}}, {}, False),
        ({"StringEqualsIfExists": {"key": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"key": "a"}}, {"key": "b"}, False),
        ({"Null": {"key": "true"}}, {}, True),
        ({"Null": {"key": "true"}}, {"key": ""}, False),
        ({"StringEquals": {"key": "a"}, "StringLike": {"key": "b*"}}, {"key": "a"}, False),
    ],
)
def test_all_conditions_must_be_met(condition: dict[str, Any], context: dict[str, str], expected: bool) -> None:
    assert evaluate(ALLOW | {"Condition": condition}, context=context) is expected
