"""The settings of the bootstrap program: what is allowed, and what is said about everything else."""

import json
import re
from collections.abc import Mapping

import pytest

from bootstrap.settings import BootstrapSettings
from tests.unit.bootstrap.conftest import BOOTSTRAP, GITHUB, GITLAB, OTHER_ACCOUNT_ID, STATE, THIRD_ACCOUNT_ID
from tools.project import PROJECT_FOLDER, read_project
from tools.settings import SettingsError, SettingsModel

KEY_ARN = f"arn:aws:kms:us-east-1:{OTHER_ACCOUNT_ID}:key/99999999-8888-7777-6666-555555555555"
FOLDER = read_project(PROJECT_FOLDER / "bootstrap")
COMPLETE = GITHUB | {
    "branch": "release/1",
    "createOidcProvider": "false",
    "stateBucket": "acme-state",
    "stateAccountIds": json.dumps([OTHER_ACCOUNT_ID, THIRD_ACCOUNT_ID]),
}
IDS_ALLOWED = 'a list of account IDs, for example ["123456789012"]'

# Settings, and the part of the message about them.
REFUSED = {
    "no platform": (GITHUB | {"ci": None}, "ci: missing; allowed: one of github, gitlab"),
    "another platform": (GITHUB | {"ci": "jenkins"}, 'ci: found "jenkins"; allowed: one of github, gitlab'),
    "no repository": (
        GITHUB | {"repository": ""},
        'repository: found ""; allowed: OWNER/NAME on GitHub, GROUP/PROJECT',
    ),
    "a repository without an owner": (GITHUB | {"repository": "orders"}, 'repository: found "orders"; allowed: OWNER/'),
    "every repository": (GITHUB | {"repository": "acme/*"}, 'repository: found "acme/*"; allowed: OWNER/NAME'),
    "a repository with more": (GITHUB | {"repository": "a/b:ref"}, 'repository: found "a/b:ref"; allowed: OWNER/NAME'),
    "a group on GitHub": (
        GITHUB | {"repository": "a/b/c"},
        'repository: found "a/b/c"; allowed: OWNER/NAME, because ci is github',
    ),
    "a name of the repository for its number": (
        GITHUB | {"repositoryId": "orders"},
        'repositoryId: found "orders"; allowed: empty (GitLab), or what `gh api repos/OWNER/NAME --jq .id` prints',
    ),
    "no number": (
        GITHUB | {"repositoryId": ""},
        'repositoryId: found ""; allowed: what `gh api repos/OWNER/NAME --jq .id` prints, because ci is github',
    ),
    "no number of the owner": (
        GITHUB | {"repositoryOwnerId": ""},
        'repositoryOwnerId: found ""; allowed: what `gh api repos/OWNER/NAME --jq .owner.id` prints, because ci is',
    ),
    "a wildcard for the number": (GITHUB | {"repositoryOwnerId": "*"}, 'repositoryOwnerId: found "*"; allowed: empty'),
    "every branch": (GITLAB | {"branch": "*"}, 'branch: found "*"; allowed: the name of a branch, without wildcards'),
    "no branch": (GITLAB | {"branch": ""}, 'branch: found ""; allowed: the name of a branch, without wildcards'),
    "neither true nor false": (
        GITHUB | {"createOidcProvider": "no"},
        'createOidcProvider: found "no"; allowed: true or false',
    ),
    "a bucket that S3 refuses": (
        GITHUB | {"stateBucket": "Acme"},
        'stateBucket: found "Acme"; allowed: empty (Pulumi Cloud), or 3 to 63 lower-case letters',
    ),
    "an alias for the key": (
        GITHUB | STATE | {"stateKeyArn": "alias/state"},
        'stateKeyArn: found "alias/state"; allowed: empty (this account has the bucket), or the ARN of a KMS key',
    ),
    "a key without its bucket": (
        GITHUB | {"stateKeyArn": KEY_ARN},
        'stateBucket: found ""; allowed: a bucket\'s name, because stateKeyArn is set',
    ),
    "no list": (
        GITHUB | STATE | {"stateAccountIds": OTHER_ACCOUNT_ID},
        f'stateAccountIds: found "{OTHER_ACCOUNT_ID}"; allowed: {IDS_ALLOWED}',
    ),
    "no JSON": (GITHUB | STATE | {"stateAccountIds": "["}, f'stateAccountIds: found "["; allowed: {IDS_ALLOWED}'),
    "no account": (GITHUB | STATE | {"stateAccountIds": '["x"]'}, f"allowed: {IDS_ALLOWED}"),
    "accounts without a bucket": (
        GITHUB | {"stateAccountIds": json.dumps([OTHER_ACCOUNT_ID])},
        "allowed: none, because this account does not have the bucket",
    ),
    "accounts for another's bucket": (
        GITHUB | STATE | {"stateAccountIds": json.dumps([OTHER_ACCOUNT_ID]), "stateKeyArn": KEY_ARN},
        "allowed: none, because this account does not have the bucket",
    ),
    "a misspelt key": (GITHUB | {"repo": "acme/orders"}, "repo: unknown key; allowed: ci, repository, repositoryId"),
}


