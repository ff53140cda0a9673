"""The ``outputs`` task: a deployed stack's outputs, in a file that integration tests and scripts can read."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from infrastructure.stack_files import PROJECT_FOLDER

OUTPUTS_FILE: Final = Path("cfn-outputs/flat-outputs.json")
OUTPUT_NAMES: Final = (
    "bucket_name",
    "bucket_arn",
    "table_name",
    "table_arn",
    "topic_arn",
    "queue_url",
    "queue_arn",
    "dlq_url",
    "dlq_arn",
    "function_arn",
    "function_name",
    "lambda_role_arn",
)


def save_outputs(stack: str) -> None:
    """Write the outputs of a stack to the outputs file.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If they cannot be read or are not complete, with the reason; the file is then left as it was.
    """
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        sys.exit("outputs: pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it")
    command = [pulumi, "stack", "output", "--json", "--stack", stack]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=PROJECT_FOLDER)
    if finished.returncode:
        sys.exit(f"outputs: `pulumi stack output` failed with exit status {finished.returncode}; its message is above")
    outputs = json.loads(finished.stdout)
    missing = [name for name in OUTPUT_NAMES if not outputs.get(name)]
    if missing:
        sys.exit(f"outputs: stack {stack} lacks {', '.join(missing)}; the task `pulumi-deploy` deploys it")
    write_outputs(outputs, PROJECT_FOLDER / OUTPUTS_FILE)
    print(f"{OUTPUTS_FILE.as_posix()}: {len(outputs)} outputs of {stack}")


def write_outputs(outputs: dict[str, Any], path: Path) -> None:
    """Replace the file in one step, so that nobody ever reads half of it."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(path)
