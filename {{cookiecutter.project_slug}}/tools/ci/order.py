"""Keeps an older commit from being deployed over a newer one: runs of a pipeline can overtake each other."""

import json
import os
import subprocess
import sys
from typing import Final

from tools.ci.changes import UNREADABLE
from tools.ci.failures import explain
from tools.ci.system import is_on_ci
from tools.project import PROJECT_FOLDER, find_program
from tools.pulumi_cli import hear_engine

INSTALLATION: Final = "https://git-scm.com"
# How far to look back for the last update; entries of other kinds, such as refreshes, come between.
PAGE_SIZE: Final = 20
SHORT: Final = 7


def require_order(stack: str) -> str:
    """Refuse to deploy this commit on CI if the stack has a newer one, unless a person has asked for this run.

    GitLab's own setting compares when jobs began, and not the commits:
    https://docs.gitlab.com/ci/environments/deployment_safety/

    Args:
        stack: Name of the stack.

    Returns:
        What whoever approves the deployment should know; empty if it replaces an older commit, or none.

    Raises:
        SystemExit: If a newer commit is deployed, or this cannot be found out.
    """
    deployed = _deployed_commit(stack) if is_on_ci() else ""
    if not deployed:
        return ""
    short = deployed[:SHORT]
    if _git("rev-parse", "--is-shallow-repository") != "false":
        sys.exit("the clone is shallow, so the order of commits is not known; allowed: a clone with all commits")
    # Neither a tree nor an object of another repository.
    if _git("rev-parse", "--verify", "--quiet", f"{deployed}^{{commit}}", is_required=False) != deployed:
        return f"replaces {short}, which is not in this repository"
    only_here, only_there = _git("rev-list", "--left-right", "--count", f"HEAD...{deployed}").split()
    if only_there == "0":
        return ""
    if only_here != "0":
        return f"replaces {short}, which is not part of this commit"
    if not _is_asked_for():
        sys.exit(f"the newer commit {short} is deployed; only a run that a person has started may replace it")
    return f"replaces the newer commit {short}"


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
    try:
        updates = [entry for entry in json.loads(finished.output) if entry["kind"] == "update"]
        return updates[0]["environment"].get("git.head", "") if updates and updates[0].get("environment") else ""
    except UNREADABLE as error:
        sys.exit(f"the output of `pulumi stack history --json` cannot be read: {error}")


def _is_asked_for() -> bool:
    """Whether a person has started this run, or has run it again."""
    return (
        os.environ.get("GITHUB_EVENT_NAME") == "workflow_dispatch"
        or os.environ.get("GITHUB_RUN_ATTEMPT", "1") != "1"
        # The deployment's own pipeline has another source: .gitlab-ci.yml passes this on.
        or os.environ.get("PARENT_PIPELINE_SOURCE") == "web"
    )


def _git(*arguments: str, is_required: bool = True) -> str:
    """Run git in the project's folder, and return what it prints.

    Raises:
        SystemExit: If it fails and is required.
    """
    command = [find_program("git", INSTALLATION), *arguments]
    finished = subprocess.run(command, cwd=PROJECT_FOLDER, check=False, capture_output=True, encoding="utf-8")
    if finished.returncode and is_required:
        sys.exit(f"`git {arguments[0]}` failed: {' '.join(finished.stderr.split())}")
    return finished.stdout.strip()
