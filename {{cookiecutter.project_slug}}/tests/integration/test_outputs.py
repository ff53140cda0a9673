"""The outputs name what exists."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.deployed import Deployed, hold

Ask = Callable[[Deployed], Any]


def queue_url(deployed: Deployed, name: str) -> str:
    """Ask SQS for the URL of a queue of the stack."""
    return deployed.client("sqs").get_queue_url(QueueName=deployed.names.of(name))["QueueUrl"]


def queue_arn(deployed: Deployed, name: str) -> str:
    """Ask SQS for the ARN of a queue of the stack."""
    url = queue_url(deployed, name)
    answer = deployed.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


def bucket_name(deployed: Deployed) -> str:
    """Ask S3 whether there is a bucket of the stack's name."""
    name = deployed.names.payload_bucket(deployed.account.id)
    deployed.client("s3").head_bucket(Bucket=name)
    return name


def table(deployed: Deployed) -> dict[str, Any]:
    """Ask DynamoDB for the table of the stack's name."""
    return deployed.client("dynamodb").describe_table(TableName=deployed.names.of("messages"))["Table"]


def topic_arn(deployed: Deployed) -> str:
    """Ask SNS for the topic of the stack's name."""
    arn = deployed.account.arn("sns", deployed.names.of("notifications"))
    return deployed.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["TopicArn"]


def role_arn(deployed: Deployed) -> str:
    """Ask IAM for the role of the stack's name."""
    return deployed.client("iam").get_role(RoleName=deployed.names.function)["Role"]["Arn"]


EXISTING: dict[str, Ask] = {
    "bucket_name": bucket_name,
    "bucket_arn": lambda stack: f"arn:{stack.account.partition}:s3:::{bucket_name(stack)}",
    "table_name": lambda stack: table(stack)["TableName"],
    "table_arn": lambda stack: table(stack)["TableArn"],
    "topic_arn": topic_arn,
    "queue_url": lambda stack: queue_url(stack, "queue"),
    "queue_arn": lambda stack: queue_arn(stack, "queue"),
    "dlq_url": lambda stack: queue_url(stack, "dead-letter-queue"),
    "dlq_arn": lambda stack: queue_arn(stack, "dead-letter-queue"),
    "function_arn": lambda stack: stack.function["FunctionArn"],
    "function_name": lambda stack: stack.function["FunctionName"],
    "lambda_role_arn": role_arn,
}


@pytest.mark.parametrize("output", EXISTING)
def test_an_output_names_what_exists(deployed: Deployed, output: str) -> None:
    hold(f"output {output}", "value", found=deployed.outputs[output], promised=EXISTING[output](deployed))
