"""What every component needs to know about its stack: settings, account, names and tags, and what production keeps."""

from dataclasses import dataclass

import pulumi

from infrastructure.account import Account
from infrastructure.settings import Settings


@dataclass(frozen=True)
class Context:
    """The settings and the account of a stack, and what follows from them.

    Attributes:
        settings: The stack's settings.
        account: Account and region.
        project: The Pulumi project.
    """

    settings: Settings
    account: Account
    project: str

    def name(self, resource: str) -> str:
        """Return a physical name: the project, the environment suffix and the resource, as in ``orders-dev-queue``."""
        return f"{self.project}-{self.settings.environment_suffix}-{resource}"

    @property
    def payload_bucket_name(self) -> str:
        """Name of the payload bucket: ``bucketName``, or a globally unique name."""
        return self.settings.bucket_name or self.name(f"payloads-{self.account.id}")

    @property
    def function_name(self) -> str:
        """Name of the function, its role, and the service in its metrics."""
        return self.name("processor")

    @property
    def log_group_name(self) -> str:
        """Name of the log group that Lambda writes to by default."""
        return f"/aws/lambda/{self.function_name}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource: where it belongs, and that Pulumi manages it."""
        return {
            "Project": self.project,
            "Environment": self.settings.environment,
            "EnvironmentSuffix": self.settings.environment_suffix,
            "ManagedBy": "pulumi",
        }

    def protected_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a resource that the pipeline depends on: in production it is protected."""
        return pulumi.ResourceOptions(parent=parent, protect=self.settings.is_production)

    def data_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a resource that holds data: in production it is protected and retained."""
        kept = self.settings.is_production
        return pulumi.ResourceOptions(parent=parent, protect=kept, retain_on_delete=kept)
