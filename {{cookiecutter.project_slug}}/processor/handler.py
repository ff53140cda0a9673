"""The Lambda handler: processes a batch of messages, and reports the failed ones as batch item failures."""

import os
import traceback
from typing import Any, Final, cast

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    ExceptionInfo,
    FailureResponse,
    SuccessResponse,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from processor.environment import read_environment
from processor.errors import ErrorClass, classify, describe, error_code
from processor.identity import identify
from processor.names import COUNTERS, DEAD_LETTERED, METRICS_NAMESPACE, MISCONFIGURED, PROCESSED, RETURNED
from processor.queues import Queues, UnreadableAttributesError
from processor.storage import MessageStore
from processor.timing import (
    ATTEMPTS,
    CALL_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    MESSAGE_SECONDS,
    READ_TIMEOUT_SECONDS,
    CallTimer,
)

# The SDK retries a call with backoff before its error is classified:
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
CLIENT_CONFIG: Final = Config(
    connect_timeout=CONNECT_TIMEOUT_SECONDS,
    read_timeout=READ_TIMEOUT_SECONDS,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
)
SERVICE: Final = os.environ["AWS_LAMBDA_FUNCTION_NAME"]

logger = Logger(service=SERVICE)
metrics = Metrics(namespace=METRICS_NAMESPACE, service=SERVICE)
environment = read_environment(os.environ)
logger.append_keys(environment=environment.environment)

session = boto3.Session()
timer = CallTimer(session.events)
store = MessageStore(
    s3=session.client("s3", config=CLIENT_CONFIG),
    dynamodb=session.client("dynamodb", config=CLIENT_CONFIG),
    sns=session.client("sns", config=CLIENT_CONFIG),
    environment=environment,
)
queues = Queues(sqs=session.client("sqs", config=CLIENT_CONFIG), environment=environment)


class BatchOutOfTimeError(Exception):
    """The invocation is too close to its timeout to process another message."""


class ClassifyingProcessor(BatchProcessor):  # pylint: disable=abstract-method # async is not used
    """A batch processor that handles each failure by its error class.

    A message that is poison, or that fails on its last delivery, is sent to the dead-letter queue with the reason, and
    then reported as a success, so that Lambda deletes it. Any other failure is a batch item failure, so that SQS
    redelivers the message. A message leaves its queue only after it is stored or dead-lettered.
    """

    def success_handler(self, record: dict[str, Any], result: Any) -> SuccessResponse:
        """Count a processed message."""
        _count(PROCESSED)
        return super().success_handler(record, result)

    def failure_handler(self, record: SQSRecord, exception: ExceptionInfo) -> SuccessResponse | FailureResponse:
        """Dead-letter or return a message, by its error class and number of deliveries; log and count the outcome."""
        # Powertools calls this in an except block, so `exception[1]` is not None.
        error = cast(BaseException, exception[1])
        is_last_delivery = queues.is_last_delivery(record)
        # Close to the timeout, there may be no time left for an AWS call.
        may_call = _has_time(self.lambda_context, CALL_SECONDS)
        if may_call and (classify(error) is ErrorClass.POISON or is_last_delivery):
            refusal = _dead_letter(record, error)
            if refusal is None:
                return super().success_handler(record, ErrorClass.POISON)
            error = refusal
        if classify(error) is ErrorClass.MISCONFIGURED:
            _report_misconfiguration(record, error)
        else:
            logger.warning("Message returned to its queue", extra=_details(record, error))
            _count(RETURNED)
        if may_call and not is_last_delivery:
            try:
                queues.delay(record)
            except (BotoCoreError, ClientError) as refused:
                # The queue's visibility timeout applies instead.
                logger.warning("Message not delayed", extra=_details(record, refused))
        return super().failure_handler(record, exception)


def _dead_letter(record: SQSRecord, error: BaseException) -> BaseException | None:
    """Send a message to the dead-letter queue. On failure, return the error: the message must return to its queue."""
    try:
        queues.dead_letter(record, error)
    except (BotoCoreError, ClientError, UnreadableAttributesError) as refusal:
        logger.warning("Message not dead-lettered", extra=_details(record, error))
        return refusal
    if classify(error) is ErrorClass.MISCONFIGURED:
        _report_misconfiguration(record, error)
    logger.warning("Message dead-lettered", extra=_details(record, error))
    _count(DEAD_LETTERED)
    return None


def _report_misconfiguration(record: SQSRecord, error: BaseException) -> None:
    logger.critical("Misconfigured: every message fails until the cause is fixed", extra=_details(record, error))
    _count(MISCONFIGURED)


def _has_time(context: LambdaContext, seconds: int) -> bool:
    return context.get_remaining_time_in_millis() >= seconds * 1000


def _count(counter: str, messages: int = 1) -> None:
    metrics.add_metric(name=counter, unit=MetricUnit.Count, value=messages)


def _processing(record: SQSRecord) -> dict[str, Any]:
    """Return log fields: the message ID, and the durations of the message's AWS calls so far."""
    return {"message_id": identify(record).message_id, "call_milliseconds": timer.milliseconds}


def _details(record: SQSRecord, error: BaseException) -> dict[str, Any]:
    """Return log fields for a failure, without the content of the SQS message, which may be confidential."""
    details = _processing(record) | {"error_code": error_code(error), "reason": describe(error)}
    # These reasons name the failed call or the invalid fields. Other errors need a traceback.
    if isinstance(error, ClientError) or classify(error) is ErrorClass.POISON:
        return details
    return details | {"traceback": traceback.format_tb(error.__traceback__)}


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Process a batch of messages.

    Args:
        event: A batch from the SQS event source mapping:
            https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
        context: Context of the invocation.

    Returns:
        The batch item failures, whose messages SQS redelivers. Lambda deletes the other messages:
        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    # An alarm that ignores missing data needs a datapoint to return to OK, so report every counter, even if 0.
    for counter in COUNTERS:
        _count(counter, 0)

    def process(record: SQSRecord) -> None:
        timer.milliseconds.clear()
        # A timeout redelivers the whole batch, so process a message only if enough time remains.
        if not _has_time(context, MESSAGE_SECONDS):
            raise BatchOutOfTimeError
        store.store(record)
        logger.info("Message processed", extra=_processing(record))

    return process_partial_response(
        event=event,
        record_handler=process,
        processor=ClassifyingProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )
