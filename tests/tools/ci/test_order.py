"""The order of commits, with repositories of git and recorded histories of a stack."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ci.conftest import Machine
from tests.ci.recorded import NO_STACK
from tools.ci import order
from tools.ci.pipeline import plan

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang"),
    pytest.mark.usefixtures("with_account", "on_github"),
]

UNKNOWN = "0123456789" * 4
HISTORY = "stack history --json --page-size 20 --stack dev --non-interactive"

Git = Callable[..., str]


@pytest.fixture(name="git")
def fixture_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Run git in the project's folder, an empty repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.setattr(order, "PROJECT_FOLDER", folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    identity = ("-c", "user.name=example", "-c", "user.email=example@example.com")

    def run(*arguments: str) -> str:
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout.strip()

    run("init", "--quiet")
    return run


@pytest.fixture(name="commits")
def fixture_commits(git: Git) -> tuple[str, str, str]:
    """Three commits, one after the other. The second is checked out."""
    for message in ("first", "second", "third"):
        git("commit", "--quiet", "--allow-empty", "--message", message)
    first, second, third = git("rev-list", "--reverse", "HEAD").split()
    git("checkout", "--quiet", second)
    return first, second, third


def entry(kind: str, commit: str | None) -> dict[str, object]:
    """Return an entry of ``pulumi stack history --json``, newest first in the list."""
    return {"kind": kind, "environment": {"git.head": commit} if commit else None}


def deployed(machine: Machine, *entries: dict[str, object]) -> None:
    """Let the stack have this history."""
    machine.pulumi.answer("stack", "history", output=json.dumps(entries))
    machine.pulumi.answer("preview", output='{"steps": []}')


def is_planned(machine: Machine) -> bool:
    """Plan a deployment, and return whether there is a plan."""
    plan("dev")
    return (machine.folder / "dev.plan.json").exists()


def test_a_commit_is_not_deployed_over_a_newer_one(machine: Machine, commits: tuple[str, str, str]) -> None:
    newer = commits[2]
    deployed(machine, entry("refresh", commits[0]), entry("update", newer))

    with pytest.raises(SystemExit) as error:
        plan("dev")

    assert error.value.code == (
        f"ci-plan: dev: the newer commit {newer[:7]} is deployed; to go back to this one, run all jobs again"
    )
    assert machine.pulumi.calls == [HISTORY]
    assert machine.record()["state"] == "failed"


@pytest.mark.parametrize("place", [0, 1])
def test_a_commit_is_deployed_over_an_older_one_and_over_itself(
    machine: Machine, commits: tuple[str, str, str], place: int
) -> None:
    deployed(machine, entry("update", commits[place]), entry("update", commits[2]))

    assert is_planned(machine)


def test_a_commit_is_deployed_over_one_of_another_branch(
    machine: Machine, commits: tuple[str, str, str], git: Git
) -> None:
    git("checkout", "--quiet", commits[0])
    git("commit", "--quiet", "--allow-empty", "--message", "other")
    deployed(machine, entry("update", git("rev-parse", "HEAD")))
    git("checkout", "--quiet", commits[1])

    assert is_planned(machine)


@pytest.mark.usefixtures("commits")
@pytest.mark.parametrize(
    "entries",
    [(), (entry("update", None),), (entry("update", UNKNOWN),), (entry("refresh", UNKNOWN),)],
    ids=["never deployed", "without a commit", "not in this repository", "never updated"],
)
def test_nothing_is_newer_if_no_commit_is_known(machine: Machine, entries: tuple[dict[str, object], ...]) -> None:
    deployed(machine, *entries)

    assert is_planned(machine)


def test_a_run_that_a_person_repeats_may_go_back(
    machine: Machine, commits: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    deployed(machine, entry("update", commits[2]))

    assert is_planned(machine)


def test_elsewhere_the_order_is_not_checked(
    machine: Machine, commits: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    deployed(machine, entry("update", commits[2]))

    assert is_planned(machine)


@pytest.mark.usefixtures("commits")
def test_a_history_that_cannot_be_read_stops_the_plan(machine: Machine) -> None:
    machine.pulumi.answer("stack", "history", messages=NO_STACK, status=255)

    with pytest.raises(SystemExit, match="ci-plan: dev: the backend has no stack dev; the task `pulumi-create-stack`"):
        plan("dev")
