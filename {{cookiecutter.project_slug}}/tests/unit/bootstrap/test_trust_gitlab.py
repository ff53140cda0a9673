"""Trust policies of the CI roles: required claims of GitLab's ID tokens, and valid project paths."""

import pytest

from bootstrap.trust import TrustSettings, conditions
from tests.unit.bootstrap.conftest import MODEL

SETTINGS = TrustSettings.model_validate({"repository": "acme/shop/orders", "branch": "release/1"})


def test_tokens_must_name_the_project_and_the_branch_to_deploy() -> None:
    subject = "project_path:acme/shop/orders:ref_type:branch:ref:"
    audience = {"gitlab.com:aud": "https://gitlab.com"}

    assert conditions(SETTINGS, "dev") == {
        "preview": {"StringEquals": audience, "StringLike": {"gitlab.com:sub": f"{subject}*"}},
        "deploy": {"StringEquals": audience, "StringLike": {"gitlab.com:sub": f"{subject}release/1"}},
    }


@pytest.mark.parametrize("repository", ["", "orders", "acme/*", "a/b:ref"])
def test_a_malformed_project_path_is_refused(repository: str) -> None:
    assert not MODEL.allows("repository", repository)
