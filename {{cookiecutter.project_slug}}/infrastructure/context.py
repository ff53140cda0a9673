"""What every component needs to know about its stack."""

from dataclasses import dataclass

import pulumi

from infrastructure.account import Account
from infrastructure.naming import Names
from infrastructure.settings import Settings


@dataclass(frozen=True)
class Context:
    """The settings, names and account of a stack.

    Attributes:
        settings: The stack's settings.
        names: Physical names and tags.
        account: Account and region.
    """

    settings: Settings
    names: Names
    account: Account

    def part_options(self, parent: pulumi.Resource, *, after: pulumi.Resource | None = None) -> pulumi.ResourceOptions:
        """Return the options of a resource that secures data: in production it is retained, like the data.

        Args:
            parent: The component that it belongs to.
            after: A resource that must be created first.
        """
        return pulumi.ResourceOptions(parent=parent, depends_on=after, retain_on_delete=self.settings.is_production)

    def protected_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a resource that the pipeline depends on: in production it is protected."""
        return pulumi.ResourceOptions(parent=parent, protect=self.settings.is_production)

    def data_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a resource that holds data: in production it is protected and retained."""
        return pulumi.ResourceOptions(
            parent=parent, protect=self.settings.is_production, retain_on_delete=self.settings.is_production
        )
