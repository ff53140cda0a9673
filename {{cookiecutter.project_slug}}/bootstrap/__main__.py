"""The bootstrap program: create what CI needs in an account, and export the roles."""

import pulumi
import pulumi_aws as aws

from bootstrap.roles import StackRoles
from bootstrap.settings import BootstrapSettings
from bootstrap.stacks import find_stacks, require_account
from bootstrap.state import State
from bootstrap.trust import ISSUERS
from infrastructure.account import Account

settings = BootstrapSettings.load()
account = Account.current()
require_account(account, pulumi.runtime.get_config_env())
stacks = find_stacks(account)
project = stacks[0].project
issuer = ISSUERS[settings.ci]

provider = None
if settings.create_oidc_provider:
    provider = aws.iam.OpenIdConnectProvider(
        "oidc-provider",
        url=issuer.url,
        client_id_lists=[issuer.audience],
        tags={"Project": project, "ManagedBy": "pulumi"},
        # Other projects of the account may use it too.
        opts=pulumi.ResourceOptions(protect=True),
    )
state = State(settings, account, project) if settings.state_bucket else None
for stack in stacks:
    roles = StackRoles(settings, stack, state, provider)
    pulumi.export(f"{stack.name}_preview_role_arn", roles.preview.arn)
    pulumi.export(f"{stack.name}_deploy_role_arn", roles.deploy.arn)
if state and settings.has_own_bucket:
    pulumi.export("state_key_arn", state.key_arns[-1])
