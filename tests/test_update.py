"""Tests of ``scripts/update.py``, which merges a template release into a project that its team has changed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest

from scripts.update import is_owned, resolve_generated
from tests.combinations import QUESTIONS, ROOT
from tests.projects import Project
from tests.test_rendering import TEMPLATE, commit_all, content, git

OLD, NEW, NEWEST = QUESTIONS["_template_version"], "98.7.6", "98.8.0"
RECORD = ".template.json"
RENDERED = "{{cookiecutter.project_slug}}"
# The team's changes (file, old text, new text) to a value, a document, a generated block and a new stack.
TEAM = (
    ("Pulumi.dev.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 768"),
    ("docs/costs.md", "# Costs", "# What it costs"),
    ("docs/configuration.md", "| `batchSize` | `10` |", "| `batchSize` | `11` |"),
    ("Pulumi.qa.yaml", "environmentSuffix: dev", "environmentSuffix: qa"),
)
# The new release changes files that the team owns and a file that the template owns, and adds a question.
NEWS = (
    (f"{RENDERED}/.gitignore", "coverage/", "coverage/\nnews/"),
    (f"{RENDERED}/tools/__init__.py", '"""', '"""News: '),
    (f"{RENDERED}/docs/configuration.md", "Maximum number of messages in a batch", "Most messages in a batch"),
    ("cookiecutter.json", '  "_template_version"', '  "mascot": ["badger", "otter"],\n  "_template_version"'),
    ("cookiecutter.json", '"__prompts__": {', '"__prompts__": {\n    "mascot": {"__prompt__": "Mascot of the team"},'),
    ("cookiecutter.json", OLD, NEW),
    ("CHANGELOG.md", "\n## ", f"\n## {NEW}\n\nEvery team gets a mascot.\n\n## "),
)


def replace(folder: Path, *changes: tuple[str, str, str]) -> None:
    for name, old, new in changes:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text, name
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture(autouse=True)
def no_git_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate git from the user's configuration."""
    set_identity(tmp_path, monkeypatch)


def set_identity(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(home / "home"))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Team")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "team@example.com")


@pytest.fixture(scope="module", name="released")
def fixture_released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a git repository of the template, whose release is tagged, and a committed project of it."""
    folder = tmp_path_factory.mktemp("released")
    template = folder / "template"
    copy_template(template)
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_identity(folder, monkeypatch)
        release(template, OLD)
        commit_all(render(template, folder), "A project")
    return folder


def copy_template(folder: Path) -> None:
    """Copy the files that render and update projects, without untracked ones."""
    tracked = git(ROOT, "ls-files", "-z", "--", *TEMPLATE, "scripts", "CHANGELOG.md", "pyproject.toml").split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())


def release(template: Path, version: str) -> None:
    commit_all(template, f"Release {version}")
    git(template, "tag", f"v{version}")


@pytest.fixture(name="template")
def fixture_template(released: Path, tmp_path: Path) -> Path:
    """A copy of the template's repository."""
    return Path(shutil.copytree(released / "template", tmp_path / "template"))


@pytest.fixture(name="project")
def fixture_project(released: Path, template: Path, tmp_path: Path) -> Path:
    """A copy of the committed project, whose template has published a newer release."""
    replace(template, *NEWS)
    release(template, NEW)
    return Path(shutil.copytree(released / "event-pipeline", tmp_path / "event-pipeline"))


def render(template: Path, folder: Path, **answers: str) -> Path:
    file = folder / "answers.yaml"
    file.write_text(json.dumps({"default_context": answers}), encoding="utf-8")
    program(template, "scripts.new", "--answers", str(file), "--output", str(folder))
    return folder / "event-pipeline"


def program(template: Path, module: str, *arguments: str, expected: int = 0) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=template,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert finished.returncode == expected, finished.stdout
    return finished.stdout


def update(template: Path, project: Path, expected: int = 0) -> str:
    return program(template, "scripts.update", str(project), expected=expected)


def read_record(project: Path) -> dict[str, Any]:
    return json.loads((project / RECORD).read_text(encoding="utf-8"))


def files(project: Path) -> dict[str, bytes]:
    return {name: each for name, each in content(project).items() if not name.startswith(".git/")}


pytestmark = pytest.mark.slow


