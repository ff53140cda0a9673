"""The queues and the topic for notifications."""

import pytest

from tools.testing import PROJECT_NAME, Deployment

QUEUES = ("queue", "dead-letter-queue")
DAY = 24 * 60 * 60


@pytest.mark.parametrize("name", QUEUES)
def test_a_queues_name_has_the_project_the_suffix_and_the_role(deployed: Deployment, name: str) -> None:
    queue = deployed.one("aws:sqs/queue:Queue", name)

    assert queue.inputs["name"] == f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-{name}"


def test_the_visibility_timeout_is_six_function_timeouts_plus_the_batching_window(deployed: Deployment) -> None:
    queue = deployed.one("aws:sqs/queue:Queue", "queue")
    six_timeouts = 6 * int(deployed.setting("lambdaTimeoutSeconds"))

    assert queue.inputs["visibilityTimeoutSeconds"] == six_timeouts + int(deployed.setting("batchWindowSeconds"))


def test_a_message_that_is_received_too_often_is_dead_lettered(deployed: Deployment) -> None:
    queue = deployed.one("aws:sqs/queue:Queue", "queue")

    assert queue.document("redrivePolicy") == {
        "deadLetterTargetArn": deployed.arn("aws:sqs/queue:Queue", "dead-letter-queue"),
        "maxReceiveCount": int(deployed.setting("maxReceiveCount")),
    }


def test_the_dead_letter_queue_has_the_maximum_retention(deployed: Deployment) -> None:
    queue = deployed.one("aws:sqs/queue:Queue", "dead-letter-queue")

    assert queue.inputs["messageRetentionSeconds"] == 14 * DAY
    assert "redrivePolicy" not in queue.inputs


def test_a_dead_letter_is_kept_for_a_day_at_least(deployed: Deployment) -> None:
    # SQS counts from when a message was sent to the queue, also after it has moved it.
    queue, dead_letter_queue = (deployed.one("aws:sqs/queue:Queue", name).inputs for name in QUEUES)

    assert queue["messageRetentionSeconds"] == int(deployed.setting("messageRetentionSeconds"))
    assert dead_letter_queue["messageRetentionSeconds"] - queue["messageRetentionSeconds"] >= DAY


def test_the_dead_letter_queue_has_room_for_the_largest_message_and_the_reason(deployed: Deployment) -> None:
    queue, dead_letter_queue = (deployed.one("aws:sqs/queue:Queue", name).inputs for name in QUEUES)

    assert queue["maxMessageSize"] == 256 * 1024
    assert dead_letter_queue["maxMessageSize"] == 260 * 1024


def test_only_the_queue_can_use_the_dead_letter_queue(deployed: Deployment) -> None:
    policy = deployed.one("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "dead-letter-queue-redrive-allow")

    assert policy.inputs["queueUrl"] == deployed.exports["dlq_url"]
    assert policy.document("redriveAllowPolicy") == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [deployed.exports["queue_arn"]],
    }


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_accepts_tls_only_and_its_policy_allows_nothing(deployed: Deployment, name: str) -> None:
    policy = deployed.one("aws:sqs/queuePolicy:QueuePolicy", f"{name}-policy")

    assert policy.inputs["queueUrl"] == deployed.exports["queue_url" if name == "queue" else "dlq_url"]
    assert policy.document("policy")["Statement"] == [
        {
            "Sid": "DenyInsecureTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": [deployed.arn("aws:sqs/queue:Queue", name)],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_the_topics_name_has_the_project_and_the_suffix(deployed: Deployment) -> None:
    topic = deployed.one("aws:sns/topic:Topic", "topic")

    assert topic.inputs["name"] == f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-notifications"


def test_the_topic_signs_its_notifications_with_sha_256(deployed: Deployment) -> None:
    # https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
    assert deployed.one("aws:sns/topic:Topic", "topic").inputs["signatureVersion"] == 2


def test_the_topic_accepts_tls_only_and_its_policy_allows_nothing(deployed: Deployment) -> None:
    policy = deployed.one("aws:sns/topicPolicy:TopicPolicy", "topic-policy")
    topic_arn = deployed.exports["topic_arn"]

    assert policy.inputs["arn"] == topic_arn
    assert policy.document("policy")["Statement"] == [
        {
            "Sid": "DenyInsecureTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": [topic_arn],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_nobody_is_subscribed_to_the_topic(deployed: Deployment) -> None:
    subscriptions = deployed.all("aws:sns/topicSubscription:TopicSubscription").values()

    # An e-mail for each message would silence the alarms: SNS gives up on a mailbox that refuses too many.
    assert deployed.exports["topic_arn"] not in {each.inputs["topic"] for each in subscriptions}
