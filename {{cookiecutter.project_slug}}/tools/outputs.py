"""The ``outputs`` task: writes a deployed stack's outputs to a file for integration tests and scripts."""

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
    """Find each ``pulumi.export("name", value)`` in the program's source, in order.

    Args:
        folder: The program's folder.

    Yields:
        Each name and the expression of its value.
    """
    program = ast.parse((folder / PROGRAM).read_text(encoding="utf-8"))
    for node in ast.walk(program):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == EXPORT:
            name, value = node.args
            yield str(ast.literal_eval(name)), value


def exported_names(folder: Path = PROJECT_FOLDER) -> tuple[str, ...]:
    """List the names of the program's outputs, in order.

    Args:
        folder: The program's folder.
    """
    return tuple(name for name, _ in exports(folder))


def save_outputs(stack: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Write a stack's outputs to the outputs file.

    Args:
        stack: Name of the stack.
        variables: Environment of the engine; by default that of this process.

    Returns:
        The outputs.

    Raises:
        SystemExit: If they cannot be read or are incomplete, with the reason. The file is then unchanged.
    """
    command = [find_engine(), "stack", "output", "--json", "--stack", stack]
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", check=False, cwd=PROJECT_FOLDER, env=variables
    )
    if finished.returncode:
        sys.exit(f"outputs: `pulumi stack output` failed with exit status {finished.returncode}; its message is above")
    try:
        outputs = json.loads(finished.stdout)
    except ValueError as error:
        sys.exit(f"outputs: the output of `pulumi stack output --json` cannot be read: {error}")
    missing = [name for name in exported_names() if not outputs.get(name)]
    if missing:
        sys.exit(f"outputs: stack {stack} lacks {', '.join(missing)}; the task `pulumi-deploy` deploys it")
    write_outputs(outputs, PROJECT_FOLDER / OUTPUTS_FILE)
    print(f"{OUTPUTS_FILE.as_posix()}: {len(outputs)} outputs of {stack}")
    return outputs


def write_outputs(outputs: dict[str, Any], path: Path) -> None:
    """Replace the file atomically, so that it is never read half-written."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(path)
