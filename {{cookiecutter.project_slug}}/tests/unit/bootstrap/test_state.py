"""The state bucket, its KMS key, and the access to both."""

from pathlib import Path
from typing import Any

import pulumi
import pytest

from bootstrap.state import bucket_name
from tests.unit.bootstrap.conftest import KEY_ARN, OTHER_ACCOUNT_ID, Bootstrap
from tests.unit.infrastructure.test_security import RULES
from tools.project import read_project
from tools.testing import ACCOUNT_ID, PROJECT_NAME, RecordedProgram

KEY, ALIAS, BUCKET = "aws:kms/key:Key", "aws:kms/alias:Alias", "aws:s3/bucket:Bucket"
BUCKET_POLICY, ROLE_POLICY = "aws:s3/bucketPolicy:BucketPolicy", "aws:iam/rolePolicy:RolePolicy"
NAME = bucket_name(read_project())
STATE_ARN = f"arn:aws:s3:::{NAME}"
TAGS = {"Project": PROJECT_NAME, "ManagedBy": "pulumi"}


def allow(sid: str, actions: list[str], resource: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", **more, "Action": actions, "Resource": resource}


def test_the_key_can_be_used_by_the_accounts_of_all_stacks(program: RecordedProgram) -> None:
    key, own, other = (
        program.one(KEY, "state-key"),
        *({"AWS": root} for root in (f"arn:aws:iam::{ACCOUNT_ID}:root", [f"arn:aws:iam::{OTHER_ACCOUNT_ID}:root"])),
    )

    assert key.inputs | {"policy": key.document("policy")["Statement"]} == {
        "description": f"Encrypts the Pulumi state and secrets of {PROJECT_NAME}",
        "enableKeyRotation": True,
        "deletionWindowInDays": 30,
        "policy": [
            {"Sid": "AllowTheAccount", "Effect": "Allow", "Principal": own, "Action": "kms:*", "Resource": "*"},
            allow(
                "AllowOtherAccountsUse",
                ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
                "*",
                Principal=other,
            ),
        ],
        "tags": TAGS,
    }
    assert program.one(ALIAS, "state-key-alias").inputs == {
        "name": f"alias/{PROJECT_NAME}-pulumi-secrets",
        "targetKeyId": program.arn(KEY, "state-key").rpartition("/")[2],
    }
    assert program.exports["state_key_arn"] == program.arn(KEY, "state-key")


def test_the_bucket_is_shared_with_the_accounts_of_all_stacks(program: RecordedProgram) -> None:
    others = {"AWS": [f"arn:aws:iam::{OTHER_ACCOUNT_ID}:root"]}
    rules = program.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "state-encryption"
    ).inputs["rules"]
    (lifecycle, _) = program.one(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "state-lifecycle"
    ).inputs["rules"]

    assert program.one(BUCKET, "state").inputs == {"bucket": NAME, "forceDestroy": False, "tags": TAGS}
    assert rules[0]["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"] == program.arn(KEY, "state-key")
    assert lifecycle["noncurrentVersionExpiration"] == {"noncurrentDays": 365}
    assert program.one(BUCKET_POLICY, "state-policy").document("policy")["Statement"][1:] == [
        allow("AllowOtherAccountsList", ["s3:ListBucket"], STATE_ARN, Principal=others),
        allow(
            "AllowOtherAccountsUse",
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            f"{STATE_ARN}/.pulumi/*",
            Principal=others,
        ),
    ]


def test_the_state_is_protected_and_retained(program: RecordedProgram) -> None:
    component = next(each for each in program.resources if each.type == "pipeline:bootstrap:State")
    kept = [each for each in program.resources if each.name.startswith("state") and not each.is_component]

    assert len(kept) == 9
    assert [each.name for each in kept if not each.protect or not each.retain_on_delete] == []
    assert program.registered_outputs[component.urn] == {"bucket_arn": STATE_ARN}
    assert program.one(KEY, "state-key").parent == component.urn


@pytest.mark.parametrize("name", ["preview", "deploy"])
def test_a_role_reads_its_stacks_state_and_only_a_deployment_writes_it(bootstrap: Bootstrap, name: str) -> None:
    program = bootstrap(stateKeyArn=KEY_ARN)
    policy = program.one(ROLE_POLICY, f"qa-{name}-state")
    key_actions = {"preview": ["kms:Decrypt"], "deploy": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]}
    own = [
        f"{STATE_ARN}/.pulumi/stacks/{PROJECT_NAME}/qa.json",
        f"{STATE_ARN}/.pulumi/stacks/{PROJECT_NAME}/qa.json.*",
        f"{STATE_ARN}/.pulumi/stacks/{PROJECT_NAME}/qa.pulumi-tags",
        f"{STATE_ARN}/.pulumi/history/{PROJECT_NAME}/qa/*",
        f"{STATE_ARN}/.pulumi/backups/{PROJECT_NAME}/qa/*",
        f"{STATE_ARN}/.pulumi/locks/organization/{PROJECT_NAME}/qa/*",
    ]

    assert (policy.inputs["name"], policy.inputs["role"]) == ("state", f"{PROJECT_NAME}-test-ci-{name}")
    assert policy.parent == program.one("pipeline:bootstrap:StackRoles", "qa").urn
    assert policy.document("policy")["Statement"] == [
        allow("ListState", ["s3:ListBucket"], [STATE_ARN]),
        allow("ReadOwnState", ["s3:GetObject"], [f"{STATE_ARN}/.pulumi/meta.yaml", *own]),
        allow("UseStateKeys", key_actions[name], [KEY_ARN, program.arn(KEY, "state-key")]),
        *([allow("WriteOwnState", ["s3:DeleteObject", "s3:PutObject"], own)] if name == "deploy" else []),
    ]


def test_an_account_can_use_the_bucket_of_another(bootstrap: Bootstrap) -> None:
    program = bootstrap(stateKeyArn=KEY_ARN)

    assert not program.all(BUCKET)
    assert [*program.all(KEY)] == ["state-key"]
    assert "state_key_arn" not in program.exports


def test_the_key_is_not_shared_without_other_accounts(bootstrap: Bootstrap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootstrap.state.deployed_configs", lambda _project: [])

    assert [each["Sid"] for each in bootstrap().one(KEY, "state-key").document("policy")["Statement"]] == [
        "AllowTheAccount"
    ]


@pytest.mark.parametrize("backend", ["", "backend: {}", "backend: {url: 'file://.'}", "backend: {url: 's3://a/b'}"])
def test_a_backend_without_a_bucket_is_refused(tmp_path: Path, backend: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(f"name: orders\n{backend}\n", encoding="utf-8")

    with pytest.raises(pulumi.RunError, match=r"Pulumi.yaml: backend.url: found .*; allowed: s3://BUCKET\?region="):
        bucket_name(read_project(tmp_path))


def test_the_security_rules_hold_or_are_waived_for_the_state(program: RecordedProgram) -> None:
    about_state = {rule: {name for name in check(program) if name.startswith("state")} for rule, check in RULES.items()}

    # No access log, replica or events: versions are kept for a year, and `pulumi import` can rebuild the state.
    waived = {"CKV_AWS_18", "CKV_AWS_144", "CKV2_AWS_62"}
    assert {rule.split()[0]: names for rule, names in about_state.items() if names} == {
        id_: {"state"} for id_ in waived
    }
