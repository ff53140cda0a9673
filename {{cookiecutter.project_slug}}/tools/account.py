"""The account and the region that a stack is deployed to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import pulumi_aws as aws

ARN: Final = re.compile(r"arn:(?P<partition>aws(-[a-z]+)*):[a-z0-9-]+:[a-z0-9-]*:(?P<account>[0-9]{12}):.+")


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

    @classmethod
    def of(cls, arn: str, region: str) -> Self:
        """Read the account from the ARN of something that is in it.

        Args:
            arn: The ARN, for example of a function.
            region: The region that the stack is configured for.

        Raises:
            ValueError: If it is not the ARN of anything in an account.
        """
        match = ARN.fullmatch(arn)
        if not match:
            raise ValueError(f"{arn} is not the ARN of anything in an account")
        dns_suffix = "amazonaws.com.cn" if match["partition"] == "aws-cn" else "amazonaws.com"
        return cls(id=match["account"], region=region, partition=match["partition"], dns_suffix=dns_suffix)

    @classmethod
    def named_in(cls, texts: Iterable[str], region: str) -> Self | None:
        """Find the account that is named in some of a stack's outputs.

        Args:
            texts: The outputs' values.
            region: The region that the stack is configured for.

        Returns:
            The account of the first ARN with an account in it, or nothing if there is none.
        """
        arn = next(filter(ARN.fullmatch, texts), None)
        return cls.of(arn, region) if arn else None

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
