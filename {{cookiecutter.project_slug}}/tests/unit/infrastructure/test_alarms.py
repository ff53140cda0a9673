"""The alarms' limits, their topic, and the rule that watches the key. What they do in outages is in `test_outages`."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.unit.conftest import Deploy, key_arn
from tests.unit.infrastructure.simulation import LONG_TIMES
from tools.testing import PROJECT_NAME, Deployment
from tools.testing.cloudwatch import ALARM, OK, Value, calculate, next_state

TYPE: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
# Of each alarm: a period that is just good, one that is just bad, and how many of how many periods must be bad. If an
# alarm watches only one metric, that is the value.
LIMITS: Final[Mapping[str, tuple[Mapping[str, float], Mapping[str, float], int, int]]] = {
    "dead-letters": ({"visible": 0, "hidden": 0}, {"visible": 0, "hidden": 1}, 1, 5),
    "new-dead-letters": ({"value": 0}, {"value": 1}, 1, 10),
    "errors": ({"value": 0}, {"value": 1}, 2, 19),
    "throttles": ({"value": 0}, {"value": 1}, 3, 10),
    "duration": ({"value": 35_000}, {"value": 35_001}, 3, 12),
    "returned": ({"returned": 100, "processed": 300}, {"returned": 101, "processed": 300}, 3, 10),
    "misconfigured": ({"value": 0}, {"value": 1}, 3, 10),
    "oldest-message": ({"value": 900}, {"value": 901}, 1, 5),
    "not-received": ({"waiting": 1e9, "received": 1}, {"waiting": 1, "received": 0}, 5, 5),
    "throttled-writes": ({"table": 0, "index": 0, "processed": 9}, {"table": 0, "index": 1, "processed": 9}, 5, 10),
    "failed-notifications": ({"value": 0}, {"value": 1}, 1, 10),
    "idle": ({"value": 1}, {"value": 0}, 2, 2),
}
# How many of how many periods must be bad if times are long.
LONG_LIMITS: Final = {
    "errors": (2, 115),
    "duration": (3, 25),
    "returned": (3, 20),
    "misconfigured": (3, 20),
    "not-received": (18, 18),
}
# The alarms that are over after a while without data; the others keep their state.
PASSING: Final = ("new-dead-letters", "oldest-message", "failed-notifications")
LASTING: Final = tuple(role for role in LIMITS if role not in {*PASSING, "idle"})

# What EventBridge gets of a call of KMS, and what makes it another call:
# https://docs.aws.amazon.com/kms/latest/developerguide/ct-disablekey.html
OTHER_KEY_ARN: Final = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
STOPPING: Final = ("DeleteImportedKeyMaterial", "DisableKey", "ScheduleKeyDeletion")
HARMLESS: Final = ("CancelKeyDeletion", "Decrypt", "EnableKey", "PutKeyPolicy", "RotateKeyOnDemand")


@pytest.fixture(scope="module", name="idle")
def fixture_idle(deploy_example: Deploy) -> Deployment:
    """An example stack that also has the optional alarm."""
    return deploy_example(idleAlarmMinutes="10")


def alarm(deployment: Deployment, role: str) -> dict[str, Any]:
    """Return an alarm's inputs."""
    return deployment.one(TYPE, f"{role}-alarm").inputs


def value(inputs: Mapping[str, Any], metrics: Mapping[str, Value]) -> Value:
    """Return what is compared with an alarm's threshold."""
    expressions = [query["expression"] for query in inputs.get("metricQueries", []) if "expression" in query]
    return calculate(expressions[0] if expressions else "value", metrics)


def key_call(name: str, arn: str, **more: str) -> dict[str, Any]:
    """Return the event of a call of KMS."""
    return {
        "version": "0",
        "source": "aws.kms",
        "detail-type": "AWS API Call via CloudTrail",
        "account": "123456789012",
        "detail": {
            "eventSource": "kms.amazonaws.com",
            "eventName": name,
            "requestParameters": {"keyId": arn},
            "resources": [{"accountId": "123456789012", "type": "AWS::KMS::Key", "ARN": arn}],
            **more,
        },
    }


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether EventBridge sends an event to the target of a rule.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    for key, allowed in pattern.items():
        found = event[key] if isinstance(event.get(key), list) else [event[key]] if key in event else []
        if isinstance(allowed, dict):
            if not any(matches(allowed, each) for each in found):
                return False
        elif allowed == [{"exists": False}]:
            if found:
                return False
        elif not set(allowed) & set(found):
            return False
    return True


def test_the_stack_has_these_alarms(deployed: Deployment) -> None:
    assert set(deployed.all(TYPE)) == {f"{role}-alarm" for role in LIMITS if role != "idle"}


