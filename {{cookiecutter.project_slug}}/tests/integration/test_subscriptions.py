"""Alarms reach the people who should get them, and nobody else."""

import pytest

from tools.testing import Deployment
from tools.testing.comparison import hold
from tools.testing.deployed import Deployed
from tools.testing.promises import skip_if_secret
from tools.testing.readers import subscriptions_of

SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
TOPIC = "aws:sns/topic:Topic"
EMAIL = "email"

# What SNS returns instead of an ARN:
# https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
PENDING = "PendingConfirmation"


@pytest.fixture(name="promised")
def fixture_promised(deployed: Deployed, promises: Deployment) -> dict[str, list[str]]:
    """The e-mail addresses that the program subscribes, by the ARN of the topic."""
    skip_if_secret(deployed, *(f"{SUBSCRIPTION} {name}" for name in promises.all(SUBSCRIPTION)))
    inputs = [each.inputs for each in promises.all(SUBSCRIPTION).values()]
    topics = [deployed.account.arn("sns", each.inputs["name"]) for each in promises.all(TOPIC).values()]
    return {
        topic: sorted(each["endpoint"] for each in inputs if each["topic"] == topic and each["protocol"] == EMAIL)
        for topic in topics
    }


def subscribed(deployed: Deployed, topic: str) -> dict[str, str]:
    """List the e-mail subscriptions of a topic: ARN, or what SNS returns instead, by address."""
    subscriptions = subscriptions_of(deployed, topic)
    return {each["Endpoint"]: each["SubscriptionArn"] for each in subscriptions if each["Protocol"] == EMAIL}


def test_an_e_mail_subscription_is_confirmed(deployed: Deployed, promised: dict[str, list[str]]) -> None:
    if not any(promised.values()):
        pytest.skip("notificationEmail is empty: nobody gets the alarms")
    for topic, addresses in promised.items():
        found = subscribed(deployed, topic)
        for address in addresses:
            assert address in found, (
                f"{topic}: {address} is not subscribed: it was not confirmed within 48 hours, or somebody has "
                "unsubscribed it. Fix the drift (docs/errors-and-operations.md), and click the link in the new e-mail."
            )
            if found[address] == PENDING:
                pytest.skip(
                    f"{address}: nobody has clicked the confirmation link yet; AWS deletes the subscription after 48 "
                    "hours. If it was confirmed before, SNS has deactivated it, because there were too many e-mails."
                )


def test_a_topic_has_no_other_e_mail_subscriptions(deployed: Deployed, promised: dict[str, list[str]]) -> None:
    for topic, addresses in promised.items():
        others = sorted(subscribed(deployed, topic).keys() - set(addresses))
        hold(topic, "other e-mail subscriptions", found=others, promised=[])
