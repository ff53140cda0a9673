"""Tests of all rendered files: names, formats, line endings, licence, versions, and rules for git and editors."""

import hashlib
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import editorconfig
import pytest
import yaml

from tests.combinations import CHOICES, COMBINATIONS, ROOT
from tests.combinations import name as combination_name
from tests.projects import Project

TEMPLATE_FOLDER = ROOT / "{{cookiecutter.project_slug}}"
# Jinja syntax that was not rendered. Braces in Python code are fine.
LEFTOVERS = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}|^#%|cookiecutter\.", flags=re.MULTILINE)
PYTHON_LEFTOVERS = re.compile(r"\{%|%\}|\{#|#\}|^#%|cookiecutter\.", flags=re.MULTILINE)
# Expressions of GitHub Actions use Jinja's braces.
EXPRESSIONS = re.compile(r"\$\{\{ [^{}]+ \}\}")
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
WINDOWS_REFUSES = re.compile(r'[<>:"|?*\\]|[ .]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', flags=re.IGNORECASE)
REGISTRIES = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted", "index-url", "extra-index")))
# SHA-256 of each licence's words, without the copyright line.
LICENSE_DIGESTS = {
    "MIT": "7c9b48b52decb9837c70f608678129e1ac79e056829c8d1e82e8cdd8aed562f8",
    "Apache-2.0": "0649bc87ac07c40d996369e9e058b11734e3eedb25ae8be9e6293f1efb340353",
    "BSD-3-Clause": "77bebd765dc6e78c3feb4e9856b5d733a736a0ce9621764f9a604daf488d6941",
    "Proprietary": "d02fdfffc5b82520fa4519d440a98098e5364e5873091ef66da7520a42d1b314",
}
# Files from tools, tasks and editors, which git ignores.
WRITTEN = {
    ".DS_Store",
    ".coverage",
    ".coverage.host.pid1234.Xabcdef",
    ".idea/workspace.xml",
    ".local/emulator.log",
    ".pulumi/stacks/event-pipeline/dev.json",
    ".pytest_cache/README.md",
    ".ruff_cache/CACHEDIR.TAG",
    ".venv/pyvenv.cfg",
    ".vscode/settings.json",
    "build/processor.zip",
    "cfn-outputs/flat-outputs.json",
    "coverage/coverage.xml",
    "tools/__pycache__/settings.cpython-311.pyc",
}
COMMITTED_LATER = {"uv.lock", "Pipfile.lock", "Pulumi.qa.yaml", ".cruft.json"}


def test_every_pair_of_values_is_rendered() -> None:
    wanted = {
        ((first, x), (second, y))
        for first in CHOICES
        for second in CHOICES
        if first < second
        for x in CHOICES[first]
        for y in CHOICES[second]
    }
    rendered = {(a, b) for combination in COMBINATIONS for a in combination.items() for b in combination.items()}

    assert wanted <= rendered


def test_no_template_syntax_is_left(project: Project) -> None:
    for path in project.files():
        pattern = PYTHON_LEFTOVERS if path.suffix == ".py" else LEFTOVERS
        text = path.read_text(encoding="utf-8")
        if ".github" in path.parts:
            text = EXPRESSIONS.sub("", text)
        assert not pattern.search(text), path
        assert not LEFTOVERS.search(path.relative_to(project.path).as_posix()), path


def test_python_files_are_copied_unchanged(project: Project) -> None:
    for path in project.path.rglob("*.py"):
        folder = TEMPLATE_FOLDER / path.parent.relative_to(project.path)
        # The post-generation hook may rename a file within its folder.
        assert path.read_bytes() in {each.read_bytes() for each in folder.glob("*.py")}, path


def test_files_have_unix_line_endings_and_no_trailing_whitespace(project: Project) -> None:
    for path in project.files():
        content = path.read_bytes()
        if not content:
            assert path.name == "__init__.py", f"{path} is empty"
            continue
        assert b"\r" not in content, path
        assert content.endswith(b"\n"), path
        assert not content.endswith(b"\n\n"), path
        assert not re.search(rb"[ \t]$", content, flags=re.MULTILINE), path


def test_names_are_allowed_on_windows_and_no_folder_is_empty(project: Project) -> None:
    for path in project.path.rglob("*"):
        assert not WINDOWS_REFUSES.search(path.name), path
        assert path.is_file() or any(path.iterdir()), path


def test_names_in_the_template_are_allowed_on_windows() -> None:
    for path in TEMPLATE_FOLDER.rglob("*"):
        assert not WINDOWS_REFUSES.search(path.name), path


@pytest.mark.parametrize("answers", COMBINATIONS[::3], ids=combination_name)
def test_no_file_names_the_templates_own_default_once_renamed(
    bake: Callable[..., Project], answers: dict[str, str]
) -> None:
    renamed = bake(project_name="Orders", **answers)

    for path in renamed.files():
        assert not re.search("event-pipeline|Event Pipeline", path.read_text(encoding="utf-8")), path


def test_no_file_names_a_registry_a_person_or_an_account(project: Project) -> None:
    for path in project.files():
        text = path.read_text(encoding="utf-8")
        assert not REGISTRIES.search(text), path
        domains = set(re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text))
        assert all(re.search(r"(^|\.)example\.(com|1)$", domain) for domain in domains), path
        assert set(re.findall(r"(?<![\w-])\d{12}(?![\w-])", text)) <= {"123456789012"}, path


