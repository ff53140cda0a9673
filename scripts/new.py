"""Renders a project, and says where it is and how to go on.

Cookiecutter does the work. What is added: answers that nobody asked for are refused and not ignored, a refused answer
does not cost the others, and a failure is a message and not a stack trace.
"""

import argparse
import json
import logging
import shlex
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import yaml
from cookiecutter.config import get_user_config
from cookiecutter.exceptions import CookiecutterException, FailedHookException
from cookiecutter.main import cookiecutter
from cookiecutter.replay import load

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
FIRST_COMMANDS = {"uv": ("uv sync", "uv run poe check"), "pipenv": ("pipenv install --dev", "pipenv run check")}


def main() -> None:
    """Render a project as the arguments say.

    Raises:
        SystemExit: If it cannot be rendered, with the reason.
    """
    parser = argparse.ArgumentParser(prog="make new", description="Render a project from the template.")
    parser.add_argument(
        "--output", type=Path, default=Path("build"), help="folder that the project's folder is made in"
    )
    parser.add_argument("--answers", type=Path, help="YAML file: Cookiecutter's configuration, with default_context")
    arguments = parser.parse_args()
    # Cookiecutter logs a stack trace when a hook fails.
    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)
    try:
        if arguments.answers:
            refuse_unknown_answers(arguments.answers)
        project = render(arguments.output, arguments.answers, ask=sys.stdin.isatty())
    except FailedHookException:
        # The hook has said what is refused.
        sys.exit(1)
    except (AnswersError, CookiecutterException, UserWarning) as error:
        sys.exit(f"make new: {error}")
    except KeyboardInterrupt:
        sys.exit("\nmake new: stopped, nothing was written")
    print("\n".join(closing_words(project)))


class AnswersError(Exception):
    """The file of answers cannot be used; the message says why."""


def refuse_unknown_answers(path: Path) -> None:
    """Check a file of answers for what Cookiecutter would ignore in silence.

    Raises:
        AnswersError: If it cannot be read, or answers a question that is not asked.
    """
    try:
        answers = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("default_context") or {}
    except (OSError, UnicodeError) as error:
        raise AnswersError(f"{path} cannot be read: {type(error).__name__}") from error
    except (yaml.YAMLError, AttributeError) as error:
        raise AnswersError(f"{path} is not a YAML mapping with default_context: {error}") from error
    questions = [key for key in QUESTIONS if key[0] != "_"]
    unknown = sorted(set(answers) - set(questions))
    if unknown:
        raise AnswersError(f"{path} answers unknown questions: {', '.join(unknown)}; allowed: {', '.join(questions)}")


def render(output: Path, answers: Path | None, *, ask: bool) -> Path:
    """Render a project; with a person at the terminal, ask again for as long as answers are refused.

    Returns:
        The project's folder.

    Raises:
        CookiecutterException: If Cookiecutter fails, or an answer is refused and nobody can be asked.
        UserWarning: If the file of answers chooses what is not offered.
    """
    given: dict[str, Any] = {}
    config = str(answers) if answers else None
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                rendered = cookiecutter(
                    str(ROOT), no_input=not ask, extra_context=given, output_dir=str(output), config_file=config
                )
            return Path(rendered)
        except FailedHookException:
            if not ask:
                raise
            replayed = load(get_user_config(config)["replay_dir"], ROOT.name)["cookiecutter"]
            given = {key: as_default(key, replayed[key]) for key in QUESTIONS if key[0] != "_"}
            print("\nYour answers are kept: press Enter to keep one, type to change it.\n")


def as_default(question: str, answer: str) -> str:
    """Write an answer as the default of its question, when it is asked again."""
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
