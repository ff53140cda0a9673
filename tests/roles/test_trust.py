"""Who may assume the roles: the trust policies, evaluated against the tokens of jobs."""

import json
from typing import Any

import pytest

from bootstrap.settings import BootstrapSettings
from bootstrap.trust import deploy_statement, preview_statement
from tests.unit.bootstrap.conftest import GITHUB, GITLAB
from tests.unit.bootstrap.evaluator import allows
from tools.testing import example_account

ACCOUNT = example_account("us-east-1")
ASSUME = "sts:AssumeRoleWithWebIdentity"
HOSTS = {"github": "token.actions.githubusercontent.com", "gitlab": "gitlab.com"}
SETTINGS = {
    "github": BootstrapSettings.model_validate(GITHUB),
    "gitlab": BootstrapSettings.model_validate(GITLAB),
}

# What the subject of a token says of the repository: before 2026-07-15, and in repositories since then.
OLD, NEW = "repo:acme/orders", "repo:acme@123/orders@456"
# Tokens on GitHub, by what the job is: what differs from a job of a pull request of the repository.
PULL_REQUEST = {
    "aud": "sts.amazonaws.com",
    "sub": f"{NEW}:pull_request",
    "repository_id": "456",
    "repository_owner_id": "123",
    "ref": "refs/pull/7/merge",
}
MAIN = {"sub": f"{NEW}:ref:refs/heads/main", "ref": "refs/heads/main"}
DEPLOYMENT = {"sub": f"{NEW}:environment:dev", "ref": "refs/heads/main", "environment": "dev"}
# Who is let in by the preview role, and by the deploy role of the stack dev.
GITHUB_JOBS: dict[str, tuple[dict[str, str | None], bool, bool]] = {
    "a pull request": ({}, True, False),
    "a pull request, old": ({"sub": f"{OLD}:pull_request"}, True, False),
    "main without an environment": (MAIN, True, False),
    "main without an environment, old": (MAIN | {"sub": f"{OLD}:ref:refs/heads/main"}, True, False),
    "another branch": ({"sub": f"{NEW}:ref:refs/heads/other", "ref": "refs/heads/other"}, True, False),
    "a deployment": (DEPLOYMENT, True, True),
    "a deployment, old": (DEPLOYMENT | {"sub": f"{OLD}:environment:dev"}, True, True),
    "the environment of another stack": (
        DEPLOYMENT | {"sub": f"{NEW}:environment:prod", "environment": "prod"},
        True,
        False,
    ),
    "an environment whose name begins like the stack's": (
        DEPLOYMENT | {"sub": f"{NEW}:environment:dev2", "environment": "dev2"},
        True,
        False,
    ),
    "another branch in the environment": (DEPLOYMENT | {"ref": "refs/heads/other"}, True, False),
    "a branch whose name begins with the branch's": (DEPLOYMENT | {"ref": "refs/heads/main2"}, True, False),
    "a tag with the branch's name": (DEPLOYMENT | {"ref": "refs/tags/main"}, True, False),
    "a pull request in the environment": (
        {"sub": f"{NEW}:environment:dev", "environment": "dev"},
        True,
        False,
    ),
    "a fork": (
        {"sub": "repo:mallory@666/orders@667:pull_request", "repository_id": "667", "repository_owner_id": "666"},
        False,
        False,
    ),
    "a fork that deploys": (
        DEPLOYMENT
        | {"sub": "repo:mallory@666/orders@667:environment:dev", "repository_id": "667", "repository_owner_id": "666"},
        False,
        False,
    ),
    "another repository of the owner": (
        DEPLOYMENT | {"sub": "repo:acme@123/other@457:environment:dev", "repository_id": "457"},
        False,
        False,
    ),
    "a repository whose name begins like ours": (
        DEPLOYMENT | {"sub": "repo:acme@123/orders2@4567:environment:dev", "repository_id": "4567"},
        False,
        False,
    ),
    "a repository that has got our name, old": (
        DEPLOYMENT | {"sub": f"{OLD}:environment:dev", "repository_id": "999", "repository_owner_id": "998"},
        False,
        False,
    ),
    "another repository of the owner that has got our name, old": (
        DEPLOYMENT | {"sub": f"{OLD}:environment:dev", "repository_id": "999"},
        False,
        False,
    ),
    "our repository, given to an owner that has got our owner's name, old": (
        DEPLOYMENT | {"sub": f"{OLD}:environment:dev", "repository_owner_id": "666"},
        False,
        False,
    ),
    "our repository, given to another owner": (
        DEPLOYMENT | {"sub": "repo:mallory@666/orders@456:environment:dev", "repository_owner_id": "666"},
        False,
        False,
    ),
    "a token for somebody else": (DEPLOYMENT | {"aud": "https://github.com/acme"}, False, False),
    "a token without numbers": (DEPLOYMENT | {"repository_id": None, "repository_owner_id": None}, False, False),
    "a token without a subject": (DEPLOYMENT | {"sub": None}, False, False),
    "a token without an audience": (DEPLOYMENT | {"aud": None}, False, False),
    "a deployment whose token does not name the environment": (DEPLOYMENT | {"environment": None}, True, False),
    "a deployment whose subject does not name the environment": (
        DEPLOYMENT | {"sub": f"{NEW}:ref:refs/heads/main"},
        True,
        False,
    ),
    "a deployment whose subject does not name the environment, old": (
        DEPLOYMENT | {"sub": f"{OLD}:ref:refs/heads/main"},
        True,
        False,
    ),
    "a deployment whose token does not name the branch": (DEPLOYMENT | {"ref": None}, True, False),
}

