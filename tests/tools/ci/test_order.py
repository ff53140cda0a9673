"""The order of commits, with repositories of git and recorded histories of a stack."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ci.conftest import Machine
from tests.ci.recorded import NO_STACK
from tools.ci import order
from tools.ci.order import require_order
from tools.ci.pipeline import plan

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang"),
    pytest.mark.usefixtures("with_account", "on_github"),
]

UNKNOWN = "0123456789" * 4
HISTORY = "stack history --json --page-size 20 --stack dev --non-interactive"
# What a person has done to start the run.
BY_A_PERSON = {"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_RUN_ATTEMPT": "2", "PARENT_PIPELINE_SOURCE": "web"}

Git = Callable[..., str]
Commits = tuple[str, str, str]


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
def fixture_commits(git: Git) -> Commits:
    """Three commits, one after the other. The second is checked out."""
    for message in ("first", "second", "third"):
        git("commit", "--quiet", "--allow-empty", "--message", message)
    first, second, third = git("rev-list", "--reverse", "HEAD").split()
    git("checkout", "--quiet", second)
    return first, second, third


def entry(kind: str, commit: str | None) -> dict[str, object]:
    """Return an entry of ``pulumi stack history --json``, which lists the newest first."""
    return {"kind": kind, "environment": {"git.head": commit} if commit else None}


def deployed(machine: Machine, *entries: dict[str, object]) -> None:
    """Let the stack have this history."""
    machine.pulumi.answer("stack", "history", output=json.dumps(entries))


def refused() -> str:
    """Return why the commit is refused."""
    with pytest.raises(SystemExit) as error:
        require_order("dev")
    return str(error.value.code)


def test_a_commit_is_not_planned_over_a_newer_one(machine: Machine, commits: Commits) -> None:
    newer = commits[2]
    deployed(machine, entry("refresh", commits[0]), entry("update", newer), entry("update", commits[0]))

    with pytest.raises(SystemExit) as error:
        plan("dev")

    assert error.value.code == (
        f"ci-plan: dev: the newer commit {newer[:7]} is deployed; only a run that a person has started may replace it"
    )
    assert machine.pulumi.calls == [HISTORY]
    assert machine.record()["state"] == "failed"


@pytest.mark.parametrize("place", [0, 1])
def test_a_commit_replaces_an_older_one_and_itself(machine: Machine, commits: Commits, place: int) -> None:
    deployed(machine, entry("update", commits[place]), entry("update", commits[2]))

    assert require_order("dev") == ""


@pytest.mark.parametrize("variable", BY_A_PERSON)
def test_a_person_may_replace_a_newer_commit_and_the_plan_says_so(
    machine: Machine, commits: Commits, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, BY_A_PERSON[variable])
    deployed(machine, entry("update", commits[2]))
    machine.pulumi.answer("preview", output='{"steps": []}')

    plan("dev")

    assert machine.record()["notes"] == [f"replaces the newer commit {commits[2][:7]}"]
    assert (machine.folder / "dev.plan.json").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GITHUB_EVENT_NAME", "push"), ("GITHUB_RUN_ATTEMPT", "1"), ("PARENT_PIPELINE_SOURCE", "push")],
)
def test_a_push_may_not(
    machine: Machine, commits: Commits, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    deployed(machine, entry("update", commits[2]))

    assert refused().startswith(f"the newer commit {commits[2][:7]} is deployed; ")


def test_a_commit_of_another_branch_is_replaced_and_named(machine: Machine, commits: Commits, git: Git) -> None:
    git("checkout", "--quiet", commits[0])
    git("commit", "--quiet", "--allow-empty", "--message", "other")
    other = git("rev-parse", "HEAD")
    deployed(machine, entry("update", other))
    git("checkout", "--quiet", commits[1])

    assert require_order("dev") == f"replaces {other[:7]}, which is not part of this commit"


@pytest.mark.usefixtures("commits")
def test_a_commit_that_git_does_not_know_is_replaced_and_named(machine: Machine) -> None:
    deployed(machine, entry("update", UNKNOWN))

    assert require_order("dev") == "replaces 0123456, which is not in this repository"


@pytest.mark.usefixtures("commits")
@pytest.mark.parametrize(
    "entries",
    [(), ({"kind": "update"},), (entry("update", None),), (entry("refresh", UNKNOWN),)],
    ids=["never deployed", "without an environment", "without a commit", "never updated"],
)
def test_there_is_nothing_to_replace(machine: Machine, entries: tuple[dict[str, object], ...]) -> None:
    deployed(machine, *entries)

    assert require_order("dev") == ""


def test_a_shallow_clone_is_refused(
    machine: Machine, commits: Commits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shallow = tmp_path / "shallow"
    url = (tmp_path / "repository").as_uri()
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", url, shallow], check=True)
    monkeypatch.setattr(order, "PROJECT_FOLDER", shallow)
    deployed(machine, entry("update", commits[2]))

    assert refused() == "the clone is shallow, so the order of commits is not known; allowed: a clone with all commits"


def test_a_failure_of_git_is_reported(machine: Machine, git: Git, tmp_path: Path) -> None:
    deployed(machine, entry("update", UNKNOWN))
    assert git("status")
    shutil.rmtree(tmp_path / "repository" / ".git")
    (tmp_path / "repository" / ".git").write_text("gitdir: nowhere", encoding="utf-8")

    assert refused().startswith("`git rev-parse` failed: fatal: ")


@pytest.mark.usefixtures("commits")
@pytest.mark.parametrize(
    "output", ["warning: new version\n[]", "null", '[{"kind": "update", "environment": [1]}]', "[1]"]
)
def test_a_history_of_another_form_is_reported(machine: Machine, output: str) -> None:
    machine.pulumi.answer("stack", "history", output=output)

    assert refused().startswith("the output of `pulumi stack history --json` cannot be read: ")


@pytest.mark.usefixtures("commits")
def test_a_history_that_cannot_be_read_stops_the_plan(machine: Machine) -> None:
    machine.pulumi.answer("stack", "history", messages=NO_STACK, status=255)

    assert refused().startswith("the backend has no stack dev; the task `pulumi-create-stack`")


def test_outside_ci_the_order_is_not_checked(
    machine: Machine, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI")
    deployed(machine, entry("update", commits[2]))

    assert require_order("dev") == ""
    assert machine.pulumi.calls == []