def test_a_project_without_changes_becomes_what_the_release_renders(
    template: Path, project: Path, tmp_path: Path
) -> None:
    said = update(template, project)

    (tmp_path / "fresh").mkdir()
    assert files(project) == files(render(template, tmp_path / "fresh"))
    assert git(project, "status", "--porcelain") == ""
    assert "Every team gets a mascot." in said
    assert "    mascot: badger" in said
    commands = "\n    uv sync\n    uv run poe generate\n    uv run poe check\n"
    assert f"update: merged {NEW}. Run, and commit what changes:\n{commands}\nPush the merge as it is: " in said
    assert update(template, project).endswith(f"update: nothing to merge from {NEW}\n")


def test_the_teams_changes_are_kept_and_the_templates_files_replaced(template: Path, project: Path) -> None:
    (project / "Pulumi.qa.yaml").write_bytes((project / "Pulumi.dev.yaml").read_bytes())
    replace(project, *TEAM)
    replace(project, ("tools/__init__.py", '"""', '"""Changed. '), ("renovate.json", "7 days", "3 days"))
    record = read_record(project)
    del record["owned"]["renovate.json"]
    (project / RECORD).write_text(json.dumps(record), encoding="utf-8")
    commit_all(project, "Changes")

    update(template, project)

    for name, _, new in TEAM:
        assert new in (project / name).read_text(encoding="utf-8"), name
    assert "news/" in (project / ".gitignore").read_text(encoding="utf-8")
    assert (project / "tools/__init__.py").read_text(encoding="utf-8").startswith('"""News: ')
    assert "3 days" in (project / "renovate.json").read_text(encoding="utf-8")
    found = read_record(project)
    assert found["owned"].keys() == record["owned"].keys()
    assert (found["version"], found["rendered"], found["answers"]["mascot"]) == (NEW, NEW, "badger")


def test_conflicts_are_left_to_git_and_their_resolution_is_kept(template: Path, project: Path) -> None:
    # `generate` writes no blocks in this file, so the begin and end lines mean nothing here.
    replace(project, (".gitignore", "coverage/", "# ours: begin\ncoverage/\nreports/\n# ours: end"))
    commit_all(project, "Ignore reports")

    said = update(template, project, expected=1)

    assert "These files have conflicts:\n\n    .gitignore\n\nResolve them" in said
    assert git(project, "diff", "--name-only", "--diff-filter=U") == ".gitignore"
    ignored = (project / ".gitignore").read_text(encoding="utf-8")
    (project / ".gitignore").write_text(re.sub(r"^[<=>]{7}.*\n", "", ignored, flags=re.MULTILINE), encoding="utf-8")
    git(project, "add", ".gitignore")
    git(project, "commit", "--quiet", "--no-edit")

    replace(template, (f"{RENDERED}/docs/costs.md", "# Costs", "# Prices"), ("cookiecutter.json", NEW, NEWEST))
    release(template, NEWEST)
    update(template, project)

    assert {"reports/", "news/"} <= {*(project / ".gitignore").read_text(encoding="utf-8").splitlines()}
    assert (project / "docs/costs.md").read_text(encoding="utf-8").startswith("# Prices\n")


def test_the_next_update_repeats_an_aborted_one(template: Path, project: Path) -> None:
    replace(project, (".gitignore", "coverage/", "coverage/\nreports/"))
    commit_all(project, "Ignore reports")
    before = files(project)
    update(template, project, expected=1)
    git(project, "merge", "--abort")
    assert files(project) == before

    replace(project, (".gitignore", "coverage/\nreports/", "coverage/"))
    commit_all(project, "Do not ignore reports")
    update(template, project)

    assert read_record(project)["rendered"] == NEW


def test_an_update_to_the_release_of_the_project_changes_nothing(template: Path, tmp_path: Path) -> None:
    project = render(template, tmp_path)
    commit_all(project, "A project")
    before = files(project)

    head = git(project, "rev-parse", "HEAD")

    said = update(template, project)

    assert said.endswith(f"update: nothing to merge from {OLD}\n")
    assert (files(project), git(project, "rev-parse", "HEAD")) == (before, head)


def test_an_answer_that_is_changed_after_an_update_is_rendered(template: Path, project: Path) -> None:
    update(template, project)
    replace(project, (RECORD, '"license": "MIT"', '"license": "Apache-2.0"'))
    commit_all(project, "Change the licence")

    update(template, project)

    assert "Apache License" in (project / "LICENSE").read_text(encoding="utf-8")


def test_an_answer_that_is_no_longer_a_choice_is_asked_again(template: Path, project: Path) -> None:
    replace(template, ("cookiecutter.json", '"license": ["MIT", ', '"license": ['))
    release(template, NEWEST)

    assert "    license: Apache-2.0" in update(template, project)


