"""The IAM roles that CI assumes for a stack, their policies, and the permissions boundary of the function's role."""

from typing import Final

import pulumi
import pulumi_aws as aws

from bootstrap import policies, trust
from bootstrap.stacks import Stack
from infrastructure import iam

# Maximum session duration: a deployment with its tests may take longer than AWS's default of one hour.
SESSION_SECONDS: Final = 2 * 60 * 60
DESCRIPTIONS: Final = {
    "preview": "Previews {} from CI, read-only",
    "deploy": "Deploys and tests {} from CI",
}
POLICIES: Final = {"preview": ["read"], "deploy": ["read", "data", "compute", "key", "tests"]}


class StackRoles(pulumi.ComponentResource):
    """The CI roles that preview and deploy a stack.

    Attributes:
        stack: The stack that the roles belong to.
        roles: The roles by name: ``preview`` is read-only, and ``deploy`` also changes and tests the stack.
    """

    stack: Stack
    roles: dict[str, aws.iam.Role]

    def __init__(self, settings: trust.TrustSettings, stack: Stack, provider: pulumi.Resource | None) -> None:
        super().__init__("pipeline:bootstrap:StackRoles", stack.name)
        tags = {"Project": stack.project, "ManagedBy": "pulumi"}
        child = pulumi.ResourceOptions(parent=self)
        created = {
            name: aws.iam.Policy(
                f"{stack.name}-{name}", name=stack.ci_name(name), policy=document, tags=tags, opts=child
            )
            for name, document in policies.documents(stack).items()
            if name != "boundary" or stack.boundary_arn == stack.own_boundary_arn
        }

        self.stack, self.roles = stack, {}
        issuer = f"arn:{stack.account.partition}:iam::{stack.account.id}:oidc-provider/{trust.ISSUER}"
        for name, conditions in trust.conditions(settings, stack.name).items():
            statement = {
                "Effect": "Allow",
                "Principal": {"Federated": issuer},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": conditions,
            }
            role = self.roles[name] = aws.iam.Role(
                f"{stack.name}-{name}",
                name=stack.ci_name(name),
                description=DESCRIPTIONS[name].format(stack.name),
                assume_role_policy=iam.document(statement),
                max_session_duration=SESSION_SECONDS,
                tags=tags,
                opts=pulumi.ResourceOptions(parent=self, depends_on=provider),
            )
            for policy in POLICIES[name]:
                aws.iam.RolePolicyAttachment(
                    f"{stack.name}-{name}-{policy}", role=role.name, policy_arn=created[policy].arn, opts=child
                )
            pulumi.export(f"{stack.name}_{name}_role_arn", role.arn)
        self.register_outputs({name: role.arn for name, role in self.roles.items()})


def create_roles(settings: trust.TrustSettings, stacks: list[Stack]) -> list[StackRoles]:
    """Create the OIDC provider, if configured, and the CI roles of each stack, and export the roles' ARNs."""
    provider = None
    if settings.create_oidc_provider:
        provider = aws.iam.OpenIdConnectProvider(
            "oidc-provider",
            url=f"https://{trust.ISSUER}",
            client_id_lists=[trust.AUDIENCE],
            tags={"Project": stacks[0].project, "ManagedBy": "pulumi"},
            # Other projects in the account may use the provider, too.
            opts=pulumi.ResourceOptions(protect=True),
        )
    return [StackRoles(settings, stack, provider) for stack in stacks]
