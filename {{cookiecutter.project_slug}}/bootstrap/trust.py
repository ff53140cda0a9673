"""Trust policies of the CI roles: conditions on the claims of GitHub's OIDC tokens.

https://docs.github.com/en/actions/reference/security/oidc
"""

from typing import Annotated, Any, Final

from pydantic import Field

from bootstrap.settings import BootstrapSettings

ISSUER: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"


class TrustSettings(BootstrapSettings):
    """Bootstrap settings, with the GitHub repository."""

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
            description="ID of the repository, which GitHub never reuses",
            examples=["456"],
            json_schema_extra={"allowed": "the output of `gh api repos/OWNER/NAME --jq .id`"},
        ),
    ]


def conditions(settings: TrustSettings, stack: str) -> dict[str, dict[str, Any]]:
    """Return the trust policy conditions of each role of a stack.

    The preview role trusts jobs in the environment ``STACK-preview``, for every branch and pull request within the
    repository: a fork's jobs have the fork's repository ID, or no token. The deploy role trusts jobs of the deployed
    branch in the stack's environment, whose protection rules GitHub enforces.
    """
    return {
        "preview": _conditions(settings, f"{stack}-preview"),
        "deploy": _conditions(settings, stack, ref=f"refs/heads/{settings.branch}"),
    }


def _conditions(settings: TrustSettings, environment: str, **claims: str) -> dict[str, Any]:
    owner, name = settings.repository.split("/")
    exact = {"aud": AUDIENCE, "repository_id": settings.repository_id, "environment": environment, **claims}
    # The claim `sub` has names or, for repositories created or renamed since 2026-07-15, names and IDs. AWS requires a
    # condition on `sub`, but somebody else may reuse the names: `repository_id` identifies the repository.
    subjects = [f"repo:{owner}/{name}", f"repo:{owner}@*/{name}@{settings.repository_id}"]
    return {
        "StringEquals": {f"{ISSUER}:{claim}": value for claim, value in exact.items()},
        "StringLike": {f"{ISSUER}:sub": [f"{subject}:environment:{environment}" for subject in subjects]},
    }