def test_an_update_after_a_squashed_one_starts_from_the_release(template: Path, project: Path) -> None:
    replace(project, (".gitignore", "coverage/", "coverage/\nreports/"))
    commit_all(project, "Ignore reports")
    before = git(project, "rev-parse", "HEAD")
    update(template, project, expected=1)
    ignored = (project / ".gitignore").read_text(encoding="utf-8")
    (project / ".gitignore").write_text(re.sub(r"^[<=>]{7}.*\n", "", ignored, flags=re.MULTILINE), encoding="utf-8")
    commit_all(project, "Resolve")
    git(project, "reset", "--soft", before)
    git(project, "commit", "--quiet", "--message", "All of it in one commit")
    git(project, "branch", "--quiet", "--delete", "--force", "template")

    replace(template, (f"{RENDERED}/docs/costs.md", "# Costs", "# Prices"), ("cookiecutter.json", NEW, NEWEST))
    release(template, NEWEST)
    update(template, project)

    assert (project / "docs/costs.md").read_text(encoding="utf-8").startswith("# Prices\n")


OURS, BASE, THEIRS = "<<<<<<< HEAD\n| a |\n", "||||||| base\n| b |\n", "=======\n| c |\n>>>>>>> template\n"
BEGIN, END = "<!-- settings: begin (written by the task `generate`) -->\n", "<!-- settings: end -->\n"


@pytest.mark.parametrize("conflict", [OURS + THEIRS, OURS + BASE + THEIRS], ids=["merge", "diff3"])
def test_conflicts_in_generated_blocks_keep_the_teams_lines(conflict: str) -> None:
    others = conflict + "text\n"

    assert resolve_generated(others + BEGIN + conflict + END + others) == f"{others}{BEGIN}| a |\n{END}{others}"


@pytest.mark.parametrize("has_tree", [True, False], ids=["rebased rendering", "team's title"])
def test_an_update_ignores_a_commit_that_only_looks_like_a_rendering(
    template: Path, project: Path, has_tree: bool
) -> None:
    update(template, project)
    replace(project, TEAM[0])
    message = git(project, "log", "-1", "--format=%B", "template") if has_tree else f"Template {NEW}"
    git(project, "commit", "--quiet", "--all", "--message", message)
    replace(template, (f"{RENDERED}/docs/costs.md", "# Costs", "# Prices"), ("cookiecutter.json", NEW, NEWEST))
    release(template, NEWEST)

    update(template, project)

    assert TEAM[0][2] in (project / TEAM[0][0]).read_text(encoding="utf-8")
    assert (project / "docs/costs.md").read_text(encoding="utf-8").startswith("# Prices\n")


def test_the_teams_changes_follow_a_file_that_the_release_moves(template: Path, project: Path) -> None:
    moved = {"renovate.json": ".github/renovate.json", "scripts/local_send.py": "tools/local_send.py"}
    replace(project, ("renovate.json", "7 days", "3 days"), ("scripts/local_send.py", '"""', '"""Our own. '))
    record = read_record(project)
    del record["owned"]["renovate.json"]
    (project / RECORD).write_text(json.dumps(record), encoding="utf-8")
    commit_all(project, "Changes")
    for old, new in moved.items():
        (template / RENDERED / old).rename(template / RENDERED / new)
    replace(template, ("hooks/post_gen_project.py", '"renovate.json"', '".github/renovate.json"'))
    release(template, NEWEST)

    said = update(template, project)

    assert "3 days" in (project / ".github/renovate.json").read_text(encoding="utf-8")
    assert '"""Our own. ' in (project / "tools/local_send.py").read_text(encoding="utf-8")
    assert read_record(project)["owned"].keys().isdisjoint(moved.values())
    assert "replace your changes" not in said


def test_a_merge_that_git_cannot_finish_is_undone(template: Path, project: Path) -> None:
    before = files(project)
    git(project, "config", "filter.broken.clean", "cat")
    git(project, "config", "filter.broken.smudge", "awk '/news/ {found = 1} {print} END {exit found}'")
    git(project, "config", "filter.broken.required", "true")
    (project / ".git/info/attributes").write_text(".gitignore filter=broken\n", encoding="utf-8")

    said = update(template, project, expected=1)

    assert "update: `git merge` failed: " in said
    (project / ".git/info/attributes").unlink()
    assert (files(project), git(project, "status", "--porcelain")) == (before, "")
    update(template, project)
    assert read_record(project)["rendered"] == NEW


