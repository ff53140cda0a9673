"""The security rules that apply to the project's resources, by their Checkov ids, and some that Checkov lacks.

https://www.checkov.io/5.Policy%20Index/terraform.html describes the rules. Every rule is checked for every stack. A
waiver gives the reason why a rule does not hold, and fails once the rule holds.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.conftest import Deploy
from tools.testing import Deployment

Rule = Callable[[Deployment], bool]

BUCKET = "aws:s3/bucket:Bucket"
# Types of the resources that configure a bucket, by the suffix of their logical names.
BUCKET_PARTS = {
    "encryption": "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "lifecycle": "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "logging": "aws:s3/bucketLogging:BucketLogging",
    "notification": "aws:s3/bucketNotification:BucketNotification",
    "ownership": "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "policy": "aws:s3/bucketPolicy:BucketPolicy",
    "public-access": "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "versioning": "aws:s3/bucketVersioning:BucketVersioning",
}
TABLE = "aws:dynamodb/table:Table"
FUNCTION = "aws:lambda/function:Function"
QUEUE = "aws:sqs/queue:Queue"
TOPIC = "aws:sns/topic:Topic"
KEY = "aws:kms/key:Key"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
SUPPORTED_RUNTIMES = {"python3.11", "python3.12", "python3.13", "python3.14"}
# Actions without resource-level permissions:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
UNRESTRICTABLE_ACTIONS = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_understand-policy-summary-access-level-summaries.html
PERMISSIONS_MANAGEMENT = re.compile(
    r"(?i)(iam|organizations|sso|sts):|:(put|delete|attach|detach|set|add|remove)\w*policy"
)
SECRET_NAME = re.compile(r"(?i)secret|password|token|access_?key|credential")


def buckets(part: str, holds: Callable[[dict[str, Any]], bool], only: tuple[str, ...] = ()) -> Rule:
    """Check one part of every bucket, or of the buckets in ``only``."""

    def rule(deployment: Deployment) -> bool:
        names = only or tuple(deployment.all(BUCKET))
        parts = deployment.all(BUCKET_PARTS[part])
        found = {name: parts[f"{name}-{part}"].inputs for name in names if f"{name}-{part}" in parts}
        return set(found) == set(names) and all(
            inputs["bucket"] == f"{name}-id" and holds(inputs) for name, inputs in found.items()
        )

    return rule


def every(type_: str, holds: Callable[[dict[str, Any]], bool], but: str = "") -> Rule:
    """Check every resource of a type but one; there must be at least one."""

    def rule(deployment: Deployment) -> bool:
        inputs = [resource.inputs for name, resource in deployment.all(type_).items() if name != but]
        return bool(inputs) and all(map(holds, inputs))

    return rule


def own_key(holds: Callable[[dict[str, Any]], bool]) -> Rule:
    """Check the key that the stack creates; a configured key is its owner's."""
    return lambda deployment: bool(deployment.setting("kmsKeyArn")) or every(KEY, holds)(deployment)


def listed(value: Any) -> list[Any]:
    """Return a list; policies allow a single value instead of a list."""
    return value if isinstance(value, list) else [value]


def statements(deployment: Deployment, type_: str, key: str = "policy") -> Iterator[dict[str, Any]]:
    """Iterate over the statements of all policies of a type."""
    for resource in deployment.all(type_).values():
        yield from resource.document(key)["Statement"]


def no_statement(type_: str, breaks: Callable[[dict[str, Any]], bool], key: str = "policy") -> Rule:
    """Check that no Allow statement in the policies of a type breaks a rule."""

    def rule(deployment: Deployment) -> bool:
        found = list(statements(deployment, type_, key))
        return bool(found) and not any(breaks(each) for each in found if each["Effect"] == "Allow")

    return rule


def anyone(statement: dict[str, Any]) -> bool:
    """Whether a statement's principal is everybody."""
    principal = statement["Principal"]
    named = principal.values() if isinstance(principal, dict) else [principal]
    return any("*" in listed(each) for each in named)


