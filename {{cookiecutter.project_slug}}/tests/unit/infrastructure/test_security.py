"""The security rules that apply to the project's resources, by their Checkov ids, and some that Checkov lacks.

https://www.checkov.io/5.Policy%20Index/terraform.html describes the rules. Every rule is checked for every stack.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from jmespath import search

from tests.unit.conftest import recorded_inputs
from tools.testing import RecordedProgram

# Finds the resources that break a rule.
Rule = Callable[[RecordedProgram], set[str]]
# Whether a statement breaks a rule.
Check = Callable[[dict[str, Any]], object]

BUCKET: Final = "aws:s3/bucket:Bucket"
BUCKET_POLICY: Final = "aws:s3/bucketPolicy:BucketPolicy"
TABLE: Final = "aws:dynamodb/table:Table"
FUNCTION: Final = "aws:lambda/function:Function"
QUEUE: Final = "aws:sqs/queue:Queue"
TOPIC: Final = "aws:sns/topic:Topic"
TOPIC_POLICY: Final = "aws:sns/topicPolicy:TopicPolicy"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
KEY: Final = "aws:kms/key:Key"
LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"
ROLE: Final = "aws:iam/role:Role"
ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"

SECRET: Final = re.compile(r"(?i)secret|password|token|access_?key|credential|\b(AKIA|ASIA)[A-Z0-9]{16}\b")
# Actions without resource-level permissions:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
UNRESTRICTABLE_ACTIONS: Final = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_understand-policy-summary-access-level-summaries.html
PERMISSIONS_MANAGEMENT: Final = r"(?i)^(iam|organizations|sso|sts):|:(put|delete|attach|detach|set|add|remove)\w*policy"


def inputs_of(program: RecordedProgram, type_: str) -> dict[str, dict[str, Any]]:
    recorded = recorded_inputs(program)
    return {name: recorded[name] for name in program.all(type_)}


def every(type_: str, expression: str) -> Rule:
    """Check every resource of a type with an expression, as https://jmespath.org describes."""
    return lambda program: {
        name for name, inputs in inputs_of(program, type_).items() if not search(expression, inputs)
    }


def every_bucket(part: str, expression: str) -> Rule:
    """Check the part of every bucket that is a resource of its own."""

    def broken(program: RecordedProgram) -> set[str]:
        parts = inputs_of(program, f"aws:s3/b{part[1:]}:{part}").values()
        good = {inputs["bucket"] for inputs in parts if search(expression, inputs)}
        return {name for name in program.all(BUCKET) if f"{name}-id" not in good}

    return broken


def statements(inputs: dict[str, Any], effect: str) -> Iterator[dict[str, Any]]:
    """Yield the statements of a resource's policies that have an effect."""
    for key in ("policy", "assumeRolePolicy"):
        for statement in inputs.get(key, {}).get("Statement", ()):
            if statement["Effect"] == effect:
                yield statement


def allows_no(type_: str, breaks: Check) -> Rule:
    """Check that no statement that allows something, in the policies of a type, breaks a rule."""
    return lambda program: {
        name for name, inputs in inputs_of(program, type_).items() if any(map(breaks, statements(inputs, "Allow")))
    }


def listed(value: Any) -> list[Any]:
    """Return a list; policies allow a single value instead of a list."""
    return value if isinstance(value, list) else [value]


def anyone(statement: dict[str, Any]) -> bool:
    """Whether a statement's principal is everybody."""
    principal = statement["Principal"]
    return any("*" in listed(each) for each in (principal.values() if isinstance(principal, dict) else [principal]))


def another_account(statement: dict[str, Any]) -> bool:
    """Whether a statement lets an account in without a condition."""
    return "Condition" not in statement and (anyone(statement) or "AWS" in statement["Principal"])


def any_resource(statement: dict[str, Any]) -> bool:
    """Whether a statement is for all resources although its actions could be restricted."""
    return "*" in listed(statement["Resource"]) and bool(set(listed(statement["Action"])) - UNRESTRICTABLE_ACTIONS)


def action(pattern: str) -> Check:
    return lambda statement: any(re.search(pattern, each) for each in listed(statement["Action"]))


def tls_only(type_: str, name_of_action: str) -> Rule:
    """Check that for every resource of a type a policy denies requests without TLS."""

    def broken(program: RecordedProgram) -> set[str]:
        refused = {
            listed(each["Resource"])[0]
            for inputs in recorded_inputs(program).values()
            for each in statements(inputs, "Deny")
            if anyone(each)
            and each["Action"] == name_of_action
            and each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        }
        return {name for name in program.all(type_) if program.arn(type_, name) not in refused}

    return broken


def managed_policies(program: RecordedProgram) -> set[str]:
    """Find attached managed policies: the project declares all permissions itself."""
    return {
        each.name for each in program.resources if "PolicyAttachment" in each.type or "managedPolicyArns" in each.inputs
    }


