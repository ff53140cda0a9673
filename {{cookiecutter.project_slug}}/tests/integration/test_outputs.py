"""The outputs name what exists."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.deployed import Deployed, hold

Ask = Callable[[Deployed], Any]


def queue_arn(deployed: Deployed, url: str) -> str:
    """Ask SQS which queue has a URL."""
    client = deployed.client("sqs")
    return client.get_queue_attributes(QueueUrl=deployed.outputs[url], AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]


def queue_url(deployed: Deployed, name: str) -> str:
    """Ask SQS for the URL of a queue of the stack."""
    return deployed.client("sqs").get_queue_url(QueueName=deployed.names.of(name))["QueueUrl"]


EXISTING: dict[str, Ask] = {
    "bucket_name": lambda stack: stack.names.payload_bucket(stack.account_id),
    "bucket_arn": lambda stack: f"arn:{stack.partition}:s3:::{stack.outputs['bucket_name']}",
    "table_name": lambda stack: stack.names.of("messages"),
    "table_arn": lambda stack: stack.client("dynamodb").describe_table(TableName=stack.outputs["table_name"])["Table"][
        "TableArn"
    ],
    "topic_arn": lambda stack: stack.arn("sns", stack.names.of("notifications")),
    "queue_url": lambda stack: queue_url(stack, "queue"),
    "queue_arn": lambda stack: queue_arn(stack, "queue_url"),
    "dlq_url": lambda stack: queue_url(stack, "dead-letter-queue"),
    "dlq_arn": lambda stack: queue_arn(stack, "dlq_url"),
    "function_arn": lambda stack: stack.function["FunctionArn"],
    "function_name": lambda stack: stack.names.function,
    "lambda_role_arn": lambda stack: stack.client("iam").get_role(RoleName=stack.names.function)["Role"]["Arn"],
}


@pytest.mark.parametrize("output", EXISTING)
def test_an_output_names_what_exists(deployed: Deployed, output: str) -> None:
    hold(f"output {output}", "value", found=deployed.outputs[output], promised=EXISTING[output](deployed))
