"""What every component needs to know of its stack."""

from dataclasses import dataclass

import pulumi

from infrastructure.naming import Names
from infrastructure.settings import Settings
from tools.account import Account


@dataclass(frozen=True)
class Context:
    """One stack: what was configured, what things are called, and where it is deployed.

    Attributes:
        settings: The stack's settings.
        names: Physical names and tags.
        account: Account and region.
    """

    settings: Settings
    names: Names
    account: Account

    def part_options(self, parent: pulumi.Resource, *, after: pulumi.Resource | None = None) -> pulumi.ResourceOptions:
        """Form the options of what secures a resource that holds data: in production it outlives its stack too.

        Args:
            parent: The component that it belongs to.
            after: What must exist first.
        """
        return pulumi.ResourceOptions(parent=parent, depends_on=after, retain_on_delete=self.settings.is_production)

    def data_options(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Form the options of a resource that holds data: in production it is protected, and outlives its stack."""
        return pulumi.ResourceOptions(
            parent=parent, protect=self.settings.is_production, retain_on_delete=self.settings.is_production
        )
