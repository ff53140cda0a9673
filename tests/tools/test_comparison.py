"""The comparison of deployed resources with promises: equivalent values are no difference."""

import json
from typing import Any

import pytest

from tools.testing.comparison import canonical, differences, hold

STATEMENT = {"Sid": "A", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def told(found: Any, promised: Any) -> list[str]:
    """Compare one property."""
    return sorted(differences({"a": found}, {"a": promised}))


def policy(**changes: Any) -> str:
    """Return a policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT | changes]})


@pytest.mark.parametrize(
    ("found", "promised"),
    [
        (512, 512.0),
        (["b", "a"], ["a", "b"]),
        ([{"a": 1, "b": None}], [{"a": 1.0}]),
        ({"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
        ('{"a": 1,"b":[2, 3]}', '{"b": [2, 3], "a": 1}'),
        ('{"a": 1}', {"a": 1}),
        (policy(), policy(Action=["s3:GetObject"], Resource=["*"])),
        (policy(Principal="*"), policy(Principal={"AWS": ["*"]})),
        (policy(Action=["b", "a"]), policy(Action=["a", "b"])),
        (
            policy(Condition={"StringEquals": {"a": ["y", "x"]}}),
            policy(Condition={"StringEquals": {"a": ["x", "y"]}}),
        ),
    ],
)
def test_equivalent_values_are_no_difference(found: Any, promised: Any) -> None:
    assert told(found, promised) == []


@pytest.mark.parametrize(
    ("found", "promised", "difference"),
    [
        (512, 1024.0, ["a: found 512, promised 1024"]),
        (None, 1, ["a: found None, promised 1"]),
        (0.5, 0.25, ["a: found 0.5, promised 0.25"]),
        (["a"], ["a", "b"], ["a: found ['a'], promised ['a', 'b']"]),
        ({"b": 1}, {"b": 2, "c": 3}, ["a.b: found 1, promised 2", "a.c: found None, promised 3"]),
        ({"b": 1, "c": 2}, {"b": 1}, ["a.c: found 2, promised None"]),
        ('{"b": 1}', '{"b": 2}', ["a.b: found 1, promised 2"]),
    ],
)
def test_a_difference_is_reported_with_its_path_and_both_values(
    found: Any, promised: Any, difference: list[str]
) -> None:
    assert told(found, promised) == difference


@pytest.mark.parametrize(
    "changes",
    [
        {"Sid": "B"},
        {"Effect": "Deny"},
        {"Action": "s3:PutObject"},
        {"Resource": "b"},
        {"Principal": {"AWS": "b"}},
        {"Condition": {"StringEquals": {"a": "b"}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_no_part_of_a_statement_can_differ_unnoticed(changes: Any) -> None:
    assert told(policy(**changes), policy())


def test_an_additional_statement_is_a_difference() -> None:
    two = json.dumps({"Statement": [STATEMENT, STATEMENT | {"Sid": "B"}]})

    assert told(two, policy())


def test_properties_that_were_not_promised_are_ignored() -> None:
    assert not list(differences({"a": 1, "b": 2}, {"a": 1}))


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ({"Project": "orders", "Team": "a"}, []),
        ({"Project": "other"}, ["tags.Project: found 'other', promised 'orders'"]),
        (None, ["tags.Project: found None, promised 'orders'"]),
    ],
)
def test_a_team_may_add_tags_but_not_change_them(found: Any, difference: list[str]) -> None:
    assert list(differences({"tags": found}, {"tags": {"Project": "orders"}})) == difference


def test_a_statement_without_a_resource_or_a_name_has_a_canonical_form() -> None:
    assert canonical({"Effect": "Allow", "Principal": {"Service": "a"}, "Action": "b"}) == {
        "Sid": "",
        "Effect": "Allow",
        "Principal": {"Service": ["a"]},
        "Action": ["b"],
        "Resource": [],
        "Condition": {},
    }


def test_a_kept_promise_raises_nothing() -> None:
    hold("orders", "timeout", found=1, promised=1)


def test_a_broken_promise_is_reported_with_all_arguments() -> None:
    with pytest.raises(AssertionError, match=r"^orders: timeout: found 1, promised 2"):
        hold("orders", "timeout", found=1, promised=2)