def read(settings: Mapping[str, str | None], secret_keys: tuple[str, ...] = ()) -> BootstrapSettings:
    """Read settings as the program does; those that are ``None`` are not there."""
    config = {f"{BOOTSTRAP}:{key}": value for key, value in settings.items() if value is not None}
    return BootstrapSettings.read(BOOTSTRAP, config | {"aws:region": "us-east-1"}, secret_keys)


def refusal(settings: Mapping[str, str | None], secret_keys: tuple[str, ...] = ()) -> str:
    with pytest.raises(SettingsError) as error:
        read(settings, secret_keys)
    return str(error.value)


def test_every_setting_is_read() -> None:
    assert read(COMPLETE | {"stateKeyArn": ""}).model_dump() == {
        "ci": "github",
        "repository": "acme/orders",
        "repository_id": "456",
        "repository_owner_id": "123",
        "branch": "release/1",
        "create_oidc_provider": False,
        "state_bucket": "acme-state",
        "state_key_arn": "",
        "state_account_ids": (OTHER_ACCOUNT_ID, THIRD_ACCOUNT_ID),
    }


def test_these_are_the_defaults() -> None:
    assert read(GITLAB).model_dump() == {
        "ci": "gitlab",
        "repository": "acme/shop/orders",
        "repository_id": "",
        "repository_owner_id": "",
        "branch": "main",
        "create_oidc_provider": True,
        "state_bucket": "",
        "state_key_arn": "",
        "state_account_ids": (),
    }


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said_on_one_line(settings: Mapping[str, str | None], message: str) -> None:
    text = refusal(settings)

    assert f"{BOOTSTRAP}:" in text
    assert message in text
    assert re.fullmatch(r"the stack's configuration has 1 problem:\n  - [^\n]+", text)


def test_all_problems_are_said_at_once() -> None:
    assert refusal({"ci": "jenkins", "branch": "*"}).startswith("the stack's configuration has 3 problems:")
    assert refusal({"ci": "github", "repository": "a/b"}).startswith("the stack's configuration has 2 problems:")


def test_several_bad_accounts_are_one_problem() -> None:
    assert "has 1 problem:" in refusal(GITHUB | STATE | {"stateAccountIds": '["x", "y"]'})


def test_a_secret_is_not_shown() -> None:
    text = refusal(GITHUB | {"repositoryId": "hidden!"}, (f"{BOOTSTRAP}:repositoryId",))

    assert "repositoryId: found [secret]; allowed:" in text
    assert "hidden" not in text


@pytest.mark.parametrize("stack", FOLDER.stacks)
def test_the_stack_files_have_known_keys_only(stack: str) -> None:
    keys = [key for key, _ in FOLDER.read_stack(stack).config if not key.startswith(("aws:", "pulumi:"))]

    assert FOLDER.name == BOOTSTRAP
    assert [key for key in keys if key.removeprefix(f"{BOOTSTRAP}:") not in SettingsModel(BootstrapSettings).keys] == []


@pytest.mark.parametrize("key", SettingsModel(BootstrapSettings).keys)
def test_every_setting_is_described(key: str) -> None:
    model = SettingsModel(BootstrapSettings)

    assert model.allowed(key)
    assert model.schema[key]["description"]


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, False), (STATE, True), (STATE | {"stateKeyArn": KEY_ARN}, False)]
)
def test_the_bucket_is_in_this_account_unless_another_has_the_key(settings: dict[str, str], expected: bool) -> None:
    assert read(GITHUB | settings).has_own_bucket is expected
