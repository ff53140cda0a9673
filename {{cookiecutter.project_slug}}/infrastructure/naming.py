"""The physical names and the tags of everything that a stack owns."""

from dataclasses import dataclass

from infrastructure.settings import Settings


@dataclass(frozen=True)
class Names:
    """Names of one stack's resources: the project, the stack's suffix, and what the resource is for.

    Attributes:
        project: The Pulumi project.
        settings: The stack's settings.
    """

    project: str
    settings: Settings

    def of(self, role: str) -> str:
        """Name a resource by its role, for example ``orders-dev-queue`` for ``queue``."""
        return f"{self.project}-{self.settings.environment_suffix}-{role}"

    def payload_bucket(self, account_id: str) -> str:
        """Name the payload bucket, unique in all of AWS unless the settings give another name."""
        return self.settings.bucket_name or self.of(f"payloads-{account_id}")

    def access_log_bucket(self, account_id: str) -> str:
        """Name the bucket that receives the payload bucket's access logs, unique in all of AWS."""
        return self.of(f"access-logs-{account_id}")

    @property
    def function(self) -> str:
        """Name of the function, of its role, and of its metrics' service."""
        return self.of("processor")

    @property
    def log_group(self) -> str:
        """Name of the log group that Lambda writes to when it is not told another."""
        return f"/aws/lambda/{self.function}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags that every resource bears: who owns it, for what, and that a person should not edit it."""
        return {
            "Project": self.project,
            "Environment": self.settings.environment,
            "EnvironmentSuffix": self.settings.environment_suffix,
            "ManagedBy": "pulumi",
        }
