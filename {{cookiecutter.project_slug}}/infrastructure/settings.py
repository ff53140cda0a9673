"""The settings of a stack: allowed values, defaults, and combinations that are refused.

To add a setting, add a field here: the task `generate` writes ``Pulumi.yaml``'s schema and the table in
``docs/configuration.md`` from it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from processor.timing import MESSAGE_SECONDS, retry_delay_seconds
from tools.settings import REGION_KEY, TRUTH_VALUE, WHOLE_NUMBER, Contradiction, StackSettings

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
# The function starts a message only if it can finish it: this is the time for all others of the batch.
MIN_TIMEOUT_SECONDS: Final = MESSAGE_SECONDS + 10
# How many messages the function typically processes. Those of a batch that it never starts are delivered again, and at
# last dead-lettered.
MESSAGES_PER_SECOND: Final = 10
NO_RESERVATION: Final = -1
# AWS asks for at least 5, so that throttling does not dead-letter messages:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
MIN_RECEIVE_COUNT: Final = 5
DAY_SECONDS: Final = 86_400
# The longest that SQS allows. A message that SQS moves to the dead-letter queue keeps its age, so the queue keeps
# messages for at least a day less:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
DEAD_LETTER_RETENTION_SECONDS: Final = 14 * DAY_SECONDS
# CloudWatch evaluates an alarm over at most a day of five-minute periods.
MAX_IDLE_MINUTES: Final = 1440
IDLE_STEP_MINUTES: Final = 5


def _bucket_name(value: str) -> str:
    if RESERVED_BUCKET_NAMES.fullmatch(value):
        raise ValueError(value)
    return value


def _reservation(value: int) -> int:
    if value in (0, 1):
        raise ValueError(value)
    return value


RequestUnits = Annotated[
    int,
    Field(
        ge=0,
        le=40000,
        json_schema_extra={"allowed": "0 (no maximum), or a whole number from 1 to 40000"},
    ),
    WHOLE_NUMBER,
]


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
            ge=MIN_TIMEOUT_SECONDS,
            le=900,
            description="Timeout of the function, in seconds; messages that it has not started are delivered again",
        ),
        WHOLE_NUMBER,
    ] = 120
    maximum_concurrency: Annotated[
        int,
        Field(
            # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
            ge=2,
            le=1000,
            description="Maximum number of batches in process at once",
        ),
        WHOLE_NUMBER,
    ] = 10
    lambda_reserved_concurrency: Annotated[
        int,
        Field(
            ge=NO_RESERVATION,
            le=1000,
            description="Concurrency that is reserved for the function",
            json_schema_extra={"allowed": f"{NO_RESERVATION} (none), or a whole number from 2 to 1000"},
        ),
        AfterValidator(_reservation),
        WHOLE_NUMBER,
    ] = NO_RESERVATION
    batch_size: Annotated[
        int, Field(ge=1, le=10000, description="Maximum number of messages in a batch"), WHOLE_NUMBER
    ] = 10
    batch_window_seconds: Annotated[
        int, Field(ge=0, le=300, description="Maximum time to wait for a full batch, in seconds"), WHOLE_NUMBER
    ] = 0
    max_receive_count: Annotated[
        int,
        Field(
            ge=MIN_RECEIVE_COUNT,
            le=1000,
            description="Deliveries of a message before it goes to the dead-letter queue",
        ),
        WHOLE_NUMBER,
    ] = 10
    message_retention_seconds: Annotated[
        int,
        Field(
            ge=60,
            le=DEAD_LETTER_RETENTION_SECONDS - DAY_SECONDS,
            description="Retention of messages in the queue, in seconds",
        ),
        WHOLE_NUMBER,
    ] = 7 * DAY_SECONDS
    message_age_alarm_seconds: Annotated[
        int,
        Field(
            ge=60,
            le=DEAD_LETTER_RETENTION_SECONDS,
            description="Age of a message above which an alarm is raised, in seconds",
        ),
        WHOLE_NUMBER,
    ] = 900
    idle_alarm_minutes: Annotated[
        int,
        Field(
            ge=0,
            le=MAX_IDLE_MINUTES,
            multiple_of=IDLE_STEP_MINUTES,
            description="Time without a new message after which an alarm is raised, in minutes",
            json_schema_extra={
                "allowed": f"0 (no alarm), or a multiple of {IDLE_STEP_MINUTES} up to {MAX_IDLE_MINUTES}"
            },
        ),
        WHOLE_NUMBER,
    ] = 0
    event_source_metrics: Annotated[
        bool,
        Field(description="Whether Lambda counts the events that it polls, invokes and deletes"),
        TRUTH_VALUE,
    ] = False
    table_max_read_units: Annotated[
        RequestUnits, Field(description="Most that the table, and its index, may read per second, in request units")
    ] = 0
    table_max_write_units: Annotated[
        RequestUnits, Field(description="Most that the table, and its index, may write per second, in request units")
    ] = 0
    contributor_insights: Annotated[
        bool, Field(description="Whether CloudWatch shows the keys of the table that are used most"), TRUTH_VALUE
    ] = False
    data_retention_days: Annotated[
        int,
        Field(
            ge=0,
            le=3650,
            description="Retention of payloads and items, in days",
            json_schema_extra={"allowed": "0 (for ever), or a whole number from 1 to 3650"},
        ),
        WHOLE_NUMBER,
    ] = 0
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
            pattern=rf"^$|{EMAIL_PATTERN}",
            max_length=254,
            description="Recipient of alarms",
            examples=["team@example.com", "other@example.com"],
            json_schema_extra={"allowed": "empty (nobody), or an e-mail address"},
        ),
    ]
    bucket_name: Annotated[
        str,
        Field(
            pattern=r"^$|^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
            description="Name of the payload bucket",
            examples=["our-own-bucket"],
            json_schema_extra={
                "allowed": "empty (derived), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at either "
                "end, no prefix or suffix that S3 reserves"
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
    permissions_boundary_arn: Annotated[
        str,
        Field(
            pattern=r"^$|^arn:aws(-[a-z]+)*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$",
            description="Permissions boundary of the function's role",
            examples=["arn:aws:iam::123456789012:policy/boundary"],
            json_schema_extra={"allowed": "empty (none), or the ARN of an IAM policy"},
        ),
    ] = ""
    eventbridge_notifications: Annotated[
        bool, Field(description="Whether the payload bucket sends its events to EventBridge"), TRUTH_VALUE
    ] = False
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
        if {"lambdaReservedConcurrency", "maximumConcurrency"} <= good.keys():
            reserved, maximum = good["lambdaReservedConcurrency"], good["maximumConcurrency"]
            if NO_RESERVATION < reserved < maximum:
                allowed = f"{NO_RESERVATION} (none), or {maximum} or more, which is maximumConcurrency"
                yield Contradiction("reservation-too-low", "lambdaReservedConcurrency", str(reserved), allowed)
        yield from _time_contradictions(good)
        key_arn, region = good.get("kmsKeyArn"), good.get(REGION_KEY)
        if key_arn and region and key_arn.split(":")[3] != region:
            allowed = f"a key in {region}, the region of the stack"
            yield Contradiction("key-elsewhere", "kmsKeyArn", key_arn, allowed)
        if good.get("environment") == "prod" and good.get("forceDestroy"):
            yield Contradiction("force-destroy", "forceDestroy", "true", "false in prod")


def _time_contradictions(good: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Find sizes and times that do not fit the function's timeout."""
    if {"batchSize", "lambdaTimeoutSeconds"} <= good.keys():
        timeout = good["lambdaTimeoutSeconds"]
        most = MESSAGES_PER_SECOND * (timeout - MESSAGE_SECONDS)
        if good["batchSize"] > most:
            allowed = f"{most} or less, as many as the function can start within lambdaTimeoutSeconds ({timeout})"
            yield Contradiction("batch-too-large", "batchSize", str(good["batchSize"]), allowed)
    if not {"lambdaTimeoutSeconds", "batchWindowSeconds"} <= good.keys():
        return
    hidden = _visibility_timeout_seconds(good["lambdaTimeoutSeconds"], good["batchWindowSeconds"])
    age = good.get("messageAgeAlarmSeconds")
    if age is not None and age <= hidden:
        allowed = f"more than {hidden}, the visibility timeout; otherwise one failure of the function raises the alarm"
        yield Contradiction("age-alarm-too-early", "messageAgeAlarmSeconds", str(age), allowed)
    if {"messageRetentionSeconds", "maxReceiveCount"} <= good.keys():
        deliveries = range(1, good["maxReceiveCount"] + 1)
        retries_take = sum(max(hidden, retry_delay_seconds(delivery)) for delivery in deliveries)
        if good["messageRetentionSeconds"] < retries_take:
            allowed = (
                f"{retries_take} or more, the time that {len(deliveries)} deliveries (maxReceiveCount) may take; "
                "otherwise a message could expire before it is dead-lettered"
            )
            found = str(good["messageRetentionSeconds"])
            yield Contradiction("retention-too-short", "messageRetentionSeconds", found, allowed)


def _visibility_timeout_seconds(lambda_timeout_seconds: int, batch_window_seconds: int) -> int:
    return VISIBILITY_TIMEOUT_FACTOR * lambda_timeout_seconds + batch_window_seconds