def tls_only(type_: str, policy_type: str, action: str) -> Rule:
    """Check that every resource of a type has a policy that denies requests without TLS."""

    def rule(deployment: Deployment) -> bool:
        refused = {
            listed(each["Resource"])[0]
            for each in statements(deployment, policy_type)
            if each["Effect"] == "Deny"
            and anyone(each)
            and each["Action"] == action
            and each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        }
        return refused == {deployment.arn(type_, name) for name in deployment.all(type_)}

    return rule


def wildcard_action(statement: dict[str, Any]) -> bool:
    """Whether a statement has a wildcard for all actions, of AWS or of a service."""
    return any(action == "*" or action.endswith(":*") for action in listed(statement["Action"]))


def wildcard_resource(statement: dict[str, Any]) -> bool:
    """Whether a statement is for all resources although its actions could be restricted."""
    return "*" in listed(statement["Resource"]) and bool(set(listed(statement["Action"])) - UNRESTRICTABLE_ACTIONS)


def actions_match(pattern: str) -> Callable[[dict[str, Any]], bool]:
    """Match statements with an action that matches a pattern."""
    return lambda statement: any(re.search(pattern, action) for action in listed(statement["Action"]))


def services_in_this_account_only(deployment: Deployment) -> bool:
    """Whether each service that a policy of a resource lets in acts for a resource of the stack's account.

    EventBridge is left out: it can publish to a topic only if the topic's policy has no condition.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
    """
    types = (KEY, QUEUE_POLICY, TOPIC_POLICY, BUCKET_PARTS["policy"])
    allowed = [each for type_ in types for each in statements(deployment, type_) if each["Effect"] == "Allow"]
    services = [each for each in allowed if each["Principal"].get("Service", EVENTBRIDGE) != EVENTBRIDGE]
    return bool(services) and all(deployment.account.id in json.dumps(each.get("Condition")) for each in services)


def key_through_services_only(deployment: Deployment) -> bool:
    """Whether the function can use the key only through the services that store its data."""
    uses = [each for each in statements(deployment, ROLE_POLICY) if actions_match("^kms:")(each)]
    return bool(uses) and all("kms:ViaService" in each["Condition"]["StringEquals"] for each in uses)


EVENTBRIDGE = "events.amazonaws.com"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"


def no_managed_policy(deployment: Deployment) -> bool:
    """Whether no managed policy is attached, so that the project declares all permissions itself."""
    return not any(
        resource.type
        in {"aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/policyAttachment:PolicyAttachment"}
        or "managedPolicyArns" in resource.inputs
        for resource in deployment.resources
    )


def private(part_key: str) -> Rule:
    """Check one setting of every bucket's public access block."""
    return buckets("public-access", lambda inputs: inputs.get(part_key) is True)


def lifecycle(rule_key: str) -> Rule:
    """Check that every bucket has an enabled lifecycle rule of a kind."""
    return buckets(
        "lifecycle",
        lambda inputs: any(each["status"] == "Enabled" and each.get(rule_key) for each in inputs["rules"]),
    )


