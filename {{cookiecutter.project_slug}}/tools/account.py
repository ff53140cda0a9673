"""The account and the region that a stack is deployed to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import pulumi_aws as aws

ARN: Final = re.compile(r"arn:(?P<partition>aws(-[a-z]+)*):[a-z0-9-]+:[a-z0-9-]*:(?P<account>[0-9]{12}):.+")


@dataclass(frozen=True)
class Account:
    """The account and region of a stack, for ARNs and service principals.

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
        """Ask the stack's AWS provider."""
        partition = aws.get_partition()
        return cls(
            id=aws.get_caller_identity().account_id,
            region=aws.get_region().region,
            partition=partition.partition,
            dns_suffix=partition.dns_suffix,
        )

    @classmethod
    def of(cls, arn: str, region: str) -> Self:
        """Read the account from an ARN.

        Args:
            arn: The ARN of a resource in the account.
            region: The region that the stack is configured for.

        Raises:
            ValueError: If it is not an ARN with an account.
        """
        match = ARN.fullmatch(arn)
        if not match:
            raise ValueError(f"{arn} is not an ARN with an account")
        dns_suffix = "amazonaws.com.cn" if match["partition"] == "aws-cn" else "amazonaws.com"
        return cls(id=match["account"], region=region, partition=match["partition"], dns_suffix=dns_suffix)

    @classmethod
    def named_in(cls, texts: Iterable[str], region: str) -> Self | None:
        """Find the account in the outputs of a stack.

        Args:
            texts: The outputs' values.
            region: The region that the stack is configured for.

        Returns:
            The account of the first ARN that has one, or ``None``.
        """
        arn = next(filter(ARN.fullmatch, texts), None)
        return cls.of(arn, region) if arn else None

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account and region.

        Args:
            service: For example ``logs``.
            resource: The part after the account, for example ``log-group:/aws/lambda/processor``.
        """
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    @property
    def root_arn(self) -> str:
        """ARN of the account's root principal, which lets the account's IAM policies decide."""
        return f"arn:{self.partition}:iam::{self.id}:root"
