"""Checks of the template's repository: code, workflows, docs and Make targets."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.make_help import targets
from scripts.release import ReleaseError, notes
from tests.combinations import ASKED, CHOICES, QUESTIONS, ROOT
from tests.projects import Project

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BINARIES = Path(sys.executable).parent
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the PATH")


def run(*command: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which(command[0], path=BINARIES) or command[0]
    return subprocess.run(
        [tool, *command[1:]],
        cwd=folder,
        env=os.environ | variables,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def tracked() -> list[str]:
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).exists()]


def sources() -> list[str]:
    return sorted({name.partition("/")[0] for name in tracked() if name.endswith(".py")})


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "ty check"])
def test_a_tool_finds_no_problems(command: str) -> None:
    options = [] if command.startswith("ty") else ["--config", "pyproject.toml", *sources()]

    finished = run(*command.split(), *options)

    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize(
    "command",
    [
        "zizmor --offline --no-progress --persona pedantic",
        "check-jsonschema --builtin-schema vendor.github-workflows",
    ],
)
def test_the_workflows_are_safe_and_valid(command: str) -> None:
    finished = run(*command.split(), *map(str, WORKFLOWS))

    assert finished.returncode == 0, finished.stdout


def test_the_workflow_runs_make_on_each_os_with_oldest_and_newest_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    oldest, *_, newest = sorted(CHOICES["python_version"], key=lambda version: int(version.partition(".")[2]))
    calls = [step["run"].split() for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]

    assert matrix == {"os": ["ubuntu-latest", "macos-latest", "windows-latest"], "python": [oldest, newest]}
    assert [call[:2] for call in calls] == [["make", "test"], ["make", "test-pulumi"]]


@needs_make
@pytest.mark.parametrize("target", list(targets(MAKEFILE)))
def test_a_target_calls_existing_programs_and_files(target: str) -> None:
    for line in run("make", "-n", "--always-make", target, MAKEFLAGS="", MAKELEVEL="").stdout.splitlines():
        command, *words = shlex.split(line.removeprefix("@"))
        if command == "echo":
            continue
        assert command == "python3" or shutil.which(ROOT / command) or (BINARIES / Path(command).name).exists(), line
        if command.endswith("python") and words[0] == "-m":
            module = ROOT / words[1].replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), line
        for word in words:
            if "/" in word or word.endswith(".py"):
                assert (ROOT / word).exists(), line


def test_the_checks_cover_all_python_code() -> None:
    listed = re.search(r"^SOURCES := (.+)$", MAKEFILE, flags=re.MULTILINE)

    assert listed
    assert listed[1].split() == sources()


def test_no_recipe_hides_a_failure() -> None:
    recipes = [line for line in MAKEFILE.splitlines() if line.startswith("\t")]

    assert recipes
    assert [line for line in recipes if re.search(r"\|\||\| |; |^\t@?-", line)] == []


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for make is a script with a shebang")
def test_ci_runs_make_test_in_the_repository_from_any_folder(tmp_path: Path) -> None:
    stand_in = tmp_path / "make"
    stand_in.write_text('#!/bin/sh\npwd\necho "make $@"\nexit 7\n', encoding="utf-8")
    stand_in.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])

    finished = run(str(ROOT / ".ci" / "run"), folder=tmp_path, PATH=path)

    assert (finished.returncode, finished.stdout.splitlines()) == (7, [str(ROOT), "make test"])


def test_the_docs_name_every_target_and_no_other() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)\b(?=`|\s*$|[ ]+[#A-Z])", README, flags=re.MULTILINE))
    notes = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

    assert {"new", "test", "test-fast", "bench"} <= named <= targets(MAKEFILE).keys()
    assert [target for target in targets(MAKEFILE) if f"`make {target}`" not in notes] == []


def test_the_readme_describes_every_question_and_what_is_rendered(default_project: Project) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", README, flags=re.MULTILINE)
    tree = re.search(r"```text\nevent-pipeline/\n(.*?)```", README, flags=re.DOTALL)

    assert rows[: len(ASKED)] == ASKED
    assert tree
    assert {line[4:].split()[0].rstrip("/") for line in tree[1].splitlines()} == {
        path.name for path in default_project.path.iterdir()
    }


def test_every_question_and_choice_has_a_label_that_names_it() -> None:
    prompts = QUESTIONS["__prompts__"]

    assert list(prompts) == ASKED
    for question, values in CHOICES.items():
        assert list(prompts[question]) == ["__prompt__", *values], question
        for value in values:
            words = set(re.findall(r"[a-z0-9.]+", value.lower().removeprefix("python"))) - {"only"}
            assert any(word in prompts[question][value].lower() for word in words), f"{question}: {value}"


def test_the_changelogs_newest_heading_is_the_templates_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert newest
    assert newest[1] == QUESTIONS["_template_version"]


RELEASES = {
    "## 1.2.0 - 2026-12-01\n\n### What a project must do\n\nNothing.\n\n## 1.1.0 - 2026-11-01\n": None,
    "## 1.1.0 - 2026-12-01\n": "found '## 1.1.0 - 2026-12-01'; expected '## 1.2.0 - YYYY-MM-DD'",
    "## 1.2.0 - not released yet\n": "replace 'not released yet' with the date of the release",
    "## 1.2.0 - 2026-12-01\n\n### Added\n": "1.2.0 has no section '### What a project must do'",
}


@pytest.mark.parametrize(("entry", "problem"), RELEASES.items())
def test_a_release_needs_its_version_its_date_and_upgrade_notes(entry: str, problem: str | None) -> None:
    changelog = f"# Changelog\n\n{entry}"
    if problem:
        with pytest.raises(ReleaseError, match=re.escape(problem)):
            notes(changelog, "1.2.0", [])
        return

    assert notes(changelog, "1.2.0", ["v1.1.0"]) == "### What a project must do\n\nNothing."
    with pytest.raises(ReleaseError, match=r"^v1\.2\.0 is released already"):
        notes(changelog, "1.2.0", ["v1.2.0"])


def test_files_have_unix_line_endings_and_name_no_registry() -> None:
    hosts = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted")).encode())
    for name in tracked():
        content = (ROOT / name).read_bytes()
        assert b"\r" not in content, name
        assert content == b"" or (content.endswith(b"\n") and not content.endswith(b"\n\n")), name
        # In a patch, an empty context line is one space.
        assert name.endswith(".patch") or not re.search(rb"[ \t]$", content, flags=re.MULTILINE), name
        assert not hosts.search(content), name


def test_the_benchmarks_give_the_number_of_rendered_files(default_project: Project) -> None:
    figures = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")

    assert f"| this one | {len(list(default_project.files()))} |" in figures
