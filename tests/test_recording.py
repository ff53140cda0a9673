"""The README's recording shows the current output of the commands, and is small and self-contained."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.record import (
    LAYOUT,
    NEW,
    PICTURE,
    SCENES,
    RecordingError,
    Scene,
    copy_template,
    lines,
    neutral_environment,
    run,
)
from tests.combinations import ROOT
from tests.projects import Environment, Project

STALE = "docs/recording.svg is out of date; refresh it with: make recording"
SVG = "{http://www.w3.org/2000/svg}"

terminal = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")


def shown() -> dict[str, list[str]]:
    """Read each command's output from the recording, without blank lines."""
    picture = ElementTree.parse(PICTURE)  # noqa: S314 # our own file
    rows: dict[int, str] = {}
    for text in picture.iter(f"{SVG}text"):
        row = [" "] * LAYOUT.cols
        for span in text.iter(f"{SVG}tspan"):
            column = int(span.attrib["x"]) // LAYOUT.char_width
            content = span.text or ""
            row[column : column + len(content)] = content
        # The animation may draw a row several times; the last version counts.
        rows[int(text.attrib["y"])] = "".join(row).rstrip()
    commands: dict[str, list[str]] = {}
    for _, row in sorted(rows.items()):
        if row.startswith("$ "):
            commands[row.removeprefix("$ ")] = []
        elif row not in {"", "$"} and commands:
            commands[list(commands)[-1]].append(row)
    return commands


@pytest.fixture(scope="module", name="recorded")
def fixture_recorded() -> dict[str, list[str]]:
    return shown()


@pytest.fixture(scope="module", name="project")
def fixture_project(bake: Callable[..., Project]) -> Project:
    return bake(project_name=NEW.answers[0])


@terminal
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the PATH")
def test_the_recording_shows_the_current_questions_of_make_new(recorded: dict[str, list[str]], tmp_path: Path) -> None:
    today = lines(run(NEW, copy_template(tmp_path), neutral_environment(tmp_path)))

    # After the questions, the output also lists the tools that this machine lacks.
    picture = recorded[NEW.command]
    asked = max(number for number, line in enumerate(picture, 1) if line.endswith("):"))
    assert today[:asked] == picture[:asked], STALE
    assert [line for line in picture[asked:] if line not in today[asked:]] == [], STALE


def test_the_recording_continues_with_the_commands_that_make_new_names(recorded: dict[str, list[str]]) -> None:
    assert list(recorded) == [scene.command for scene in SCENES], STALE
    named = [line.strip() for line in recorded[NEW.command]]
    enter, install = SCENES[1].command.split(" && ")

    assert [line for line in named if line.startswith("cd /") and line.endswith(f"/{enter.removeprefix('cd ')}")]
    assert {install, SCENES[2].command} <= set(named)


@terminal
def test_the_recording_shows_current_steps_of_check_and_validate(
    recorded: dict[str, list[str]], project: Project, environment: Environment, tmp_path: Path
) -> None:
    def today(command: str) -> list[str]:
        variables = neutral_environment(tmp_path) | {"PATH": environment.variables()["PATH"]}
        return lines(run(Scene(command, str(project.path), statuses=SCENES[-1].statuses), tmp_path, variables))

    steps = [line for line in today("poe --dry-run check") if "Poe =>" in line]
    assert steps
    assert sorted(line for line in recorded["uv run poe check"] if "Poe =>" in line) == sorted(steps), STALE
    assert today("poe validate") == recorded["uv run poe validate"], STALE


def test_the_recording_is_small_short_and_the_same_on_every_machine() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    shown_text = "".join(re.findall(r"<tspan[^>]*>([^<]*)", text))
    duration = re.search(r"animation-duration:([\d.]+)s", text)

    assert len(text.encode()) <= 200_000
    assert duration
    assert float(duration[1]) <= 45
    # External files, local paths and durations would make the recording depend on the machine.
    assert re.findall(r"<(?:script|image|foreignObject|a|use)\b|\bhref=|\bon\w+=|@import|@font-face", text) == []
    assert re.findall(r"/(?:root|tmp|private|var|Users)/|/home/(?!you/)", text) == []
    assert re.findall(r"\d (?:seconds|m?s)\b|\d\.\d+m?s\b", shown_text) == []


def test_the_readme_shows_the_recording_with_alt_text() -> None:
    introduction, *_ = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")

    assert re.search(rf"^!\[\w[^\]]+\]\({PICTURE.relative_to(ROOT).as_posix()}\)$", introduction, flags=re.MULTILINE)


@terminal
def test_answers_are_typed_and_other_questions_keep_their_defaults(tmp_path: Path) -> None:
    command = 'printf "a (x): "; read a; printf "b (y): "; read b; echo "[$a][$b]"'

    steps = run(Scene(command, answers=("Orders",)), tmp_path, neutral_environment(tmp_path))

    assert [step.text for step in steps if step.typed] == ["Orders"]
    assert lines(steps) == ["a (x): Orders", "b (y):", "[Orders][]"]


@terminal
def test_a_failing_command_stops_the_recording_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"exit 3 exited with status 3\nsomething is wrong$"):
        run(Scene("echo something is wrong; exit 3"), tmp_path, neutral_environment(tmp_path))
