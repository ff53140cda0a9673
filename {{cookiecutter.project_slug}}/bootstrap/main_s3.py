"""The bootstrap program: create CI's OIDC provider, roles and S3 state backend, and export role and key ARNs."""

import pulumi

from bootstrap.roles import create_roles
from bootstrap.settings import load_settings
from bootstrap.stacks import find_stacks
from bootstrap.state import State, StateSettings
from infrastructure.account import Account
from tools.project import read_project

settings, project, account = load_settings(StateSettings), read_project(), Account.current()
state = State(settings, project, account)
for roles in create_roles(settings, find_stacks(project, account)):
    state.grant_access(roles)
if not settings.state_key_arn:
    pulumi.export("state_key_arn", state.key_arns[-1])
