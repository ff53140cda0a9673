"""The bootstrap program: every resource that it creates, and its outputs."""

import json
from typing import Any

import pytest

from bootstrap import policies
from bootstrap.settings import BootstrapSettings
from bootstrap.stacks import Stack, find_stacks
from bootstrap.trust import deploy_statement, preview_statement
from tests.unit.bootstrap.conftest import (
    BOOTSTRAP,
    GITHUB,
    GITLAB,
    KEY_ARN,
    OTHER_ACCOUNT_ID,
    STACKS,
    STATE,
    THIRD_ACCOUNT_ID,
    Bootstrap,
    WriteStacks,
)
from tests.unit.bootstrap.evaluator import allows
from tools.settings import SettingsError
from tools.testing import ACCOUNT_ID, PROJECT_NAME, Deployment, example_account

POLICY, ROLE, ROLE_POLICY = "aws:iam/policy:Policy", "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
KEY, ALIAS = "aws:kms/key:Key", "aws:kms/alias:Alias"
BUCKET = "aws:s3/bucket:Bucket"
TAGS = {"Project": PROJECT_NAME, "ManagedBy": "pulumi"}
STATE_KEY = {"Sid": "AllowTheAccount", "Effect": "Allow", "Action": "kms:*", "Resource": "*"}
STATE_ARN = "arn:aws:s3:::acme-state"
OTHERS = STATE | {"stateAccountIds": json.dumps([OTHER_ACCOUNT_ID])}
# What belongs to the state bucket, by the last part of the logical name: type and inputs.
BUCKET_PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "versioning": ("BucketVersioning", {"versioningConfiguration": {"status": "Enabled"}}),
    "ownership": ("BucketOwnershipControls", {"rule": {"objectOwnership": "BucketOwnerEnforced"}}),
    "public-access": (
        "BucketPublicAccessBlock",
        {
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
    ),
    "lifecycle": (
        "BucketLifecycleConfiguration",
        {
            "rules": [
                {
                    "id": "expire-noncurrent-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrentVersionExpiration": {"noncurrentDays": 365},
                },
                {
                    "id": "abort-incomplete-uploads",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                },
            ]
        },
    ),
}


def part(deployment: Deployment, name: str, class_name: str) -> dict[str, Any]:
    """Return the inputs of a part of the state bucket."""
    inputs = deployment.one(f"aws:s3/{class_name[0].lower()}{class_name[1:]}:{class_name}", f"state-{name}").inputs
    assert inputs.pop("bucket") == "state-id"
    return inputs


@pytest.fixture(name="stacks")
def fixture_stacks(write_stacks: WriteStacks) -> dict[str, Stack]:
    """The account's stacks by name."""
    return {stack.name: stack for stack in find_stacks(example_account("us-east-1"), write_stacks(STACKS))}


def test_the_stacks_of_the_account_have_two_roles_each(on_github: Deployment) -> None:
    names = {name: each.inputs["name"] for name, each in on_github.all(ROLE).items()}

    assert names == {
        "dev-preview": f"{PROJECT_NAME}-dev-ci-preview",
        "dev-deploy": f"{PROJECT_NAME}-dev-ci-deploy",
        "qa-preview": f"{PROJECT_NAME}-test-ci-preview",
        "qa-deploy": f"{PROJECT_NAME}-test-ci-deploy",
    }


def test_the_roles_are_the_outputs(on_github: Deployment) -> None:
    assert on_github.exports == {
        f"{stack}_{role}_role_arn": f"arn:aws:iam::123456789012:role/{PROJECT_NAME}-{suffix}-ci-{role}"
        for stack, suffix in (("dev", "dev"), ("qa", "test"))
        for role in ("preview", "deploy")
    }


def test_the_state_key_is_an_output(with_state: Deployment) -> None:
    assert with_state.exports["state_key_arn"] == with_state.arn(KEY, "state-key")


def test_an_account_that_uses_the_bucket_of_another_has_no_such_output(bootstrap: Bootstrap) -> None:
    assert "state_key_arn" not in bootstrap(GITHUB | STATE | {"stateKeyArn": KEY_ARN}).exports


@pytest.mark.parametrize("settings", [GITHUB, GITLAB])
def test_roles_trust_ci(bootstrap: Bootstrap, settings: dict[str, str]) -> None:
    deployed, account = bootstrap(settings), example_account("us-east-1")
    read = BootstrapSettings.model_validate(settings)

    for stack in ("dev", "qa"):
        preview = deployed.one(ROLE, f"{stack}-preview")
        assert preview.document("assumeRolePolicy")["Statement"] == [preview_statement(read, account)]
        deploy = deployed.one(ROLE, f"{stack}-deploy")
        assert deploy.document("assumeRolePolicy")["Statement"] == [deploy_statement(read, account, stack)]