def test_yaml_toml_and_json_parse(project: Project) -> None:
    parsers = {".yaml": yaml.safe_load, ".yml": yaml.safe_load, ".toml": tomllib.loads, ".json": json.loads}
    for path in project.files():
        if path.suffix in parsers:
            assert parsers[path.suffix](path.read_text(encoding="utf-8")), path


def licence_digest(text: str) -> str:
    """Return the SHA-256 of a licence's words, without the copyright line."""
    kept = [line for line in text.splitlines() if not re.match(r" *Copyright (\(c\) )?Platform Team", line)]
    return hashlib.sha256(" ".join(" ".join(kept).split()).encode()).hexdigest()


def test_the_licence_is_the_chosen_one_and_complete(project: Project) -> None:
    chosen = project.answers["license"]
    named = "proprietary, all rights reserved" if chosen == "Proprietary" else chosen

    assert licence_digest(project.read("LICENSE")) == LICENSE_DIGESTS[chosen]
    assert re.search(r"Copyright (\(c\) )?Platform Team", project.read("LICENSE"))
    assert project.toml("pyproject.toml")["project"]["license"].endswith(chosen)
    assert f"[Licence](LICENSE): {named}." in project.read("README.md")


def test_the_templates_own_licence_is_complete() -> None:
    text = re.sub(r"Copyright \(c\) .*", "Copyright (c) Platform Team", (ROOT / "LICENSE").read_text(encoding="utf-8"))

    assert licence_digest(text) == LICENSE_DIGESTS["MIT"]


def test_the_chosen_python_and_package_manager_are_used(project: Project) -> None:
    pyproject = project.toml("pyproject.toml")
    python, runtime = project.answers["python_version"], project.answers["lambda_runtime"]
    oldest = min(python, runtime.removeprefix("python"))

    assert pyproject["project"]["requires-python"] == f">={python}"
    assert pyproject["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert pyproject["tool"]["pylint"]["main"]["py-version"] == oldest
    assert pyproject["tool"]["ty"]["environment"]["python-version"] == oldest
    assert ".python-version" not in project.names()
    is_pipenv = project.package_manager == "pipenv"
    assert ("Pipfile" in project.names()) is is_pipenv
    assert not is_pipenv or "requires" not in project.toml("Pipfile")
    # Pulumi has no toolchain for Pipenv; without `options`, it uses the Python on the PATH:
    # https://www.pulumi.com/docs/iac/concepts/projects/project-file/#runtime-options
    assert project.yaml("Pulumi.yaml")["runtime"].get("options") == (None if is_pipenv else {"toolchain": "uv"})


# The template and its projects have separate files for git and editors.
both = pytest.mark.parametrize("owner", ["project", "template"])


@pytest.fixture(name="folder")
def fixture_folder(owner: str, default_project: Project) -> Path:
    return default_project.path if owner == "project" else ROOT


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """Run git without system or user configuration, and return its output."""
    finished = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments],
        cwd=folder,
        check=False,
        input=given,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
    )
    # check-ignore exits with 1 if git ignores none of the files.
    assert finished.returncode in {0, 1}, finished.stderr
    return finished.stdout


def test_git_ignores_all_generated_files_and_nothing_else(default_project: Project, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text(default_project.read(".gitignore"), encoding="utf-8")
    names = {*default_project.names(), *COMMITTED_LATER, *WRITTEN}

    assert set(git(tmp_path, "check-ignore", "--stdin", given="\n".join(names)).splitlines()) == WRITTEN


@both
def test_git_checks_out_text_with_the_same_line_endings_everywhere(folder: Path, tmp_path: Path) -> None:
    given = {"text.txt": b"a\nb\n", "windows.txt": b"a\r\nb\r\n", "image.png": b"\x89PNG\r\n\x1a\n\0\r\n"}
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "core.autocrlf", "true")
    (tmp_path / ".gitattributes").write_bytes((folder / ".gitattributes").read_bytes())
    for name, content in given.items():
        (tmp_path / name).write_bytes(content)
    git(tmp_path, "add", ".")
    for name in given:
        (tmp_path / name).unlink()
    git(tmp_path, "checkout", "--", ".")

    assert {name: (tmp_path / name).read_bytes() for name in given} == given | {"windows.txt": b"a\nb\n"}


@both
def test_editorconfig_matches_the_formatter(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".editorconfig").write_bytes((folder / ".editorconfig").read_bytes())
    width = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["line-length"]
    common = {"charset": "utf-8", "end_of_line": "lf", "insert_final_newline": "true", "indent_style": "space"}
    common |= {"trim_trailing_whitespace": "true", "max_line_length": str(width)}

    for name, indent in {"a.py": "4", "a.yaml": "2", "a.toml": "2"}.items():
        told = editorconfig.get_properties(str(tmp_path / name))
        assert told == common | {"indent_size": indent, "tab_width": indent}
    assert editorconfig.get_properties(str(tmp_path / "Makefile"))["indent_style"] == (
        "tab" if (folder / "Makefile").exists() else "space"
    )
