"""The Makefile's promises: ``make new`` says how to go on, and no gate passes when what it guards is broken."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.combinations import ASKED, ROOT

NOT_COPIED = shutil.ignore_patterns(".venv", ".git", "build", "__pycache__", ".hypothesis", "*_cache", "uv.lock")
NEW = (sys.executable, "-m", "scripts.new")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the PATH")


@pytest.fixture(name="home")
def fixture_home(tmp_path: Path) -> Path:
    """An empty home directory."""
    home = tmp_path / "home"
    home.mkdir()
    return home


def run(folder: Path, home: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal, with a home directory of its own."""
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
    """A copy of the template's repository that can be broken. It shares the environment of this one."""
    copy = Path(shutil.copytree(ROOT, tmp_path / "cookiecutter-pulumi-aws", ignore=NOT_COPIED))
    if (ROOT / ".venv").exists():
        (copy / ".venv").symlink_to(ROOT / ".venv", target_is_directory=True)
        # The copy's files are newer than the mark of the installation that they share.
        for name in ("pyproject.toml", "scripts/install.py"):
            os.utime(copy / name, (0, 0))
    return copy


def test_new_without_a_terminal_renders_the_defaults(home: Path, tmp_path: Path) -> None:
    finished = run(ROOT, home, "make", "new", f"OUTPUT={tmp_path / 'out'}")

    assert finished.returncode == 0, finished.stdout
    assert (tmp_path / "out" / "event-pipeline" / "Pulumi.yaml").exists()


def test_new_ends_with_where_the_project_is_and_the_next_two_commands(home: Path, tmp_path: Path) -> None:
    finished = run(ROOT, home, *NEW, "--output", str(tmp_path / "out"))

    project = tmp_path / "out" / "event-pipeline"
    assert f"Your project is in {project}. Next:" in finished.stdout
    first, second = re.findall(r"^    (.+)$", finished.stdout, flags=re.MULTILINE)[-2:]
    assert re.fullmatch(rf"cd '?{re.escape(str(project))}'? && \S*uv sync", first)
    assert re.fullmatch(r"\S*uv run poe check", second)


