"""The settings of a stack: allowed values, defaults and invalid combinations.

To add a setting, add a field here, and run the task `generate`: it writes the schema in ``Pulumi.yaml`` and the table
in ``docs/configuration.md``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from processor.timing import MESSAGE_SECONDS, retry_delay_seconds
from tools.settings import REGION_KEY, TRUTH_VALUE, WHOLE_NUMBER, Contradiction, StackSettings

# The access log bucket has the longest name that contains the suffix. S3 allows 63 characters:
# project (25) + "-" + environmentSuffix (12) + "-access-logs-" (13) + account id (12) = 63.
SUFFIX_MAX_LENGTH: Final = 12
EMAIL_PATTERN: Final = (
    r"^[A-Za-z0-9_]([A-Za-z0-9._%+-]*[A-Za-z0-9_+-])?@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$"
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
RESERVED_BUCKET_NAMES: Final = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3|-an)")
# AWS recommends six times the function's timeout plus the batch window, so that a throttled batch can be retried
# before its messages become visible again:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUT_FACTOR: Final = 6
MAX_BATCH_SIZE_WITHOUT_WINDOW: Final = 10
# A message is processed only if MESSAGE_SECONDS remain; the other 10 are for earlier messages of its batch.
MIN_TIMEOUT_SECONDS: Final = MESSAGE_SECONDS + 10
# The function's typical throughput, which limits batchSize: messages that do not fit into an invocation are
# redelivered, and eventually dead-lettered.
MESSAGES_PER_SECOND: Final = 10
# AWS recommends at least 5, so that throttling does not dead-letter messages:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
MIN_RECEIVE_COUNT: Final = 5
DAY_SECONDS: Final = 86_400
# SQS allows at most 14 days. A message that SQS moves to the dead-letter queue keeps its original timestamp, so the
# retention of the source queue must be at least a day shorter:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
DEAD_LETTER_RETENTION_SECONDS: Final = 14 * DAY_SECONDS


def _number(description: str, least: int, most: int, examples: Sequence[int] = ()) -> Any:
    return Field(description=description, ge=least, le=most, examples=[*examples])


def _text(
    description: str, pattern: str, allowed: str, *, examples: Sequence[str] = (), max_length: int | None = None
) -> Any:
    return Field(
        description=description,
        pattern=pattern,
        max_length=max_length,
        examples=[*examples],
        json_schema_extra={"allowed": allowed},
    )


def _bucket_name(value: str) -> str:
    if RESERVED_BUCKET_NAMES.fullmatch(value):
        raise ValueError(value)
    return value


class Settings(StackSettings):
    """A stack's configuration, valid and complete.

    A setting without a default must be in every stack file. The task `generate` writes the defaults to ``Pulumi.yaml``,
    where the Pulumi CLI reads them.
    """

    environment: Annotated[
        Literal["local", "dev", "staging", "prod"], Field(description="Environment of the stack", examples=["dev"])
    ]
    environment_suffix: Annotated[
        str,
        _text(
            "Second part of every resource name; unique within an account",
            r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
            f"1 to {SUFFIX_MAX_LENGTH} lower-case letters, digits and single hyphens, starting with a letter",
            examples=["dev"],
            max_length=SUFFIX_MAX_LENGTH,
        ),
    ]
    lambda_runtime: Annotated[
        Literal["python3.11", "python3.12", "python3.13", "python3.14"], Field(description="Runtime of the function")
    ]
    lambda_architecture: Annotated[Literal["arm64", "x86_64"], Field(description="Instruction set of the function")]
    lambda_memory_mb: Annotated[int, _number("Memory of the function, in MB", 128, 10240, [512]), WHOLE_NUMBER]
    lambda_timeout_seconds: Annotated[
        int,
        _number(
            "Timeout of the function, in seconds; messages that are not processed in time are redelivered",
            MIN_TIMEOUT_SECONDS,
            900,
        ),
        WHOLE_NUMBER,
    ] = 120
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
    maximum_concurrency: Annotated[int, _number("Maximum number of concurrent invocations", 2, 1000), WHOLE_NUMBER] = 10
    batch_size: Annotated[int, _number("Maximum number of messages in a batch", 1, 10000), WHOLE_NUMBER] = 10
    batch_window_seconds: Annotated[
        int, _number("Maximum time to wait for a full batch, in seconds", 0, 300), WHOLE_NUMBER
    ] = 0
    max_receive_count: Annotated[
        int,
        _number("Deliveries of a message before it goes to the dead-letter queue", MIN_RECEIVE_COUNT, 1000),
        WHOLE_NUMBER,
    ] = 10
    message_retention_seconds: Annotated[
        int,
        _number("Retention of messages in the queue, in seconds", 60, DEAD_LETTER_RETENTION_SECONDS - DAY_SECONDS),
        WHOLE_NUMBER,
    ] = 7 * DAY_SECONDS
    data_retention_days: Annotated[
        int,
        Field(
            description="Retention of payloads and items, in days",
            ge=0,
            le=3650,
            json_schema_extra={"allowed": "0 (forever), or a whole number from 1 to 3650"},
        ),
        WHOLE_NUMBER,
    ] = 0
    log_retention_days: Annotated[
        Literal[
            1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
        ],
        Field(description="Retention of the function's log, in days"),
        WHOLE_NUMBER,
    ]
    notification_email: Annotated[
        str,
        _text(
            "Recipient of alarms",
            rf"^$|{EMAIL_PATTERN}",
            "empty (nobody), or an e-mail address",
            examples=["team@example.com"],
            max_length=254,
        ),
    ]
    bucket_name: Annotated[
        str,
        _text(
            "Name of the payload bucket",
            r"^$|^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
            "empty (derived), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at either end, no prefix or "
            "suffix that S3 reserves",
        ),
        AfterValidator(_bucket_name),
    ] = ""
    kms_key_arn: Annotated[
        str,
        _text(
            "Customer managed KMS key of data, messages and the function's log",
            r"^$|^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
            "empty (the stack creates a key), or the ARN of a KMS key",
        ),
    ] = ""
    permissions_boundary_arn: Annotated[
        str,
        _text(
            "Permissions boundary of the function's role",
            r"^$|^arn:aws(-[a-z]+)*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$",
            "empty (none), or the ARN of an IAM policy",
        ),
    ] = ""
    force_destroy: Annotated[
        bool, Field(description="Whether destroying the stack also deletes buckets that contain objects"), TRUTH_VALUE
    ] = False

    @property
    def is_production(self) -> bool:
        """Whether the environment is ``prod``, where resources are protected and stateful resources retained."""
        return self.environment == "prod"

    @property
    def visibility_timeout_seconds(self) -> int:
        """The queue's visibility timeout: 6 x function timeout + batch window."""
        return _visibility_timeout_seconds(self.lambda_timeout_seconds, self.batch_window_seconds)

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Find combinations of settings that are invalid although each setting is valid."""
        if good.get("batchSize", 0) > MAX_BATCH_SIZE_WITHOUT_WINDOW and good.get("batchWindowSeconds") == 0:
            allowed = f"1 or more when batchSize is over {MAX_BATCH_SIZE_WITHOUT_WINDOW}"
            yield Contradiction("batch-without-window", "batchWindowSeconds", "0", allowed)
        timeout = good.get("lambdaTimeoutSeconds")
        if timeout and "batchSize" in good:
            most = MESSAGES_PER_SECOND * (timeout - MESSAGE_SECONDS)
            if good["batchSize"] > most:
                allowed = f"{most} or less, as many as fit into lambdaTimeoutSeconds ({timeout})"
                yield Contradiction("batch-too-large", "batchSize", str(good["batchSize"]), allowed)
        if timeout and {"messageRetentionSeconds", "maxReceiveCount", "batchWindowSeconds"} <= good.keys():
            hidden = _visibility_timeout_seconds(timeout, good["batchWindowSeconds"])
            deliveries = good["maxReceiveCount"]
            retries_take = sum(max(hidden, retry_delay_seconds(each)) for each in range(1, deliveries + 1))
            if good["messageRetentionSeconds"] < retries_take:
                allowed = (
                    f"{retries_take} or more, the time that {deliveries} deliveries (maxReceiveCount) may take; "
                    "otherwise a message could expire before it is dead-lettered"
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
