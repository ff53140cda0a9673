"""Rules for every file of every rendered project."""

import json
import re
import tomllib
from collections.abc import Callable

import pytest
import yaml

from tests.combinations import CHOICES, COMBINATIONS, QUESTIONS, ROOT
from tests.combinations import name as combination_name
from tests.projects import Project

TEMPLATE_FOLDER = ROOT / "{{cookiecutter.project_slug}}"
# Jinja syntax that was not rendered. Braces in Python code are fine.
LEFTOVERS = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}|^#%|cookiecutter\.", flags=re.MULTILINE)
# GitHub's expressions have the same braces.
EXPRESSIONS = re.compile(r"\$\{\{ [^{}]+ \}\}")
# A Python format string may contain a brace.
PYTHON_LEFTOVERS = re.compile(r"\{%|%\}|\{#|#\}|^#%|cookiecutter\.", flags=re.MULTILINE)
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
WINDOWS_REFUSES = re.compile(r'[<>:"|?*\\]|[ .]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', flags=re.IGNORECASE)
REGISTRIES = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted", "index-url", "extra-index")))

REQUIRED = {
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CONTRIBUTING.md",
    "LICENSE",
    "Pulumi.dev.yaml",
    "Pulumi.local.yaml",
    "Pulumi.prod.yaml",
    "Pulumi.staging.yaml",
    "Pulumi.yaml",
    "README.md",
    "__main__.py",
    "pyproject.toml",
}
LICENSE_BEGINS = {
    "MIT": "MIT License\n",
    "Apache-2.0": "                                 Apache License\n",
    "BSD-3-Clause": "BSD 3-Clause License\n",
    "Proprietary": "Copyright (c) Platform Team. All rights reserved.\n",
}


def test_every_value_of_every_choice_is_rendered() -> None:
    for question, values in CHOICES.items():
        assert {combination[question] for combination in COMBINATIONS} == set(values)


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
    for name in project.python_files():
        assert (project.path / name).read_bytes() == (TEMPLATE_FOLDER / name).read_bytes()


def test_all_files_are_rendered_for_the_chosen_package_manager_only(project: Project) -> None:
    assert project.names() >= REQUIRED
    assert ("Pipfile" in project.names()) is (project.package_manager == "pipenv")


def test_lines_end_as_they_should(project: Project) -> None:
    for path in project.files():
        content = path.read_bytes()
        if not content:
            assert path.name == "__init__.py", f"{path} is empty"
            continue
        assert b"\r" not in content, path
        assert content.endswith(b"\n"), path
        assert not content.endswith(b"\n\n"), path
        assert not re.search(rb"[ \t]$", content, flags=re.MULTILINE), path


def test_no_folder_is_empty(project: Project) -> None:
    assert [path for path in project.path.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


def test_names_are_allowed_on_windows(project: Project) -> None:
    for path in project.path.rglob("*"):
        assert not WINDOWS_REFUSES.search(path.name), path


def test_names_in_the_template_are_allowed_on_windows() -> None:
    for path in ROOT.rglob("*"):
        if not path.relative_to(ROOT).parts[0].startswith((".venv", ".git", "build")):
            assert not WINDOWS_REFUSES.search(path.name), path


def test_no_file_names_another_project(project: Project) -> None:
    assert project.slug == "event-pipeline"
    named = re.compile(r"\b([a-z][a-z0-9-]*):(?:environment|lambda|batch|notification)[A-Za-z]*\b")
    for path in project.files():
        if path.suffix in {".yaml", ".md", ".toml"}:
            namespaces = set(named.findall(path.read_text(encoding="utf-8")))
            assert namespaces <= {project.slug}, path


@pytest.mark.parametrize("answers", COMBINATIONS[::3], ids=combination_name)
def test_no_file_names_the_templates_own_default_once_renamed(
    bake: Callable[..., Project], answers: dict[str, str]
) -> None:
    renamed = bake(project_name="Orders", **answers)

    for path in renamed.files():
        assert "event-pipeline" not in path.read_text(encoding="utf-8"), path
        assert "Event Pipeline" not in path.read_text(encoding="utf-8"), path


def test_no_file_names_a_registry_or_an_author(project: Project) -> None:
    for path in project.files():
        assert not REGISTRIES.search(path.read_text(encoding="utf-8")), path


def test_addresses_and_accounts_are_examples(project: Project) -> None:
    for path in project.files():
        text = path.read_text(encoding="utf-8")
        domains = set(re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text))
        assert all(re.search(r"(^|\.)example\.(com|1)$", domain) for domain in domains), path
        assert set(re.findall(r"(?<![\w-])\d{12}(?![\w-])", text)) <= {"123456789012"}, path


def test_yaml_toml_and_json_parse(project: Project) -> None:
    parsers = {".yaml": yaml.safe_load, ".toml": tomllib.loads, ".json": json.loads}
    parsed = [
        parsers[path.suffix](path.read_text(encoding="utf-8")) for path in project.files() if path.suffix in parsers
    ]

    assert len(parsed) >= 7
    assert all(parsed)


def test_the_templates_own_toml_parses_before_it_is_rendered() -> None:
    assert tomllib.loads((TEMPLATE_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_licence_is_the_one_that_was_chosen(project: Project) -> None:
    chosen = project.answers["license"]

    assert project.read("LICENSE").startswith(LICENSE_BEGINS[chosen])
    assert "Copyright" in project.read("LICENSE")
    assert "Platform Team" in project.read("LICENSE")
    assert project.toml("pyproject.toml")["project"]["license"].endswith(chosen)


def test_python_and_runtime_are_the_ones_that_were_chosen(project: Project) -> None:
    pyproject = project.toml("pyproject.toml")
    python, runtime = project.answers["python_version"], project.answers["lambda_runtime"]
    oldest = min(python, runtime.removeprefix("python"))

    assert pyproject["project"]["requires-python"] == f">={python}"
    assert pyproject["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert pyproject["tool"]["pylint"]["main"]["py-version"] == oldest
    assert pyproject["tool"]["ty"]["environment"]["python-version"] == oldest


def test_no_file_pins_an_exact_interpreter(project: Project) -> None:
    assert ".python-version" not in project.names()
    if project.package_manager == "pipenv":
        assert "requires" not in project.toml("Pipfile")


@pytest.mark.parametrize("question", [question for question in QUESTIONS if not question.startswith("_")])
def test_every_question_has_a_prompt_and_every_choice_a_label(question: str) -> None:
    prompt = QUESTIONS["__prompts__"][question]

    if question in CHOICES:
        assert set(prompt) == {"__prompt__", *CHOICES[question]}
        assert all(prompt.values())
    else:
        assert isinstance(prompt, str)
