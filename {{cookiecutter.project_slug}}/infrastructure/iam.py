"""IAM policy documents: those of roles, keys, buckets, queues and topics.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

Statement = Mapping[str, Any]

POLICY_VERSION: Final = "2012-10-17"


def document(*statements: Statement) -> pulumi.Output[str]:
    """Return a policy document as JSON."""
    return pulumi.Output.json_dumps({"Version": POLICY_VERSION, "Statement": list(statements)})


def deny_insecure_transport(action: str, resources: Sequence[pulumi.Input[str]]) -> Statement:
    """Deny every request that does not use TLS."""
    return {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
