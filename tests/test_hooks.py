"""The hook: it refuses bad answers with a clear message, and every answer is rendered as plain text."""

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
from tests.conftest import refusal
from tests.projects import Project

HOOK = ROOT / "hooks" / "pre_gen_project.py"
PRIVATE = {key: value for key, value in QUESTIONS.items() if key[0] == "_" and key != "__prompts__"}
ANSWERS: dict[str, Any] = PRIVATE | {
    "project_name": "Event Pipeline",
    "project_slug": "event-pipeline",
    "description": "Stores messages.",
    "author_name": "Platform Team",
    "author_email": "platform@example.com",
    "license": "MIT",
    "python_version": "3.11",
    "lambda_runtime": "python3.13",
    "lambda_architecture": "arm64",
    "package_manager": "uv",
    "aws_region_dev": "us-east-2",
    "aws_region_staging": "us-west-1",
    "aws_region_prod": "us-east-1",
    "notification_email": "platform@example.com",
    "state_backend": "pulumi-cloud",
    "ci": "github",
}
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
    "צינור",
    "🚀 👩‍💻 naïve",
)
BAD_TEXTS = (
    "",
    " ",
    " a",
    "a ",
    "x" * 201,
    "x" * 10_000,
    "a\nb",
    "a\rb",
    "a\tb",
    "a\0b",
    "a\x1b[31mb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "a\u202eb",
    "a\u2066b",
    "a\ufeffb",
    "a\ufffeb",
    "a\ud800b",
    "a\U0001ffffb",
    "a\ufdd0b",
)
GOOD_SLUGS = ("a", "orders", "a1-b2", "x" * 25, "aws-orders", "null", "true", "com10")
BAD_SLUGS = (
    "",
    "Orders",
    "1orders",
    "-a",
    "a-",
    "a--b",
    "a_b",
    "a.b",
    "a b",
    "a/b",
    "../a",
    "a\\b",
    "é",
    "x" * 26,
    "aws",
    "pulumi",
    "con",
    "nul",
    "com1",
    "lpt9",
    "xn--a",
    "sthree-a",
    "amzn-s3-demo-a",
    "orders\n",
)
GOOD_EMAILS = ("a@example.com", "first.last+tag@mail.example.com", "_a%b-@a-b.example.com", "1@example.com")
BAD_EMAILS = (
    "",
    "a",
    "a@",
    "@example.com",
    "a@example",
    "a b@example.com",
    "a@exa mple.com",
    '"a"@example.com',
    "a@b.c\n",
    "a@" + "b" * 250 + ".com",
    "ä@example.com",
    "%+@1.2",
    "%a@example.com",
    "..@example.com",
    "a.@example.com",
    "a@-.com",
    "1@1.1",
    "a@example.com, b@example.com",
)
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


def test_every_question_is_checked() -> None:
    assert {*hook.CHECKS, *hook.CHOICES} == set(ASKED)


def test_every_private_setting_is_checked() -> None:
    assert hook.PRIVATE | {"_template_version": QUESTIONS["_template_version"]} == PRIVATE


def test_the_choices_are_those_of_the_questions() -> None:
    assert {question: set(values) for question, values in hook.CHOICES.items()} == {
        question: set(values) for question, values in CHOICES.items()
    }


def test_the_defaults_are_accepted() -> None:
    assert list(hook.refusals(ANSWERS)) == []


@pytest.mark.parametrize(("question", "answer"), GOOD)
def test_a_good_answer_is_accepted(question: str, answer: str) -> None:
    assert list(hook.refusals(ANSWERS | {question: answer})) == []


@pytest.mark.parametrize(("question", "answer"), BAD)
def test_a_refusal_names_the_question_the_answer_and_what_is_allowed(question: str, answer: Any) -> None:
    (line,) = hook.refusals(ANSWERS | {question: answer})

    assert line.startswith(f"{question}: {ascii(answer)[:60]}")
    assert re.search(r"allowed: .+|is the template's own", line)
    assert line.isprintable()
    assert line.isascii()


def test_a_long_answer_is_shown_with_its_length() -> None:
    (line,) = hook.refusals(ANSWERS | {"description": "x" * 10_000})

    assert "... (10000 characters) is refused" in line
    assert len(line) < 300


def test_the_slugs_limit_comes_from_the_longest_name(default_project: Project) -> None:
    checks = default_project.read("tools/configuration/checks.py")

    assert f"PROJECT_MAX_LENGTH: Final = {hook.SLUG_MAX_LENGTH}\n" in checks
    assert hook.SLUG_MAX_LENGTH + len("-") + 12 + len("-access-logs-") + 12 == 63


