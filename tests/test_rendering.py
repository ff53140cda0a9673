"""How projects are rendered: reproducibly, from wherever the template is, and never over another folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cookiecutter.exceptions import OutputDirExistsException
from cookiecutter.main import cookiecutter

from tests.combinations import ROOT
from tests.projects import Project

# What a copy of the template consists of, as git would hand it out.
TEMPLATE = ("cookiecutter.json", "hooks", "templates", "{{cookiecutter.project_slug}}")


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(name="config")
def fixture_config(tmp_path: Path) -> str:
    """A configuration of Cookiecutter that keeps its records in the test's own folder."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"cookiecutters_dir: {tmp_path / 'cookiecutters'}\nreplay_dir: {tmp_path / 'replay'}\n", encoding="utf-8"
    )
    return str(config)


@pytest.fixture(name="template")
def fixture_template(tmp_path: Path) -> Path:
    """A copy of the template's files."""
    copy = tmp_path / "cookiecutter-pulumi-aws"
    copy.mkdir()
    for name in TEMPLATE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Template", "-c", "user.email=template@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_rendering_twice_gives_the_same_bytes(default_project: Project, config: str, tmp_path: Path) -> None:
    again = cookiecutter(str(ROOT), no_input=True, output_dir=str(tmp_path / "again"), config_file=config)

    assert content(Path(again)) == content(default_project.path)


def test_a_zip_renders_the_same(default_project: Project, template: Path, config: str, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "template"), "zip", template.parent, template.name)

    rendered = cookiecutter(archive, no_input=True, output_dir=str(tmp_path / "out"), config_file=config)

    assert content(Path(rendered)) == content(default_project.path)


def test_a_git_clone_renders_the_same(default_project: Project, template: Path, config: str, tmp_path: Path) -> None:
    git(template, "init", "--quiet")
    git(template, "add", ".")
    git(template, "commit", "--quiet", "--message", "A template")

    rendered = cookiecutter(
        template.as_uri().replace("file:///", "git+file:///"),
        no_input=True,
        output_dir=str(tmp_path / "out"),
        config_file=config,
    )

    assert content(Path(rendered)) == content(default_project.path)


def test_rendering_without_hooks_gives_the_same_files(default_project: Project, config: str, tmp_path: Path) -> None:
    rendered = cookiecutter(
        str(ROOT), no_input=True, output_dir=str(tmp_path / "out"), config_file=config, accept_hooks=False
    )

    assert content(Path(rendered)) == content(default_project.path)


def test_a_folder_that_exists_is_left_alone(config: str, tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_cruft_creates_and_updates_a_project(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bake: Callable[..., Project]
) -> None:
    git(template, "init", "--quiet", "--initial-branch", "main")
    git(template, "add", ".")
    git(template, "commit", "--quiet", "--message", "A template")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Template")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "template@example.com")
    projects = tmp_path / "projects"
    projects.mkdir()

    def cruft(folder: Path, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "cruft", *arguments], cwd=folder, check=True, capture_output=True)

    cruft(projects, "create", str(template), "--no-input", "--extra-context", '{"project_name": "Orders"}')
    rendered = projects / "orders"
    assert content(rendered).keys() == {*content(bake(project_name="Orders").path), ".cruft.json"}
    git(rendered, "init", "--quiet", "--initial-branch", "main")
    git(rendered, "add", ".")
    git(rendered, "commit", "--quiet", "--message", "A project")

    ignored = template / "{{cookiecutter.project_slug}}" / ".gitignore"
    ignored.write_text(ignored.read_text(encoding="utf-8") + "\n# News of the template\nnews/\n", encoding="utf-8")
    git(template, "commit", "--quiet", "--all", "--message", "News")
    cruft(rendered, "update", "--skip-apply-ask")

    assert "news/" in (rendered / ".gitignore").read_text(encoding="utf-8")
    cruft(rendered, "check")
