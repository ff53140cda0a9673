"""Policy documents of roles, keys, buckets, queues and topics.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infrastructure.account import Account

Statement = Mapping[str, Any]

POLICY_VERSION: Final = "2012-10-17"


def document(*statements: Statement) -> pulumi.Output[str]:
    """Return a JSON policy document with the given statements."""
    return pulumi.Output.json_dumps({"Version": POLICY_VERSION, "Statement": list(statements)})


def allow(sid: str, action: str | list[str], resource: pulumi.Input[str]) -> dict[str, Any]:
    """Return a statement of an identity-based policy that allows actions on a resource."""
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}


def service_principal(service: str) -> dict[str, pulumi.Output[str]]:
    """Return the principal of an AWS service in the stack's partition.

    Args:
        service: For example ``lambda``.
    """
    return {"Service": aws.get_service_principal_output(service_name=service).name}


def regional_service_principal(service: str) -> dict[str, pulumi.Output[str]]:
    """Return the principal of an AWS service in the stack's region, for example ``logs.us-east-1.amazonaws.com``."""
    return {"Service": aws.get_service_principal_output(service_name=service).id}


def allow_the_account(account: Account) -> Statement:
    """Allow the account's IAM policies to grant access to a key, as AWS's default key policy does."""
    return {
        "Sid": "AllowTheAccount",
        "Effect": "Allow",
        "Principal": {"AWS": account.root_arn},
        "Action": "kms:*",
        "Resource": "*",
    }


def deny_insecure_transport(action: str, resources: Sequence[pulumi.Input[str]]) -> Statement:
    """Return a statement that denies every request without TLS."""
    return {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
