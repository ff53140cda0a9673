"""Every resource is deployed as the program declares it, and nothing was added."""

import base64
import hashlib

import pytest

from tools.testing.comparison import differences, hold
from tools.testing.deployed import Deployed
from tools.testing.promises import skip_if_secret
from tools.testing.readers import DEFAULTS, NOT_IN_AWS, READERS, read
from tools.testing.recording import Deployment, Resource

FUNCTION = "aws:lambda/function:Function"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"

HOW_TO_READ = "register a reader in tests/integration/conftest.py, with `reads` from tools/testing/readers.py"


def test_a_resource_is_deployed_as_declared(deployed: Deployed, resource: Resource) -> None:
    assert resource.type in READERS, f"{resource.type} has no reader: {HOW_TO_READ}"
    skip_if_secret(deployed, f"{resource.type} {resource.name}")
    left_out = NOT_IN_AWS.get(resource.type, frozenset())
    promised = DEFAULTS.get(resource.type, {}) | resource.inputs

    found = read(deployed, resource)

    assert found is not None, f"{resource.type} {resource.name} does not exist"
    promised = {key: value for key, value in promised.items() if key not in left_out}
    told = [f"{resource.type} {resource.name}: {each}" for each in differences(found, promised)]
    assert not told, "\n".join(told)


def test_the_function_runs_the_bundle(deployed: Deployed, promises: Deployment) -> None:
    if not deployed.program.bundle.exists():
        pytest.skip(f"{deployed.program.bundle.name} was not built in this folder; the task `package` builds it")
    digest = base64.b64encode(hashlib.sha256(deployed.program.bundle.read_bytes()).digest()).decode()
    for name in values(promises, FUNCTION, "name"):
        found = deployed.client("lambda").get_function_configuration(FunctionName=name)["CodeSha256"]
        hold(name, f"digest of {deployed.program.bundle.name}", found=found, promised=digest)


def test_the_function_has_no_other_event_sources(deployed: Deployed, promises: Deployment) -> None:
    for name in values(promises, FUNCTION, "name"):
        answer = deployed.client("lambda").list_event_source_mappings(FunctionName=name)
        found = sorted(each["EventSourceArn"] for each in answer["EventSourceMappings"])
        hold(name, "event sources", found=found, promised=values(promises, MAPPING, "eventSourceArn"))


def test_a_role_has_no_other_policies(deployed: Deployed, promises: Deployment) -> None:
    for role in values(promises, ROLE, "name"):
        found = deployed.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
        promised = [each["name"] for each in inputs(promises, ROLE_POLICY) if each["role"] == role]
        hold(role, "policies", found=sorted(found), promised=sorted(promised))


def inputs(promises: Deployment, type_: str) -> list[dict[str, str]]:
    """List the inputs of every resource of a type."""
    return [resource.inputs for resource in promises.all(type_).values()]


def values(promises: Deployment, type_: str, key: str) -> list[str]:
    """List one input of every resource of a type, sorted."""
    return sorted(each[key] for each in inputs(promises, type_))
