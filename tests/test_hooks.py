"""Tests of the hooks: one message for all bad answers, good answers rendered as inert text, and the next steps."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pytest_cookies.plugin import Cookies

from hooks import post_gen_project as post_hook
from hooks import pre_gen_project as hook
from scripts.new import as_literal
from tests.combinations import ASKED, CHOICES, QUESTIONS, ROOT
from tests.projects import Project

PRIVATE = {key: value for key, value in QUESTIONS.items() if key[0] == "_" and key != "__prompts__"}
ANSWERS: dict[str, Any] = (
    {key: value[0] if key in CHOICES else value for key, value in QUESTIONS.items()}
    | PRIVATE
    | {"project_slug": "event-pipeline", "notification_email": "platform@example.com"}
)
TEXT_QUESTIONS = ("project_name", "description", "author_name")
EMAIL_QUESTIONS = ("author_email", "notification_email")
REGION_QUESTIONS = ("aws_region_dev", "aws_region_staging", "aws_region_prod")

GOOD_TEXTS = (
    "a",
    "x" * 200,
    'Café "Zürich" & Söhne\'s',
    "{{ 7 * 7 }} {% raw %} {# x #} #% x",
    "back\\slash \\n ${HOME} $(id) `id` %PATH% ; rm -rf /",
    "<script>alert(1)</script> [x](javascript:alert(1)) ![y](z)",
    "# heading | table * list > quote --- ''' \"\"\" - : ? @ & *alias !!python/object",
    "注文パイプライン",
    "خط أنابيب الطلبات",
    "🚀 👩‍💻 naïve",
)
BAD_TEXTS = ("", " ", " a", "a ", "x" * 201, "a\nb", "a\tb", "a\0b", "a\x1b[31mb", "a\x85b", "a\u2028b", "a\u2029b")
BAD_TEXTS += ("a\u202eb", "a\u2066b", "a\ufeffb", "a\ufffeb", "a\ud800b", "a\U0001ffffb", "a\ufdd0b")
GOOD_SLUGS = ("a", "orders", "a1-b2", "x" * 25, "aws-orders", "null", "true", "com10")
BAD_SLUGS = ("", "Orders", "1orders", "-a", "a-", "a--b", "a_b", "a.b", "a b", "../a", "a\\b", "é", "x" * 26)
BAD_SLUGS += ("aws", "pulumi", "con", "com1", "lpt9", "xn--a", "sthree-a", "amzn-s3-demo-a", "orders\n")
GOOD_EMAILS = ("a@example.com", "first.last+tag@mail.example.com", "_a%b-@a-b.example.com", "1@example.com")
BAD_EMAILS = ("", "a", "a@", "@example.com", "a@example", "a b@example.com", "a@exa mple.com", '"a"@example.com')
BAD_EMAILS += ("a@b.c\n", "a@" + "b" * 250 + ".com", "ä@example.com", "%a@example.com", "a.@example.com", "a@-.com")
BAD_EMAILS += ("1@1.1", "a@example.com, b@example.com")
GOOD_REGIONS = ("us-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "mx-central-1")
BAD_REGIONS = ("", "us-east", "us-east-1a", "US-EAST-1", "useast1", "us-east-1\n", "us east 1", "moon")

GOOD = [
    *itertools.product(TEXT_QUESTIONS, GOOD_TEXTS),
    *itertools.product(["project_slug"], GOOD_SLUGS),
    *itertools.product(EMAIL_QUESTIONS, GOOD_EMAILS),
    *itertools.product(REGION_QUESTIONS, GOOD_REGIONS),
    *((question, value) for question, values in CHOICES.items() for value in values),
]
BAD = [
    *itertools.product(TEXT_QUESTIONS, BAD_TEXTS),
    *itertools.product(["project_slug"], BAD_SLUGS),
    *itertools.product(EMAIL_QUESTIONS, BAD_EMAILS),
    *itertools.product(REGION_QUESTIONS, BAD_REGIONS),
    *((question, "other") for question in CHOICES),
    *((question, 1) for question in ASKED),
    *((key, "other") for key in PRIVATE),
]


def test_good_answers_are_accepted() -> None:
    for question, answer in GOOD:
        assert list(hook.refusals(ANSWERS | {question: answer})) == [], (question, answer)


def test_a_refusal_names_the_question_the_answer_and_what_is_allowed() -> None:
    for question, answer in BAD:
        (line,) = hook.refusals(ANSWERS | {question: answer})

        assert line.startswith(f"{question}: {ascii(answer)[:60]}")
        assert re.search(r"allowed: .+|is the template's own", line)
        assert line.isprintable()
        assert line.isascii()


def test_a_long_answer_is_shown_with_its_length() -> None:
    (line,) = hook.refusals(ANSWERS | {"description": "x" * 10_000})

    assert "... (10000 characters) is refused" in line
    assert len(line) < 300


def test_all_refusals_are_listed_at_once_and_nothing_is_left_behind(
    cookies: Cookies, capfd: pytest.CaptureFixture[str]
) -> None:
    result = cookies.bake(extra_context={"project_slug": "Orders", "author_email": "nobody", "aws_region_prod": "moon"})

    said = capfd.readouterr().err
    assert result.exit_code != 0
    assert said.startswith("\n4 answers refused, nothing was written:\n")
    assert said.endswith("\n\nIgnore the stack trace below: Cookiecutter prints one whenever a hook stops it.\n\n")
    assert re.findall(r"^  - (\w+): ", said, flags=re.MULTILINE) == [
        "project_slug",
        "author_email",
        "aws_region_prod",
        "notification_email",
    ]
    assert result.project_path is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("project_name", "{{ 'a\\nb' }}"),
        ("project_slug", "CON"),
        ("description", as_literal("a\ud800b")),
        ("author_name", as_literal('"; rm -rf / #\n')),
        ("_template_version", "1.0\n"),
        ("_new_lines", "\r\n"),
        ("_copy_without_render", []),
        ("_jinja2_env_vars", {"trim_blocks": False}),
    ],
)
def test_a_bad_answer_stops_the_rendering(
    cookies: Cookies, capfd: pytest.CaptureFixture[str], question: str, answer: Any
) -> None:
    result = cookies.bake(extra_context={question: answer})

    assert result.exit_code != 0
    assert f"\n1 answer refused, nothing was written:\n  - {question}: " in capfd.readouterr().err
    assert result.project_path is None


def test_a_choice_that_is_not_offered_stops_the_rendering(cookies: Cookies) -> None:
    for question in CHOICES:
        assert f"other provided for choice variable {question}" in str(
            cookies.bake(extra_context={question: "other"}).exception
        )


@pytest.mark.parametrize(
    ("project_name", "slug"),
    [
        ("Größe & Maß", "grosse-mass"),
        ("A very long name of a project indeed", "a-very-long-name-of-a"),
        ("Order_events v2.0", "order-events-v2-0"),
        ("注文", "zhu-wen"),
        ("🚀", "event-pipeline"),
    ],
)
def test_the_slug_is_derived_from_the_name(bake: Callable[..., Project], project_name: str, slug: str) -> None:
    assert bake(project_name=project_name).slug == slug


def as_plain_text(markdown: str) -> str:
    """Return the visible text of a Markdown line, which must contain only plain and bold text."""
    (inline,) = [
        token for token in MarkdownIt("gfm-like", {"linkify": False}).parse(markdown) if token.type == "inline"
    ]
    pieces = [child for child in inline.children or [] if child.type not in {"strong_open", "strong_close"}]
    assert {child.type for child in pieces} <= {"text", "text_special"}, markdown
    return "".join(child.content for child in pieces)


def bake_text(cookies: Cookies, text: str) -> Any:
    """Render a project with ``text`` as every text answer, escaped so that Cookiecutter does not evaluate it."""
    answers = dict.fromkeys(TEXT_QUESTIONS, as_literal(text)) | {"project_slug": "orders"}
    return cookies.bake(extra_context=answers)


def assert_inert(result: Any, text: str) -> None:
    """Check that ``text`` appears unchanged in TOML, YAML, Markdown and plain text."""
    project = Project(Path(result.project_path), {})
    pyproject = project.toml("pyproject.toml")["project"]
    assert pyproject["description"] == text
    assert pyproject["authors"][0]["name"] == text
    assert project.yaml("Pulumi.yaml")["description"] == text
    assert f"Copyright (c) {text}" in project.read("LICENSE")
    lines = project.read("README.md").split("\n")
    assert as_plain_text(lines[0]) == text
    assert as_plain_text(lines[2]) == text
    responsible = next(line for line in project.read("CONTRIBUTING.md").split("\n") if line.startswith("Responsible: "))
    assert as_plain_text(responsible.partition(", <platform@")[0]) == f"Responsible: {text}"


@pytest.mark.parametrize("text", GOOD_TEXTS)
def test_a_hostile_answer_is_rendered_as_inert_text(cookies: Cookies, text: str) -> None:
    result = bake_text(cookies, text)

    assert result.exception is None
    assert_inert(result, text)


@pytest.mark.slow
@given(text=st.text(min_size=1, max_size=60))
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_refused_or_inert(cookies: Cookies, text: str) -> None:
    accepted = not list(hook.refusals(ANSWERS | {"project_name": text}))

    result = bake_text(cookies, text)

    assert (result.exit_code == 0) is accepted
    if accepted:
        assert_inert(result, text)


@given(
    text=st.text(
        alphabet=st.characters(codec="utf-8") | st.sampled_from(sorted("{}%#\\\"'`$<>[]()|&!*_~-:@\n\t\0\u202e")),
        max_size=250,
    )
)
@settings(deadline=None, database=None)
def test_any_text_is_checked_without_an_exception(text: str) -> None:
    for question in (*TEXT_QUESTIONS, "project_slug", *EMAIL_QUESTIONS, *REGION_QUESTIONS):
        lines = list(hook.refusals(ANSWERS | {question: text}))
        assert len(lines) <= 1
        assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("module", [hook, post_hook])
def test_a_hook_imports_only_light_modules_of_the_standard_library(module: Any) -> None:
    imported = set(
        re.findall(r"^(?:import|from) (\w+)", Path(module.__file__).read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert imported <= {"json", "os", "re", "shlex", "shutil", "sys", "unicodedata"}


def test_git_is_left_alone_when_a_project_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (".git/refs/heads", ".github/workflows", "bootstrap"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    post_hook.choose_files(ANSWERS | {"ci": "none"})

    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == {
        ".git",
        ".git/refs",
        ".git/refs/heads",
    }


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that limits the PATH to fake tools; each value is the Python that the tool runs, or empty."""

    def machine(**tools: str) -> None:
        folder = tmp_path / "path"
        folder.mkdir()
        for tool, python in tools.items():
            script = folder / (f"{tool}.bat" if os.name == "nt" else tool)
            command = f'"{python}"' if python else ""
            script.write_text(
                f"@{command or 'exit /b 0'} %*\n" if os.name == "nt" else f'#!/bin/sh\n{command} "$@"\n',
                encoding="utf-8",
            )
            script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return machine


