"""The S3 bucket for Pulumi's state, and the KMS key for the state and the stacks' secrets."""

import itertools
import re
from collections.abc import Sequence
from typing import Annotated, Final

import pulumi
import pulumi_aws as aws
from pydantic import Field

from bootstrap.roles import StackRoles
from bootstrap.stacks import Stack, deployed_configs
from bootstrap.trust import TrustSettings
from infrastructure import iam
from infrastructure.account import Account
from infrastructure.buckets import PrivateBucket
from tools.project import ACCOUNTS_KEY, Project, read_accounts, shown

DELETION_WINDOW_DAYS: Final = 30
NONCURRENT_DAYS: Final = 365


class StateSettings(TrustSettings):
    """Bootstrap settings, with the KMS key of a state bucket in another account."""

    state_key_arn: Annotated[
        str,
        Field(
            pattern=r"^$|^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
            description="KMS key of the state bucket in another account",
            json_schema_extra={"allowed": "empty (this account has the bucket), or the ARN of a KMS key"},
        ),
    ] = ""


class State(pulumi.ComponentResource):
    """The state backend: a KMS key, and the bucket in ``backend.url`` unless another account owns the bucket.

    All resources are protected: without the state, Pulumi does not know which resources it has deployed.

    Attributes:
        bucket_arn: ARN of the bucket.
        key_arns: ARNs of the KMS keys that the roles use, for the bucket and for this account's secrets.
    """

    bucket_arn: str
    key_arns: list[pulumi.Input[str]]

    def __init__(self, settings: StateSettings, project: Project, account: Account) -> None:
        super().__init__("pipeline:bootstrap:State", "state")
        bucket = bucket_name(project)
        self.bucket_arn = f"arn:{account.partition}:s3:::{bucket}"
        tags = {"Project": project.name, "ManagedBy": "pulumi"}
        kept = pulumi.ResourceOptions(parent=self, protect=True, retain_on_delete=True)
        roots = _roots_of_others(project, account)
        key_actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
        key = aws.kms.Key(
            "state-key",
            description=f"Encrypts the Pulumi state and secrets of {project.name}",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=iam.document(iam.allow_the_account(account), *_shared("Use", roots, key_actions, "*")),
            tags=tags,
            opts=kept,
        )
        # The stacks' secrets provider refers to the key by this alias.
        name = f"alias/{project.name}-pulumi-secrets"
        aws.kms.Alias("state-key-alias", name=name, target_key_id=key.key_id, opts=kept)
        self.key_arns = [settings.state_key_arn, key.arn] if settings.state_key_arn else [key.arn]
        if not settings.state_key_arn:
            objects = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
            PrivateBucket(
                "state",
                bucket_name=bucket,
                tags=tags,
                noncurrent_days=NONCURRENT_DAYS,
                is_kept=True,
                kms_key_arn=key.arn,
                statements=(
                    *_shared("List", roots, ["s3:ListBucket"], self.bucket_arn),
                    *_shared("Use", roots, objects, f"{self.bucket_arn}/.pulumi/*"),
                ),
                # The bucket's configuration resources inherit `protect` from the component.
                opts=pulumi.ResourceOptions(parent=self, protect=True),
            )
        self.register_outputs({"bucket_arn": self.bucket_arn})

    def grant_access(self, roles: StackRoles) -> None:
        """Allow a stack's CI roles to read the stack's state, and the deploy role also to write the state."""
        for name, role in roles.roles.items():
            aws.iam.RolePolicy(
                f"{roles.stack.name}-{name}-state",
                name="state",
                role=role.name,
                policy=iam.document(*self._statements(roles.stack, writes=name == "deploy")),
                opts=pulumi.ResourceOptions(parent=roles),
            )

    def _statements(self, stack: Stack, *, writes: bool) -> list[iam.Statement]:
        """Return the statements of a CI role's policy for the stack's state.

        Pulumi lists the bucket to find a stack, and reads the bucket's layout from ``meta.yaml``. A role cannot run
        `pulumi stack ls`, which reads every stack of the project. A preview takes no lock, so it writes nothing.
        """
        folder, own = f"{self.bucket_arn}/.pulumi", f"{stack.project}/{stack.name}"
        files = [f"{folder}/stacks/{own}.{kind}" for kind in ("json", "json.*", "pulumi-tags")]
        files += [f"{folder}/{kind}/{own}/*" for kind in ("history", "backups", "locks/organization")]
        key_actions = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"] if writes else ["kms:Decrypt"]
        granted: list[tuple[str, list[str], Sequence[pulumi.Input[str]]]] = [
            ("ListState", ["s3:ListBucket"], [self.bucket_arn]),
            ("ReadOwnState", ["s3:GetObject"], [f"{folder}/meta.yaml", *files]),
            ("UseStateKeys", key_actions, self.key_arns),
        ]
        if writes:
            granted.append(("WriteOwnState", ["s3:DeleteObject", "s3:PutObject"], files))
        return [
            {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
            for sid, actions, resources in granted
        ]


def bucket_name(project: Project) -> str:
    """Return the name of the state bucket, from the backend's URL."""
    backend = next((entry.value for entry in project.sections if entry.key == "backend"), {})
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9-]{1,61}[a-z0-9])(\?.*)?", backend.get("url", ""))
    if not found:
        allowed = "s3://BUCKET?region=REGION&awssdk=v2"
        raise pulumi.RunError(f"Pulumi.yaml: backend.url: found {shown(backend.get('url', ''))}; allowed: {allowed}")
    return found[1]


def _roots_of_others(project: Project, account: Account) -> list[str]:
    """Return the ARNs of the root principals of all other accounts that the project's stack files list."""
    listed = (read_accounts(config.values.get(ACCOUNTS_KEY, "")) or () for config in deployed_configs(project))
    ids = {*itertools.chain.from_iterable(listed)} - {account.id}
    return [f"arn:{account.partition}:iam::{each}:root" for each in sorted(ids)]


def _shared(what: str, roots: list[str], actions: list[str], resource: str) -> list[iam.Statement]:
    """Allow other accounts to delegate access to a resource through their own IAM policies."""
    statement = {"Sid": f"AllowOtherAccounts{what}", "Effect": "Allow", "Principal": {"AWS": roots}}
    return [{**statement, "Action": actions, "Resource": resource}] if roots else []
