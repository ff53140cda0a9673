"""Trust policies of the CI roles: required claims of GitHub's OIDC tokens, and valid repositories and IDs."""

import pytest

from bootstrap.trust import TrustSettings, conditions
from tests.unit.bootstrap.conftest import MODEL

HOST = "token.actions.githubusercontent.com"
SETTINGS = TrustSettings.model_validate({"repository": "acme/orders", "repositoryId": "456", "branch": "release/1"})


def test_tokens_must_name_repository_and_environment_and_branch_to_deploy() -> None:
    exact = {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:repository_id": "456"}

    assert conditions(SETTINGS, "dev") == {
        "preview": {
            "StringEquals": exact | {f"{HOST}:environment": "dev-preview"},
            "StringLike": {
                f"{HOST}:sub": [
                    "repo:acme/orders:environment:dev-preview",
                    "repo:acme@*/orders@456:environment:dev-preview",
                ]
            },
        },
        "deploy": {
            "StringEquals": exact | {f"{HOST}:environment": "dev", f"{HOST}:ref": "refs/heads/release/1"},
            "StringLike": {
                f"{HOST}:sub": ["repo:acme/orders:environment:dev", "repo:acme@*/orders@456:environment:dev"]
            },
        },
    }


@pytest.mark.parametrize(
    ("repository", "number"), [("", ""), ("orders", "orders"), ("acme/*", "*"), ("a/b:ref", "0"), ("a/b/c", "-1")]
)
def test_a_malformed_repository_or_id_is_refused(repository: str, number: str) -> None:
    assert not MODEL.allows("repository", repository)
    assert not MODEL.allows("repositoryId", number)
