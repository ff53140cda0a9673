"""What the tools know of the project is true."""

from infrastructure.project import PROJECT
from tools.configuration.checks import KEYS


def test_the_settings_that_the_tools_know_exist() -> None:
    assert {PROJECT.environment, PROJECT.suffix, PROJECT.function.runtime, PROJECT.function.architecture} <= {*KEYS}