def test_new_takes_answers_from_a_file(home: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("default_context:\n  project_name: Orders\n  package_manager: pipenv\n", encoding="utf-8")

    finished = run(ROOT, home, "make", "new", f"OUTPUT={tmp_path / 'out'}", f"ANSWERS={answers}")

    assert finished.returncode == 0, finished.stdout
    assert (tmp_path / "out" / "orders" / "Pipfile").exists()
    assert re.search(r"&& \S*pipenv install --dev\n    \S*pipenv run check\n", finished.stdout)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("default_context:\n  licence: MIT\n", f"unknown question licence; allowed: {', '.join(ASKED)}"),
        ("default_context:\n  license: GPL\n", "license: 'GPL' is refused; allowed: one of MIT, Apache-2.0"),
        (
            "default_context:\n  python_version: 3.12\n",
            "python_version: 3.12 is refused; allowed: text, so put it in quotes",
        ),
        ("default_context:\n  project_name: [a, b]\n", "project_name: ['a', 'b'] is refused; allowed: text"),
        ("project_name: Orders\n", "unknown setting project_name; allowed: abbreviations, cookiecutters_dir"),
        ("default_context: text\n", "is not a mapping whose default_context is a mapping"),
        ("default_context:\n  1: a\n", "unknown question 1; allowed: "),
        ("null\n", "is not a mapping whose default_context is a mapping"),
        ("default_context:\n  project_slug: Orders\n", "project_slug: 'Orders' is refused; allowed: "),
        ("default_context: [\n", "is not YAML: "),
        ("- orders\n", "is not a mapping whose default_context is a mapping"),
        (None, "cannot be read: FileNotFoundError"),
    ],
)
def test_new_refuses_bad_answers_in_one_message(home: Path, tmp_path: Path, content: str | None, message: str) -> None:
    answers = tmp_path / "answers.yaml"
    if content is not None:
        answers.write_text(content, encoding="utf-8")

    finished = run(ROOT, home, *NEW, "--output", str(tmp_path / "out"), "--answers", str(answers))

    assert finished.returncode == 1
    assert message in finished.stdout
    assert "Traceback" not in finished.stdout
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_new_takes_answers_as_text_and_not_as_jinja(home: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("default_context:\n  project_name: 'Orders {{ 7 * 7 }} {% raw %}'\n", encoding="utf-8")

    finished = run(ROOT, home, *NEW, "--output", str(tmp_path / "out"), "--answers", str(answers))

    assert finished.returncode == 0, finished.stdout
    (readme,) = (tmp_path / "out").glob("*/README.md")
    assert readme.read_text(encoding="utf-8").startswith("# Orders \\{\\{ 7 \\* 7 \\}\\} \\{% raw %\\}\n")


@pytest.mark.parametrize("output", ["a folder", "it's", 'a "quoted" one'])
def test_new_renders_into_any_folder(home: Path, tmp_path: Path, output: str) -> None:
    finished = run(ROOT, home, "make", "new", f"OUTPUT={tmp_path / output}")

    assert finished.returncode == 0, finished.stdout
    assert (tmp_path / output / "event-pipeline" / "Pulumi.yaml").exists()


def test_new_says_when_the_folder_cannot_be_written(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    finished = run(ROOT, home, *NEW, "--output", str(tmp_path / "file"))

    assert finished.returncode == 1
    assert finished.stdout.startswith("make new: ")
    assert "Traceback" not in finished.stdout


def test_new_leaves_a_folder_alone_that_exists(home: Path, tmp_path: Path) -> None:
    existing = tmp_path / "out" / "event-pipeline"
    existing.mkdir(parents=True)

    finished = run(ROOT, home, *NEW, "--output", str(tmp_path / "out"))

    assert finished.returncode == 1
    assert "already exists; remove it, or give another OUTPUT= or project_slug" in finished.stdout
    assert "Traceback" not in finished.stdout
    assert not list(existing.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_new_asks_at_a_terminal_and_keeps_the_answers_when_one_is_refused(home: Path, tmp_path: Path) -> None:
    import pty  # noqa: PLC0415 # does not exist on Windows

    keyboard, terminal = pty.openpty()
    name, refused_slug, good_slug = "Bäckerei {{ 1 }}", "Orders", "orders"
    typed = [name, refused_slug, *[""] * (len(ASKED) - 2), "", good_slug, *[""] * (len(ASKED) - 2)]
    os.write(keyboard, "".join(f"{line}\n" for line in typed).encode())
    finished = subprocess.run(
        [*NEW, "--output", str(tmp_path / "out")],
        cwd=ROOT,
        env=os.environ | {"HOME": str(home), "TERM": "dumb"},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    os.close(keyboard)
    os.close(terminal)

    assert finished.returncode == 0, finished.stdout
    assert "project_slug: 'Orders' is refused" in finished.stdout
    assert "Your answers are kept" in finished.stdout
    readme = (tmp_path / "out" / "orders" / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# Bäckerei \\{\\{ 1 \\}\\}\n")


def test_help_names_every_target(home: Path) -> None:
    finished = run(ROOT, home, "make")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert finished.returncode == 0, finished.stdout
    phony = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    assert phony
    assert re.findall(r"^make ([a-z-]+)", finished.stdout, flags=re.MULTILINE) == phony[1].split()


@pytest.mark.slow
def test_a_lint_error_fails_make_lint(repository: Path, home: Path) -> None:
    (repository / "scripts" / "broken.py").write_text('"""A module."""\n\nimport os\n', encoding="utf-8")

    finished = run(repository, home, "make", "lint")

    assert finished.returncode != 0
    assert "F401" in finished.stdout


@pytest.mark.slow
def test_a_lint_error_in_what_is_rendered_fails_make_lint(repository: Path, home: Path) -> None:
    module = repository / "{{cookiecutter.project_slug}}" / "processor" / "names.py"
    module.write_text(module.read_text(encoding="utf-8") + "import os\n", encoding="utf-8")

    assert run(repository, home, "make", "lint").returncode != 0


@pytest.mark.slow
def test_a_type_error_fails_make_typecheck(repository: Path, home: Path) -> None:
    (repository / "scripts" / "broken.py").write_text('"""A module."""\n\nnumber: int = "text"\n', encoding="utf-8")

    finished = run(repository, home, "make", "typecheck")

    assert finished.returncode != 0
    assert "broken.py" in finished.stdout


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
@pytest.mark.parametrize("command", [("make", "test"), ("make", "new"), ("make", "lint"), ("bash", ".ci/run")])
def test_a_failed_installation_fails_the_gate(repository: Path, home: Path, command: tuple[str, ...]) -> None:
    (repository / ".venv").unlink(missing_ok=True)
    pyproject = repository / "pyproject.toml"
    broken = pyproject.read_text(encoding="utf-8").replace('"cookiecutter>=2.7.1,<3"', '"cookiecutter>=999,<1000"')
    pyproject.write_text(broken, encoding="utf-8")

    finished = run(repository, home, *command)

    assert finished.returncode != 0
    assert "install: failed with exit status" in finished.stdout
    assert "passed" not in finished.stdout


@pytest.mark.slow
def test_an_installation_that_failed_is_tried_again(repository: Path, home: Path) -> None:
    (repository / ".venv").unlink(missing_ok=True)
    pyproject = repository / "pyproject.toml"
    good = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(good.replace("cookiecutter>=2.7.1,<3", "cookiecutter>=999,<1000"), encoding="utf-8")
    assert run(repository, home, "make", "install").returncode != 0
    assert run(repository, home, "make", "install").returncode != 0

    pyproject.write_text(good, encoding="utf-8")

    assert run(repository, home, "make", "install").returncode == 0
