"""What a project tells the tools of itself, in ``infrastructure/project.py``: they import nothing else of it."""

from dataclasses import dataclass

from tools.configuration.model import StackSettings


@dataclass(frozen=True)
class Function:
    """The Lambda function that the project deploys.

    Attributes:
        folder: The package that goes into its bundle, from the project's folder; its entry point is in there.
        runtime: The setting that says on which of Lambda's runtimes it runs.
        architecture: The setting that says on which instruction set.
        example: Where an example of what it is sent stands: the module and the name in it.
    """

    folder: str
    runtime: str
    architecture: str
    example: str


@dataclass(frozen=True)
class Declaration:
    """A project, as far as the tools must know it.

    Attributes:
        settings: The model of a stack's configuration.
        environment: The setting that says what kind of environment a stack is: one of a few, in the order in which
            they come on the way to production.
        local: The kind that is deployed to the emulator on this machine, and the name of the stack that is.
        function: The function.
    """

    settings: type[StackSettings]
    environment: str
    local: str
    function: Function
