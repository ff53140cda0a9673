"""The trust policies of the CI roles, evaluated against the OIDC tokens of GitHub jobs."""

import pytest

from bootstrap.trust import ISSUER, TrustSettings, conditions
from tests.roles.evaluator import holds

SETTINGS = TrustSettings.model_validate({"repository": "acme/orders", "repositoryId": "456"})
# The repository in a token's subject: the old format, and the format for repositories created since 2026-07-15.
OLD, NEW = "repo:acme/orders", "repo:acme@123/orders@456"


def job(environment: str, subject: str = NEW, **claims: str) -> dict[str, str]:
    """Return the OIDC token claims of a job on main in a GitHub environment."""
    usual = {"aud": "sts.amazonaws.com", "repository_id": "456", "ref": "refs/heads/main", "environment": environment}
    return usual | {"sub": f"{subject}:environment:{environment}"} | claims


# The token claims of each job, and the roles that trust them.
JOBS: dict[str, tuple[dict[str, str], set[str]]] = {
    "a preview of a pull request": (job("dev-preview", ref="refs/pull/7/merge"), {"preview"}),
    "a deployment": (job("dev"), {"deploy"}),
    "a deployment, old subject format": (job("dev", OLD), {"deploy"}),
    "no environment": (job("", sub=f"{NEW}:ref:refs/heads/main"), set()),
    "the environment of another stack": (job("prod"), set()),
    "an environment whose name begins with the stack's name": (job("dev2"), set()),
    "a tag with the branch's name": (job("dev", ref="refs/tags/main"), set()),
    "a fork": (job("dev", "repo:mallory@666/orders@667", repository_id="667"), set()),
    "another repository of the owner": (job("dev", "repo:acme@123/other@457", repository_id="457"), set()),
    "another repository with our former name, old subject format": (job("dev", OLD, repository_id="999"), set()),
    "our repository, transferred to another owner": (job("dev", "repo:mallory@666/orders@456"), set()),
    "a subject with another environment": (job("dev", sub=f"{NEW}:environment:prod"), set()),
    "a token for another audience": (job("dev", aud="https://github.com/acme"), set()),
}


@pytest.mark.parametrize(("claims", "roles"), JOBS.values(), ids=JOBS)
def test_only_jobs_of_the_repository_in_the_environment_are_trusted(claims: dict[str, str], roles: set[str]) -> None:
    context = {f"{ISSUER}:{claim}": value for claim, value in claims.items()}
    trusted = conditions(SETTINGS, "dev")

    assert {role for role, condition in trusted.items() if holds({"Condition": condition}, context)} == roles
    # A role does not trust a token with an empty claim.
    for role, condition in trusted.items():
        needed = [key for keys in condition.values() for key in keys]
        assert not [each for each in needed if holds({"Condition": condition}, context | {each: ""})], role
