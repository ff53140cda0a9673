"""Who may assume the roles: jobs of this project's repository, found by what their tokens say about them.

https://docs.github.com/en/actions/reference/security/oidc
https://docs.gitlab.com/ci/cloud_services/aws/
"""

from dataclasses import dataclass
from typing import Final

from bootstrap.settings import BootstrapSettings
from infrastructure.account import Account
from infrastructure.iam import Statement


@dataclass(frozen=True)
class Issuer:
    """Who issues the tokens.

    Attributes:
        host: Its address, which is also the beginning of the condition keys.
        audience: Whom the tokens are for.
    """

    host: str
    audience: str

    @property
    def url(self) -> str:
        """URL of the issuer."""
        return f"https://{self.host}"

    def provider_arn(self, account: Account) -> str:
        """Return the ARN of the issuer's OIDC provider in an account."""
        return f"arn:{account.partition}:iam::{account.id}:oidc-provider/{self.host}"


ISSUERS: Final = {
    "github": Issuer("token.actions.githubusercontent.com", "sts.amazonaws.com"),
    "gitlab": Issuer("gitlab.com", "https://gitlab.com"),
}


def preview_statement(settings: BootstrapSettings, account: Account) -> Statement:
    """Let in every job of the repository: any branch, any pull request from within.

    A job of a fork belongs to the fork, or gets no token.
    """
    if settings.ci == "github":
        return _statement(settings, account, _github_identity(settings), [f"{each}:*" for each in _subjects(settings)])
    return _statement(settings, account, {}, [f"project_path:{settings.repository}:ref_type:branch:ref:*"])


def deploy_statement(settings: BootstrapSettings, account: Account, stack: str) -> Statement:
    """Let in jobs of the branch that is deployed; on GitHub only in the environment of the stack, if it lets them.

    On GitLab a token's subject does not name the environment: protect the branch.
    """
    if settings.ci == "github":
        exact = {**_github_identity(settings), "environment": stack, "ref": f"refs/heads/{settings.branch}"}
        return _statement(settings, account, exact, [f"{each}:environment:{stack}" for each in _subjects(settings)])
    subject = f"project_path:{settings.repository}:ref_type:branch:ref:{settings.branch}"
    return _statement(settings, account, {}, [subject])


def _github_identity(settings: BootstrapSettings) -> dict[str, str]:
    """Return the claims that identify a repository. Somebody else may get its name one day."""
    return {"repository_id": settings.repository_id, "repository_owner_id": settings.repository_owner_id}


def _subjects(settings: BootstrapSettings) -> list[str]:
    """Return how the subject begins: with names or, in repositories since 2026-07-15, with names and numbers.

    AWS refuses a trust policy for GitHub without a condition on the subject.
    """
    owner, name = settings.repository.split("/")
    return [
        f"repo:{owner}/{name}",
        f"repo:{owner}@{settings.repository_owner_id}/{name}@{settings.repository_id}",
    ]


def _statement(settings: BootstrapSettings, account: Account, exact: dict[str, str], subjects: list[str]) -> Statement:
    issuer = ISSUERS[settings.ci]
    return {
        "Effect": "Allow",
        "Principal": {"Federated": issuer.provider_arn(account)},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{issuer.host}:{claim}": value for claim, value in {"aud": issuer.audience, **exact}.items()
            },
            "StringLike": {f"{issuer.host}:sub": subjects},
        },
    }
