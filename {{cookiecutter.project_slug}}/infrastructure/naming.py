"""Physical names and tags of a stack's resources."""

from dataclasses import dataclass

from infrastructure.settings import Settings


@dataclass(frozen=True)
class Names:
    """Names of a stack's resources: the project, the environment suffix and the resource's role.

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
        """Name the payload bucket: ``bucketName``, or a globally unique name."""
        return self.settings.bucket_name or self.of(f"payloads-{account_id}")

    def access_log_bucket(self, account_id: str) -> str:
        """Name the bucket for the payload bucket's access logs; the name is globally unique."""
        return self.of(f"access-logs-{account_id}")

    @property
    def function(self) -> str:
        """Name of the function, its role, and the service in its metrics."""
        return self.of("processor")

    @property
    def log_group(self) -> str:
        """Name of the log group that Lambda writes to by default."""
        return f"/aws/lambda/{self.function}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource: where it belongs, and that Pulumi manages it."""
        return {
            "Project": self.project,
            "Environment": self.settings.environment,
            "EnvironmentSuffix": self.settings.environment_suffix,
            "ManagedBy": "pulumi",
        }
