"""Every resource is deployed as the program declares it, and nothing was added."""

import base64
import hashlib

import pytest

from tools.testing import Deployment, Resource
from tools.testing.comparison import differences, hold
from tools.testing.deployed import Deployed
from tools.testing.promises import promised_properties, skip_if_secret
from tools.testing.readers import (
    FUNCTION,
    READERS,
    event_source_mappings,
    function_version,
    read,
    rule_targets,
)

ALIAS = "aws:lambda/alias:Alias"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
# Properties that a function has once, and not for each version.
OF_ALL_VERSIONS = ("reservedConcurrentExecutions", "tags")

HOW_TO_READ = "register a reader in tests/integration/conftest.py, with `reads` from tools/testing/readers.py"


def test_a_resource_is_deployed_as_declared(deployed: Deployed, resource: Resource) -> None:
    assert resource.type in READERS, f"{resource.type} has no reader: {HOW_TO_READ}"
    skip_if_secret(deployed, f"{resource.type} {resource.name}")

    found = read(deployed, resource)

    assert found is not None, f"{resource.type} {resource.name} does not exist"
    told = [
        f"{resource.type} {resource.name}: {each}"
        for each in differences(found, promised_properties(deployed, resource))
    ]
    assert not told, "\n".join(told)


def test_an_alias_runs_the_function_as_declared(deployed: Deployed, promises: Deployment) -> None:
    functions = {each.inputs["name"]: each for each in promises.all(FUNCTION).values()}
    for alias in inputs(promises, ALIAS):
        function = functions[alias["functionName"]]
        skip_if_secret(deployed, f"{FUNCTION} {function.name}")
        name = f"{alias['functionName']}:{alias['name']}"
        promised = promised_properties(deployed, function)
        of_a_version = {key: value for key, value in promised.items() if key not in OF_ALL_VERSIONS}
        told = [f"{name}: {each}" for each in differences(function_version(deployed, name), of_a_version)]
        assert not told, "\n".join(told)


def test_the_function_and_its_aliases_run_the_bundle(deployed: Deployed, promises: Deployment) -> None:
    if not deployed.program.bundle.exists():
        pytest.skip(f"{deployed.program.bundle.name} was not built in this folder; the task `package` builds it")
    digest = base64.b64encode(hashlib.sha256(deployed.program.bundle.read_bytes()).digest()).decode()
    aliases = [f"{alias['functionName']}:{alias['name']}" for alias in inputs(promises, ALIAS)]
    for name in (*values(promises, FUNCTION, "name"), *aliases):
        found = function_version(deployed, name)["codeSha256"]
        hold(name, f"digest of {deployed.program.bundle.name}", found=found, promised=digest)


def test_the_function_has_no_other_event_sources(deployed: Deployed, promises: Deployment) -> None:
    for name in values(promises, FUNCTION, "name"):
        mappings = event_source_mappings(deployed, deployed.account.arn("lambda", f"function:{name}"))
        found = sorted(each["EventSourceArn"] for each in mappings)
        hold(name, "event sources", found=found, promised=values(promises, MAPPING, "eventSourceArn"))


def test_a_role_has_no_other_policies(deployed: Deployed, promises: Deployment) -> None:
    for role in values(promises, ROLE, "name"):
        found = deployed.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
        promised = [each["name"] for each in inputs(promises, ROLE_POLICY) if each["role"] == role]
        hold(role, "policies", found=sorted(found), promised=sorted(promised))


def test_a_rule_has_no_other_targets(deployed: Deployed, promises: Deployment) -> None:
    for rule in values(promises, RULE, "name"):
        found = [each["Arn"] for each in rule_targets(deployed, rule)]
        promised = [each["arn"] for each in inputs(promises, TARGET) if each["rule"] == rule]
        hold(rule, "targets", found=sorted(found), promised=sorted(promised))


def inputs(promises: Deployment, type_: str) -> list[dict[str, str]]:
    """List the inputs of every resource of a type."""
    return [resource.inputs for resource in promises.all(type_).values()]


def values(promises: Deployment, type_: str, key: str) -> list[str]:
    """List one input of every resource of a type, sorted."""
    return sorted(each[key] for each in inputs(promises, type_))
