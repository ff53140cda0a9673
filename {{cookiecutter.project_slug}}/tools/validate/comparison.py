"""The comparison of every setting between the stacks."""

from collections.abc import Iterator, Sequence

from tools.settings import KEYS
from tools.validate.report import Setting, Value
from tools.validate.stacks import ReadStack


def compared(project: str, stacks: Sequence[ReadStack]) -> Iterator[Setting]:
    """Compare the stacks.

    Args:
        project: Name of the project.
        stacks: The stacks.

    Yields:
        The project's settings in the model's order, then all other keys of the stacks.
    """
    own = [f"{project}:{key}" for key in KEYS]
    others = sorted({key for stack in stacks for key in stack.config.values} - {*own})
    for key in (*own, *others):
        values = {stack.name: _value(stack, key) for stack in stacks}
        differs = len({(value.text, value.secret) for value in values.values()}) > 1
        yield Setting(key=key, differs=differs, values=values)


def _value(stack: ReadStack, key: str) -> Value:
    if key not in stack.config.values:
        return Value(origin="missing")
    secret = key in stack.config.secret_keys
    text = None if secret else stack.config.values[key]
    return Value(text=text, origin="set" if stack.sets(key) else "default", secret=secret)
