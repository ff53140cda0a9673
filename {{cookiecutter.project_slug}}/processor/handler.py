"""The function's entry point: it takes a batch of messages and returns those that must be delivered again."""

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

from processor.dead_letters import DeadLetterQueue, UnreadableAttributesError
from processor.environment import read_environment
from processor.errors import ERROR_CLASSES, ErrorClass, classify, describe, error_code
from processor.names import DEAD_LETTERED, METRICS_NAMESPACE, MISCONFIGURED, PROCESSED, RETURNED
from processor.storage import MessageStore

# The SDK retries a call with backoff before its error is classified. No call may use up the time of the whole batch:
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
CLIENT_CONFIG: Final = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
# After a timeout the whole batch is delivered again, so the function returns the last messages before that.
RESERVED_SHARE: Final = 0.2
SERVICE: Final = os.environ["AWS_LAMBDA_FUNCTION_NAME"]

logger = Logger(service=SERVICE)
metrics = Metrics(namespace=METRICS_NAMESPACE, service=SERVICE)
environment = read_environment(os.environ)
logger.append_keys(environment=environment.environment)

store = MessageStore(
    s3=boto3.client("s3", config=CLIENT_CONFIG),
    dynamodb=boto3.client("dynamodb", config=CLIENT_CONFIG),
    sns=boto3.client("sns", config=CLIENT_CONFIG),
    environment=environment,
)
dead_letter_queue = DeadLetterQueue(sqs=boto3.client("sqs", config=CLIENT_CONFIG), environment=environment)


class BatchOutOfTimeError(Exception):
    """The invocation is too close to its timeout to start another message."""


class ClassifyingProcessor(BatchProcessor):  # pylint: disable=abstract-method # Powertools leaves out the same one
    """Powertools' batch processor, which handles each failure by its class.

    A poison message counts as a success once it is in the dead-letter queue, so that SQS deletes it. Any other failure
    is a batch item failure, so that SQS delivers the message again. A message leaves its queue only when it is stored
    or dead-lettered.
    """

    def success_handler(self, record: dict[str, Any], result: Any) -> SuccessResponse:
        """Count a message that was processed."""
        metrics.add_metric(name=PROCESSED, unit=MetricUnit.Count, value=1)
        return super().success_handler(record, result)

    def failure_handler(self, record: SQSRecord, exception: ExceptionInfo) -> SuccessResponse | FailureResponse:
        """Dead-letter or return a message, depending on its error's class; log and count it."""
        # Powertools calls this while it handles an exception, so it is never None.
        error = cast(BaseException, exception[1])
        if classify(error) is ErrorClass.POISON:
            try:
                dead_letter_queue.send(record, error)
            except (BotoCoreError, ClientError, UnreadableAttributesError) as refusal:
                logger.warning("Message not dead-lettered", extra=_details(record, error))
                error = refusal
            else:
                logger.warning("Message dead-lettered", extra=_details(record, error))
                metrics.add_metric(name=DEAD_LETTERED, unit=MetricUnit.Count, value=1)
                return super().success_handler(record, ErrorClass.POISON)
        if classify(error) is ErrorClass.MISCONFIGURED:
            logger.critical("Misconfigured: every message fails until this is fixed", extra=_details(record, error))
            metrics.add_metric(name=MISCONFIGURED, unit=MetricUnit.Count, value=1)
        else:
            logger.warning("Message returned to its queue", extra=_details(record, error))
            metrics.add_metric(name=RETURNED, unit=MetricUnit.Count, value=1)
        return super().failure_handler(record, exception)


def _details(record: SQSRecord, error: BaseException) -> dict[str, Any]:
    """Describe a failure without the exception's text, which may contain parts of the message.

    For an unknown error, the details include where it was raised.
    """
    details = {"message_id": record.message_id, "error_code": error_code(error), "reason": describe(error)}
    if error_code(error) in ERROR_CLASSES:
        return details
    return details | {"raised_at": traceback.format_tb(error.__traceback__)}


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Process a batch of messages.

    Args:
        event: A batch from the SQS event source mapping:
            https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
        context: Lambda's context of this invocation.

    Returns:
        The messages that must be delivered again; SQS deletes the others:
        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    reserved = RESERVED_SHARE * context.get_remaining_time_in_millis()

    def process(record: SQSRecord) -> None:
        if context.get_remaining_time_in_millis() < reserved:
            raise BatchOutOfTimeError
        store.store(record)

    return process_partial_response(
        event=event,
        record_handler=process,
        processor=ClassifyingProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )
