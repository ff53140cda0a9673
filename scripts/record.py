"""Records ``docs/recording.svg``: ``make new``, the first steps in the new project, and ``validate``.

The commands run in a pseudo-terminal, in a copy of the template. Their output is unchanged, except that durations are
removed and this machine's paths are replaced. The pace is slow enough to read.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pexpect
from pexpect.fdpexpect import fdspawn
from ptyreel import Recording, TapeSettings, render_svg
from ptyreel.layout import Layout
from ptyreel.screen import TerminalScreen

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "recording.svg"
TITLE = "cookiecutter-pulumi-aws"
SETTINGS = TapeSettings(width=960, height=890, font_size=14, padding=16, title=TITLE, loop_delay_ms=3_000)
LAYOUT = Layout.from_settings(SETTINGS)
# Replacements for this machine's paths.
SHOWN_FOLDER = "/home/you"
SHOWN_PYTHON = "/usr/bin/python3"

NOT_COPIED = shutil.ignore_patterns(".venv*", ".git", "build", "__pycache__", ".hypothesis", "*_cache", "uv.lock")
# Prefixes of environment variables that the commands do not inherit.
DROPPED = ("AWS_", "PULUMI_", "PYTEST_", "COV_", "GITHUB_", "MAKE", "MFLAGS", "VIRTUAL_ENV")
DROPPED += ("OUTPUT", "ANSWERS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CI", "COLUMNS", "LINES")

COLOUR = r"(?:\x1b\[[\d;]*m)*"
QUESTION = rf"\){COLOUR}: {COLOUR}\Z"
# For example: in 29ms, in 61.20s (0:01:01), 7.1 s, (7 s).
DURATION = re.compile(
    rf" ({COLOUR})(?:in (?:\d+m )?[\d.]+ ?m?s\b(?: \(\d+:\d\d:\d\d\))?|\d+\.\d+ ?m?s\b|\([\d.]+ ?m?s\))"
)
INTERPRETER = re.compile(rf"(?<=interpreter at: )({COLOUR})[^\r\n\x1b]+")
PATIENCE_S = 600

PROMPT = "\x1b[1;32m$\x1b[0m "
# The pace of the recording.
KEY_MS = 25
BEFORE_ANSWER_MS = 150
BEFORE_OUTPUT_MS = 250
FRAME_MS = 80
AFTER_COMMAND_MS = 1_000
AT_THE_END_MS = 4_000
# Maximum number of frames for a command's output.
MOST_FRAMES = 25


@dataclass(frozen=True)
class Scene:
    """A command in the recording.

    Attributes:
        command: The shell command.
        folder: The working directory, relative to the template's folder.
        answers: Typed answers to the first questions. The other questions get their defaults.
        statuses: Allowed exit statuses.
    """

    command: str
    folder: str = "."
    answers: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Step:
    """A part of the terminal's output, or typed input.

    Attributes:
        text: Characters and escape sequences.
        typed: Whether the text appears key by key.
    """

    text: str
    typed: bool = False


NEW = Scene("make new", answers=("Order Events",))
PROJECT = "build/order-events"
SCENES = (
    NEW,
    Scene(f"cd {PROJECT} && uv sync"),
    Scene("uv run poe check", PROJECT),
    Scene("uv run poe validate", PROJECT, statuses=(0, 1)),
)


class RecordingError(Exception):
    """The recording failed; the message says why."""


def main() -> None:
    """Run the commands and write the recording.

    Raises:
        SystemExit: If a command fails or times out.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            template = copy_template(Path(folder).resolve())
            variables = neutral_environment(template.parent)
            steps = [run(scene, template, variables) for scene in SCENES]
    except (RecordingError, OSError) as error:
        sys.exit(f"make recording: {error}")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(render_svg(play(SCENES, steps), settings=SETTINGS), encoding="utf-8", newline="\n")
    print(f"{PICTURE.relative_to(ROOT)} has been recorded.")


def copy_template(folder: Path) -> Path:
    """Copy the template, with links to its virtual environments, so that the original stays unchanged.

    Returns:
        The folder of the copy.
    """

    def copy(source: str, target: str) -> None:
        shutil.copyfile(source, target)
        # Older than the installation marker, so that make does not reinstall the tools.
        os.utime(target, (0, 0))

    template = Path(shutil.copytree(ROOT, folder / TITLE, ignore=NOT_COPIED, copy_function=copy))
    for environment in ROOT.glob(".venv*"):
        (template / environment.name).symlink_to(environment, target_is_directory=True)
    return template


