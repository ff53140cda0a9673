"""Trust policies of the CI roles: conditions on the claims of GitLab's ID tokens.

https://docs.gitlab.com/ci/cloud_services/aws/
"""

from typing import Annotated, Any, Final

from pydantic import Field

from bootstrap.settings import BootstrapSettings

ISSUER: Final = "gitlab.com"
AUDIENCE: Final = "https://gitlab.com"


class TrustSettings(BootstrapSettings):
    """Bootstrap settings, with the GitLab project."""

    repository: Annotated[
        str,
        Field(
            # No wildcards, and no colon, which separates the parts of the claim `sub`.
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_.][A-Za-z0-9._-]*)+$",
            description="The project on GitLab",
            examples=["acme/shop/orders"],
            json_schema_extra={"allowed": "GROUP/PROJECT"},
        ),
    ]


def conditions(settings: TrustSettings, _stack: str) -> dict[str, dict[str, Any]]:
    """Return the trust policy conditions of each role of a stack.

    The preview role trusts jobs of every branch and merge request within the project: a fork's jobs belong to the fork.
    The deploy role trusts jobs of the deployed branch. The claim ``sub`` does not contain the environment, so the
    branch must be protected.
    """
    subject = f"project_path:{settings.repository}:ref_type:branch:ref:"
    return {
        role: {"StringEquals": {f"{ISSUER}:aud": AUDIENCE}, "StringLike": {f"{ISSUER}:sub": f"{subject}{ref}"}}
        for role, ref in (("preview", "*"), ("deploy", settings.branch))
    }
