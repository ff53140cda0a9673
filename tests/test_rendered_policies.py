"""The policies that a project is rendered with, as far as the tools cannot know what they should be."""

import re

import pytest

from tests.projects import Project


def is_placeholder(project: Project, address: str) -> bool:
    """Ask the project's policies whether an address is one that nobody reads."""
    (policy,) = (each for each in project.toml("policies.toml")["values"] if each["rule"] == "placeholder-email")
    return re.fullmatch(policy["forbidden"], address) is not None


@pytest.mark.parametrize(
    "domain", ["example.com", "Mail.EXAMPLE.net", "example.org", "example", "orders.test", "b.invalid"]
)
def test_a_placeholder_is_told_from_an_address(default_project: Project, domain: str) -> None:
    assert is_placeholder(default_project, f"example.com@{domain}")


@pytest.mark.parametrize("domain", ["example.dev", "orders-example.com", "example.com.dev", "test.dev", "mytest"])
def test_an_address_that_resembles_a_placeholder_is_none(default_project: Project, domain: str) -> None:
    assert not is_placeholder(default_project, f"example.com@{domain}")


def test_the_dates_of_the_runtimes_have_their_source(default_project: Project) -> None:
    text = default_project.read("policies.toml")

    assert re.search(r"# https://docs\.aws\.amazon\.com/lambda/\S+\n\[runtimes\]", text)
