"""The template's repository: its code is clean, its workflow is safe, its README is correct."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from scripts.make_help import targets
from tests.combinations import ASKED, COMBINATIONS, QUESTIONS, ROOT
from tests.projects import Project

README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SOURCES = ("benchmarks", "hooks", "scripts", "tests", "{{cookiecutter.project_slug}}")
BINARIES = Path(sys.executable).parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_finds_no_problems(command: str) -> None:
    finished = run(str(BINARIES / "ruff"), *command.split(), "--config", "pyproject.toml", *SOURCES)

    assert finished.returncode == 0, finished.stdout


def test_ty_finds_no_problems() -> None:
    finished = run(str(BINARIES / "ty"), "check")

    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_zizmor_finds_no_problems(workflow: Path) -> None:
    finished = run(str(BINARIES / "zizmor"), "--offline", "--no-progress", "--persona", "pedantic", str(workflow))

    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_the_version_in_a_comment(workflow: Path) -> None:
    uses = re.findall(r"uses: (.+)", workflow.read_text(encoding="utf-8"))

    assert uses
    assert [each for each in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+(\.\d+)*", each)] == []


def test_the_workflow_runs_on_three_systems_with_the_oldest_and_the_newest_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]

    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"] == ["3.11", "3.14"]
    assert workflow["permissions"] == {}


def test_the_workflow_deploys_with_the_real_engine_on_every_pull_request_and_weekly() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["engine"]["steps"]

    # YAML 1.1 reads the key "on" as a truth value.
    assert {"pull_request", "schedule"} <= workflow[True].keys()
    assert [step["uses"].partition("@")[0] for step in steps if "uses" in step][-1] == "pulumi/actions"
    assert steps[-1] == {"run": "make test-engine"}


def test_the_engines_tests_say_how_long_they_take_before_they_start() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    recipe = re.search(r"^test-engine:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    assert recipe
    said, called = recipe[1].splitlines()
    assert re.match(r"\t@echo This takes about \d+ minutes", said)
    assert "pytest tests/test_engine.py" in called


def test_the_readmes_make_commands_exist() -> None:
    known = targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    named = set(re.findall(r"\bmake ([a-z-]+)\b(?=`|\s*$|[ ]+[#A-Z])", README, flags=re.MULTILINE))

    assert {"new", "test", "test-fast", "bench"} <= named <= set(known)


def test_every_make_target_is_in_the_contributing_notes() -> None:
    notes = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

    for target in targets((ROOT / "Makefile").read_text(encoding="utf-8")):
        assert f"`make {target}`" in notes


def test_the_readme_describes_every_question() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", README, flags=re.MULTILINE)

    assert rows[: len(ASKED)] == ASKED


def test_the_readmes_tree_is_what_is_rendered(default_project: Project) -> None:
    tree = re.search(r"```text\nevent-pipeline/\n(.*?)```", README, flags=re.DOTALL)
    assert tree
    shown = {line[4:].split()[0].rstrip("/") for line in tree[1].splitlines()}
    rendered = {path.name for path in default_project.path.iterdir()}

    assert shown == rendered


def test_the_changelogs_newest_heading_is_the_templates_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert newest
    assert newest[1] == QUESTIONS["_template_version"]


def test_the_templates_pyproject_repeats_no_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["version"] == "0"


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("make test")


def test_no_recipe_hides_a_failure() -> None:
    recipes = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if line.startswith("\t")]

    assert recipes
    assert [line for line in recipes if re.search(r"\|\||\| |; |^\t@?-", line)] == []


def test_files_end_as_they_should() -> None:
    tracked = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    for name in filter(None, tracked):
        content = (ROOT / name).read_bytes() if (ROOT / name).exists() else b""
        assert b"\r" not in content, name
        assert content == b"" or (content.endswith(b"\n") and not content.endswith(b"\n\n")), name
        assert not re.search(rb"[ \t]$", content, flags=re.MULTILINE), name


def test_no_file_names_a_registry() -> None:
    tracked = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    hosts = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted")))

    assert [name for name in filter(None, tracked) if hosts.search((ROOT / name).read_text(encoding="utf-8"))] == []


def test_the_readme_says_how_many_combinations_are_rendered() -> None:
    assert f"render {len(COMBINATIONS)} projects" in README


def test_the_figures_say_how_many_files_are_rendered(default_project: Project) -> None:
    figures = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")

    assert f"| this one | {len(list(default_project.files()))} |" in figures
