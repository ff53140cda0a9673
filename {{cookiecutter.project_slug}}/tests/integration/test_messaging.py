"""The queues and the topic: what is deployed is what was promised."""

import json
from typing import Any

import pytest

from infrastructure.messaging import DEAD_LETTER_BYTES, DEAD_LETTER_RETENTION_SECONDS, MESSAGE_BYTES
from tests.integration.deployed import Deployed, canonical, hold, tls_only


def attributes_of(deployed: Deployed, output: str) -> dict[str, str]:
    """Read a queue's attributes."""
    url = deployed.outputs[output]
    return deployed.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def name_of(attributes: dict[str, str]) -> str:
    """Name a queue."""
    return attributes["QueueArn"].rpartition(":")[2]


def statements_of(attributes: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Read the statements of a policy, by their names."""
    document = json.loads(attributes.get("Policy") or '{"Statement": []}')
    return {statement.get("Sid", ""): canonical(statement) for statement in document["Statement"]}


@pytest.fixture(scope="module", name="queue")
def fixture_queue(deployed: Deployed) -> dict[str, str]:
    """The queue, as SQS describes it."""
    return attributes_of(deployed, "queue_url")


@pytest.fixture(scope="module", name="dead_letter_queue")
def fixture_dead_letter_queue(deployed: Deployed) -> dict[str, str]:
    """The dead-letter queue, as SQS describes it."""
    return attributes_of(deployed, "dlq_url")


@pytest.fixture(scope="module", name="topic")
def fixture_topic(deployed: Deployed) -> dict[str, str]:
    """The topic, as SNS describes it."""
    return deployed.client("sns").get_topic_attributes(TopicArn=deployed.outputs["topic_arn"])["Attributes"]


@pytest.fixture(name="each_queue", params=["queue", "dead_letter_queue"])
def fixture_each_queue(request: pytest.FixtureRequest) -> dict[str, str]:
    """Each queue in turn, as SQS describes it."""
    return request.getfixturevalue(request.param)


def test_the_queue_keeps_messages(deployed: Deployed, queue: dict[str, str]) -> None:
    promised = deployed.promised("message_retention_seconds")

    hold(name_of(queue), "retention, seconds", found=int(queue["MessageRetentionPeriod"]), promised=promised)


def test_the_dead_letter_queue_keeps_messages_as_long_as_it_can(dead_letter_queue: dict[str, str]) -> None:
    found = int(dead_letter_queue["MessageRetentionPeriod"])

    hold(name_of(dead_letter_queue), "retention, seconds", found=found, promised=DEAD_LETTER_RETENTION_SECONDS)


def test_a_received_message_stays_hidden_for_six_timeouts(deployed: Deployed, queue: dict[str, str]) -> None:
    promised = 6 * deployed.promised("lambda_timeout_seconds") + deployed.promised("batch_window_seconds")

    hold(name_of(queue), "visibility timeout, seconds", found=int(queue["VisibilityTimeout"]), promised=promised)


def test_a_message_that_is_received_too_often_is_dead_lettered(deployed: Deployed, queue: dict[str, str]) -> None:
    found = json.loads(queue.get("RedrivePolicy", "{}"))

    hold(
        name_of(queue),
        "dead-letter queue",
        found=found.get("deadLetterTargetArn"),
        promised=deployed.outputs["dlq_arn"],
    )
    promised = deployed.promised("max_receive_count")
    hold(name_of(queue), "deliveries", found=int(found["maxReceiveCount"]), promised=promised)


def test_the_dead_letter_queue_takes_messages_of_its_queue_alone(
    deployed: Deployed, dead_letter_queue: dict[str, str]
) -> None:
    found = json.loads(dead_letter_queue.get("RedriveAllowPolicy", "{}"))

    promised = {"redrivePermission": "byQueue", "sourceQueueArns": [deployed.outputs["queue_arn"]]}
    hold(name_of(dead_letter_queue), "sources", found=found, promised=promised)


def test_what_the_queue_takes_fits_into_the_dead_letter_queue_with_its_reason(
    queue: dict[str, str], dead_letter_queue: dict[str, str]
) -> None:
    hold(name_of(queue), "bytes", found=int(queue["MaximumMessageSize"]), promised=MESSAGE_BYTES)
    found = int(dead_letter_queue["MaximumMessageSize"])
    hold(name_of(dead_letter_queue), "bytes", found=found, promised=DEAD_LETTER_BYTES)


def test_messages_are_encrypted_with_the_stacks_key(deployed: Deployed, each_queue: dict[str, str]) -> None:
    found = each_queue.get("KmsMasterKeyId")

    hold(name_of(each_queue), "encryption", found=found, promised=deployed.key_arn)


def test_a_queue_is_reached_over_tls_only_and_let_to_nobody(each_queue: dict[str, str]) -> None:
    promised = {"DenyInsecureTransport": canonical(tls_only("sqs:*", [each_queue["QueueArn"]]))}

    hold(name_of(each_queue), "policy", found=statements_of(each_queue), promised=promised)


def test_notifications_are_encrypted_with_the_stacks_key(deployed: Deployed, topic: dict[str, str]) -> None:
    hold(topic["TopicArn"], "encryption", found=topic.get("KmsMasterKeyId"), promised=deployed.key_arn)


def test_the_topic_takes_the_accounts_alarms_over_tls_only(deployed: Deployed, topic: dict[str, str]) -> None:
    alarms = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic["TopicArn"],
        "Condition": {"StringEquals": {"aws:SourceAccount": deployed.account.id}},
    }

    promised = {
        "DenyInsecureTransport": canonical(tls_only("sns:Publish", [topic["TopicArn"]])),
        "AllowTheAlarms": canonical(alarms),
    }
    hold(topic["TopicArn"], "policy", found=statements_of(topic), promised=promised)


def test_the_notification_address_is_subscribed(deployed: Deployed) -> None:
    pages = deployed.client("sns").get_paginator("list_subscriptions_by_topic")

    topic_arn = deployed.outputs["topic_arn"]
    found = [
        subscription["Endpoint"]
        for page in pages.paginate(TopicArn=topic_arn)
        for subscription in page["Subscriptions"]
        if subscription["Protocol"] == "email"
    ]
    hold(topic_arn, "e-mail", found=found, promised=[deployed.promised("notification_email")])