def test_a_file_that_is_edited_during_the_renderings_is_kept(template: Path, project: Path) -> None:
    edit = f"\nwith open({str(project / 'README.md')!r}, 'a') as file:\n    file.write('An hour of work')\n"
    hook = template / "hooks/post_gen_project.py"
    hook.write_text(hook.read_text(encoding="utf-8") + edit, encoding="utf-8")
    head = git(project, "rev-parse", "HEAD")

    said = update(template, project, expected=1)

    assert "update: there are uncommitted changes; commit or stash them first" in said
    assert (project / "README.md").read_text(encoding="utf-8").endswith("An hour of work")
    assert git(project, "rev-parse", "HEAD") == head


@pytest.mark.parametrize(
    ("origin", "before", "now", "changed", "expected"),
    [
        ("tools/ci.py", {"tools/ci.py"}, {"tools/ci.py"}, {"tools/ci.py"}, True),
        ("tools/ci.py", {"tools/ci.py"}, set(), set(), False),
        ("policies.toml", set(), set(), set(), True),
        ("policies.toml", set(), set(), {"policies.toml"}, False),
        ("scripts/ci.py", set(), set(), {"scripts/ci.py"}, False),
        ("scripts/ci.py", {"scripts/ci.py"}, {"scripts/ci.py"}, {"scripts/ci.py"}, True),
    ],
)
def test_a_released_file_is_the_templates_unless_the_team_has_its_own(
    origin: str, before: set[str], now: set[str], changed: set[str], expected: bool
) -> None:
    path = "tools/ci.py" if origin.startswith("scripts/") else origin

    assert is_owned(path, origin, before, now, changed) is expected


def test_changes_of_the_templates_files_are_replaced_and_listed(template: Path, project: Path) -> None:
    (project / "tools/own.py").touch()
    replace(project, ("tools/__init__.py", '"""', '"""Changed. '), ("tools/markdown.py", '"""', '"""Changed. '))
    (project / "tools/ci.py").unlink()
    commit_all(project, "Change tools")
    (template / RENDERED / "tools/markdown.py").rename(template / RENDERED / "tools/formats.py")
    release(template, NEWEST)

    said = update(template, project)

    replaced = "tools/__init__.py", "tools/ci.py", "tools/markdown.py"
    assert "The template's versions replace your changes in:\n" + "".join(f"\n    {name}" for name in replaced) in said
    assert {path.name for path in (project / "tools").glob("[cfmo]*.py")} == {"ci.py", "formats.py", "own.py"}
    assert "Changed." not in (project / "tools/formats.py").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="the hook is a shell script")
def test_a_commit_that_a_hook_refuses_can_be_repeated(template: Path, project: Path) -> None:
    hook = project / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not like this >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)

    said = update(template, project, expected=1)
    again = update(template, project, expected=1)
    hook.unlink()
    git(project, "commit", "--quiet", "--message", "By hand")

    assert "but a hook or git refused the commit:\nnot like this\n" in said
    assert "update: a merge, cherry-pick, revert or rebase is not finished; finish or abort it first" in again
    assert read_record(project)["rendered"] == NEW


