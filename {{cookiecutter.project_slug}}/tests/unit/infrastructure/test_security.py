"""Security rules for the resources of every stack: Checkov's rules, by ID, and some that Checkov lacks.

https://www.checkov.io/5.Policy%20Index/terraform.html describes Checkov's rules.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from jmespath import search

from tests.unit.conftest import recorded_inputs
from tools.testing import RecordedProgram

# Finds the names of resources that break a rule.
Rule = Callable[[RecordedProgram], set[str]]
# Whether a policy statement breaks a rule.
Check = Callable[[dict[str, Any]], object]

# Actions without resource-level permissions:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
UNRESTRICTABLE_ACTIONS: Final = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_understand-policy-summary-access-level-summaries.html
PERMISSIONS_MANAGEMENT: Final = r"(?i)^(iam|organizations|sso|sts):|:(put|delete|attach|detach|set|add|remove)\w*policy"

ACCESS_KEY: Final = r"(AKIA|ASIA)\w{16}|[A-Za-z0-9/+]{40}"


def inputs_of(program: RecordedProgram, types: str) -> dict[str, dict[str, Any]]:
    """Return the inputs of resources by logical name. ``types`` has the last parts of type tokens, space-separated."""
    recorded = recorded_inputs(program)
    found = {each.name for each in program.resources if each.type.rpartition(":")[2] in types.split()}
    return {name: recorded[name] for name in recorded if name in found}


def every(types: str, expression: str) -> Rule:
    """Require that a JMESPath expression (https://jmespath.org) is true for every resource of the given types."""
    return lambda program: {name for name, each in inputs_of(program, types).items() if not search(expression, each)}


def every_bucket(part: str, expression: str) -> Rule:
    """Require that every bucket has a resource of type ``part`` for which a JMESPath expression is true."""

    def broken(program: RecordedProgram) -> set[str]:
        good = {each["bucket"] for each in inputs_of(program, part).values() if search(expression, each)}
        return {name for name in inputs_of(program, "Bucket") if f"{name}-id" not in good}

    return broken


def with_access_key(program: RecordedProgram) -> set[str]:
    """Find functions with an environment variable that looks like an AWS access key ID or secret access key."""
    return {
        name
        for name, each in inputs_of(program, "Function").items()
        if any(re.fullmatch(ACCESS_KEY, value) for value in each["environment"]["variables"].values())
    }


def allows_no(types: str, breaks: Check) -> Rule:
    """Require that no Allow statement in the policies of the given resource types breaks the rule."""
    allowed = "[policy, assumeRolePolicy][].Statement[] | [?Effect == 'Allow']"
    return lambda program: {
        name for name, each in inputs_of(program, types).items() if any(map(breaks, search(allowed, each)))
    }


def tls_only(type_: str, action_name: str) -> Rule:
    """Require that a policy denies requests without TLS for every resource of a type."""
    denied = (
        f"policy.Statement[?Effect == 'Deny' && Principal == '*' && Action == '{action_name}' && "
        "Condition.Bool.\"aws:SecureTransport\" == 'false'].Resource[]"
    )

    def broken(program: RecordedProgram) -> set[str]:
        arns = {arn for each in recorded_inputs(program).values() for arn in search(denied, each) or ()}
        return {name for name in program.all(type_) if program.arn(type_, name) not in arns}

    return broken


def listed(value: Any) -> list[Any]:
    """Return a value as a list; policies allow a single value instead of a list."""
    return value if isinstance(value, list) else [value]


def anyone(statement: dict[str, Any]) -> bool:
    """Whether a statement's principals include ``*``."""
    principal = statement["Principal"]
    return any("*" in listed(each) for each in (principal.values() if isinstance(principal, dict) else [principal]))


def any_resource(statement: dict[str, Any]) -> bool:
    """Whether a statement applies to all resources although one of its actions supports specific resources."""
    return "*" in listed(statement["Resource"]) and bool(set(listed(statement["Action"])) - UNRESTRICTABLE_ACTIONS)


def action(pattern: str) -> Check:
    return lambda statement: any(re.search(pattern, each) for each in listed(statement["Action"]))


RULES: Final[dict[str, Rule]] = {
    "CKV_AWS_18 bucket has access logging": every_bucket("BucketLogging", "targetBucket"),
    "CKV_AWS_19 CKV_AWS_145 bucket is encrypted with KMS": every_bucket(
        "BucketServerSideEncryptionConfiguration",
        "rules[0].applyServerSideEncryptionByDefault.sseAlgorithm == 'aws:kms'",
    ),
    "bucket blocks customer-provided keys (SSE-C)": every_bucket(
        "BucketServerSideEncryptionConfiguration", "rules[0].blockedEncryptionTypes[0] == 'SSE-C'"
    ),
    "CKV_AWS_20 CKV_AWS_57 CKV2_AWS_65 bucket has no ACLs": every_bucket(
        "BucketOwnershipControls", "rule.objectOwnership == 'BucketOwnerEnforced'"
    ),
    "CKV_AWS_21 bucket is versioned": every_bucket("BucketVersioning", "versioningConfiguration.status == 'Enabled'"),
    "CKV_AWS_53 CKV_AWS_54 CKV_AWS_55 CKV_AWS_56 CKV2_AWS_6 bucket blocks public access": every_bucket(
        "BucketPublicAccessBlock", "blockPublicAcls && blockPublicPolicy && ignorePublicAcls && restrictPublicBuckets"
    ),
    "CKV_AWS_70 bucket's policy has no wildcard principal": allows_no("BucketPolicy", anyone),
    "CKV_AWS_93 bucket's policy locks nobody out": every(
        "BucketPolicy", "!(policy.Statement[?Effect == 'Deny' && !Condition])"
    ),
    "CKV_AWS_144 bucket is replicated to another region": every_bucket("BucketReplicationConfig", "@"),
    "CKV_AWS_300 bucket aborts incomplete uploads": every_bucket(
        "BucketLifecycleConfiguration", "rules[?status == 'Enabled'].abortIncompleteMultipartUpload"
    ),
    "CKV2_AWS_61 bucket has lifecycle rules": every_bucket(
        "BucketLifecycleConfiguration", "rules[?status == 'Enabled'].noncurrentVersionExpiration"
    ),
    "CKV2_AWS_62 bucket sends events": every_bucket("BucketNotification", "@"),
    "bucket accepts TLS only": tls_only("aws:s3/bucket:Bucket", "s3:*"),
    "CKV_AWS_28 table has point-in-time recovery": every("Table", "pointInTimeRecovery.enabled"),
    "CKV_AWS_119 table is encrypted with KMS": every("Table", "serverSideEncryption.kmsKeyArn"),
    "CKV2_AWS_16 table scales automatically": every("Table", "billingMode == 'PAY_PER_REQUEST'"),
    "CKV_AWS_45 function has no access key in its environment": with_access_key,
    "function has no secret in its environment": every(
        "Function",
        "!(keys(environment.variables)[?ends_with(@, 'SECRET') || ends_with(@, 'TOKEN') || contains(@, 'PASSWORD')])",
    ),
    "CKV_AWS_50 function is traced": every("Function", "tracingConfig.mode == 'Active'"),
    "CKV_AWS_115 function has reserved concurrency": every("Function", "reservedConcurrentExecutions"),
    "CKV_AWS_116 function has a dead-letter queue": every("Function", "deadLetterConfig.targetArn"),
    "CKV_AWS_117 function is in a VPC": every("Function", "vpcConfig"),
    "CKV_AWS_173 function's environment is encrypted": every("Function", "kmsKeyArn"),
    "CKV_AWS_272 function's code is signed": every("Function", "codeSigningConfigArn"),
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
    "CKV_AWS_363 function's runtime is supported": every(
        "Function", "contains(['python3.11', 'python3.12', 'python3.13', 'python3.14'], runtime)"
    ),
    "CKV_AWS_27 CKV2_AWS_73 queue is encrypted with KMS": every("Queue", "contains(kmsMasterKeyId || '', ':key/')"),
    "CKV_AWS_72 queue's policy allows no wildcard action": allows_no("Queue", action(r"\*")),
    "CKV_AWS_168 CKV_AWS_387 queue's policy has no wildcard principal": allows_no("Queue", anyone),
    "queue accepts TLS only": tls_only("aws:sqs/queue:Queue", "sqs:*"),
    "CKV_AWS_26 topic is encrypted": every("Topic", "contains(kmsMasterKeyId || '', ':key/')"),
    "CKV_AWS_169 topic's policy has no wildcard principal": allows_no("TopicPolicy", anyone),
    "CKV_AWS_385 topic's policy allows no other account": every(
        "TopicPolicy", "!(policy.Statement[?Effect == 'Allow' && Principal.AWS && !Condition])"
    ),
    "topic accepts TLS only": tls_only("aws:sns/topic:Topic", "sns:Publish"),
    "topic signs with SHA-256": every("Topic", "signatureVersion == `2`"),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    "policies allow services only under a condition": every(
        "BucketPolicy Key Queue TopicPolicy",
        "!(policy.Statement[?Effect == 'Allow' && Principal.Service && !Condition])",
    ),
    "CKV_AWS_319 alarm has its actions enabled": every("MetricAlarm", "actionsEnabled != `false`"),
    "CKV_AWS_60 CKV_AWS_61 role is assumed by services only": allows_no(
        "Role", lambda statement: statement["Principal"].keys() != {"Service"}
    ),
    "CKV_AWS_62 CKV_AWS_63 CKV2_AWS_40 policy allows no wildcard action": allows_no("RolePolicy", action(r"\*$")),
    "CKV_AWS_274 CKV_AWS_275 CKV2_AWS_56 role has no managed policy": every("Role", "!managedPolicyArns"),
    "no managed policy is attached": every("RolePolicyAttachment", "`false`"),
    "CKV_AWS_286 policy allows no privilege escalation": allows_no(
        "RolePolicy", action(r"^(iam:|lambda:(Create|Update)|sts:)")
    ),
    "CKV_AWS_287 policy exposes no credentials": allows_no(
        "RolePolicy", action(r"(?i)GetSecretValue|AccessKey|GetAuthorizationToken|LoginProfile")
    ),
    "CKV_AWS_288 CKV_AWS_290 CKV_AWS_355 policy names its resources": allows_no("RolePolicy", any_resource),
    "CKV_AWS_289 policy manages no permissions": allows_no("RolePolicy", action(PERMISSIONS_MANAGEMENT)),
    "policy allows the key only through services": every(
        "RolePolicy", "!(policy.Statement[?Sid == 'UseTheKey' && !(Condition.StringEquals.\"kms:ViaService\")])"
    ),
    "CKV_AWS_66 CKV_AWS_338 logs are kept for a year": every("LogGroup", "retentionInDays >= `365`"),
    "CKV_AWS_158 logs are encrypted with KMS": every("LogGroup", "kmsKeyId"),
    "CKV_AWS_7 key is rotated": every("Key", "enableKeyRotation"),
    "CKV_AWS_33 key's policy has no wildcard principal": allows_no("Key", anyone),
    "CKV_AWS_227 key is enabled": every("Key", "isEnabled != `false`"),
    "CKV2_AWS_64 key has a policy": every("Key", "policy"),
}
# By Checkov ID: resources that may break the rule, and why.
WAIVERS: Final[dict[str, tuple[set[str], str]]] = {
    "CKV_AWS_18": ({"access-logs"}, "it would log its own deliveries forever"),
    "CKV_AWS_26": ({"alarm-topic"}, "an alarm must arrive when the key is disabled, and contains no data"),
    "CKV_AWS_115": ({"function"}, "a new account has no concurrency to reserve; maximumConcurrency limits it"),
    "CKV_AWS_117": ({"function"}, "it uses nothing in a VPC, and a NAT gateway would add costs and limits"),
    "CKV_AWS_144": ({"access-logs", "payloads"}, "a second region is a business decision"),
    "CKV_AWS_145": ({"access-logs"}, "S3 cannot deliver access logs to a bucket encrypted with KMS"),
    "CKV_AWS_272": ({"function"}, "code signing needs a profile in AWS Signer that the organization owns"),
    "CKV_AWS_338": ({"function-logs"}, "a year of logs is too expensive outside production"),
    "CKV2_AWS_62": ({"access-logs", "payloads"}, "nobody receives the events, which are billed"),
}
OUTSIDE_PRODUCTION: Final = {"CKV_AWS_338"}


def waived(rule: str, program: RecordedProgram) -> set[str]:
    """Return the names of the resources that are exempt from a rule."""
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
