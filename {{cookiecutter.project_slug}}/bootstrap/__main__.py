"""The bootstrap program: create CI's OIDC provider and roles in an account, and export the ARNs of the roles."""

from bootstrap.roles import create_roles
from bootstrap.settings import load_settings
from bootstrap.stacks import find_stacks
from bootstrap.trust import TrustSettings
from infrastructure.account import Account
from tools.project import read_project

create_roles(load_settings(TrustSettings), find_stacks(read_project(), Account.current()))
