"""The bootstrap program: CI roles, policies, OIDC provider and outputs."""

from typing import Any

import pytest

from bootstrap import policies, trust
from bootstrap.stacks import find_stacks
from tests.unit.bootstrap.conftest import ACCOUNT, BOOTSTRAP, MODEL, STACKS, Bootstrap, WriteStacks
from tools.settings import SettingsError
from tools.testing import ACCOUNT_ID, PROJECT_NAME, RecordedProgram

POLICY, ROLE = "aws:iam/policy:Policy", "aws:iam/role:Role"
PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
TAGS = {"Project": PROJECT_NAME, "ManagedBy": "pulumi"}
SETTINGS = trust.TrustSettings.model_validate({key: MODEL.example(key) for key in MODEL.keys})
ROLE_POLICIES = {"preview": ["read"], "deploy": ["read", "data", "compute", "key", "tests"]}
SUFFIXES = {"dev": "dev", "qa": "test"}
ROLES = [(stack, name) for stack in SUFFIXES for name in ROLE_POLICIES]


def iam_arn(kind: str, stack: str, name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT_ID}:{kind}/{PROJECT_NAME}-{SUFFIXES[stack]}-ci-{name}"


def inputs(stack: str, name: str) -> dict[str, Any]:
    trusted = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{trust.ISSUER}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": trust.conditions(SETTINGS, stack)[name],
    }
    does = {
        "preview": f"Previews {stack} from CI, read-only",
        "deploy": f"Deploys and tests {stack} from CI",
    }
    return {
        "name": f"{PROJECT_NAME}-{SUFFIXES[stack]}-ci-{name}",
        "description": does[name],
        "assumeRolePolicy": {"Version": "2012-10-17", "Statement": [trusted]},
        "maxSessionDuration": 7200,
        "tags": TAGS,
    }


def test_each_stack_has_two_roles_that_trust_ci(program: RecordedProgram) -> None:
    roles = program.all(ROLE)

    assert {
        name: {**each.inputs, "assumeRolePolicy": each.document("assumeRolePolicy")} for name, each in roles.items()
    } == {f"{stack}-{name}": inputs(stack, name) for stack, name in ROLES}
    provider = program.one(PROVIDER, "oidc-provider").urn
    assert all(provider in each.dependencies for each in roles.values())


def test_roles_have_only_their_own_policies(program: RecordedProgram) -> None:
    attachments = program.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")

    assert {name: each.inputs for name, each in attachments.items()} == {
        f"{stack}-{name}-{policy}": {
            "role": f"{PROJECT_NAME}-{SUFFIXES[stack]}-ci-{name}",
            "policyArn": iam_arn("policy", stack, policy),
        }
        for stack, name in ROLES
        for policy in ROLE_POLICIES[name]
    }


def test_a_boundary_is_created_unless_the_stack_has_another(
    program: RecordedProgram, write_stacks: WriteStacks
) -> None:
    stacks = find_stacks(write_stacks(STACKS), ACCOUNT)
    created = [(stack, name) for stack in stacks for name in ROLE_POLICIES["deploy"]] + [(stacks[0], "boundary")]

    assert {name: each.inputs for name, each in program.all(POLICY).items()} == {
        f"{stack.name}-{name}": {"name": stack.ci_name(name), "policy": policies.documents(stack)[name], "tags": TAGS}
        for stack, name in created
    }


def test_the_oidc_provider_is_created_unless_disabled(program: RecordedProgram, bootstrap: Bootstrap) -> None:
    provider = program.one(PROVIDER, "oidc-provider")

    assert provider.inputs == {"url": f"https://{trust.ISSUER}", "clientIdLists": [trust.AUDIENCE], "tags": TAGS}
    assert provider.protect
    assert not bootstrap(createOidcProvider="false").all(PROVIDER)


def test_the_roles_are_outputs_of_the_stack_and_of_their_parents(program: RecordedProgram) -> None:
    parents = {each.name: each.urn for each in program.resources if each.type == "pipeline:bootstrap:StackRoles"}
    children = [each for type_ in (ROLE, POLICY) for each in program.all(type_).values()]

    assert [each.name for each in children if each.parent != parents[each.name.partition("-")[0]]] == []
    for stack, name in ROLES:
        arn = iam_arn("role", stack, name)
        assert program.exports[f"{stack}_{name}_role_arn"] == arn
        assert program.registered_outputs[parents[stack]][name] == arn


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"branch": "v*"}, f'{BOOTSTRAP}:branch: found "v*"; allowed: the name of a branch, without wildcards'),
        ({"createOidcProvider": "no"}, f'{BOOTSTRAP}:createOidcProvider: found "no"; allowed: true or false'),
        ({"accounts": "[]"}, 'aws:allowedAccountIds: found "[]"; allowed: a list with exactly one account ID'),
        ({"accounts": "1"}, 'aws:allowedAccountIds: found "1"; allowed: a list with exactly one account ID'),
    ],
)
def test_an_invalid_setting_stops_the_program(bootstrap: Bootstrap, settings: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        bootstrap(**settings)

    assert str(error.value) == f"the stack's configuration has 1 problem:\n  - {message}"