RULES: dict[str, Rule] = {
    "CKV_AWS_18 bucket has access logging": buckets("logging", lambda inputs: bool(inputs["targetBucket"])),
    "CKV_AWS_19 bucket is encrypted": buckets("encryption", lambda inputs: bool(inputs["rules"])),
    "CKV_AWS_20 bucket is not publicly readable": buckets(
        "ownership", lambda inputs: inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    ),
    "CKV_AWS_21 bucket is versioned": buckets(
        "versioning", lambda inputs: inputs["versioningConfiguration"]["status"] == "Enabled"
    ),
    "CKV_AWS_53 bucket blocks public ACLs": private("blockPublicAcls"),
    "CKV_AWS_54 bucket blocks public policies": private("blockPublicPolicy"),
    "CKV_AWS_55 bucket ignores public ACLs": private("ignorePublicAcls"),
    "CKV_AWS_56 bucket restricts public access": private("restrictPublicBuckets"),
    "CKV_AWS_57 bucket is not publicly writable": buckets(
        "ownership", lambda inputs: inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    ),
    "CKV_AWS_70 bucket's policy allows nothing to everybody": no_statement(BUCKET_PARTS["policy"], anyone),
    "CKV_AWS_93 bucket's policy locks nobody out": lambda deployment: all(
        "Condition" in each for each in statements(deployment, BUCKET_PARTS["policy"]) if each["Effect"] == "Deny"
    ),
    "CKV_AWS_144 bucket is replicated to another region": lambda deployment: bool(
        deployment.all("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    ),
    "CKV_AWS_145 bucket is encrypted with KMS": buckets(
        "encryption",
        lambda inputs: all(
            each["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms" for each in inputs["rules"]
        ),
    ),
    "CKV_AWS_300 bucket aborts incomplete uploads": lifecycle("abortIncompleteMultipartUpload"),
    "CKV2_AWS_6 bucket has a public access block": private("blockPublicAcls"),
    "CKV2_AWS_61 bucket has lifecycle rules": lifecycle("noncurrentVersionExpiration"),
    "CKV2_AWS_62 bucket sends events": buckets("notification", lambda inputs: inputs["eventbridge"] is True),
    "bucket accepts TLS only": tls_only(BUCKET, BUCKET_PARTS["policy"], "s3:*"),
    "bucket refuses keys that only the client knows": buckets(
        "encryption", lambda inputs: all(each["blockedEncryptionTypes"] == ["SSE-C"] for each in inputs["rules"])
    ),
    "CKV_AWS_28 table has point-in-time recovery": every(
        TABLE, lambda inputs: inputs["pointInTimeRecovery"]["enabled"] is True
    ),
    "CKV_AWS_119 table is encrypted with a customer-managed key": every(
        TABLE,
        lambda inputs: (
            inputs["serverSideEncryption"]["enabled"] is True and bool(inputs["serverSideEncryption"]["kmsKeyArn"])
        ),
    ),
    "CKV2_AWS_16 table scales automatically": every(TABLE, lambda inputs: inputs["billingMode"] == "PAY_PER_REQUEST"),
    "CKV_AWS_45 function has no secret in its environment": every(
        FUNCTION, lambda inputs: not any(SECRET_NAME.search(name) for name in inputs["environment"]["variables"])
    ),
    "CKV_AWS_50 function is traced": every(FUNCTION, lambda inputs: inputs["tracingConfig"]["mode"] == "Active"),
    "CKV_AWS_115 function has reserved concurrency": every(
        FUNCTION, lambda inputs: inputs["reservedConcurrentExecutions"] > 0
    ),
    "CKV_AWS_116 function has a dead-letter queue": every(
        FUNCTION, lambda inputs: bool(inputs["deadLetterConfig"]["targetArn"])
    ),
    "CKV_AWS_117 function is in a VPC": every(FUNCTION, lambda inputs: "vpcConfig" in inputs),
    "CKV_AWS_173 function's environment is encrypted": every(FUNCTION, lambda inputs: bool(inputs.get("kmsKeyArn"))),
    "CKV_AWS_272 function's code is signed": every(FUNCTION, lambda inputs: "codeSigningConfigArn" in inputs),
    "CKV_AWS_363 function's runtime is supported": every(
        FUNCTION, lambda inputs: inputs["runtime"] in SUPPORTED_RUNTIMES
    ),
    "function writes its log as JSON": every(FUNCTION, lambda inputs: inputs["loggingConfig"]["logFormat"] == "JSON"),
    "CKV_AWS_27 queue is encrypted": every(QUEUE, lambda inputs: bool(inputs.get("kmsMasterKeyId"))),
    "CKV_AWS_72 queue's policy allows no wildcard action": no_statement(QUEUE_POLICY, wildcard_action),
    "CKV_AWS_168 queue's policy allows nothing to everybody": no_statement(QUEUE_POLICY, anyone),
    "CKV_AWS_387 queue's policy allows no public access": no_statement(
        QUEUE_POLICY, lambda statement: anyone(statement) and "Condition" not in statement
    ),
    "CKV2_AWS_73 queue is encrypted with a customer-managed key": every(
        QUEUE, lambda inputs: ":key/" in inputs.get("kmsMasterKeyId", "")
    ),
    "queue accepts TLS only": tls_only(QUEUE, QUEUE_POLICY, "sqs:*"),
    "CKV_AWS_26 topic is encrypted": every(TOPIC, lambda inputs: bool(inputs.get("kmsMasterKeyId"))),
    "CKV_AWS_169 topic's policy allows nothing to everybody": no_statement(TOPIC_POLICY, anyone),
    "CKV_AWS_385 topic's policy allows no public access": no_statement(
        TOPIC_POLICY, lambda statement: anyone(statement) and "Condition" not in statement
    ),
    "topic accepts TLS only": tls_only(TOPIC, TOPIC_POLICY, "sns:Publish"),
    "topic signs with SHA-256": every(TOPIC, lambda inputs: inputs["signatureVersion"] == 2),
    "policies let in services for this account only": services_in_this_account_only,
    "CKV_AWS_60 role is assumed by named services only": no_statement("aws:iam/role:Role", anyone, "assumeRolePolicy"),
    "CKV_AWS_61 role cannot be assumed by a whole account": no_statement(
        "aws:iam/role:Role", lambda statement: "AWS" in statement["Principal"], "assumeRolePolicy"
    ),
    "CKV_AWS_62 policy grants no administrator access": no_statement(
        ROLE_POLICY, lambda statement: "*" in listed(statement["Action"])
    ),
    "CKV_AWS_63 policy allows no wildcard action": no_statement(ROLE_POLICY, wildcard_action),
    "CKV_AWS_274 role has no administrator policy": no_managed_policy,
    "CKV_AWS_275 policy is not AWS's AdministratorAccess": no_managed_policy,
    "CKV_AWS_286 policy allows no privilege escalation": no_statement(
        ROLE_POLICY, actions_match(r"^(iam:|lambda:(Create|Update)|sts:|\*)")
    ),
    "CKV_AWS_287 policy exposes no credentials": no_statement(
        ROLE_POLICY, actions_match(r"(?i)(^sts:|GetSecretValue|AccessKey|GetAuthorizationToken|LoginProfile)")
    ),
    "CKV_AWS_288 policy does not read the data of all resources": no_statement(
        ROLE_POLICY,
        lambda statement: wildcard_resource(statement) and actions_match(r":(Get|Query|Scan|Select)")(statement),
    ),
    "CKV_AWS_289 policy manages no permissions": no_statement(
        ROLE_POLICY, lambda statement: any(PERMISSIONS_MANAGEMENT.search(each) for each in listed(statement["Action"]))
    ),
    "CKV_AWS_290 policy writes to named resources only": no_statement(ROLE_POLICY, wildcard_resource),
    "CKV_AWS_355 policy names its resources": no_statement(ROLE_POLICY, wildcard_resource),
    "CKV2_AWS_40 policy grants no full access to IAM": no_statement(ROLE_POLICY, actions_match(r"^(iam:\*|\*)")),
    "CKV2_AWS_56 role has no managed policy with full access to IAM": no_managed_policy,
    "policy allows the key through services only": key_through_services_only,
    "CKV_AWS_66 logs have a retention period": every(LOG_GROUP, lambda inputs: inputs["retentionInDays"] > 0),
    "CKV_AWS_158 logs are encrypted with KMS": every(LOG_GROUP, lambda inputs: bool(inputs.get("kmsKeyId"))),
    "CKV_AWS_338 logs are kept for a year": every(LOG_GROUP, lambda inputs: inputs["retentionInDays"] >= 365),
    "logs are protected from deletion in production": lambda deployment: every(
        LOG_GROUP,
        lambda inputs: inputs["deletionProtectionEnabled"] is (deployment.setting("environment") == "prod"),
    )(deployment),
    "CKV_AWS_7 key is rotated": own_key(lambda inputs: inputs["enableKeyRotation"] is True),
    "CKV_AWS_33 key's policy allows nothing to everybody": own_key(
        lambda inputs: not any(anyone(each) for each in json.loads(inputs["policy"])["Statement"])
    ),
    "CKV_AWS_227 key is enabled": own_key(lambda inputs: inputs.get("isEnabled") is not False),
    "CKV2_AWS_64 key has a policy": own_key(lambda inputs: bool(inputs["policy"])),
}


def everywhere(_: Deployment) -> bool:
    """Waive a rule in every stack."""
    return True


def with_short_logs_outside_production(deployment: Deployment) -> bool:
    """Waive a rule for stacks outside production that keep logs for less than a year."""
    return deployment.setting("environment") != "prod" and int(deployment.setting("logRetentionDays")) < 365


def without_a_reservation(deployment: Deployment) -> bool:
    """Waive a rule for stacks without reserved concurrency."""
    return deployment.setting("lambdaReservedConcurrency") == "-1"


# Rule: where it is waived, and why.
WAIVERS: dict[str, tuple[Rule, str]] = {
    "CKV_AWS_18": (everywhere, "the access log bucket would log its own deliveries forever"),
    "CKV_AWS_26": (
        everywhere,
        "an alarm must arrive when the key is disabled, and contains no data; SNS encrypts it on its disks anyway",
    ),
    "CKV_AWS_115": (
        without_a_reservation,
        "a new account has no concurrency to reserve; maximumConcurrency limits the function",
    ),
    "CKV_AWS_117": (
        everywhere,
        "the function uses nothing in a VPC, which would add the cost and limits of a NAT",
    ),
    "CKV_AWS_144": (everywhere, "redundancy within the region is enough; a second region is a business decision"),
    "CKV_AWS_145": (everywhere, "S3 cannot deliver access logs to a bucket encrypted with KMS"),
    "CKV_AWS_272": (everywhere, "code signing needs a profile in AWS Signer that the organization owns"),
    "CKV_AWS_338": (with_short_logs_outside_production, "a year of logs is too expensive outside production"),
    "CKV2_AWS_62": (
        everywhere,
        "nobody receives the events, which are billed; eventbridgeNotifications sends those of the payload bucket",
    ),
}
# Rules that are waived for one resource but must hold for the others of its type.
OTHERS: dict[str, Rule] = {
    "CKV_AWS_18": buckets("logging", lambda inputs: bool(inputs["targetBucket"]), only=("payloads",)),
    "CKV_AWS_145": buckets(
        "encryption",
        lambda inputs: inputs["rules"][0]["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms",
        only=("payloads",),
    ),
    "CKV_AWS_26": every(TOPIC, lambda inputs: ":key/" in inputs["kmsMasterKeyId"], but="alarm-topic"),
}


def is_waived(rule: str, deployment: Deployment) -> bool:
    """Whether a rule need not hold for a deployment."""
    where, _ = WAIVERS.get(rule.split(maxsplit=1)[0], (None, ""))
    return where is not None and where(deployment)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_holds_or_is_waived_with_a_reason(deployed: Deployment, rule: str) -> None:
    assert RULES[rule](deployed) is not is_waived(rule, deployed)


@pytest.mark.parametrize("rule", OTHERS)
def test_rules_waived_for_one_resource_hold_for_the_others(deployed: Deployment, rule: str) -> None:
    assert OTHERS[rule](deployed)


def test_every_waiver_belongs_to_a_rule() -> None:
    ids = {rule.split(maxsplit=1)[0] for rule in RULES}

    assert set(WAIVERS) <= ids
    assert set(OTHERS) <= set(WAIVERS)


def test_only_a_function_without_reserved_concurrency_is_waived(deploy_example: Deploy) -> None:
    rule = "CKV_AWS_115 function has reserved concurrency"
    unlimited = deploy_example(lambdaReservedConcurrency="-1")

    assert not RULES[rule](unlimited)
    assert is_waived(rule, unlimited)
    assert not is_waived(rule, deploy_example(lambdaReservedConcurrency="10"))


def test_key_rules_do_not_apply_to_a_configured_key(customized: Deployment) -> None:
    assert not customized.all(KEY)
    for rule in ("CKV_AWS_7 key is rotated", "CKV_AWS_227 key is enabled", "CKV2_AWS_64 key has a policy"):
        assert RULES[rule](customized)
