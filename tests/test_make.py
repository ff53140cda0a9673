"""Tests of the Makefile: ``make new`` renders projects and prints the next steps, and every check detects mistakes."""

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.combinations import ASKED, CHOICES, ROOT
from tests.projects import Project

NOT_COPIED = shutil.ignore_patterns(".venv", ".git", "build", "__pycache__", ".hypothesis", "*_cache", "uv.lock")
NEW = (sys.executable, "-m", "scripts.new")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the PATH")


@pytest.fixture(name="home")
def fixture_home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def run(folder: Path, home: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal, with ``home`` as the home directory."""
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"HOME": str(home), "USERPROFILE": str(home)},
        input=stdin,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


@pytest.fixture(name="repository")
def fixture_repository(tmp_path: Path) -> Path:
    """A copy of the template's repository for tests to break, with a symbolic link to the original's `.venv`."""
    copy = Path(shutil.copytree(ROOT, tmp_path / "cookiecutter-pulumi-aws", ignore=NOT_COPIED))
    if (ROOT / ".venv").exists():
        (copy / ".venv").symlink_to(ROOT / ".venv", target_is_directory=True)
        # Otherwise, these files would be newer than the installation's marker, and make would install again.
        for name in ("pyproject.toml", "scripts/install.py"):
            os.utime(copy / name, (0, 0))
    return copy


def test_new_prints_the_projects_folder_and_the_next_steps(home: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"

    finished = run(ROOT, home, *NEW, "--output", str(output))

    project = output.resolve() / "event-pipeline"
    assert finished.stdout.startswith(
        "Standard input is not a terminal. Using these answers:\n\n    project_name: Event Pipeline\n"
    )
    assert f"\n    ci: github\n\nYour project is in {project}.\n" in finished.stdout
    assert finished.stdout.endswith(
        f"\nNext:\n\n    cd {shlex.quote(str(project))}\n    uv sync\n    uv run poe check\n\n"
    )
    assert finished.stdout.count("Next:") == 1


def tree(folder: Path) -> dict[str, bytes | None]:
    """Map each path in a folder to the file's content, or to None for a subfolder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")
    }


@pytest.mark.parametrize(("ci", "state_backend"), list(itertools.product(CHOICES["ci"], CHOICES["state_backend"])))
def test_new_and_cookiecutter_render_the_same(
    bake: Callable[..., Project], home: Path, tmp_path: Path, ci: str, state_backend: str
) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text(f"default_context:\n  ci: {ci}\n  state_backend: {state_backend}\n", encoding="utf-8")

    finished = run(ROOT, home, *NEW, "--output", str(tmp_path), "--answers", str(answers))

    assert finished.returncode == 0, finished.stdout
    assert tree(tmp_path / "event-pipeline") == tree(bake(ci=ci, state_backend=state_backend).path)


def test_new_takes_answers_from_a_file_as_text_and_not_as_jinja(repository: Path, home: Path, tmp_path: Path) -> None:
    answers, output = tmp_path / "answers.yaml", tmp_path / """it's a "quoted" one"""
    text = "default_context:\n  project_name: 'Orders {{ 7 * 7 }} {% raw %}'\n  package_manager: pipenv\n"
    answers.write_text(text, encoding="utf-8")

    finished = run(repository, home, "make", "new", f"OUTPUT={output}", f"ANSWERS={answers}")

    assert finished.returncode == 0, finished.stdout
    (readme,) = output.glob("*/README.md")
    assert readme.read_text(encoding="utf-8").startswith("# Orders \\{\\{ 7 \\* 7 \\}\\} \\{% raw %\\}\n")
    assert (readme.parent / "Pipfile").exists()
    assert "Next: The installation takes a few minutes:\n" in finished.stdout
    assert "    pipenv install --dev\n    pipenv run check\n" in finished.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("default_context:\n  a: b\n  c: d\n", "answers.yaml has 2 problems:\n  - unknown question a; allowed: "),
        ("default_context:\n  license: GPL\n", "license: 'GPL' is refused; allowed: one of MIT, Apache-2.0"),
        (
            "default_context:\n  python_version: 3.12\n",
            "python_version: 3.12 is refused; allowed: text, so put it in quotes",
        ),
        ("default_context:\n  project_name: [a, b]\n", "project_name: ['a', 'b'] is refused; allowed: text"),
        ("project_name: Orders\n", "unknown setting project_name; allowed: abbreviations, cookiecutters_dir"),
        ("default_context: text\n", "the file or its default_context is not a mapping"),
        ("default_context: [\n", "invalid YAML: "),
        (
            "default_context:\n  project_slug: Orders\n",
            "make new: 1 answer refused, nothing was written:\n  - project_slug",
        ),
        ("default_context:\n  project_name: '\xe9'\n", "is not UTF-8 text"),
        (None, "answers.yaml does not exist"),
    ],
)
def test_new_refuses_bad_answers_in_one_message(home: Path, tmp_path: Path, content: str | None, message: str) -> None:
    answers = tmp_path / "answers.yaml"
    if content is not None:
        answers.write_text(content, encoding="latin-1")

    finished = run(ROOT, home, *NEW, "--output", str(tmp_path / "out"), "--answers", str(answers))

    assert finished.returncode == 1
    assert message in finished.stdout
    assert "Traceback" not in finished.stdout
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_new_does_not_change_an_existing_folder(home: Path, tmp_path: Path) -> None:
    existing = tmp_path / "out" / "event-pipeline"
    existing.mkdir(parents=True)

    finished = run(ROOT, home, *NEW, "--output", str(tmp_path / "out"))

    assert finished.returncode == 1
    assert f"project_slug: {existing} already exists; choose another slug, move that" in finished.stdout
    assert "Traceback" not in finished.stdout
    assert not list(existing.iterdir())


