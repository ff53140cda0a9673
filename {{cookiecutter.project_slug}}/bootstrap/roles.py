"""The two roles of a stack that CI assumes, their policies, and the permissions boundary of the function's role."""

from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_aws as aws

from bootstrap import policies
from bootstrap.settings import BootstrapSettings
from bootstrap.stacks import Stack
from bootstrap.state import State, state_statements
from bootstrap.trust import deploy_statement, preview_statement
from infrastructure import iam

# The longest that a job may ask for: a deployment, with its tests, may take longer than the hour that is AWS's default.
SESSION_SECONDS: Final = 2 * 60 * 60


class StackRoles(pulumi.ComponentResource):
    """The roles that preview and deploy one stack.

    Attributes:
        preview: Reads.
        deploy: Changes the stack, and tests it.
    """

    preview: aws.iam.Role
    deploy: aws.iam.Role

    def __init__(
        self, settings: BootstrapSettings, stack: Stack, state: State | None, provider: pulumi.Resource | None
    ) -> None:
        super().__init__("pipeline:bootstrap:StackRoles", stack.name)
        tags = {"Project": stack.project, "ManagedBy": "pulumi"}
        child = pulumi.ResourceOptions(parent=self)
        grants = policies.role_policies(stack)
        if stack.has_own_boundary:
            grants["boundary"] = policies.boundary(stack)
        created = {
            name: aws.iam.Policy(
                f"{stack.name}-{name}",
                name=stack.ci_name(name),
                policy=policies.document(stack, granted),
                tags=tags,
                opts=child,
            )
            for name, granted in grants.items()
        }

        def create_role(name: str, description: str, trust: iam.Statement, attached: Sequence[str]) -> aws.iam.Role:
            role = aws.iam.Role(
                f"{stack.name}-{name}",
                name=stack.ci_name(name),
                description=description,
                assume_role_policy=iam.document(trust),
                max_session_duration=SESSION_SECONDS,
                tags=tags,
                opts=pulumi.ResourceOptions(parent=self, depends_on=provider),
            )
            for policy in attached:
                aws.iam.RolePolicyAttachment(
                    f"{stack.name}-{name}-{policy}", role=role.name, policy_arn=created[policy].arn, opts=child
                )
            if state:
                aws.iam.RolePolicy(
                    f"{stack.name}-{name}-state",
                    name="state",
                    role=role.name,
                    policy=iam.document(*state_statements(state, stack, writes=name == "deploy")),
                    opts=child,
                )
            return role

        self.preview = create_role(
            "preview",
            f"Previews {stack.name} from CI, and changes nothing",
            preview_statement(settings, stack.account),
            policies.PREVIEW,
        )
        self.deploy = create_role(
            "deploy",
            f"Deploys {stack.name} from CI, and tests it",
            deploy_statement(settings, stack.account, stack.name),
            policies.DEPLOY,
        )
        self.register_outputs({"preview": self.preview.arn, "deploy": self.deploy.arn})
