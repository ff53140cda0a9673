"""Renders a project, and says where it is and how to go on.

Cookiecutter does the work. What is added: answers in a file are text and not Jinja, those that nobody asked for are
refused and not ignored, a refused answer does not cost the others, and a failure is a message and not a stack trace.
"""

import argparse
import json
import logging
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml
from cookiecutter.config import get_user_config
from cookiecutter.exceptions import CookiecutterException, FailedHookException, OutputDirExistsException
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import render_variable
from cookiecutter.replay import load
from cookiecutter.utils import create_env_with_context

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
ASKED = [question for question in QUESTIONS if question[0] != "_"]
# https://cookiecutter.readthedocs.io/en/stable/advanced/user_config.html
CONFIGURATION = {"default_context", "cookiecutters_dir", "replay_dir", "abbreviations"}
FIRST_COMMANDS = {"uv": ("uv sync", "uv run poe check"), "pipenv": ("pipenv install --dev", "pipenv run check")}

Answers = dict[str, str]


class AnswersError(Exception):
    """The file of answers cannot be used; the message says why."""


def main() -> None:
    """Render a project as the arguments say.

    Raises:
        SystemExit: If it cannot be rendered, with the reason.
    """
    parser = argparse.ArgumentParser(prog="make new", description="Render a project from the template.")
    parser.add_argument("--output", default=os.environ.get("OUTPUT"), help="folder to render into, build/ by default")
    parser.add_argument("--answers", default=os.environ.get("ANSWERS"), help="Cookiecutter's configuration, in YAML")
    arguments = parser.parse_args()
    output = Path(arguments.output or "build").expanduser()
    # Cookiecutter logs a stack trace when a hook fails.
    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)
    try:
        config = Path(arguments.answers).expanduser() if arguments.answers else None
        answers = read_answers(config) if config else {}
        project = render(output, config, answers, ask=sys.stdin.isatty())
    except FailedHookException:
        # The hook has said what is refused.
        sys.exit(1)
    except OutputDirExistsException as error:
        sys.exit(f"make new: {error}; remove it, or give another OUTPUT= or project_slug")
    except (AnswersError, CookiecutterException, OSError) as error:
        sys.exit(f"make new: {error}")
    except (EOFError, KeyboardInterrupt):
        sys.exit("\nmake new: stopped, nothing was written")
    print("\n".join(closing_words(project)))


def read_answers(path: Path) -> Answers:
    """Read the answers of a configuration of Cookiecutter's, and refuse what Cookiecutter would ignore in silence.

    Raises:
        AnswersError: If it cannot be read, or anything in it is not an answer to a question.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise AnswersError(f"{path} cannot be read: {type(error).__name__}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise AnswersError(f"{path} is not YAML: {error}") from error
    answers = config.get("default_context", {}) if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(answers, dict):
        raise AnswersError(f"{path} is not a mapping whose default_context is a mapping of answers")
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
        raise AnswersError("\n  - ".join([f"{path} has {len(problems)} problem(s):", *problems]))
    return answers


def render(output: Path, config: Path | None, answers: Answers, *, ask: bool) -> Path:
    """Render a project; with a person at the terminal, ask again for as long as answers are refused.

    Returns:
        The project's folder.

    Raises:
        CookiecutterException: If Cookiecutter fails, or an answer is refused and nobody can be asked.
        OSError: If the folder cannot be written.
    """
    config_file = str(config) if config else None
    while True:
        try:
            given = {question: as_default(question, answer) for question, answer in answers.items()}
            rendered = cookiecutter(
                str(ROOT), no_input=not ask, extra_context=given, output_dir=str(output), config_file=config_file
            )
            return Path(rendered)
        except FailedHookException:
            if not ask:
                raise
            answers = changed(load(get_user_config(config_file)["replay_dir"], ROOT.name)["cookiecutter"])
            print("\nYour answers are kept: press Enter to keep one, type to change it.\n")


def changed(answers: dict[str, Any]) -> Answers:
    """Pick the answers that are not their questions' defaults, so that what is derived follows what is corrected."""
    environment = create_env_with_context({"cookiecutter": {}})
    defaults = {question: render_variable(environment, QUESTIONS[question], answers) for question in ASKED}
    return {question: answers[question] for question in ASKED if answers[question] != defaults[question]}


def as_default(question: str, answer: str) -> str:
    """Write an answer as the default of its question."""
    return answer if isinstance(QUESTIONS[question], list) else as_literal(answer)


def as_literal(answer: str) -> str:
    """Write an answer as a Jinja literal, because Cookiecutter renders every default that it is given."""
    return '{{ "' + answer.encode("unicode_escape").decode("ascii").replace('"', "\\x22") + '" }}'


def closing_words(project: Path) -> list[str]:
    """Say where the project is and the next two commands, with tools as this machine has them."""
    manager = "pipenv" if (project / "Pipfile").exists() else "uv"
    tool = manager if shutil.which(manager) else str(Path(sys.executable).parent / manager)
    install, check = (command.replace(manager, shlex.quote(tool), 1) for command in FIRST_COMMANDS[manager])
    return [
        f"\nYour project is in {project}. Next:\n",
        f"    cd {shlex.quote(str(project))} && {install}",
        f"    {check}\n",
    ]


if __name__ == "__main__":
    main()
