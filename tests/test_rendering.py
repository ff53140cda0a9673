"""Tests that rendering is reproducible from any source and never changes an existing folder, and that cruft works."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cookiecutter.exceptions import OutputDirExistsException
from cookiecutter.main import cookiecutter

from hooks.post_gen_project import address
from tests.combinations import QUESTIONS, ROOT
from tests.projects import Project

# Files and folders that Cookiecutter needs to render.
TEMPLATE = ("cookiecutter.json", "hooks", "templates", "{{cookiecutter.project_slug}}")


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(name="config")
def fixture_config(tmp_path: Path) -> str:
    """A Cookiecutter configuration that keeps cloned templates and replay files in the test's folder."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"cookiecutters_dir: {tmp_path / 'cookiecutters'}\nreplay_dir: {tmp_path / 'replay'}\n", encoding="utf-8"
    )
    return str(config)


@pytest.fixture(name="template")
def fixture_template(tmp_path: Path) -> Path:
    """A copy of the template's files that Cookiecutter needs."""
    copy = tmp_path / "cookiecutter-pulumi-aws"
    copy.mkdir()
    for name in TEMPLATE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Team", "-c", "user.email=team@example.com", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout.strip()


@pytest.mark.parametrize("source", ["folder", "zip", "git", "without hooks"])
def test_every_source_renders_the_same_bytes(
    default_project: Project, template: Path, config: str, tmp_path: Path, source: str
) -> None:
    address = str(template)
    if source == "zip":
        address = shutil.make_archive(str(tmp_path / "template"), "zip", template.parent, template.name)
    elif source == "git":
        commit_all(template, "A template")
        address = template.as_uri().replace("file:///", "git+file:///")
    output, has_hooks = str(tmp_path / "out"), source != "without hooks"

    rendered = cookiecutter(address, no_input=True, output_dir=output, config_file=config, accept_hooks=has_hooks)

    expected, found = content(default_project.path), content(Path(rendered))
    # The record contains the template's commit.
    record = json.loads(expected.pop(".template.json"))
    if has_hooks:
        commit = git(template, "rev-parse", "HEAD") if source == "git" else ""
        assert json.loads(found.pop(".template.json")) == record | {"commit": commit}
        assert found == expected
    # With the default answers, the hooks only remove files.
    assert found.items() >= expected.items()


def test_an_existing_folder_is_not_changed(config: str, tmp_path: Path) -> None:
    existing = tmp_path / "event-pipeline"
    existing.mkdir()
    (existing / "notes.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(OutputDirExistsException):
        cookiecutter(str(ROOT), no_input=True, output_dir=str(tmp_path), config_file=config)

    assert content(existing) == {"notes.txt": b"mine"}


def test_rendering_inside_a_git_repository_leaves_git_alone(config: str, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    rendered = cookiecutter(str(ROOT), no_input=True, output_dir=str(tmp_path), config_file=config)

    assert not (Path(rendered) / ".git").exists()


def test_rendering_needs_no_tool_on_the_path(config: str, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--config-file", config, "-o", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PATH"} | {"PATH": str(tmp_path)},
    )

    assert finished.returncode == 0, finished.stderr


def test_a_templates_url_is_recorded_unless_it_may_contain_a_secret() -> None:
    recorded = {
        "gh:OWNER/template": "https://github.com/OWNER/template",
        "gl:OWNER/template": "https://gitlab.com/OWNER/template",
        "bb:OWNER/template": "https://bitbucket.org/OWNER/template",
        "git@git.example.com:OWNER/template.git": "https://git.example.com/OWNER/template.git",
        "https://git.example.com/OWNER/template.git": "https://git.example.com/OWNER/template.git",
    }
    others = [
        "/home/somebody/template",
        "C:\\Users\\somebody\\template",
        "file:///home/somebody/template",
        "template.zip",
        "https://user:password@git.example.com/template.git",
        "https://git.example.com/template.zip?token=secret",
    ]

    assert {each: address(each) for each in [*recorded, *others]} == recorded | dict.fromkeys(others, "")


def test_a_clone_of_the_template_records_where_it_was_cloned_from(template: Path, config: str, tmp_path: Path) -> None:
    commit_all(template, "A template")
    git(template, "remote", "add", "origin", "git@git.example.com:OWNER/template.git")

    rendered = cookiecutter(str(template), no_input=True, output_dir=str(tmp_path), config_file=config)

    record = json.loads((Path(rendered) / ".template.json").read_text(encoding="utf-8"))
    assert record["template"] == "https://git.example.com/OWNER/template.git"


@pytest.fixture(name="versioned")
def fixture_versioned(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template in a git repository of its own, isolated from the user's git configuration."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Template")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "template@example.com")
    commit_all(template, "A template")
    return template


def commit_all(folder: Path, message: str) -> None:
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", message)


def publish_news(template: Path) -> None:
    """Commit a change to the template and to its version."""
    ignored = template / "{{cookiecutter.project_slug}}" / ".gitignore"
    ignored.write_text(ignored.read_text(encoding="utf-8") + "\n# News of the template\nnews/\n", encoding="utf-8")
    questions = template / "cookiecutter.json"
    version = f'"_template_version": "{QUESTIONS["_template_version"]}"'
    assert version in questions.read_text(encoding="utf-8")
    news = questions.read_text(encoding="utf-8").replace(version, '"_template_version": "98.7.6"')
    questions.write_text(news, encoding="utf-8")
    commit_all(template, "News")


@pytest.mark.slow
def test_cruft_creates_and_updates_a_project_as_the_readme_says(versioned: Path, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    create, update = map(shlex.split, readme.rpartition("```sh\n")[2].partition("```")[0].splitlines())
    uvx = [sys.executable, "-m", "uv", "tool", "run"]
    assert (create[0], create[-1]) == ("uvx", "https://github.com/OWNER/cookiecutter-pulumi-aws")

    # Empty lines accept the defaults.
    run = partial(subprocess.run, check=True, capture_output=True, encoding="utf-8")
    said = run([*uvx, *create[1:-1], str(versioned)], cwd=tmp_path, input="\n" * len(QUESTIONS)).stdout
    project = tmp_path / "event-pipeline"
    commit_all(project, "A project")
    publish_news(versioned)
    said += run([*uvx, *update[1:]], cwd=project, input="y\n").stdout

    assert "news/" in (project / ".gitignore").read_text(encoding="utf-8")
    assert json.loads((project / ".template.json").read_text(encoding="utf-8"))["rendered"] == "98.7.6"
    # cruft also renders temporary projects, whose folder must not be shown.
    assert "Your project is in" not in said
