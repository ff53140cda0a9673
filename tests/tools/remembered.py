"""A cache of program runs: many tests run it with the same few configurations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tools.configuration.stack_files import read_stack_config
from tools.testing import recording
from tools.testing.program import DeployedAws
from tools.testing.recording import Deployment, example_account

RUNS: Final[dict[str, Deployment]] = {}


def deploy_once(config: Mapping[str, str], stack: str, build_folder: Path | None, provider: DeployedAws) -> Deployment:
    """Cached version of `recording.deploy`."""
    key = repr((sorted(config.items()), stack, provider.account, sorted(provider.asked.items())))
    if key not in RUNS:
        RUNS[key] = recording.deploy(config, stack, build_folder, provider)
    return RUNS[key]


def outputs_of(stack: str, folder: Path) -> dict[str, str]:
    """Return the outputs of a deployed stack.

    Args:
        stack: Name of the stack.
        folder: Where its file is.
    """
    config = read_stack_config(stack, folder).values
    provider = DeployedAws(example_account(config["aws:region"]), {})
    return dict(deploy_once(config, stack, None, provider).exports)
