"""The account and the region that a stack is deployed to."""

from dataclasses import dataclass
from typing import Self

import pulumi_aws as aws


@dataclass(frozen=True)
class Account:
    """Where a stack is deployed, as ARNs and service principals need it.

    Attributes:
        id: The account's twelve digits.
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
        """Ask the AWS provider that the stack is configured for."""
        partition = aws.get_partition()
        return cls(
            id=aws.get_caller_identity().account_id,
            region=aws.get_region().region,
            partition=partition.partition,
            dns_suffix=partition.dns_suffix,
        )

    def arn(self, service: str, resource: str) -> str:
        """Form the ARN of a resource of this account and region.

        Args:
            service: For example ``logs``.
            resource: The part after the account, for example ``log-group:/aws/lambda/processor``.
        """
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    @property
    def root_arn(self) -> str:
        """The ARN that stands for every identity whom the account's own IAM policies allow."""
        return f"arn:{self.partition}:iam::{self.id}:root"
