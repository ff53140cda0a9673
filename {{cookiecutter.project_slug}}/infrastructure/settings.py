"""The settings of a stack: allowed values, defaults, and combinations that are refused.

To add a setting, add a field here: the task `generate` writes ``Pulumi.yaml``'s schema and the table in
``docs/configuration.md`` from it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from tools.configuration.model import REGION_KEY, TRUTH_VALUE, WHOLE_NUMBER, Contradiction, StackSettings

# The longest name that contains the suffix is the access log bucket's. S3 allows 63 characters:
# project (25) + "-" + environmentSuffix (12) + "-access-logs-" (13) + account id (12) = 63.
SUFFIX_MAX_LENGTH: Final = 12
SUFFIX_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
EMAIL_PATTERN: Final = (
    r"^[A-Za-z0-9_]([A-Za-z0-9._%+-]*[A-Za-z0-9_+-])?@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$"
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
RESERVED_BUCKET_NAMES: Final = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)")
# AWS recommends six times the function's timeout plus the batching window, so that a throttled batch can be retried
# before its messages become visible again:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUT_FACTOR: Final = 6
MAX_BATCH_SIZE_WITHOUT_WINDOW: Final = 10
NO_RESERVATION: Final = -1
# An event source mapping's maximum concurrency is at least 2; with less reserved concurrency, batches are throttled:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
MIN_RESERVATION: Final = 2


def _bucket_name(value: str) -> str:
    if RESERVED_BUCKET_NAMES.fullmatch(value):
        raise ValueError(f"S3 reserves the prefix or suffix of {value}")
    return value


def _reservation(value: int) -> int:
    if NO_RESERVATION < value < MIN_RESERVATION:
        raise ValueError(f"reserved concurrency of {value} is too low")
    return value


class Settings(StackSettings):
    """A stack's configuration, valid and complete.

    A setting that must differ between environments has no default. `generate` writes the defaults into ``Pulumi.yaml``,
    where the engine reads them.
    """

    environment: Annotated[
        Literal["local", "dev", "staging", "prod"],
        Field(description="Environment of the stack", examples=["dev"]),
    ]
    environment_suffix: Annotated[
        str,
        Field(
            pattern=SUFFIX_PATTERN,
            max_length=SUFFIX_MAX_LENGTH,
            description="Second part of every resource name; unique within an account",
            examples=["dev", "qa"],
            json_schema_extra={
                "allowed": f"1 to {SUFFIX_MAX_LENGTH} lower-case letters, digits and single hyphens, "
                "starting with a letter"
            },
        ),
    ]
    lambda_runtime: Annotated[
        Literal["python3.11", "python3.12", "python3.13", "python3.14"],
        Field(description="Runtime of the function"),
    ]
    lambda_architecture: Annotated[Literal["arm64", "x86_64"], Field(description="Instruction set of the function")]
    lambda_memory_mb: Annotated[
        int, Field(ge=128, le=10240, description="Memory of the function, in MB", examples=[512, 1024]), WHOLE_NUMBER
    ]
    lambda_timeout_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=900,
            description="Timeout of the function, in seconds; messages that it has not started are delivered again",
        ),
        WHOLE_NUMBER,
    ] = 300
    lambda_reserved_concurrency: Annotated[
        int,
        Field(
            ge=NO_RESERVATION,
            le=1000,
            description="Reserved concurrency of the function, and the most that may run at once",
            json_schema_extra={"allowed": f"{NO_RESERVATION} (none), or a whole number from {MIN_RESERVATION} to 1000"},
        ),
        AfterValidator(_reservation),
        WHOLE_NUMBER,
    ] = 10
    batch_size: Annotated[
        int, Field(ge=1, le=10000, description="Maximum number of messages in a batch"), WHOLE_NUMBER
    ] = 10
    batch_window_seconds: Annotated[
        int, Field(ge=0, le=300, description="Maximum time to wait for a full batch, in seconds"), WHOLE_NUMBER
    ] = 0
    max_receive_count: Annotated[
        int,
        Field(ge=1, le=1000, description="Deliveries of a message before SQS moves it to the dead-letter queue"),
        WHOLE_NUMBER,
    ] = 3
    message_retention_seconds: Annotated[
        int, Field(ge=60, le=1209600, description="Retention of messages in the queue, in seconds"), WHOLE_NUMBER
    ] = 1_209_600
    noncurrent_version_days: Annotated[
        int, Field(ge=1, le=3650, description="Retention of noncurrent object versions, in days"), WHOLE_NUMBER
    ] = 30
    log_retention_days: Annotated[
        Literal[
            1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
        ],
        Field(description="Retention of the function's log, in days"),
        WHOLE_NUMBER,
    ]
    notification_email: Annotated[
        str,
        Field(
            pattern=EMAIL_PATTERN,
            max_length=254,
            description="Recipient of notifications and alarms",
            examples=["team@example.com", "other@example.com"],
            json_schema_extra={"allowed": "an e-mail address"},
        ),
    ]
    bucket_name: Annotated[
        str,
        Field(
            pattern=r"^$|^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
            description="Name of the payload bucket",
            examples=["our-own-bucket"],
            json_schema_extra={
                "allowed": "empty (derived), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at either end"
            },
        ),
        AfterValidator(_bucket_name),
    ] = ""
    kms_key_arn: Annotated[
        str,
        Field(
            pattern=r"^$|^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
            description="Customer-managed key that encrypts everything",
            examples=["arn:aws:kms:us-east-1:123456789012:key/99999999-8888-7777-6666-555555555555"],
            json_schema_extra={"allowed": "empty (the stack creates one), or the ARN of a KMS key"},
        ),
    ] = ""
    force_destroy: Annotated[
        bool, Field(description="Whether destroying the stack also deletes buckets that contain objects"), TRUTH_VALUE
    ] = False

    @property
    def is_production(self) -> bool:
        """Whether the stack's data is protected, and retained when its resource is deleted."""
        return self.environment == "prod"

    @property
    def visibility_timeout_seconds(self) -> int:
        """Time that a received message stays hidden from other receivers, in seconds."""
        return _visibility_timeout_seconds(self.lambda_timeout_seconds, self.batch_window_seconds)

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Find settings that are valid alone but not in combination."""
        if good.get("batchSize", 0) > MAX_BATCH_SIZE_WITHOUT_WINDOW and good.get("batchWindowSeconds") == 0:
            allowed = f"1 or more when batchSize is over {MAX_BATCH_SIZE_WITHOUT_WINDOW}"
            yield Contradiction("batch-without-window", "batchWindowSeconds", "0", allowed)
        if {"messageRetentionSeconds", "lambdaTimeoutSeconds", "batchWindowSeconds", "maxReceiveCount"} <= good.keys():
            hidden = _visibility_timeout_seconds(good["lambdaTimeoutSeconds"], good["batchWindowSeconds"])
            retries_take = hidden * good["maxReceiveCount"]
            if good["messageRetentionSeconds"] < retries_take:
                allowed = (
                    f"{retries_take} or more, the time that maxReceiveCount deliveries take; otherwise a message would "
                    "expire before it is dead-lettered"
                )
                found = str(good["messageRetentionSeconds"])
                yield Contradiction("retention-too-short", "messageRetentionSeconds", found, allowed)
        key_arn, region = good.get("kmsKeyArn"), good.get(REGION_KEY)
        if key_arn and region and key_arn.split(":")[3] != region:
            allowed = f"a key in {region}, the region of the stack"
            yield Contradiction("key-elsewhere", "kmsKeyArn", key_arn, allowed)
        if good.get("environment") == "prod" and good.get("forceDestroy"):
            yield Contradiction("force-destroy", "forceDestroy", "true", "false in prod")


def _visibility_timeout_seconds(lambda_timeout_seconds: int, batch_window_seconds: int) -> int:
    return VISIBILITY_TIMEOUT_FACTOR * lambda_timeout_seconds + batch_window_seconds