def test_the_alarm_about_no_messages_is_optional(idle: Deployment) -> None:
    assert set(idle.all(TYPE)) == {f"{role}-alarm" for role in LIMITS}


@pytest.mark.parametrize("role", LIMITS)
def test_an_alarm_is_raised_by_so_many_bad_periods(idle: Deployment, role: str) -> None:
    just_good, just_bad, needed, of = LIMITS[role]
    inputs = alarm(idle, role)
    good, bad = value(inputs, just_good), value(inputs, just_bad)

    assert next_state(inputs, [good] * of, OK) == OK
    assert next_state(inputs, [good] * (of - needed + 1) + [bad] * (needed - 1), OK) == OK
    assert next_state(inputs, [bad] * needed + [good] * (of - needed), OK) == ALARM
    assert next_state(inputs, [bad] * needed + [good] * (of - needed + 1), OK) == OK


@pytest.mark.parametrize("role", LONG_LIMITS)
def test_an_alarm_takes_long_times_into_account(deploy_example: Deploy, role: str) -> None:
    inputs = alarm(deploy_example(**LONG_TIMES), role)

    assert (inputs["datapointsToAlarm"], inputs["evaluationPeriods"]) == LONG_LIMITS[role]


def test_the_limits_of_duration_and_age_follow_the_settings(deploy_example: Deploy) -> None:
    stack = deploy_example(**LONG_TIMES)

    assert alarm(stack, "duration")["threshold"] == 815_000
    assert alarm(stack, "oldest-message")["threshold"] == 6000


@pytest.mark.parametrize("role", LASTING)
def test_an_alarm_is_not_over_because_there_is_no_data(example: Deployment, role: str) -> None:
    assert next_state(alarm(example, role), [None] * 20, ALARM) == ALARM


@pytest.mark.parametrize("role", PASSING)
def test_an_alarm_that_tells_of_something_new_is_over_after_a_while(example: Deployment, role: str) -> None:
    assert next_state(alarm(example, role), [None] * 20, ALARM) == OK


@pytest.mark.parametrize("role", LIMITS)
def test_an_alarm_looks_at_minutes(idle: Deployment, role: str) -> None:
    inputs = alarm(idle, role)
    metrics = [query["metric"] for query in inputs.get("metricQueries", []) if "metric" in query] or [inputs]

    assert {metric["period"] for metric in metrics} == {300 if role == "idle" else 60}


@pytest.mark.parametrize("role", LIMITS)
def test_an_alarm_watches_one_metric_or_the_result_of_an_expression(idle: Deployment, role: str) -> None:
    inputs = alarm(idle, role)
    metrics = set(LIMITS[role][0])

    if metrics == {"value"}:
        assert "metricQueries" not in inputs
        return
    assert "metricName" not in inputs
    assert {query["id"] for query in inputs["metricQueries"]} == {"value", *metrics}
    (result,) = [query for query in inputs["metricQueries"] if "metric" not in query]
    assert (result["id"], result["label"], result["returnData"]) == ("value", role, True)
    assert not any(query.get("returnData") for query in inputs["metricQueries"] if query is not result)


@pytest.mark.parametrize("role", LIMITS)
def test_an_alarm_is_named_after_its_role(idle: Deployment, role: str) -> None:
    assert alarm(idle, role)["name"] == f"{PROJECT_NAME}-{idle.setting('environmentSuffix')}-{role}"


@pytest.mark.parametrize("role", LIMITS)
def test_an_alarm_sends_its_begin_and_its_end_to_the_alarm_topic(idle: Deployment, role: str) -> None:
    inputs = alarm(idle, role)

    assert inputs["alarmActions"] == inputs["okActions"] == [idle.arn("aws:sns/topic:Topic", "alarm-topic")]


def test_every_alarm_says_what_has_happened(idle: Deployment) -> None:
    descriptions = {alarm(idle, role)["alarmDescription"] for role in LIMITS}

    assert len(descriptions) == len(LIMITS)
    # What has happened, and what to do.
    assert all(description.count(". ") >= 1 and description.endswith(".") for description in descriptions)


def test_the_description_of_an_alarm_has_its_limit(idle: Deployment) -> None:
    assert alarm(idle, "idle")["alarmDescription"].startswith("No message has arrived for 10 minutes.")
    assert alarm(idle, "returned")["alarmDescription"].startswith("More than 25 % of the messages fail")


