"""What ``tools/`` knows about this project."""

from typing import Final

from infrastructure.settings import Settings
from tools.declaration import Declaration, Function

PROJECT: Final = Declaration(
    settings=Settings,
    environment="environment",
    suffix="environmentSuffix",
    local="local",
    function=Function(
        folder="processor",
        runtime="lambdaRuntime",
        architecture="lambdaArchitecture",
        example="processor.events:EXAMPLE",
    ),
)
