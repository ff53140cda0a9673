"""Renders a project with Cookiecutter: ``make new``.

Unlike Cookiecutter, this script checks each answer as soon as it is given, reads answers in a file as literal text
instead of Jinja, refuses answers to unknown questions, and reports failures without a stack trace.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from cookiecutter.config import get_user_config
from cookiecutter.exceptions import CookiecutterException, OutputDirExistsException
from cookiecutter.generate import generate_context
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import prompt_for_config, read_user_choice, read_user_variable, render_variable
from cookiecutter.utils import create_env_with_context
from jinja2 import TemplateError

from hooks.post_gen_project import say
from hooks.pre_gen_project import refusal, refusals, refused

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
ASKED = [question for question in QUESTIONS if question[0] != "_"]
# https://cookiecutter.readthedocs.io/en/stable/advanced/user_config.html
CONFIGURATION = {"default_context", "cookiecutters_dir", "replay_dir", "abbreviations"}

Answers = dict[str, str]


class AnswersError(Exception):
    """An answer is refused, or the file with answers is invalid."""


def main() -> None:
    """Parse the arguments, collect and check the answers, and render the project.

    Raises:
        SystemExit: If the project cannot be rendered.
    """
    parser = argparse.ArgumentParser(prog="make new", description="Render a project from the template.")
    parser.add_argument("--output", default=os.environ.get("OUTPUT"), help="folder to render into, build/ by default")
    parser.add_argument("--answers", default=os.environ.get("ANSWERS"), help="Cookiecutter configuration in YAML")
    arguments = parser.parse_args()
    output = Path(arguments.output or "build").expanduser().absolute()
    try:
        config = Path(arguments.answers).expanduser() if arguments.answers else None
        given = read_answers(config) if config else {}
        is_asked = sys.stdin.isatty()
        answers = answer(output, config, given, ask=ASKED if is_asked else [])
        if not is_asked:
            say(
                [
                    "Standard input is not a terminal. Using these answers:\n",
                    *(f"    {each}: {answers[each]}" for each in ASKED),
                ]
            )
        render(output, config, {question: answers[question] for question in ASKED})
    except (AnswersError, CookiecutterException, OSError, TemplateError, UnicodeError) as error:
        sys.exit(f"make new: {error}")
    except (EOFError, KeyboardInterrupt):
        sys.exit("\nmake new: stopped, nothing was written")


def read_answers(path: Path) -> Answers:
    """Read the answers in a Cookiecutter configuration, and refuse keys that Cookiecutter would silently ignore.

    Raises:
        AnswersError: If the file cannot be read, or has an unknown key or an invalid answer.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AnswersError(f"{path} does not exist") from error
    except OSError as error:
        raise AnswersError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise AnswersError(f"{path} is not UTF-8 text") from error
    except (yaml.YAMLError, ValueError) as error:
        raise AnswersError(f"{path}: invalid YAML: {error}") from error
    answers = config.get("default_context", {}) if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(answers, dict):
        raise AnswersError(f"{path}: the file or its default_context is not a mapping")
    problems = [
        f"unknown setting {key}; allowed: {', '.join(sorted(CONFIGURATION))}" for key in config.keys() - CONFIGURATION
    ]
    problems += [f"unknown question {key}; allowed: {', '.join(ASKED)}" for key in answers if key not in ASKED]
    for question, answer in answers.items():
        choices = QUESTIONS.get(question)
        if not isinstance(answer, str):
            problems.append(f"{question}: {answer!r} is refused; allowed: text, so put it in quotes")
        elif isinstance(choices, list) and answer not in choices:
            problems.append(f"{question}: {answer!r} is refused; allowed: one of {', '.join(choices)}")
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise AnswersError("\n  - ".join([f"{path} has {count}:", *problems]))
    return answers


def answer(output: Path, config: Path | None, given: Answers, *, ask: Sequence[str]) -> dict[str, Any]:
    """Take the given answers, or else the defaults, and prompt for the questions in ``ask``.

    Returns:
        The answers, with the template's private settings.

    Raises:
        AnswersError: If an answer is refused.
    """
    defaults = get_user_config(str(config) if config else None)["default_context"]
    literal = {question: as_default(question, text) for question, text in given.items()}
    context = generate_context(str(ROOT / "cookiecutter.json"), defaults, literal)
    prompts = context["cookiecutter"]["__prompts__"]
    answers = prompt_for_config(context, no_input=True)
    if ask:
        answers |= asked(output, context, prompts, {each: answers[each] for each in ASKED if each not in ask})
    problems = list(refusals(answers))
    if not problems:
        problems += filter(None, [folder_problem(output, "project_slug", answers["project_slug"])])
    if problems:
        raise AnswersError(refused(problems))
    return answers


def asked(output: Path, context: dict[str, Any], prompts: dict[str, Any], answers: Answers) -> Answers:
    """Ask each unanswered question until its answer is allowed, and return all answers."""
    environment = create_env_with_context(context)
    for number, question in enumerate(ASKED, start=1):
        if question in answers:
            continue
        default, prefix = context["cookiecutter"][question], f"  [dim][{number}/{len(ASKED)}][/] "
        if isinstance(default, list):
            answers[question] = read_user_choice(question, default, prompts, prefix)
            continue

        def problem(text: str, question: str = question) -> str | None:
            return refusal(question, text) or folder_problem(output, question, text)

        offered = render_variable(environment, default, answers)
        answers[question] = read_user_variable(question, offered, prompts, prefix)
        while found := problem(answers[question]):
            print(f"\n  {found}\n")
            # Offer the template's default, unless that is refused, too.
            own: str | None = render_variable(environment, QUESTIONS[question], answers)
            answers[question] = read_user_variable(question, None if problem(own) else own, prompts, prefix)
    return answers


def folder_problem(output: Path, question: str, slug: str) -> str | None:
    """Return a message if the question is the slug and the project's folder already exists, otherwise ``None``."""
    folder = output / slug
    if question != "project_slug" or not os.path.lexists(folder):
        return None
    return f"{question}: {folder} already exists; choose another slug, move that folder away, or give another OUTPUT="


def render(output: Path, config: Path | None, answers: Answers) -> None:
    """Render a project with checked answers, and remove the new folder on failure.

    Raises:
        CookiecutterException: If Cookiecutter fails.
        OSError: If the folder cannot be written.
    """
    # The hooks print from other processes: flush, so that their messages follow the questions.
    sys.stdout.flush()
    try:
        cookiecutter(
            str(ROOT),
            no_input=True,
            extra_context={question: as_default(question, text) for question, text in answers.items()},
            output_dir=str(output),
            config_file=str(config) if config else None,
        )
    except OutputDirExistsException:
        raise
    except BaseException:
        shutil.rmtree(output / answers["project_slug"], ignore_errors=True)
        raise


def as_default(question: str, answer: str) -> str:
    """Convert an answer to a Cookiecutter default: text to a Jinja literal, a choice unchanged."""
    return answer if isinstance(QUESTIONS[question], list) else as_literal(answer)


def as_literal(answer: str) -> str:
    """Convert an answer to a Jinja literal, because Cookiecutter renders every default."""
    return '{{ "' + answer.encode("unicode_escape").decode("ascii").replace('"', "\\x22") + '" }}'


if __name__ == "__main__":
    main()