def break_git(project: Path) -> None:
    (project / ".git").rename(project.parent / "history")


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no repository": (break_git, "update: the project is not in a git repository with a commit; commit it first"),
    "uncommitted changes": (
        lambda project: replace(project, TEAM[0]),
        "update: there are uncommitted changes; commit or stash them first",
    ),
    "the record is not committed": (
        lambda project: (
            git(project, "rm", "--quiet", "--cached", RECORD),
            replace(project, (".gitignore", "coverage/", f"coverage/\n{RECORD}")),
            git(project, "add", ".gitignore"),
            git(project, "commit", "--quiet", "--amend", "--no-edit"),
        ),
        f"update: no commit has the {RECORD} of {OLD}; commit it, or fetch the whole history",
    ),
    "an ignored file is in the way": (
        lambda project: (
            git(project, "rm", "--quiet", "--cached", "tools/local.py"),
            replace(project, (".gitignore", "coverage/", "coverage/\nlocal.py")),
            git(project, "commit", "--quiet", "--all", "--amend", "--no-edit"),
        ),
        f"update: {NEW} would overwrite files that are not in git: tools/local.py; move them away first",
    ),
    "an ignored file is in the way of a folder": (
        lambda project: (
            (project.parent / "template" / RENDERED / "notes").mkdir(),
            (project.parent / "template" / RENDERED / "notes/new.md").write_text("New\n", encoding="utf-8"),
            (project / "notes").write_text("Private\n", encoding="utf-8"),
            replace(project, (".gitignore", "coverage/", "coverage/\nnotes")),
            git(project, "commit", "--quiet", "--all", "--amend", "--no-edit"),
        ),
        f"update: {NEW} would overwrite files that are not in git: notes; move them away first",
    ),
    "an answer that is no longer allowed": (
        lambda project: (replace(project, (RECORD, "us-east-2", "moon")), commit_all(project, "A bad answer")),
        "aws_region_dev: 'moon' is refused",
    ),
    "the tag of the project's release is gone": (
        lambda project: (
            git(project.parent / "template", "tag", "--delete", f"v{OLD}"),
            replace(project, (RECORD, read_record(project)["commit"], "")),
            git(project, "commit", "--quiet", "--all", "--amend", "--no-edit"),
        ),
        f"has no tag v{OLD}, which this project was rendered with",
    ),
    "the team has a branch of that name": (
        lambda project: (
            git(project, "commit", "--quiet", "--allow-empty", "--message", "Template for e-mails"),
            git(project, "branch", "template"),
        ),
        "update: the branch `template` has other commits than renderings; rename it",
    ),
    "an older release": (
        lambda project: (
            replace(project, (RECORD, f'"rendered": "{OLD}"', '"rendered": "99.0.0"')),
            git(project, "commit", "--quiet", "--all", "--amend", "--no-edit"),
        ),
        f"update: {NEW} is older than 99.0.0, which this project was rendered with",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), REFUSALS.values(), ids=REFUSALS)
def test_an_update_is_refused_and_nothing_changed(
    template: Path, project: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(project)
    before = content(project)

    said = update(template, project, expected=1)

    assert message in said
    assert "Traceback" not in said
    changed = {name for name, each in content(project).items() if before.get(name) != each}
    assert {name for name in changed if not name.startswith(".git/objects/")} <= {".git/index"}


def test_a_project_in_a_subfolder_of_a_repository_is_refused(template: Path, tmp_path: Path) -> None:
    (tmp_path / "monorepo").mkdir()
    project = render(template, tmp_path / "monorepo")
    commit_all(tmp_path / "monorepo", "All projects")

    assert "update: the project must be the root of its git repository" in update(template, project, expected=1)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_new_questions_are_asked_at_a_terminal(template: Path, project: Path) -> None:
    process = pexpect.spawn(
        sys.executable, ["-m", "scripts.update", str(project)], cwd=template, encoding="utf-8", timeout=60
    )
    process.expect(r"\[\d+/\d+\].* Mascot of the team")
    process.sendline("2")
    process.expect(pexpect.EOF)

    assert "update: merged" in str(process.before)
    assert read_record(project)["answers"]["mascot"] == "otter"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups that receive SIGINT")
def test_an_interrupted_merge_changes_no_file_and_can_be_repeated(template: Path, project: Path) -> None:
    before, merging = files(project), project.parent / "merging"
    git(project, "config", "filter.slow.smudge", f"sh -c 'touch {merging}; sleep 20; cat'")
    (project / ".git/info/attributes").write_text(".gitignore filter=slow\n", encoding="utf-8")

    command = [sys.executable, "-m", "scripts.update", str(project)]
    with subprocess.Popen(command, cwd=template, stderr=subprocess.PIPE, start_new_session=True, text=True) as process:
        while not merging.exists():
            assert process.poll() is None
            time.sleep(0.05)
        (project / ".git/info/attributes").unlink()
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate()[1]

    assert (process.returncode, said.splitlines()[-1:]) == (
        1,
        ["update: interrupted; `git status` shows whether a merge is in progress"],
    )
    assert (files(project), git(project, "status", "--porcelain")) == (before, "")
    update(template, project)
    assert read_record(project)["rendered"] == NEW


def test_the_record_lists_the_files_that_the_template_owns(default_project: Project) -> None:
    record = read_record(default_project.path)

    assert record["answers"].keys() == {question for question in QUESTIONS if question[0] != "_"}
    assert [name for name in record["owned"] if not (default_project.path / name).exists()] == []
    # A team changes these files when it adds or removes a stack.
    assert record["owned"].keys().isdisjoint({".github/workflows/stacks.yml", ".github/workflows/deploy.yml"})
