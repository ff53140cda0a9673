"""Who may assume the roles: jobs of the project on GitLab, found by what their tokens say about them.

https://docs.gitlab.com/ci/cloud_services/aws/
"""

from typing import Annotated, Any, Final

from pydantic import Field

from bootstrap.settings import BootstrapSettings

ISSUER: Final = "gitlab.com"
AUDIENCE: Final = "https://gitlab.com"


class TrustSettings(BootstrapSettings):
    """The settings, with the project."""

    repository: Annotated[
        str,
        Field(
            # Neither a wildcard nor a colon, which separates the parts of a token's subject.
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_.][A-Za-z0-9._-]*)+$",
            description="The project on GitLab",
            examples=["acme/shop/orders"],
            json_schema_extra={"allowed": "GROUP/PROJECT"},
        ),
    ]


def conditions(settings: TrustSettings, _stack: str) -> dict[str, dict[str, Any]]:
    """Return what a token must say to assume each role of a stack.

    The preview role trusts jobs of every branch and merge request from within: a job of a fork belongs to the fork. The
    deploy role trusts jobs of the branch that is deployed. A token's subject does not name the environment: protect the
    branch.
    """
    subject = f"project_path:{settings.repository}:ref_type:branch:ref:"
    return {
        role: {"StringEquals": {f"{ISSUER}:aud": AUDIENCE}, "StringLike": {f"{ISSUER}:sub": f"{subject}{ref}"}}
        for role, ref in (("preview", "*"), ("deploy", settings.branch))
    }