def test_alarms_have_a_topic_of_their_own(deployed: Deployment) -> None:
    topic = deployed.one("aws:sns/topic:Topic", "alarm-topic")

    assert topic.inputs["name"] == f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-alarms"
    assert topic.inputs["signatureVersion"] == 2
    assert deployed.exports["alarm_topic_arn"] == deployed.arn("aws:sns/topic:Topic", "alarm-topic")
    assert deployed.exports["topic_arn"] != deployed.exports["alarm_topic_arn"]


def test_alarms_arrive_without_the_key(deployed: Deployment) -> None:
    assert "kmsMasterKeyId" not in deployed.one("aws:sns/topic:Topic", "alarm-topic").inputs


def test_production_protects_the_alarm_topic(production: Deployment, example: Deployment) -> None:
    assert production.one("aws:sns/topic:Topic", "alarm-topic").protect
    assert not example.one("aws:sns/topic:Topic", "alarm-topic").protect


def test_only_the_stacks_alarms_and_eventbridge_may_publish_to_the_alarm_topic(deployed: Deployment) -> None:
    policy = deployed.one("aws:sns/topicPolicy:TopicPolicy", "alarm-topic-policy")
    topic_arn = deployed.arn("aws:sns/topic:Topic", "alarm-topic")
    prefix = f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}"

    assert policy.inputs["arn"] == topic_arn
    assert policy.document("policy")["Statement"] == [
        {
            "Sid": "DenyInsecureTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": [topic_arn],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "AllowAlarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "123456789012"},
                "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{deployed.region}:123456789012:alarm:{prefix}-*"},
            },
        },
        # EventBridge cannot meet a condition.
        {
            "Sid": "AllowKeyEvents",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic_arn,
        },
    ]


def test_an_alarm_is_created_when_it_may_publish(deployed: Deployment) -> None:
    policy = deployed.one("aws:sns/topicPolicy:TopicPolicy", "alarm-topic-policy")

    assert all(policy.urn in each.dependencies for each in deployed.all(TYPE).values())


def test_the_configured_address_gets_the_alarms(deploy_example: Deploy) -> None:
    stack = deploy_example(notificationEmail="team@example.com")
    (subscription,) = stack.all("aws:sns/topicSubscription:TopicSubscription").values()

    assert subscription.inputs == {
        "topic": stack.arn("aws:sns/topic:Topic", "alarm-topic"),
        "protocol": "email",
        "endpoint": "team@example.com",
    }


def test_without_an_address_nobody_gets_the_alarms(deploy_example: Deploy) -> None:
    assert not deploy_example(notificationEmail="").all("aws:sns/topicSubscription:TopicSubscription")


@pytest.mark.parametrize("name", STOPPING)
def test_a_call_that_stops_the_key_is_told(deployed: Deployment, name: str) -> None:
    rule = deployed.one("aws:cloudwatch/eventRule:EventRule", "key-rule")

    assert matches(rule.document("eventPattern"), key_call(name, key_arn(deployed)))


@pytest.mark.parametrize("name", HARMLESS)
def test_other_calls_of_the_key_are_not_told(deployed: Deployment, name: str) -> None:
    rule = deployed.one("aws:cloudwatch/eventRule:EventRule", "key-rule")

    assert not matches(rule.document("eventPattern"), key_call(name, key_arn(deployed)))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(key_call("DisableKey", OTHER_KEY_ARN), id="another key"),
        pytest.param({"source": "aws.s3"}, id="another service"),
        pytest.param({"detail-type": "KMS CMK Rotation"}, id="another type of event"),
    ],
)
def test_other_events_are_not_told(customized: Deployment, event: dict[str, Any]) -> None:
    rule = customized.one("aws:cloudwatch/eventRule:EventRule", "key-rule")

    assert not matches(rule.document("eventPattern"), key_call("DisableKey", key_arn(customized)) | event)


def test_an_attempt_to_disable_the_key_that_was_refused_is_not_told(deployed: Deployment) -> None:
    rule = deployed.one("aws:cloudwatch/eventRule:EventRule", "key-rule")
    refused = key_call("DisableKey", key_arn(deployed), errorCode="AccessDenied")

    assert not matches(rule.document("eventPattern"), refused)


def test_the_rule_that_watches_the_key_publishes_to_the_alarm_topic(deployed: Deployment) -> None:
    rule = deployed.one("aws:cloudwatch/eventRule:EventRule", "key-rule").inputs

    assert rule["name"] == f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-key"
    assert rule["description"].startswith("Somebody disables or deletes the key")
    assert deployed.one("aws:cloudwatch/eventTarget:EventTarget", "key-target").inputs == {
        "rule": rule["name"],
        "arn": deployed.arn("aws:sns/topic:Topic", "alarm-topic"),
    }
