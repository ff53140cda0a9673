"""The context that all components share: the stack's settings, account, names, tags and resource options."""

from dataclasses import dataclass

import pulumi

from infrastructure.account import Account
from infrastructure.settings import Settings


@dataclass(frozen=True)
class Context:
    """The settings and account of a stack, and the names, tags and resource options that are derived from them.

    Attributes:
        settings: The stack's settings.
        account: Account and region.
        project: The Pulumi project.
    """

    settings: Settings
    account: Account
    project: str

    def name(self, resource: str) -> str:
        """Return the physical name of a resource, for example ``orders-dev-queue``."""
        return f"{self.project}-{self.settings.environment_suffix}-{resource}"

    @property
    def payload_bucket_name(self) -> str:
        """Name of the payload bucket: ``bucketName`` or, if empty, a name with the account ID."""
        return self.settings.bucket_name or self.name(f"payloads-{self.account.id}")

    @property
    def function_name(self) -> str:
        """Name of the function and its role, and value of the metric dimension ``service``."""
        return self.name("processor")

    @property
    def log_group_name(self) -> str:
        """Name of the log group that Lambda writes to by default."""
        return f"/aws/lambda/{self.function_name}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource that supports tags."""
        return {
            "Project": self.project,
            "Environment": self.settings.environment,
            "EnvironmentSuffix": self.settings.environment_suffix,
            "ManagedBy": "pulumi",
        }

    def protected_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return resource options with `protect` in production."""
        return pulumi.ResourceOptions(parent=parent, protect=self.settings.is_production)

    def data_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return resource options with `protect` and `retain_on_delete` in production, for a stateful resource."""
        kept = self.settings.is_production
        return pulumi.ResourceOptions(parent=parent, protect=kept, retain_on_delete=kept)
