"""What a project declares to the tools, in ``infrastructure/project.py``. They import nothing else from it."""

from dataclasses import dataclass

from tools.configuration.model import StackSettings


@dataclass(frozen=True)
class Function:
    """The Lambda function that the project deploys.

    Attributes:
        folder: The package that goes into the bundle and has the entry point, relative to the project's folder.
        runtime: Name of the setting for its runtime.
        architecture: Name of the setting for its architecture.
        example: An example event, as ``module:name``.
    """

    folder: str
    runtime: str
    architecture: str
    example: str


@dataclass(frozen=True)
class Declaration:
    """What the tools need to know about a project.

    Attributes:
        settings: The model of a stack's configuration.
        environment: Name of the setting for a stack's environment; its values are in order of promotion.
        suffix: Name of the setting for the second part of every name; the project's name is the first.
        local: The environment that is deployed to the emulator on this machine, and the name of its stack.
        function: The function.
    """

    settings: type[StackSettings]
    environment: str
    suffix: str
    local: str
    function: Function

    @property
    def bundle_keys(self) -> tuple[str, str, str]:
        """The settings that decide which bundle a stack needs, in the order of `tools.bundle.bundle_path`."""
        return (self.environment, self.function.runtime, self.function.architecture)
