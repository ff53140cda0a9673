"""The CloudWatch metrics of a pipeline, for its alarms and its dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infrastructure.messaging import Messaging
from infrastructure.processing import Processing
from infrastructure.storage import TIMESTAMP_INDEX, Storage
from processor.names import METRICS_NAMESPACE


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        statistic: Its statistic over a period.
        dimensions: Its dimensions.
    """

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True)
class Metrics:
    """The metrics of a pipeline's parts.

    Attributes:
        storage: The table.
        messaging: The queues and the topic.
        processing: The function.
    """

    storage: Storage
    messaging: Messaging
    processing: Processing

    def queue(self, name: str, statistic: str) -> Metric:
        """A metric of the queue.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        """
        return Metric("AWS/SQS", name, statistic, {"QueueName": self.messaging.queue.name})

    def dead_letter_queue(self, name: str, statistic: str) -> Metric:
        """A metric of the dead-letter queue."""
        return Metric("AWS/SQS", name, statistic, {"QueueName": self.messaging.dead_letter_queue.name})

    def function(self, name: str, statistic: str) -> Metric:
        """A metric of the function, all versions.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        """
        return Metric("AWS/Lambda", name, statistic, {"FunctionName": self.processing.function.name})

    def messages(self, counter: str) -> Metric:
        """A metric that the function writes: a number of messages."""
        return Metric(METRICS_NAMESPACE, counter, "Sum", {"service": self.processing.function.name})

    def table(self, name: str) -> Metric:
        """A metric of the table.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
        """
        return Metric("AWS/DynamoDB", name, "Sum", {"TableName": self.storage.table.name})

    def index(self, name: str) -> Metric:
        """A metric of the table's index."""
        dimensions = {"TableName": self.storage.table.name, "GlobalSecondaryIndexName": TIMESTAMP_INDEX}
        return Metric("AWS/DynamoDB", name, "Sum", dimensions)

    def topic(self, name: str) -> Metric:
        """A metric of the topic.

        https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
        """
        return Metric("AWS/SNS", name, "Sum", {"TopicName": self.messaging.topic.name})