def test_roles_say_what_they_are_for(on_github: Deployment) -> None:
    assert {name: each.inputs["description"] for name, each in on_github.all(ROLE).items()} == {
        "dev-preview": "Previews dev from CI, and changes nothing",
        "dev-deploy": "Deploys dev from CI, and tests it",
        "qa-preview": "Previews qa from CI, and changes nothing",
        "qa-deploy": "Deploys qa from CI, and tests it",
    }


def test_a_job_may_take_two_hours(on_github: Deployment) -> None:
    longest = [each.inputs["maxSessionDuration"] for each in on_github.all(ROLE).values()]

    assert longest == [7200] * 4


def test_roles_have_their_policies_and_no_other(on_github: Deployment) -> None:
    attached = {(each.inputs["role"], each.inputs["policyArn"]) for each in on_github.all(ATTACHMENT).values()}

    expected = {"preview": ["read"], "deploy": ["read", "data", "compute", "key", "tests"]}
    assert attached == {
        (
            f"{PROJECT_NAME}-{suffix}-ci-{role}",
            f"arn:aws:iam::123456789012:policy/{PROJECT_NAME}-{suffix}-ci-{policy}",
        )
        for suffix in ("dev", "test")
        for role, names in expected.items()
        for policy in names
    }
    assert not on_github.all(ROLE_POLICY)


@pytest.mark.parametrize("name", ["dev", "qa"])
def test_policies_are_those_of_the_stack(on_github: Deployment, stacks: dict[str, Stack], name: str) -> None:
    for policy, grants in policies.role_policies(stacks[name]).items():
        inputs = on_github.one(POLICY, f"{name}-{policy}").inputs
        assert inputs["name"] == stacks[name].ci_name(policy)
        assert inputs["policy"] == policies.document(stacks[name], grants)


def test_a_boundary_is_created_unless_the_stack_has_another(on_github: Deployment, stacks: dict[str, Stack]) -> None:
    inputs = on_github.one(POLICY, "dev-boundary").inputs

    assert inputs["name"] == f"{PROJECT_NAME}-dev-ci-boundary"
    assert inputs["policy"] == policies.document(stacks["dev"], policies.boundary(stacks["dev"]))
    assert "qa-boundary" not in on_github.all(POLICY)


@pytest.mark.parametrize(
    ("settings", "url", "audience"),
    [
        (GITHUB, "https://token.actions.githubusercontent.com", "sts.amazonaws.com"),
        (GITLAB, "https://gitlab.com", "https://gitlab.com"),
    ],
)
def test_the_provider_knows_the_issuer(bootstrap: Bootstrap, settings: dict[str, str], url: str, audience: str) -> None:
    provider = bootstrap(settings).one(PROVIDER, "oidc-provider")

    assert provider.inputs == {"url": url, "clientIdLists": [audience], "tags": TAGS}
    assert provider.protect


def test_an_existing_provider_is_used(bootstrap: Bootstrap, on_github: Deployment) -> None:
    deployed = bootstrap(GITHUB | {"createOidcProvider": "false"})

    assert not deployed.all(PROVIDER)
    trust = {name: each.inputs["assumeRolePolicy"] for name, each in deployed.all(ROLE).items()}
    assert trust == {name: each.inputs["assumeRolePolicy"] for name, each in on_github.all(ROLE).items()}


def test_roles_wait_for_the_provider(on_github: Deployment) -> None:
    provider = on_github.one(PROVIDER, "oidc-provider").urn

    assert all(provider in role.dependencies for role in on_github.all(ROLE).values())


def test_everything_is_tagged(with_state: Deployment) -> None:
    tagged = [each for type_ in (ROLE, POLICY, PROVIDER, KEY, BUCKET) for each in with_state.all(type_).values()]

    assert len(tagged) == 4 + 11 + 3
    assert [each.name for each in tagged if each.inputs["tags"] != TAGS] == []


def test_what_belongs_together_has_a_parent(with_state: Deployment) -> None:
    components = {each.urn: each.type for each in with_state.resources if each.is_component}

    assert sorted(components.values()) == [
        "pipeline:bootstrap:StackRoles",
        "pipeline:bootstrap:StackRoles",
        "pipeline:bootstrap:State",
        "pipeline:infrastructure:PrivateBucket",
    ]
    outside = [each.name for each in with_state.resources if not each.is_component and each.parent not in components]
    assert outside == ["oidc-provider"]


