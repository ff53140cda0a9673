"""Everything that can bear tags says whose it is."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.deployed import Deployed, hold

Ask = Callable[[Deployed], Any]


def as_mapping(tags: list[dict[str, str]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Turn a list of tags, as most services give them, into a mapping."""
    return {tag[key]: tag[value] for tag in tags}


def bucket_tags(deployed: Deployed, bucket: str) -> dict[str, str]:
    """Ask S3 for a bucket's tags."""
    try:
        return as_mapping(deployed.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}


def queue_tags(deployed: Deployed, output: str) -> dict[str, str]:
    """Ask SQS for a queue's tags."""
    return deployed.client("sqs").list_queue_tags(QueueUrl=deployed.outputs[output]).get("Tags", {})


def alarm_tags(deployed: Deployed, alarm: str) -> dict[str, str]:
    """Ask CloudWatch for an alarm's tags."""
    arn = deployed.account.arn("cloudwatch", f"alarm:{deployed.names.of(alarm)}")
    return as_mapping(deployed.client("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"])


def mapping_tags(deployed: Deployed) -> dict[str, str]:
    """Ask Lambda for the tags of what brings the queue's messages to the function."""
    client = deployed.client("lambda")
    function, queue = deployed.outputs["function_arn"], deployed.outputs["queue_arn"]
    (mapping,) = client.list_event_source_mappings(FunctionName=function, EventSourceArn=queue)["EventSourceMappings"]
    arn = deployed.account.arn("lambda", f"event-source-mapping:{mapping['UUID']}")
    return client.list_tags(Resource=arn)["Tags"]


TAGGED: dict[str, Ask] = {
    "payload bucket": lambda stack: bucket_tags(stack, stack.outputs["bucket_name"]),
    "access log bucket": lambda stack: bucket_tags(stack, stack.names.access_log_bucket(stack.account.id)),
    "table": lambda stack: as_mapping(
        stack.client("dynamodb").list_tags_of_resource(ResourceArn=stack.outputs["table_arn"])["Tags"]
    ),
    "queue": lambda stack: queue_tags(stack, "queue_url"),
    "dead-letter queue": lambda stack: queue_tags(stack, "dlq_url"),
    "topic": lambda stack: as_mapping(
        stack.client("sns").list_tags_for_resource(ResourceArn=stack.outputs["topic_arn"])["Tags"]
    ),
    "function": lambda stack: stack.client("lambda").list_tags(Resource=stack.outputs["function_arn"])["Tags"],
    "event source mapping": mapping_tags,
    "role": lambda stack: as_mapping(
        stack.client("iam").list_role_tags(RoleName=stack.outputs["lambda_role_arn"].rpartition("/")[2])["Tags"]
    ),
    "log group": lambda stack: stack.client("logs").list_tags_for_resource(
        resourceArn=stack.account.arn("logs", f"log-group:{stack.names.log_group}")
    )["tags"],
    "dead-letters alarm": lambda stack: alarm_tags(stack, "dead-letters"),
    "errors alarm": lambda stack: alarm_tags(stack, "errors"),
    "throttles alarm": lambda stack: alarm_tags(stack, "throttles"),
    "oldest-message alarm": lambda stack: alarm_tags(stack, "oldest-message"),
    "misconfigured alarm": lambda stack: alarm_tags(stack, "misconfigured"),
}


@pytest.mark.parametrize("resource", TAGGED)
def test_a_resource_says_whose_it_is(deployed: Deployed, resource: str) -> None:
    hold_tags(deployed, resource, TAGGED[resource](deployed))


def test_the_key_says_whose_it_is(deployed: Deployed) -> None:
    if deployed.promised("kms_key_arn"):
        pytest.skip("kmsKeyArn names a key that the stack does not own")
    tags = deployed.client("kms").list_resource_tags(KeyId=deployed.key_arn)["Tags"]

    hold_tags(deployed, "key", as_mapping(tags, "TagKey", "TagValue"))


def hold_tags(deployed: Deployed, resource: str, tags: dict[str, str]) -> None:
    """Compare the stack's tags; a team may add others."""
    promised = deployed.names.tags
    hold(resource, "tags", found={name: tags.get(name) for name in promised}, promised=promised)
