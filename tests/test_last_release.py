"""Tests that projects of the last release can be updated to this version, and that they run this version's tools."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.update import CONFLICT
from tests.combinations import LAST, LAST_VERSION, QUESTIONS, ROOT
from tests.projects import Environment, Project
from tests.test_rendering import commit_all, git
from tests.test_update import (
    RECORD,
    RENDERED,
    copy_template,
    files,
    read_record,
    release,
    render,
    replace,
    set_identity,
)
from tests.test_update import update as update_project

pytestmark = pytest.mark.slow

VERSION = QUESTIONS["_template_version"]
# A team's commits in the default project of the last release: a setting, a table, a mandatory event field, a stack, a
# policy, values of prod, a dependency, a task, an error code, a threshold, and documents.
TEAM = ROOT / "tests" / "team.patch"
CONSOLE = '\n[tool.poe.tasks.console]\nhelp = "List the queues of the account"\ncmd = "aws sqs list-queues"\n'
INCLUDE = 'include = "tools/tasks.toml"\n'
# By file: the reason for the conflict, the side that resolves it (ours: the team's; theirs: the template's), and edits
# after that.
CONFLICTS: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "AGENTS.md": ("both changed the sentence that names the stacks", "theirs", []),
    "docs/continuous-deployment.md": ("both changed the sentences that name the stacks", "theirs", []),
    "processor/events.py": ("both changed the first line of a docstring", "ours", []),
    "pyproject.toml": ("the tasks are in tools/tasks.toml now", "theirs", [(INCLUDE, INCLUDE + CONSOLE)]),
    "tests/unit/infrastructure/test_resources.py": (
        "both changed the description of an alarm, and the retained resources; the key `type` became `type token`",
        "theirs",
        [
            ("More than 25 % of the messages fail", "More than 20 % of the messages fail"),
            ('RETAINED: Final = {\n    "key",\n', 'RETAINED: Final = {\n    "key",\n    "tenants",\n'),
            ('"type": "aws:dynamodb/table:Table"', '"type token": "aws:dynamodb/table:Table"'),
        ],
    ),
    "tests/unit/processor/test_errors.py": (
        "both changed the row of an error code",
        "theirs",
        [('"OptInRequired KMSOptInRequired', '"AccountProblem OptInRequired KMSOptInRequired')],
    ),
}


@pytest.fixture(scope="module", name="released")
def fixture_released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the template's repository, which has two releases, and a project rendered at the older one."""
    assert VERSION != LAST_VERSION, "raise `_template_version` in cookiecutter.json first"
    folder = tmp_path_factory.mktemp("released")
    template = folder / "template"
    git(folder, "clone", "--quiet", "--no-checkout", str(ROOT), str(template))
    try:
        git(template, "checkout", "--quiet", LAST)
    except subprocess.CalledProcessError:
        pytest.skip(f"this clone has no commit {LAST[:9]}; fetch the whole history")
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_identity(folder, monkeypatch)
        git(template, "tag", "--force", f"v{LAST_VERSION}")
        project = render(template, folder)
        commit_all(project, "A project")
        git(template, "rm", "-r", "--quiet", ".")
        copy_template(template)
        release(template, VERSION)
        replace(project, (RECORD, '"template": ""', f'"template": "{template.as_posix()}"'))
        git(project, "commit", "--quiet", "--all", "--amend", "--no-edit")
    return folder


@pytest.fixture(name="project")
def fixture_project(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the committed project of the last release."""
    set_identity(tmp_path, monkeypatch)
    return Path(shutil.copytree(released / "event-pipeline", tmp_path / "event-pipeline"))


def test_the_teams_commits_are_for_the_newest_release() -> None:
    tags = git(ROOT, "tag", "--list", "v*.*.*", "--sort=-version:refname").splitlines()

    assert tags[:1] in ([], [LAST]), "CONTRIBUTING.md says how to renew tests/team.patch after a release"


def test_an_edited_project_is_updated_and_passes_check(project: Path, environment: Environment) -> None:
    git(project, "am", "--quiet", str(TEAM))
    before = git(project, "log", "--format=%s", "--reverse").splitlines()

    check = environment.task(Project(project, {}), "update", "--check")
    updated = environment.task(Project(project, {}), "update")

    assert (check.returncode, updated.returncode) == (1, bool(CONFLICTS)), updated.stdout
    assert f"update: {VERSION} is available\n" in check.stdout
    assert re.findall(r"^    (.+)\n(?=(?:    .+\n)*\nResolve them)", updated.stdout, re.MULTILINE) == [*CONFLICTS]
    assert read_record(project)["owned"].keys().isdisjoint(CONFLICTS)
    for name, (_, side, changes) in CONFLICTS.items():
        text = (project / name).read_text(encoding="utf-8")
        (project / name).write_text(CONFLICT.sub(rf"\g<{side}>", text), encoding="utf-8")
        replace(project, *((name, old, new) for old, new in changes))
    generated = environment.task(Project(project, {}), "generate")
    commit_all(project, "Update the template")
    assert generated.returncode == 0, generated.stdout
    checked = environment.task(Project(project, {}), "check")
    assert checked.returncode == 0, checked.stdout
    assert {*before} < {*git(project, "log", "--format=%s").splitlines()}
    refused = environment.task(Project(project, {}), "update", LAST_VERSION)
    older = f"update: {LAST_VERSION} is older than {VERSION}, which this project was rendered with"
    assert (refused.returncode, refused.stdout.splitlines()[-1]) == (1, older)


@pytest.mark.parametrize("license_", ["MIT", "Apache-2.0"])
def test_an_unedited_project_becomes_what_this_version_renders(
    released: Path, project: Path, tmp_path: Path, license_: str
) -> None:
    replace(project, (RECORD, '"license": "MIT"', f'"license": "{license_}"'))
    git(project, "commit", "--quiet", "--allow-empty", "--all", "--message", "Choose a licence")

    update_project(released / "template", project)

    (tmp_path / "fresh").mkdir()
    fresh = render(released / "template", tmp_path / "fresh", license=license_)
    (fresh / RECORD).write_text(json.dumps(read_record(fresh) | {"template": read_record(project)["template"]}))
    (project / RECORD).write_text(json.dumps(read_record(project)))
    assert files(project) == files(fresh)


def test_the_tools_of_this_version_work_in_a_project_of_the_last_release(
    project: Path, environment_of: Callable[[Project], Environment]
) -> None:
    if LAST_VERSION.partition(".")[0] != VERSION.partition(".")[0]:
        pytest.skip(f"{VERSION} is a major version, which may change what tools/ expects of a project")
    shutil.rmtree(project / "tools")
    shutil.copytree(ROOT / RENDERED / "tools", project / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    record = read_record(project)
    record["owned"] = {name: digest for name, digest in record["owned"].items() if name.split("/")[0] != "tools"}
    (project / RECORD).write_text(json.dumps(record), encoding="utf-8")

    checked = environment_of(Project(project, {})).task(Project(project, {}), "check")

    assert checked.returncode == 0, checked.stdout
