"""Who may assume the roles: jobs of the repository on GitHub, found by what their tokens say about them.

https://docs.github.com/en/actions/reference/security/oidc
"""

from typing import Annotated, Any, Final

from pydantic import Field

from bootstrap.settings import BootstrapSettings

ISSUER: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"


class TrustSettings(BootstrapSettings):
    """The settings, with the repository."""

    repository: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$",
            description="The repository",
            examples=["acme/orders"],
            json_schema_extra={"allowed": "OWNER/NAME"},
        ),
    ]
    repository_id: Annotated[
        str,
        Field(
            pattern=r"^[1-9][0-9]*$",
            description="Number of the repository, which no other repository ever gets",
            examples=["456"],
            json_schema_extra={"allowed": "what `gh api repos/OWNER/NAME --jq .id` prints"},
        ),
    ]


def conditions(settings: TrustSettings, stack: str) -> dict[str, dict[str, Any]]:
    """Return what a token must say to assume each role of a stack.

    The preview role trusts jobs in the environment ``STACK-preview``, of every branch and pull request from within: a
    job of a fork belongs to the fork, or gets no token. The deploy role trusts jobs of the branch that is deployed, in
    the environment of the stack, whose rules GitHub enforces.
    """
    return {
        "preview": _conditions(settings, f"{stack}-preview"),
        "deploy": _conditions(settings, stack, ref=f"refs/heads/{settings.branch}"),
    }


def _conditions(settings: TrustSettings, environment: str, **claims: str) -> dict[str, Any]:
    owner, name = settings.repository.split("/")
    exact = {"aud": AUDIENCE, "repository_id": settings.repository_id, "environment": environment, **claims}
    # A subject has names or, in repositories since 2026-07-15, names and numbers. AWS requires a condition on it, but
    # somebody else may get the names one day: the number above identifies the repository.
    subjects = [f"repo:{owner}/{name}", f"repo:{owner}@*/{name}@{settings.repository_id}"]
    return {
        "StringEquals": {f"{ISSUER}:{claim}": value for claim, value in exact.items()},
        "StringLike": {f"{ISSUER}:sub": [f"{subject}:environment:{environment}" for subject in subjects]},
    }