def test_components_register_their_outputs(with_state: Deployment) -> None:
    components = {each.name: each.urn for each in with_state.resources if each.type.startswith("pipeline:bootstrap:")}

    role = f"arn:aws:iam::123456789012:role/{PROJECT_NAME}-dev-ci"
    assert with_state.registered_outputs[components["dev"]] == {
        "preview": f"{role}-preview",
        "deploy": f"{role}-deploy",
    }
    assert with_state.registered_outputs[components["state"]] == {"bucket_arn": STATE_ARN}


def test_with_pulumi_cloud_there_is_no_bucket_and_no_key(on_github: Deployment) -> None:
    assert not on_github.all(BUCKET)
    assert not on_github.all(KEY)


def test_the_state_bucket_is_versioned_and_private(with_state: Deployment) -> None:
    assert with_state.one(BUCKET, "state").inputs["bucket"] == "acme-state"
    for name, (class_name, inputs) in BUCKET_PARTS.items():
        assert part(with_state, name, class_name) == inputs


def test_the_state_bucket_is_encrypted_with_the_key(with_state: Deployment) -> None:
    (rule,) = part(with_state, "encryption", "BucketServerSideEncryptionConfiguration")["rules"]

    assert rule == {
        "applyServerSideEncryptionByDefault": {
            "sseAlgorithm": "aws:kms",
            "kmsMasterKeyId": with_state.arn(KEY, "state-key"),
        },
        "bucketKeyEnabled": True,
        "blockedEncryptionTypes": ["SSE-C"],
    }


DENY_INSECURE = {
    "Sid": "DenyInsecureTransport",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [STATE_ARN, f"{STATE_ARN}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def test_the_state_bucket_accepts_tls_only(with_state: Deployment) -> None:
    document = json.loads(part(with_state, "policy", "BucketPolicy")["policy"])

    assert document["Statement"] == [DENY_INSECURE]


def test_lifecycle_and_policy_wait_for_what_they_need(with_state: Deployment) -> None:
    lifecycle = with_state.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "state-lifecycle")
    policy = with_state.one("aws:s3/bucketPolicy:BucketPolicy", "state-policy")

    assert with_state.one("aws:s3/bucketVersioning:BucketVersioning", "state-versioning").urn in lifecycle.dependencies
    access = with_state.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "state-public-access")
    assert access.urn in policy.dependencies


def test_the_state_is_protected_and_retained(with_state: Deployment) -> None:
    kept = [each for each in with_state.resources if each.name.startswith("state") and not each.is_component]

    assert len(kept) == 9
    assert [each.name for each in kept if not each.protect or not each.retain_on_delete] == []


