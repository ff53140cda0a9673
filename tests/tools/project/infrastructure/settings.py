"""A settings model with every kind of setting that the tools support, and with contradictions."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tools.settings import REGION_KEY, TRUTH_VALUE, WHOLE_NUMBER, Contradiction, StackSettings


class Settings(StackSettings):
    """The settings of a stack."""

    environment: Annotated[Literal["local", "dev", "staging", "prod"], Field(description="Kind of environment")]
    environment_suffix: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
            max_length=12,
            description="Second part of every name",
            examples=["dev"],
            json_schema_extra={"allowed": "lower-case words joined by hyphens, up to 12 characters"},
        ),
    ]
    lambda_runtime: Annotated[
        Literal["python3.11", "python3.12", "python3.13", "python3.14"], Field(description="Runtime")
    ] = "python3.13"
    lambda_architecture: Annotated[Literal["arm64", "x86_64"], Field(description="Instruction set")] = "arm64"
    lambda_memory_mb: Annotated[int, Field(ge=128, le=10240, description="Memory", examples=[512]), WHOLE_NUMBER]
    lambda_timeout_seconds: Annotated[int, Field(ge=1, le=900, description="Time for a batch"), WHOLE_NUMBER] = 60
    batch_size: Annotated[int, Field(ge=1, le=10000, description="Messages at once"), WHOLE_NUMBER] = 10
    batch_window_seconds: Annotated[int, Field(ge=0, le=300, description="Time to fill a batch"), WHOLE_NUMBER] = 0
    max_receive_count: Annotated[int, Field(ge=1, le=1000, description="Deliveries of a message"), WHOLE_NUMBER] = 3
    log_retention_days: Annotated[Literal[1, 7, 30, 90, 365], Field(description="Days of logs"), WHOLE_NUMBER]
    notification_email: Annotated[
        str,
        Field(
            pattern=r"^[a-z]+@[a-z.]+$",
            description="Recipient of alarms",
            examples=["team@example.com", "somebody@example.com"],
            json_schema_extra={"allowed": "an e-mail address"},
        ),
    ]
    bucket_name: Annotated[
        str,
        Field(
            pattern=r"^$|^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
            description="Name of the bucket",
            examples=["our-bucket"],
            json_schema_extra={"allowed": "empty, or 3 to 63 lower-case letters, digits and hyphens"},
        ),
    ] = ""
    kms_key_arn: Annotated[
        str,
        Field(
            pattern=r"^$|^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$",
            description="Key that encrypts everything",
            examples=["arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"],
            json_schema_extra={"allowed": "empty, or the ARN of a KMS key"},
        ),
    ] = ""
    force_destroy: Annotated[bool, Field(description="Whether objects are deleted"), TRUTH_VALUE] = False

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Find valid settings that contradict each other."""
        if good.get("batchSize", 0) > 10 and good.get("batchWindowSeconds") == 0:
            yield Contradiction(
                "batch-without-window", "batchWindowSeconds", "0", "1 or more when batchSize is over 10"
            )
        key_arn, region = good.get("kmsKeyArn"), good.get(REGION_KEY)
        if key_arn and region and key_arn.split(":")[3] != region:
            yield Contradiction("key-elsewhere", "kmsKeyArn", key_arn, f"a key in {region}, where the stack is")
        if good.get("environment") == "prod" and good.get("forceDestroy"):
            yield Contradiction("force-destroy", "forceDestroy", "true", "false in prod")