def test_new_leaves_nothing_half_written(repository: Path, home: Path, tmp_path: Path) -> None:
    last = repository / "{{cookiecutter.project_slug}}" / "tools" / "zzz.txt"
    last.write_text("{{ 1 / 0 }} {{ unknown.unknown }}\n", encoding="utf-8")

    finished = run(repository, home, *NEW, "--output", str(tmp_path / "out"))

    assert finished.returncode != 0
    assert not list((tmp_path / "out").iterdir())


def at_terminal(home: Path, typed: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the program behind ``make new`` in a pseudo-terminal, and type the given lines."""
    import pty  # noqa: PLC0415 # does not exist on Windows

    keyboard, terminal = pty.openpty()
    os.write(keyboard, "".join(f"{line}\n" for line in typed).encode())
    # Ctrl-D: end of input, so that an unexpected question ends the program.
    os.write(keyboard, b"\x04")
    try:
        return subprocess.run(
            [*NEW, *options],
            cwd=ROOT,
            env=os.environ | {"HOME": str(home), "TERM": "dumb", "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"},
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
            timeout=60,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)


needs_terminal = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")


@needs_terminal
def test_new_offers_a_files_answers_and_the_default_after_a_refusal(home: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text(
        "default_context:\n  project_name: Orders\n  author_email: nobody\n  package_manager: pipenv\n",
        encoding="utf-8",
    )

    finished = at_terminal(home, [""] * (len(ASKED) + 1), "--output", str(tmp_path / "out"), "--answers", str(answers))

    assert finished.returncode == 0, finished.stdout
    assert (
        finished.stdout.index("(nobody): ")
        < finished.stdout.index("author_email: 'nobody' is refused; ")
        < finished.stdout.index("(platform@example.com): ")
    )
    assert finished.stdout.count("(nobody): ") == 1
    assert (tmp_path / "out" / "orders" / "Pipfile").exists()


@needs_terminal
def test_new_checks_each_answer_as_it_is_given(home: Path, tmp_path: Path) -> None:
    texts = [question for question in ASKED if question not in CHOICES]
    typed = [line for question in ASKED for line in (["x" * 300, ""] if question in texts else [""])]

    finished = at_terminal(home, typed, "--output", str(tmp_path / "out"))

    assert finished.returncode == 0, finished.stdout
    told = re.findall(
        rf"\[(\d+)/{len(ASKED)}\] |^  (\w+): 'x+\.\.\. \(300 characters\) is refused",
        finished.stdout,
        flags=re.MULTILINE,
    )
    assert [number or question for number, question in told] == [
        each
        for number, question in enumerate(ASKED, start=1)
        for each in ([str(number), question, str(number)] if question in texts else [str(number)])
    ]


@needs_terminal
def test_an_interrupted_new_writes_nothing(home: Path, tmp_path: Path) -> None:
    finished = at_terminal(home, ["Orders"], "--output", str(tmp_path / "out"))

    assert finished.returncode == 1
    assert finished.stdout.endswith("\nmake new: stopped, nothing was written\n")
    assert not (tmp_path / "out").exists()


def test_clean_removes_only_the_environment_and_caches(repository: Path, home: Path) -> None:
    (repository / ".venv").unlink(missing_ok=True)
    before = {path for path in repository.rglob("*") if path.is_file()}
    kept = ["build/orders/README.md", "build/orders/.venv/bin/python", "elsewhere/orders/.ruff_cache/note"]
    removed = [".venv/bin/python", ".pytest_cache/a", ".hypothesis/a", ".coverage", "coverage/index.html"]
    removed += ["scripts/__pycache__/clean.pyc", "{{cookiecutter.project_slug}}/tools/__pycache__/a.pyc"]
    (line,) = [line for line in run(ROOT, home, "make", "help").stdout.splitlines() if line.startswith("make clean ")]
    assert "keep rendered projects" in line
    for name in kept + removed:
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made\n", encoding="utf-8")

    finished = run(repository, home, "make", "clean")

    assert finished.returncode == 0, finished.stdout
    assert {path for path in repository.rglob("*") if path.is_file()} == {
        *before,
        *(repository / name for name in kept),
    }
    assert not (repository / ".venv").exists()


def test_help_names_every_target(home: Path) -> None:
    finished = run(ROOT, home, "make")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert finished.returncode == 0, finished.stdout
    phony = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    assert phony
    assert re.findall(r"^make ([a-z-]+)", finished.stdout, flags=re.MULTILINE) == phony[1].split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "folder", "said"),
    [
        ("lint", "scripts", "F401"),
        ("lint", "{{cookiecutter.project_slug}}/processor", "F401"),
        ("typecheck", "scripts", "invalid-assignment"),
    ],
)
def test_a_mistake_fails_the_target_that_checks_for_it(
    repository: Path, home: Path, target: str, folder: str, said: str
) -> None:
    mistake = '"""A module."""\n\nimport os\n\nnumber: int = "text"\n'
    (repository / folder / "broken.py").write_text(mistake, encoding="utf-8")

    finished = run(repository, home, "make", target)

    assert finished.returncode != 0
    assert said in finished.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", [("make", "test"), ("make", "test-fast"), ("bash", ".ci/run")])
def test_a_failing_test_fails_the_gate(repository: Path, home: Path, command: tuple[str, ...]) -> None:
    shutil.rmtree(repository / "tests")
    (repository / "tests").mkdir()
    (repository / "tests" / "test_broken.py").write_text("def test_broken():\n    assert False\n", encoding="utf-8")

    finished = run(repository, home, *command)

    assert finished.returncode != 0
    assert "1 failed" in finished.stdout


@pytest.mark.slow
def test_a_failed_installation_fails_each_target_and_is_repeated(repository: Path, home: Path) -> None:
    (repository / ".venv").unlink(missing_ok=True)
    pyproject = repository / "pyproject.toml"
    good = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(good.replace("cookiecutter>=2.7.1,<3", "cookiecutter>=999,<1000"), encoding="utf-8")
    for command in (("make", "install"), ("make", "new"), ("bash", ".ci/run")):
        finished = run(repository, home, *command)
        assert finished.returncode != 0
        assert "install: failed with exit status" in finished.stdout
        assert "passed" not in finished.stdout

    pyproject.write_text(good, encoding="utf-8")

    assert run(repository, home, "make", "install").returncode == 0


def test_an_environment_behind_a_link_is_refused_and_kept(repository: Path, home: Path, tmp_path: Path) -> None:
    (repository / ".venv").unlink(missing_ok=True)
    kept = tmp_path / "another" / "kept"
    kept.parent.mkdir()
    kept.touch()
    (repository / ".venv").symlink_to(kept.parent, target_is_directory=True)

    for target in ("new", "install"):
        finished = run(repository, home, "make", target)
        assert finished.returncode != 0
        assert "is a symbolic link, and its target may be in use; remove the link: rm .venv" in finished.stdout
    assert list(kept.parent.iterdir()) == [kept]


def installed(repository: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in (repository / ".venv").rglob("*.dist-info")}


@pytest.mark.slow
@pytest.mark.parametrize("has_uv", [True, False], ids=["with uv", "without uv"])
def test_new_installs_only_what_rendering_needs(
    repository: Path, home: Path, monkeypatch: pytest.MonkeyPatch, *, has_uv: bool
) -> None:
    (repository / ".venv").unlink(missing_ok=True)
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not shutil.which("uv", path=folder)]
    tools = [str(Path(sys.executable).parent)] if has_uv else []
    monkeypatch.setenv("PATH", os.pathsep.join([*folders, *tools]))

    assert run(repository, home, "make", "new").returncode == 0
    needed = installed(repository)
    assert {"cookiecutter", "pyyaml"} <= needed
    assert needed.isdisjoint({"pytest", "ruff", "uv", "pipenv", "ty"})
    assert "install.py" not in run(repository, home, "make", "new", "OUTPUT=other").stdout

    assert run(repository, home, "make", "install").returncode == 0
    assert {"pytest", "ruff", "uv", "pipenv", "ty", *needed - {"pip", "setuptools"}} <= installed(repository)
    assert "install.py" not in run(repository, home, "make", "new", "OUTPUT=another").stdout

    # After a change to pyproject.toml, make updates all packages and removes none.
    (repository / "pyproject.toml").touch()
    assert "install.py" in run(repository, home, "make", "new", "OUTPUT=third").stdout
    assert {"pytest", "ruff"} <= installed(repository)
