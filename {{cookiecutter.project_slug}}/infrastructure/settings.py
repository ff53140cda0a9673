"""The settings of a stack: what each may be, its default, and what contradicts what.

A field here is all that a setting needs: the task `generate` writes ``Pulumi.yaml``'s schema and the table in
``docs/configuration.md`` from it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from tools.configuration.model import REGION_KEY, TRUTH_VALUE, WHOLE_NUMBER, Contradiction, StackSettings

# The longest name that it becomes part of is the access log bucket's; S3 allows 63 characters:
# project (25) + "-" + environmentSuffix (12) + "-access-logs-" (13) + account id (12) = 63.
SUFFIX_MAX_LENGTH: Final = 12
SUFFIX_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
EMAIL_PATTERN: Final = (
    r"^[A-Za-z0-9_]([A-Za-z0-9._%+-]*[A-Za-z0-9_+-])?@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$"
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
RESERVED_BUCKET_NAMES: Final = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)")
# AWS asks for six times the function's timeout and the batching window, so that a throttled batch can be retried before
# its messages reappear:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUT_FACTOR: Final = 6
MAX_BATCH_SIZE_WITHOUT_WINDOW: Final = 10
NO_RESERVATION: Final = -1
# An event source mapping's maximum concurrency is at least two, and a reservation below it would only throttle:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
MIN_RESERVATION: Final = 2


def _bucket_name(value: str) -> str:
    if RESERVED_BUCKET_NAMES.fullmatch(value):
        raise ValueError(f"{value} begins or ends as S3 reserves it")
    return value


def _reservation(value: int) -> int:
    if NO_RESERVATION < value < MIN_RESERVATION:
        raise ValueError(f"a reservation of {value} would stop the function")
    return value


class Settings(StackSettings):
    """A stack's configuration, valid and complete.

    What must differ between environments has no default. `generate` writes the rest of these into ``Pulumi.yaml``,
    where the engine reads them.
    """

    environment: Annotated[
        Literal["local", "dev", "staging", "prod"],
        Field(description="Kind of environment that the stack is", examples=["dev"]),
    ]
    environment_suffix: Annotated[
        str,
        Field(
            pattern=SUFFIX_PATTERN,
            max_length=SUFFIX_MAX_LENGTH,
            description="Second part of every name, different for each stack of an account",
            examples=["dev", "qa"],
            json_schema_extra={
                "allowed": "lower-case letters, digits and single hyphens, from a letter, "
                f"1 to {SUFFIX_MAX_LENGTH} long"
            },
        ),
    ]
    lambda_runtime: Annotated[
        Literal["python3.11", "python3.12", "python3.13", "python3.14"],
        Field(description="Runtime of the function"),
    ]
    lambda_architecture: Annotated[
        Literal["arm64", "x86_64"], Field(description="Instruction set that the function runs on")
    ]
    lambda_memory_mb: Annotated[
        int, Field(ge=128, le=10240, description="Memory of the function, in MB", examples=[512, 1024]), WHOLE_NUMBER
    ]
    lambda_timeout_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=900,
            description="Time a batch may take, in seconds; what it has not begun with before the end comes back later",
        ),
        WHOLE_NUMBER,
    ] = 300
    lambda_reserved_concurrency: Annotated[
        int,
        Field(
            ge=NO_RESERVATION,
            le=1000,
            description="Executions reserved for the function, and the most that may run at once",
            json_schema_extra={"allowed": f"{NO_RESERVATION} (none), or a whole number from {MIN_RESERVATION} to 1000"},
        ),
        AfterValidator(_reservation),
        WHOLE_NUMBER,
    ] = 10
    batch_size: Annotated[
        int, Field(ge=1, le=10000, description="Messages handed to the function at once, at most"), WHOLE_NUMBER
    ] = 10
    batch_window_seconds: Annotated[
        int, Field(ge=0, le=300, description="Time to wait for a batch to fill, in seconds"), WHOLE_NUMBER
    ] = 0
    max_receive_count: Annotated[
        int, Field(ge=1, le=1000, description="Deliveries of a message before it is dead-lettered"), WHOLE_NUMBER
    ] = 3
    message_retention_seconds: Annotated[
        int, Field(ge=60, le=1209600, description="Time the queue keeps a message, in seconds"), WHOLE_NUMBER
    ] = 1_209_600
    noncurrent_version_days: Annotated[
        int, Field(ge=1, le=3650, description="Days that an object's replaced versions are kept"), WHOLE_NUMBER
    ] = 30
    log_retention_days: Annotated[
        Literal[
            1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
        ],
        Field(description="Days that the function's logs are kept"),
        WHOLE_NUMBER,
    ]
    notification_email: Annotated[
        str,
        Field(
            pattern=EMAIL_PATTERN,
            max_length=254,
            description="Who receives notifications and alarms",
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
                "allowed": "empty (derived), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at the ends"
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
            json_schema_extra={"allowed": "empty (the stack makes its own), or the ARN of a KMS key"},
        ),
    ] = ""
    force_destroy: Annotated[
        bool, Field(description="Whether destroying the stack deletes buckets that still hold objects"), TRUTH_VALUE
    ] = False

    @property
    def is_production(self) -> bool:
        """Whether the stack's data must survive a mistake: protected, and kept when its resource is deleted."""
        return self.environment == "prod"

    @property
    def visibility_timeout_seconds(self) -> int:
        """Time that a received message stays hidden from other receivers, in seconds."""
        return _visibility_timeout_seconds(self.lambda_timeout_seconds, self.batch_window_seconds)

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Find settings that are good each by itself and wrong together."""
        if good.get("batchSize", 0) > MAX_BATCH_SIZE_WITHOUT_WINDOW and good.get("batchWindowSeconds") == 0:
            allowed = f"1 or more when batchSize is over {MAX_BATCH_SIZE_WITHOUT_WINDOW}"
            yield Contradiction("batch-without-window", "batchWindowSeconds", "0", allowed)
        if {"messageRetentionSeconds", "lambdaTimeoutSeconds", "batchWindowSeconds", "maxReceiveCount"} <= good.keys():
            hidden = _visibility_timeout_seconds(good["lambdaTimeoutSeconds"], good["batchWindowSeconds"])
            retries_take = hidden * good["maxReceiveCount"]
            if good["messageRetentionSeconds"] < retries_take:
                allowed = (
                    f"{retries_take} or more, the time that maxReceiveCount deliveries take, or a message would expire "
                    "before it is dead-lettered"
                )
                found = str(good["messageRetentionSeconds"])
                yield Contradiction("retention-too-short", "messageRetentionSeconds", found, allowed)
        key_arn, region = good.get("kmsKeyArn"), good.get(REGION_KEY)
        if key_arn and region and key_arn.split(":")[3] != region:
            allowed = f"a key in {region}, where the stack is"
            yield Contradiction("key-elsewhere", "kmsKeyArn", key_arn, allowed)
        if good.get("environment") == "prod" and good.get("forceDestroy"):
            yield Contradiction("force-destroy", "forceDestroy", "true", "false in prod")


def _visibility_timeout_seconds(lambda_timeout_seconds: int, batch_window_seconds: int) -> int:
    return VISIBILITY_TIMEOUT_FACTOR * lambda_timeout_seconds + batch_window_seconds
