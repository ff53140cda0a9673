"""The ``outputs`` task: a deployed stack's outputs, in a file that integration tests and scripts can read."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tools.configuration.stack_files import PROJECT_FOLDER
from tools.engine import find_engine

OUTPUTS_FILE: Final = Path("cfn-outputs/flat-outputs.json")
PROGRAM: Final = "__main__.py"
EXPORT: Final = "pulumi.export"


def exports(folder: Path = PROJECT_FOLDER) -> Iterator[tuple[str, ast.expr]]:
    """Read from the program what it exports: each ``pulumi.export("name", value)``, in order.

    Args:
        folder: Where the program is.

    Yields:
        Each name, and the expression.
    """
    program = ast.parse((folder / PROGRAM).read_text(encoding="utf-8"))
    for node in ast.walk(program):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == EXPORT:
            name, value = node.args
            yield str(ast.literal_eval(name)), value


def exported_names(folder: Path = PROJECT_FOLDER) -> tuple[str, ...]:
    """List the outputs that the program exports, in order.

    Args:
        folder: Where the program is.
    """
    return tuple(name for name, _ in exports(folder))


def save_outputs(stack: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Write the outputs of a stack to the outputs file.

    Args:
        stack: Name of the stack.
        variables: The engine's environment; this process's own when left out.

    Returns:
        What was written.

    Raises:
        SystemExit: If they cannot be read or are not complete, with the reason; the file is then left as it was.
    """
    command = [find_engine(), "stack", "output", "--json", "--stack", stack]
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", check=False, cwd=PROJECT_FOLDER, env=variables
    )
    if finished.returncode:
        sys.exit(f"outputs: `pulumi stack output` failed with exit status {finished.returncode}; its message is above")
    outputs = json.loads(finished.stdout)
    missing = [name for name in exported_names() if not outputs.get(name)]
    if missing:
        sys.exit(f"outputs: stack {stack} lacks {', '.join(missing)}; the task `pulumi-deploy` deploys it")
    write_outputs(outputs, PROJECT_FOLDER / OUTPUTS_FILE)
    print(f"{OUTPUTS_FILE.as_posix()}: {len(outputs)} outputs of {stack}")
    return outputs


def write_outputs(outputs: dict[str, Any], path: Path) -> None:
    """Replace the file in one step, so that nobody ever reads half of it."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(path)