def test_all_refusals_are_listed_at_once_and_nothing_is_left_behind(
    cookies: Cookies, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = list(tmp_path.iterdir())

    said = refusal(cookies, capfd, project_slug="Orders", author_email="nobody", aws_region_prod="moon")

    assert said.startswith("\n4 answers refused, nothing was written:\n")
    assert said.endswith("\n\nIgnore the stack trace below: Cookiecutter prints one whenever a hook stops it.\n\n")
    for question, answer in {
        "project_slug": "Orders",
        "author_email": "nobody",
        "notification_email": "nobody",
        "aws_region_prod": "moon",
    }.items():
        assert f"  - {question}: '{answer}' is refused; allowed: " in said
    rendered = tmp_path / "bake00" if (tmp_path / "bake00").exists() else None
    assert list(tmp_path.iterdir()) == before or (rendered and not list(rendered.iterdir()))


def test_a_single_refusal_is_counted_as_one(cookies: Cookies, capfd: pytest.CaptureFixture[str]) -> None:
    assert "\n1 answer refused, nothing was written:\n" in refusal(cookies, capfd, project_slug="Orders")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("project_name", "{{ 'a\\nb' }}"),
        ("project_slug", "CON"),
        ("description", ""),
        ("author_name", " "),
        ("author_email", "nobody"),
        ("notification_email", "nobody"),
        ("aws_region_dev", "moon"),
        ("aws_region_staging", "moon"),
        ("aws_region_prod", "moon"),
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
    assert f"{question}: " in capfd.readouterr().err
    assert result.project_path is None


@pytest.mark.parametrize("question", CHOICES)
def test_a_choice_that_is_not_offered_stops_the_rendering(cookies: Cookies, question: str) -> None:
    result = cookies.bake(extra_context={question: "other"})

    assert result.exit_code != 0
    assert f"other provided for choice variable {question}" in str(result.exception)


@pytest.mark.parametrize(
    ("project_name", "slug"),
    [
        ("Orders", "orders"),
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
    """Return the visible text of a line of Markdown, which must contain only text."""
    (inline,) = [
        token for token in MarkdownIt("gfm-like", {"linkify": False}).parse(markdown) if token.type == "inline"
    ]
    pieces = [child for child in inline.children or [] if child.type not in {"strong_open", "strong_close"}]
    assert {child.type for child in pieces} <= {"text", "text_special"}, markdown
    return "".join(child.content for child in pieces)


def assert_inert(project: Project, name: str, description: str, author: str) -> None:
    """Check that three answers are unchanged in every format that they are rendered into."""
    pyproject = project.toml("pyproject.toml")["project"]
    assert pyproject["description"] == description
    assert pyproject["authors"][0]["name"] == author
    assert project.yaml("Pulumi.yaml")["description"] == description
    assert f"Copyright (c) {author}" in project.read("LICENSE")
    lines = project.read("README.md").split("\n")
    assert as_plain_text(lines[0]) == name
    assert as_plain_text(lines[2]) == f"In one sentence: {description}"
    responsible = next(line for line in project.read("CONTRIBUTING.md").split("\n") if line.startswith("Responsible: "))
    assert as_plain_text(responsible.partition(", <platform@")[0]) == f"Responsible: {author}"


def bake_text(cookies: Cookies, text: str) -> Any:
    """Render with a text as the answer to each text question, escaped so that Cookiecutter does not render it."""
    answers = dict.fromkeys(TEXT_QUESTIONS, as_literal(text)) | {"project_slug": "orders"}
    return cookies.bake(extra_context=answers)


@pytest.mark.parametrize("text", GOOD_TEXTS)
def test_a_hostile_answer_is_rendered_as_inert_text(cookies: Cookies, text: str) -> None:
    result = bake_text(cookies, text)

    assert result.exception is None
    assert_inert(Project(Path(result.project_path), {}), text, text, text)


@pytest.mark.parametrize("text", ["x" * 10_000, "a\nb", "a\0b", "a\ud800b", "a\u202eb", '"; rm -rf / #\n'])
def test_a_hostile_answer_that_is_not_one_line_of_text_is_refused(cookies: Cookies, text: str) -> None:
    result = bake_text(cookies, text)

    assert result.exit_code != 0
    assert result.project_path is None


@pytest.mark.slow
@given(text=st.text(min_size=1, max_size=60))
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_refused_or_inert(cookies: Cookies, text: str) -> None:
    accepted = not list(hook.refusals(ANSWERS | {"project_name": text}))

    result = bake_text(cookies, text)

    assert (result.exit_code == 0) is accepted
    if accepted:
        assert_inert(Project(Path(result.project_path), {}), text, text, text)


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


def test_the_hook_imports_only_light_modules_of_the_standard_library() -> None:
    imported = set(re.findall(r"^(?:import|from) (\w+)", HOOK.read_text(encoding="utf-8"), flags=re.MULTILINE))

    assert imported == {"json", "os", "re", "shlex", "shutil", "sys", "unicodedata"}


def test_the_hook_that_runs_after_rendering_imports_only_light_modules_of_the_standard_library() -> None:
    text = (ROOT / "hooks" / "post_gen_project.py").read_text(encoding="utf-8")

    assert set(re.findall(r"^(?:import|from) (\w+)", text, flags=re.MULTILINE)) == {"json", "os", "shutil"}


@pytest.mark.parametrize(
    ("ci", "backend", "kept"),
    [
        ("github", "pulumi-cloud", True),
        ("gitlab", "s3", True),
        ("none", "s3", False),
        ("github", "local-file", False),
    ],
)
def test_the_roles_for_ci_are_kept_only_if_it_deploys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, backend: str, kept: bool
) -> None:
    for folder in ("bootstrap", "tests/unit/bootstrap", "tests/unit/processor"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.py").touch()
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    post_hook.main(ANSWERS | {"ci": ci, "state_backend": backend})

    roles = {"bootstrap", "tests/unit/bootstrap"}
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_dir()}
    assert left == {"tests", "tests/unit", "tests/unit/processor"} | (roles if kept else set())


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Leave only these tools on the PATH. Each runs the given Python, or does nothing."""

    def machine(**tools: str) -> Path:
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
        return folder

    return machine


def closing_words(**answers: str) -> str:
    return "\n".join(hook.closing_words(ANSWERS | answers, "/projects/orders"))


def test_cookiecutter_ends_with_where_the_project_is_and_what_to_type_next(tmp_path: Path) -> None:
    output = tmp_path / "a folder"

    finished = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "-o", str(output)],
        env=os.environ | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )

    project, quote = output / "event-pipeline", '"' if os.name == "nt" else "'"
    assert finished.stdout.startswith(f"\nYour project is in {project}.\n")
    assert finished.stdout.endswith(f"\nNext:\n\n    cd {quote}{project}{quote}\n    uv sync\n    uv run poe check\n\n")
    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_folder_that_the_terminal_cannot_encode_does_not_fail(tmp_path: Path) -> None:
    output = tmp_path / "注文"

    finished = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "-o", str(output)],
        env=os.environ | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONIOENCODING": "ascii"},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )

    assert finished.returncode == 0, finished.stderr
    assert "\\u6ce8\\u6587" in finished.stdout


@pytest.mark.parametrize(
    ("package_manager", "commands"),
    [("uv", ["uv sync", "uv run poe check"]), ("pipenv", ["pipenv install --dev", "pipenv run check"])],
)
def test_the_next_commands_use_the_chosen_package_manager(package_manager: str, commands: list[str]) -> None:
    assert closing_words(package_manager=package_manager).split("\n    ")[-2:] == [commands[0], f"{commands[1]}\n"]


def test_no_missing_tool_is_reported_if_none_is_missing(machine: Callable[..., Path]) -> None:
    machine(uv="", git="", pulumi="")

    assert "PATH" not in closing_words()


@pytest.mark.parametrize("missing", ["uv", "git", "pulumi"])
def test_a_missing_tool_is_reported_in_one_line_with_how_to_get_it(machine: Callable[..., Path], missing: str) -> None:
    machine(**dict.fromkeys({"uv", "git", "pulumi"} - {missing}, ""))

    (line,) = re.findall(r"^    (\w+, .+: https://\S+)$", closing_words(), flags=re.MULTILINE)

    assert line.startswith(f"{missing}, ")


def test_the_other_package_manager_is_not_reported_as_missing(machine: Callable[..., Path]) -> None:
    machine(git="", pulumi="")

    assert re.findall(r"^    (\w+), ", closing_words(package_manager="pipenv"), flags=re.MULTILINE) == ["pipenv"]


def test_a_missing_python_is_reported_for_pipenv_but_not_for_uv_which_downloads_it(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(uv="", pipenv="", git="", pulumi="")
    monkeypatch.setattr(hook, "has_python", lambda oldest: oldest != "3.14")

    assert "    Python 3.14 or newer, which you chose for the project: https://" in closing_words(
        package_manager="pipenv", python_version="3.14"
    )
    assert "PATH" not in closing_words(package_manager="pipenv", python_version="3.13")
    assert "PATH" not in closing_words(package_manager="uv", python_version="3.14")


@pytest.mark.parametrize("name", ["python3", "python", "py", "python3.14"])
def test_a_python_is_found_by_any_name_and_its_version_is_checked(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    machine(**{name: sys.executable})
    # Otherwise the Python that renders is accepted, and the PATH is not searched.
    monkeypatch.setattr(hook, "sys", SimpleNamespace(version_info=(3, 0)))

    assert hook.has_python(f"3.{sys.version_info.minor}")
    assert not hook.has_python(f"3.{sys.version_info.minor + 1}")


def test_the_python_that_renders_is_found(machine: Callable[..., Path]) -> None:
    machine()

    assert hook.has_python("3.11")
    assert not hook.has_python("3.99")


def test_a_command_that_is_not_a_python_is_ignored(machine: Callable[..., Path]) -> None:
    machine(python3="no-such-python", python="no-such-python")

    assert not hook.has_python("3.99")
