"""What the tools know of the project is true."""

from tools.project import DECLARATION
from tools.settings import KEYS


def test_the_settings_that_the_tools_know_exist() -> None:
    assert {DECLARATION.environment, DECLARATION.suffix, DECLARATION.runtime, DECLARATION.architecture} <= {*KEYS}
