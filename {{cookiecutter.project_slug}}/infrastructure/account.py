"""The account and the region that a stack is deployed to."""

from dataclasses import dataclass
from typing import Self

import pulumi_aws as aws


@dataclass(frozen=True)
class Account:
    """The account and region of a stack, for ARNs and the host names of services.

    Attributes:
        id: The account ID.
        region: For example ``us-east-1``.
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
        dns_suffix: The domain of the partition's services, for example ``amazonaws.com``.
    """

    id: str
    region: str
    partition: str
    dns_suffix: str

    @classmethod
    def current(cls) -> Self:
        """Return the account and region of the default AWS provider."""
        partition = aws.get_partition()
        return cls(
            id=aws.get_caller_identity().account_id,
            region=aws.get_region().region,
            partition=partition.partition,
            dns_suffix=partition.dns_suffix,
        )

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account and region.

        Args:
            service: For example ``logs``.
            resource: The part after the account ID, for example ``log-group:/aws/lambda/processor``.
        """
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    @property
    def root_arn(self) -> str:
        """ARN of the account's root principal, which delegates access to the account's IAM policies."""
        return f"arn:{self.partition}:iam::{self.id}:root"