def test_the_state_key_belongs_to_the_account(with_state: Deployment) -> None:
    key = with_state.one(KEY, "state-key")

    assert key.document("policy")["Statement"] == [
        {**STATE_KEY, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    ]
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 30
    assert key.inputs["description"] == f"Encrypts Pulumi's state and secrets of {PROJECT_NAME}"


def test_the_stacks_find_the_state_key_by_its_alias(with_state: Deployment) -> None:
    assert with_state.one(ALIAS, "state-key-alias").inputs == {
        "name": f"alias/{PROJECT_NAME}-pulumi-secrets",
        "targetKeyId": with_state.arn(KEY, "state-key").rpartition("/")[2],
    }


def test_other_accounts_can_keep_their_state_here(bootstrap: Bootstrap) -> None:
    deployed = bootstrap(GITHUB | OTHERS)
    others = {"Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam::{OTHER_ACCOUNT_ID}:root"]}}

    assert deployed.one(KEY, "state-key").document("policy")["Statement"][1:] == [
        {
            "Sid": "LetOtherAccountsUse",
            **others,
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
            "Resource": ["*"],
        }
    ]
    assert json.loads(part(deployed, "policy", "BucketPolicy")["policy"])["Statement"] == [
        DENY_INSECURE,
        {"Sid": "LetOtherAccountsList", **others, "Action": ["s3:ListBucket"], "Resource": [STATE_ARN]},
        {
            "Sid": "LetOtherAccountsUse",
            **others,
            "Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            "Resource": [f"{STATE_ARN}/.pulumi/*"],
        },
    ]


def test_an_account_can_use_the_bucket_of_another(bootstrap: Bootstrap) -> None:
    deployed = bootstrap(GITHUB | STATE | {"stateKeyArn": KEY_ARN})

    assert not deployed.all(BUCKET)
    assert list(deployed.all(KEY)) == ["state-key"]
    statements = deployed.one(ROLE_POLICY, "dev-preview-state").document("policy")["Statement"]
    assert statements[2]["Resource"] == [KEY_ARN, deployed.arn(KEY, "state-key")]


LIST_STATE = {"Sid": "ListState", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": STATE_ARN}
STATE_FOLDER = f"{STATE_ARN}/.pulumi"


def own_state(stack: str) -> list[str]:
    """Return where Pulumi keeps a stack's state."""
    return [
        f"{STATE_FOLDER}/stacks/{PROJECT_NAME}/{stack}.json",
        f"{STATE_FOLDER}/stacks/{PROJECT_NAME}/{stack}.json.*",
        f"{STATE_FOLDER}/stacks/{PROJECT_NAME}/{stack}.pulumi-tags",
        f"{STATE_FOLDER}/history/{PROJECT_NAME}/{stack}/*",
        f"{STATE_FOLDER}/backups/{PROJECT_NAME}/{stack}/*",
        f"{STATE_FOLDER}/locks/organization/{PROJECT_NAME}/{stack}/*",
    ]


def read_state(stack: str) -> dict[str, object]:
    """Return the statement that lets a role read a stack's state."""
    readable = [f"{STATE_FOLDER}/meta.yaml", *own_state(stack)]
    return {"Sid": "ReadOwnState", "Effect": "Allow", "Action": "s3:GetObject", "Resource": readable}


def test_the_preview_role_reads_the_state_of_its_stack(with_state: Deployment) -> None:
    policy = with_state.one(ROLE_POLICY, "dev-preview-state")
    key = {"Sid": "UseStateKeys", "Effect": "Allow", "Action": "kms:Decrypt"}

    assert policy.inputs["name"] == "state"
    assert policy.inputs["role"] == f"{PROJECT_NAME}-dev-ci-preview"
    assert policy.document("policy")["Statement"] == [
        LIST_STATE,
        read_state("dev"),
        {**key, "Resource": [with_state.arn(KEY, "state-key")]},
    ]


def test_the_deploy_role_writes_the_state_of_its_stack_only(with_state: Deployment) -> None:
    policy = with_state.one(ROLE_POLICY, "qa-deploy-state")

    assert policy.inputs["role"] == f"{PROJECT_NAME}-test-ci-deploy"
    assert policy.document("policy")["Statement"] == [
        LIST_STATE,
        read_state("qa"),
        {
            "Sid": "UseStateKeys",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            "Resource": [with_state.arn(KEY, "state-key")],
        },
        {
            "Sid": "WriteOwnState",
            "Effect": "Allow",
            "Action": ["s3:DeleteObject", "s3:PutObject"],
            "Resource": own_state("qa"),
        },
    ]


# Files of a stack's state.
STATE_FILES = (
    "stacks/{project}/{stack}.json",
    "stacks/{project}/{stack}.json.gz",
    "stacks/{project}/{stack}.json.bak",
    "stacks/{project}/{stack}.pulumi-tags",
    "history/{project}/{stack}/{stack}-1.checkpoint.json",
    "backups/{project}/{stack}/{stack}.1.json",
    "locks/organization/{project}/{stack}/1.json",
)


def state_files(stack: str, project: str = PROJECT_NAME) -> list[str]:
    return [f"{STATE_FOLDER}/{file.format(project=project, stack=stack)}" for file in STATE_FILES]


@pytest.mark.parametrize("role", ["preview", "deploy"])
def test_a_role_touches_the_state_of_no_other_stack(with_state: Deployment, role: str) -> None:
    document = with_state.one(ROLE_POLICY, f"dev-{role}-state").document("policy")
    # A pull request can run as dev's preview role: it must not read what prod has.
    others = [
        *state_files("prod"),
        *state_files("dev-eu"),
        *state_files("dev.eu"),
        *state_files("dev", "billing"),
        f"{STATE_ARN}/other",
    ]

    assert [file for file in state_files("dev") if not allows([document], "s3:GetObject", file)] == []
    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"):
        assert [file for file in others if allows([document], action, file)] == []


def test_wrong_settings_stop_the_program(bootstrap: Bootstrap) -> None:
    with pytest.raises(SettingsError, match=f'{BOOTSTRAP}:repositoryId: found ""'):
        bootstrap(GITHUB | {"repositoryId": ""})


def test_an_account_without_a_stack_stops_the_program(bootstrap: Bootstrap) -> None:
    with pytest.raises(SettingsError, match="found no stack with this account"):
        bootstrap(GITHUB, account_id=THIRD_ACCOUNT_ID)


def test_credentials_of_another_account_stop_the_program(bootstrap: Bootstrap) -> None:
    with pytest.raises(SettingsError) as error:
        bootstrap(GITHUB, credentials_of=THIRD_ACCOUNT_ID)

    assert str(error.value).endswith(
        rf'aws:allowedAccountIds: found "[\"{ACCOUNT_ID}\"]"; allowed: ["{THIRD_ACCOUNT_ID}"], the account of the '
        "credentials in this shell"
    )