def closing_words(**answers: str) -> str:
    return "\n".join(post_hook.closing_words(ANSWERS | answers, "/projects/orders"))


@pytest.mark.parametrize("folder", ["a folder", "注文"])
def test_cookiecutter_prints_the_projects_folder_and_the_next_steps(tmp_path: Path, folder: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "-o", str(tmp_path / folder)],
        env=os.environ | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONIOENCODING": "ascii"},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )

    # Characters that the terminal cannot show are escaped.
    project = str(tmp_path / folder / "event-pipeline").encode("ascii", "backslashreplace").decode()
    quote = '"' if os.name == "nt" else "'"
    assert finished.stdout.startswith(f"\nYour project is in {project}.\n")
    assert finished.stdout.endswith(f"\nNext:\n\n    cd {quote}{project}{quote}\n    uv sync\n    uv run poe check\n\n")
    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_missing_tool_is_reported_in_one_line_with_its_web_page(machine: Callable[..., None]) -> None:
    machine(git="", pulumi="")

    for manager in CHOICES["package_manager"]:
        words = closing_words(package_manager=manager, python_version="3.11")
        assert re.findall(r"^    (\w+), .+: https://\S+$", words, flags=re.MULTILINE) == [manager]


def test_a_missing_python_is_reported_unless_uv_downloads_it(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(uv="", pipenv="", git="", pulumi="", **{"python3.14": sys.executable})
    # Pretend that this Python is too old, so that the PATH is searched.
    monkeypatch.setattr(post_hook, "sys", SimpleNamespace(version_info=(3, 0)))
    newer = f"3.{sys.version_info.minor + 1}"

    assert f"    Python {newer} or newer, which you chose for the project: https://" in closing_words(
        package_manager="pipenv", python_version=newer
    )
    assert "PATH" not in closing_words(package_manager="pipenv", python_version="3.11")
    assert "PATH" not in closing_words(package_manager="uv", python_version=newer)