def secret_variables(program: RecordedProgram) -> set[str]:
    """Find functions with a secret in their environment, by its name or its form."""
    functions = inputs_of(program, FUNCTION).items()
    return {name for name, inputs in functions if SECRET.search(json.dumps(inputs["environment"]["variables"]))}


def any_account(program: RecordedProgram) -> set[str]:
    """Find policies of resources that let a service act for another account.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    return {
        name
        for type_ in (KEY, QUEUE, TOPIC_POLICY, BUCKET_POLICY)
        for name, inputs in inputs_of(program, type_).items()
        for each in statements(inputs, "Allow")
        if "Service" in each["Principal"] and "123456789012" not in json.dumps(each.get("Condition"))
    }


RULES: Final[dict[str, Rule]] = {
    "CKV_AWS_18 bucket has access logging": every_bucket("BucketLogging", "targetBucket"),
    "CKV_AWS_19 CKV_AWS_145 bucket is encrypted with KMS": every_bucket(
        "BucketServerSideEncryptionConfiguration",
        "rules[0].applyServerSideEncryptionByDefault.sseAlgorithm == 'aws:kms'",
    ),
    "bucket refuses keys that only the client knows": every_bucket(
        "BucketServerSideEncryptionConfiguration", "rules[0].blockedEncryptionTypes[0] == 'SSE-C'"
    ),
    "CKV_AWS_20 CKV_AWS_57 CKV2_AWS_65 bucket has no ACLs": every_bucket(
        "BucketOwnershipControls", "rule.objectOwnership == 'BucketOwnerEnforced'"
    ),
    "CKV_AWS_21 bucket is versioned": every_bucket("BucketVersioning", "versioningConfiguration.status == 'Enabled'"),
    "CKV_AWS_53 CKV_AWS_54 CKV_AWS_55 CKV_AWS_56 CKV2_AWS_6 bucket blocks public access": every_bucket(
        "BucketPublicAccessBlock", "blockPublicAcls && blockPublicPolicy && ignorePublicAcls && restrictPublicBuckets"
    ),
    "CKV_AWS_70 bucket's policy allows nothing to everybody": allows_no(BUCKET_POLICY, anyone),
    "CKV_AWS_93 bucket's policy locks nobody out": every(
        BUCKET_POLICY, "!(policy.Statement[?Effect == 'Deny' && !Condition])"
    ),
    "CKV_AWS_144 bucket is replicated to another region": every_bucket("BucketReplicationConfig", "@"),
    "CKV_AWS_300 bucket aborts incomplete uploads": every_bucket(
        "BucketLifecycleConfiguration", "rules[?status == 'Enabled'].abortIncompleteMultipartUpload"
    ),
    "CKV2_AWS_61 bucket has lifecycle rules": every_bucket(
        "BucketLifecycleConfiguration", "rules[?status == 'Enabled'].noncurrentVersionExpiration"
    ),
    "CKV2_AWS_62 bucket sends events": every_bucket("BucketNotification", "@"),
    "bucket accepts TLS only": tls_only(BUCKET, "s3:*"),
    "CKV_AWS_28 table has point-in-time recovery": every(TABLE, "pointInTimeRecovery.enabled"),
    "CKV_AWS_119 table is encrypted with a customer-managed key": every(
        TABLE, "serverSideEncryption.enabled && contains(serverSideEncryption.kmsKeyArn || '', ':key/')"
    ),
    "CKV2_AWS_16 table scales automatically": every(TABLE, "billingMode == 'PAY_PER_REQUEST'"),
    "CKV_AWS_45 function has no secret in its environment": secret_variables,
    "CKV_AWS_50 function is traced": every(FUNCTION, "tracingConfig.mode == 'Active'"),
    "CKV_AWS_115 function has reserved concurrency": every(FUNCTION, "reservedConcurrentExecutions"),
    "CKV_AWS_116 function has a dead-letter queue": every(FUNCTION, "deadLetterConfig.targetArn"),
    "CKV_AWS_117 function is in a VPC": every(FUNCTION, "vpcConfig"),
    "CKV_AWS_173 function's environment is encrypted": every(FUNCTION, "kmsKeyArn"),
    "CKV_AWS_272 function's code is signed": every(FUNCTION, "codeSigningConfigArn"),
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
    "CKV_AWS_363 function's runtime is supported": every(
        FUNCTION, "contains(['python3.11', 'python3.12', 'python3.13', 'python3.14'], runtime)"
    ),
    "CKV_AWS_27 CKV2_AWS_73 queue is encrypted with a customer-managed key": every(
        QUEUE, "contains(kmsMasterKeyId || '', ':key/')"
    ),
    "CKV_AWS_72 queue's policy allows no wildcard action": allows_no(QUEUE, action(r"\*")),
    "CKV_AWS_168 CKV_AWS_387 queue's policy allows nothing to everybody": allows_no(QUEUE, anyone),
    "queue accepts TLS only": tls_only(QUEUE, "sqs:*"),
    "CKV_AWS_26 topic is encrypted": every(TOPIC, "contains(kmsMasterKeyId || '', ':key/')"),
    "CKV_AWS_169 topic's policy allows nothing to everybody": allows_no(TOPIC_POLICY, anyone),
    "CKV_AWS_385 topic's policy lets in no other account": allows_no(TOPIC_POLICY, another_account),
    "topic accepts TLS only": tls_only(TOPIC, "sns:Publish"),
    "topic signs with SHA-256": every(TOPIC, "signatureVersion == `2`"),
    "policies let in services for this account only": any_account,
    "CKV_AWS_319 alarm has its actions enabled": every(ALARM, "actionsEnabled != `false`"),
    "CKV_AWS_60 CKV_AWS_61 role is assumed by services only": allows_no(
        ROLE, lambda statement: statement["Principal"].keys() != {"Service"}
    ),
    "CKV_AWS_62 CKV_AWS_63 CKV2_AWS_40 policy allows no wildcard action": allows_no(ROLE_POLICY, action(r"\*$")),
    "CKV_AWS_274 CKV_AWS_275 CKV2_AWS_56 role has no managed policy": managed_policies,
    "CKV_AWS_286 policy allows no privilege escalation": allows_no(
        ROLE_POLICY, action(r"^(iam:|lambda:(Create|Update)|sts:)")
    ),
    "CKV_AWS_287 policy exposes no credentials": allows_no(
        ROLE_POLICY, action(r"(?i)GetSecretValue|AccessKey|GetAuthorizationToken|LoginProfile")
    ),
    "CKV_AWS_288 CKV_AWS_290 CKV_AWS_355 policy names its resources": allows_no(ROLE_POLICY, any_resource),
    "CKV_AWS_289 policy manages no permissions": allows_no(ROLE_POLICY, action(PERMISSIONS_MANAGEMENT)),
    "policy allows the key through services only": every(
        ROLE_POLICY, "!(policy.Statement[?Sid == 'UseTheKey' && !(Condition.StringEquals.\"kms:ViaService\")])"
    ),
    "CKV_AWS_66 CKV_AWS_338 logs are kept for a year": every(LOG_GROUP, "retentionInDays >= `365`"),
    "CKV_AWS_158 logs are encrypted with KMS": every(LOG_GROUP, "kmsKeyId"),
    "CKV_AWS_7 key is rotated": every(KEY, "enableKeyRotation"),
    "CKV_AWS_33 key's policy allows nothing to everybody": allows_no(KEY, anyone),
    "CKV_AWS_227 key is enabled": every(KEY, "isEnabled != `false`"),
    "CKV2_AWS_64 key has a policy": every(KEY, "policy"),
}
# Which resources may break a rule, and why.
WAIVERS: Final[dict[str, tuple[set[str], str]]] = {
    "CKV_AWS_18": ({"access-logs"}, "it would log its own deliveries forever"),
    "CKV_AWS_26": (
        {"alarm-topic"},
        "an alarm must arrive when the key is disabled, and contains no data; SNS encrypts it on its disks anyway",
    ),
    "CKV_AWS_115": (
        {"function"},
        "a new account has no concurrency to reserve; maximumConcurrency limits the function",
    ),
    "CKV_AWS_117": ({"function"}, "it uses nothing in a VPC, which would add the cost and limits of a NAT"),
    "CKV_AWS_144": (
        {"access-logs", "payloads"},
        "redundancy within the region is enough; a second region is a business decision",
    ),
    "CKV_AWS_145": ({"access-logs"}, "S3 cannot deliver access logs to a bucket encrypted with KMS"),
    "CKV_AWS_272": ({"function"}, "code signing needs a profile in AWS Signer that the organization owns"),
    "CKV_AWS_338": ({"function-logs"}, "a year of logs is too expensive outside production"),
    "CKV2_AWS_62": ({"access-logs", "payloads"}, "nobody receives the events, which are billed"),
}
OUTSIDE_PRODUCTION: Final = {"CKV_AWS_338"}


def waived(rule: str, program: RecordedProgram) -> set[str]:
    """Return the resources that may break a rule."""
    ids = WAIVERS.keys() & set(rule.split())
    if program.setting("environment") == "prod":
        ids -= OUTSIDE_PRODUCTION
    return {name for id_ in ids for name in WAIVERS[id_][0]}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_holds_or_is_waived(stacks: dict[str, RecordedProgram], rule: str) -> None:
    assert {name: RULES[rule](program) - waived(rule, program) for name, program in stacks.items()} == {
        name: set() for name in stacks
    }


@pytest.mark.parametrize("id_", WAIVERS)
def test_a_waiver_is_needed(stacks: dict[str, RecordedProgram], id_: str) -> None:
    (rule,) = [rule for rule in RULES if id_ in rule.split()]

    assert set().union(*map(RULES[rule], stacks.values())) == WAIVERS[id_][0]
