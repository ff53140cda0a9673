"""The bucket for Pulumi's state and the key that encrypts it, and the stacks' secrets."""

from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_aws as aws

from bootstrap.settings import BootstrapSettings
from bootstrap.stacks import Stack
from infrastructure import iam
from infrastructure.account import Account
from infrastructure.buckets import PrivateBucket

DELETION_WINDOW_DAYS: Final = 30
NONCURRENT_DAYS: Final = 365
STATE_FOLDER: Final = ".pulumi"
KEY_ACTIONS: Final = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
OBJECT_ACTIONS: Final = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]


class State(pulumi.ComponentResource):
    """Where Pulumi's state is: a key for secrets, and a bucket, unless it is in another account.

    Everything is protected: without it, Pulumi knows nothing of what is deployed.

    Attributes:
        bucket_arn: ARN of the bucket.
        key_arns: Keys that the roles use: that of the bucket, and that of this account's secrets.
    """

    bucket_arn: str
    key_arns: list[pulumi.Input[str]]

    def __init__(self, settings: BootstrapSettings, account: Account, project: str) -> None:
        super().__init__("pipeline:bootstrap:State", "state")
        self.bucket_arn = f"arn:{account.partition}:s3:::{settings.state_bucket}"
        tags = {"Project": project, "ManagedBy": "pulumi"}
        kept = pulumi.ResourceOptions(parent=self, protect=True, retain_on_delete=True)
        roots = [f"arn:{account.partition}:iam::{each}:root" for each in settings.state_account_ids]
        key = aws.kms.Key(
            "state-key",
            description=f"Encrypts Pulumi's state and secrets of {project}",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=iam.document(iam.allow_the_account(account), *_shared(roots, KEY_ACTIONS, ["*"])),
            tags=tags,
            opts=kept,
        )
        # The stacks' secrets provider calls the key by this name.
        aws.kms.Alias("state-key-alias", name=f"alias/{project}-pulumi-secrets", target_key_id=key.key_id, opts=kept)
        self.key_arns = [settings.state_key_arn, key.arn] if settings.state_key_arn else [key.arn]
        if settings.has_own_bucket:
            PrivateBucket(
                "state",
                bucket_name=settings.state_bucket,
                tags=tags,
                noncurrent_days=NONCURRENT_DAYS,
                is_kept=True,
                kms_key_arn=key.arn,
                statements=(
                    *_shared(roots, ["s3:ListBucket"], [self.bucket_arn], "List"),
                    *_shared(roots, OBJECT_ACTIONS, [f"{self.bucket_arn}/{STATE_FOLDER}/*"]),
                ),
                # What secures the bucket inherits the protection.
                opts=pulumi.ResourceOptions(parent=self, protect=True),
            )
        self.register_outputs({"bucket_arn": self.bucket_arn})


def state_statements(state: State, stack: Stack, *, writes: bool) -> list[iam.Statement]:
    """Return what a role may do with the state: read that of its stack and, to deploy, write it.

    Pulumi looks for a stack among the names of all, and reads how the bucket is laid out. A role cannot do `stack ls`,
    which reads every stack of the project. A preview needs no lock, so it writes nothing.

    Args:
        state: The bucket and the keys.
        stack: The stack.
        writes: Whether the role may write.
    """
    folder = f"{state.bucket_arn}/{STATE_FOLDER}"
    own = [f"{folder}/stacks/{stack.project}/{stack.name}.{kind}" for kind in ("json", "json.*", "pulumi-tags")]
    own += [f"{folder}/{kind}/{stack.project}/{stack.name}/*" for kind in ("history", "backups", "locks/organization")]
    statements: list[iam.Statement] = [
        {"Sid": "ListState", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": state.bucket_arn},
        {
            "Sid": "ReadOwnState",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": [f"{folder}/meta.yaml", *own],
        },
        {
            "Sid": "UseStateKeys",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"] if writes else "kms:Decrypt",
            "Resource": state.key_arns,
        },
    ]
    if writes:
        statements.append(
            {
                "Sid": "WriteOwnState",
                "Effect": "Allow",
                "Action": ["s3:DeleteObject", "s3:PutObject"],
                "Resource": own,
            }
        )
    return statements


def _shared(roots: Sequence[str], actions: list[str], resources: list[str], what: str = "Use") -> list[iam.Statement]:
    """Let other accounts decide by their own policies who uses something of this one."""
    if not roots:
        return []
    return [
        {
            "Sid": f"LetOtherAccounts{what}",
            "Effect": "Allow",
            "Principal": {"AWS": list(roots)},
            "Action": actions,
            "Resource": resources,
        }
    ]