def neutral_environment(folder: Path) -> dict[str, str]:
    """Return environment variables that make the output independent of the machine and the user's settings."""
    configuration = folder / "cookiecutter.yaml"
    configuration.write_text(f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder}\n", encoding="utf-8")
    # Pretend that the Pulumi CLI is installed: no recorded command runs it.
    pulumi = folder / "bin" / "pulumi"
    pulumi.parent.mkdir(exist_ok=True)
    pulumi.touch(mode=0o755)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    return variables | {
        # If the machine has no uv, use uv from the template's virtual environment.
        "PATH": os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent), str(pulumi.parent)]),
        "TERM": "xterm-256color",
        "COOKIECUTTER_CONFIG": str(configuration),
        "PYLINTHOME": str(folder / "pylint"),
        "UV_NO_PROGRESS": "1",
        "UV_LINK_MODE": "copy",
    }


def run(scene: Scene, template: Path, variables: dict[str, str]) -> list[Step]:
    """Run a command in a terminal of the recording's size, and answer its questions.

    Returns:
        The terminal's output and the typed answers.

    Raises:
        RecordingError: If pseudo-terminals are unavailable, or the command fails or times out.
    """
    if sys.platform == "win32":
        raise RecordingError("Windows has no pseudo-terminals; use WSL")
    master, slave = os.openpty()
    subprocess.run(["stty", "rows", str(LAYOUT.rows), "cols", str(LAYOUT.cols)], stdin=slave, check=True)
    process = subprocess.Popen(
        ["sh", "-c", scene.command],
        cwd=template / scene.folder,
        env=variables,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        steps = converse(fdspawn(master, encoding="utf-8", timeout=PATIENCE_S), scene)
        status = process.wait(PATIENCE_S)
    except (pexpect.TIMEOUT, subprocess.TimeoutExpired) as error:
        raise RecordingError(f"{scene.command} timed out after {PATIENCE_S} s") from error
    finally:
        os.close(master)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status not in scene.statuses:
        raise RecordingError("\n".join([f"{scene.command} exited with status {status}", *lines(steps)]))
    return [Step(neutral(step.text, template.parent), typed=step.typed) for step in steps]


def converse(terminal: fdspawn, scene: Scene) -> list[Step]:
    """Answer a command's questions until the command ends.

    Returns:
        The command's output and the typed answers.
    """
    steps: list[Step] = [Step("\r\n")]
    answers = iter(scene.answers)
    while True:
        ended = terminal.expect([QUESTION, pexpect.EOF]) == 1
        steps.append(Step(f"{terminal.before}{'' if ended else terminal.after}"))
        if ended:
            return steps
        if answer := next(answers, ""):
            terminal.send(answer)
            terminal.expect_exact(answer)
            steps.append(Step(answer, typed=True))
        terminal.send("\n")


def neutral(text: str, folder: Path) -> str:
    """Remove durations from text, and replace this machine's paths."""
    text = INTERPRETER.sub(rf"\1{SHOWN_PYTHON}", DURATION.sub(r"\1", text))
    return text.replace(str(folder), SHOWN_FOLDER)


def lines(steps: list[Step]) -> list[str]:
    """Return the nonblank lines that a terminal of the recording's size shows."""
    screen = TerminalScreen(cols=LAYOUT.cols, rows=LAYOUT.rows)
    screen.feed("".join(step.text for step in steps), time_ms=0)
    shown = {version.line: version.chars.rstrip() for version in screen.snapshot().lines}
    return [shown[number] for number in sorted(shown) if shown[number]]


def parts(text: str) -> list[str]:
    """Split output into at most `MOST_FRAMES` groups of lines."""
    # Split only at newlines, because the carriage returns of progress bars differ between runs.
    printed = re.findall(r"[^\n]*\n|[^\n]+", text)
    size = -(-len(printed) // MOST_FRAMES)
    return ["".join(printed[start : start + size]) for start in range(0, len(printed), size or 1)]


def play(scenes: tuple[Scene, ...], steps: list[list[Step]]) -> Recording:
    """Replay the commands and their output at a readable pace."""
    screen = TerminalScreen(cols=LAYOUT.cols, rows=LAYOUT.rows)
    now = 0

    def type_text(text: str) -> None:
        nonlocal now
        for key in text:
            now += KEY_MS
            screen.feed(key, time_ms=now)

    for scene, shown in zip(scenes, steps, strict=True):
        screen.feed(PROMPT, time_ms=now)
        now += BEFORE_OUTPUT_MS
        type_text(scene.command)
        now += BEFORE_OUTPUT_MS
        for step in shown:
            if step.typed:
                type_text(step.text)
                now += BEFORE_ANSWER_MS
                continue
            for part in parts(step.text):
                screen.feed(part, time_ms=now)
                now += FRAME_MS
            now += BEFORE_ANSWER_MS if scene.answers else 0
        now += AFTER_COMMAND_MS
    screen.feed(PROMPT, time_ms=now)
    return screen.snapshot(duration_ms=now + AT_THE_END_MS)


if __name__ == "__main__":
    main()
