"""Keeps an older commit from being deployed over a newer one: runs of a workflow can overtake each other."""

import json
import os
import subprocess
import sys
from typing import Final

from tools.ci.failures import explain
from tools.ci.system import is_on_github
from tools.configuration.stack_files import PROJECT_FOLDER
from tools.engine import hear_engine
from tools.programs import find_program

INSTALLATION: Final = "https://git-scm.com"
# How far to look back for the last update; entries of other kinds, such as refreshes, come between.
PAGE_SIZE: Final = 20
SHORT: Final = 7


def require_no_newer_commit(stack: str) -> None:
    """Accept this commit unless the stack has a newer one, whose run has overtaken this one.

    Only the first attempt of a run on GitHub is checked: a person who runs it again wants this commit. GitLab prevents
    outdated deployments itself.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If the stack has a newer commit, or its history cannot be read.
    """
    if not is_on_github() or os.environ.get("GITHUB_RUN_ATTEMPT", "1") != "1":
        return
    deployed = _deployed_commit(stack)
    if deployed and _is_newer(deployed):
        sys.exit(f"the newer commit {deployed[:SHORT]} is deployed; to go back to this one, run all jobs again")


def _deployed_commit(stack: str) -> str:
    """Return the commit of the last update; empty if there is none.

    The engine records it: https://www.pulumi.com/docs/iac/cli/commands/pulumi_stack_history/

    Raises:
        SystemExit: If the history cannot be read.
    """
    history = ("stack", "history", "--json", "--page-size", str(PAGE_SIZE), "--stack", stack)
    finished = hear_engine(*history, is_quiet=True)
    if finished.status:
        sys.exit(explain(finished, stack))
    updates = (entry for entry in json.loads(finished.output) if entry["kind"] == "update")
    return next(((entry["environment"] or {}).get("git.head", "") for entry in updates), "")


def _is_newer(commit: str) -> bool:
    """Whether a commit contains the current one and others. One that git does not know is not newer."""
    command = [find_program("git", INSTALLATION), "rev-list", "--left-right", "--count", f"HEAD...{commit}"]
    finished = subprocess.run(command, cwd=PROJECT_FOLDER, check=False, capture_output=True, encoding="utf-8")
    # Commits of the current one that the other does not contain, and the other way round.
    only_here, only_there = finished.stdout.split() if finished.returncode == 0 else ("0", "0")
    return only_here == "0" and only_there != "0"