BRANCH = {"aud": "https://gitlab.com", "sub": "project_path:acme/shop/orders:ref_type:branch:ref:other"}
GITLAB_JOBS: dict[str, tuple[dict[str, str | None], bool, bool]] = {
    "a branch, or a merge request from it": ({}, True, False),
    "main": ({"sub": "project_path:acme/shop/orders:ref_type:branch:ref:main"}, True, True),
    "a branch whose name begins with main": (
        {"sub": "project_path:acme/shop/orders:ref_type:branch:ref:main2"},
        True,
        False,
    ),
    "a tag": ({"sub": "project_path:acme/shop/orders:ref_type:tag:ref:main"}, False, False),
    "a fork": ({"sub": "project_path:mallory/orders:ref_type:branch:ref:main"}, False, False),
    "another project of the group": ({"sub": "project_path:acme/shop/other:ref_type:branch:ref:main"}, False, False),
    "a project below ours": ({"sub": "project_path:acme/shop/orders/x:ref_type:branch:ref:main"}, False, False),
    "a token for somebody else": ({"aud": "https://vault.example.com"}, False, False),
    "a token without a subject": ({"sub": None}, False, False),
}
JOBS = {
    **{f"GitHub: {name}": ("github", PULL_REQUEST, *job) for name, job in GITHUB_JOBS.items()},
    **{f"GitLab: {name}": ("gitlab", BRANCH, *job) for name, job in GITLAB_JOBS.items()},
}


def lets_in(statement: Any, ci: str, claims: dict[str, str | None]) -> bool:
    """Whether a trust policy lets in the bearer of a token."""
    context = {f"{HOSTS[ci]}:{claim}": value for claim, value in claims.items() if value is not None}
    return allows([{"Statement": [statement]}], ASSUME, context=context)


@pytest.mark.parametrize(("ci", "usual", "different", "may_preview", "may_deploy"), JOBS.values(), ids=JOBS)
def test_only_who_belongs_is_let_in(
    ci: str, usual: dict[str, str | None], different: dict[str, str | None], may_preview: bool, may_deploy: bool
) -> None:
    claims = usual | different

    assert lets_in(preview_statement(SETTINGS[ci], ACCOUNT), ci, claims) is may_preview
    assert lets_in(deploy_statement(SETTINGS[ci], ACCOUNT, "dev"), ci, claims) is may_deploy


@pytest.mark.parametrize("ci", HOSTS)
def test_only_tokens_of_the_issuer_are_accepted(ci: str) -> None:
    for statement in (preview_statement(SETTINGS[ci], ACCOUNT), deploy_statement(SETTINGS[ci], ACCOUNT, "dev")):
        assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{HOSTS[ci]}"}
        assert statement["Action"] == ASSUME
        assert statement["Effect"] == "Allow"


def test_the_provider_is_in_the_partition_of_the_account() -> None:
    statement = preview_statement(SETTINGS["github"], example_account("cn-north-1"))

    assert statement["Principal"]["Federated"].startswith("arn:aws-cn:iam::")


@pytest.mark.parametrize("ci", HOSTS)
def test_another_branch_can_be_the_one_that_is_deployed(ci: str) -> None:
    settings = SETTINGS[ci].model_copy(update={"branch": "release/1"})
    text = json.dumps(deploy_statement(settings, ACCOUNT, "dev"))

    assert "release/1" in text
    assert "main" not in text


@pytest.mark.parametrize("ci", HOSTS)
def test_every_condition_needs_its_claim(ci: str) -> None:
    for statement in (preview_statement(SETTINGS[ci], ACCOUNT), deploy_statement(SETTINGS[ci], ACCOUNT, "dev")):
        # An operator with IfExists or ForAllValues is also met by a token without the claim.
        assert set(statement["Condition"]) == {"StringEquals", "StringLike"}
        assert f"{HOSTS[ci]}:sub" in statement["Condition"]["StringLike"]
