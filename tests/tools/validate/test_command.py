"""The command line: exit statuses, options, help."""

import errno
import io
import json
import os
import runpy
import sys

import pytest

from tests.validate.folder import ProjectFolder
from tools.validate import command as command_line

OPTIONS = ("--stack", "--live", "--strict", "--quiet", "--format", "--no-color", "--date")
DAY = ("--date", "2026-03-01")


def run(folder: ProjectFolder, *arguments: str) -> int:
    """Validate the project on a date on which it has no problems."""
    return command_line.main([*DAY, *arguments], folder.path)


def test_no_problems_are_status_0(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    assert capsys.readouterr().out.endswith("3 stacks compared: no problems found\n")


def test_a_warning_is_status_0_or_with_strict_1(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.set("dev", "batchSize", "7")

    assert run(folder) == 0
    assert capsys.readouterr().out.endswith("3 stacks compared: 1 warning\n")
    assert run(folder, "--strict") == 1
    assert capsys.readouterr().out.endswith("3 stacks compared: 1 error\n")


def test_quiet_omits_the_comparison(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.set("dev", "batchSize", "7")

    assert run(folder, "--quiet") == 0
    warning, summary = capsys.readouterr().out.splitlines()
    assert warning.startswith("Pulumi.dev.yaml:8: warning: orders:batchSize: ")
    assert summary == "3 stacks compared: 1 warning"


def test_markdown_is_a_format(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.set("dev", "batchSize", "7")

    assert run(folder, "--format", "markdown") == 0
    assert capsys.readouterr().out.startswith("| severity | place | finding | rule |\n|---|---|---|---|\n| warning | ")


def test_an_error_is_status_1(folder: ProjectFolder) -> None:
    folder.set("dev", "batchSize", "0")

    assert run(folder) == 1


def test_a_file_that_cannot_be_read_is_status_2_and_the_others_are_compared(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("Pulumi.dev.yaml", "- a\n")

    assert run(folder) == 2
    assert capsys.readouterr().out.endswith("2 stacks compared, not dev: 1 error\n")


def test_a_project_that_cannot_be_read_is_status_2_and_one_line(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("Pulumi.yaml", "- a\n")

    assert run(folder, "--format", "json") == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "validate: Pulumi.yaml:1: is not a mapping of keys to values\n")


def test_escape_sequences_in_error_messages_are_not_printed(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.replace("Pulumi.yaml", "runtime: python\n", 'stackConfigDir: "a\\e[31mb"\n')

    assert run(folder) == 2
    assert "a\\x1b[31mb; allowed: Pulumi.STACK.yaml\n" in capsys.readouterr().err


def test_a_missing_engine_is_status_2_and_one_line(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    assert run(folder, "--live") == 2
    assert capsys.readouterr().err == (
        "validate: pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stacks", "dev"], "unrecognized arguments: --stacks dev"),
        (["--stric"], "unrecognized arguments: --stric"),
        (["--format", "xml"], "argument --format: invalid choice: 'xml'"),
        (["--date", "soon"], "argument --date: found 'soon'; allowed: a date like 2027-06-01"),
        (["--stack"], "argument --stack: expected one argument"),
    ],
)
def test_wrong_usage_is_status_2_with_a_message(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as error:
        run(folder, *arguments)

    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_stack_can_be_repeated(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--stack", "prod", "--stack", "dev", "--format", "json") == 0
    assert [stack["name"] for stack in json.loads(capsys.readouterr().out)["stacks"]] == ["dev", "prod"]


def test_the_report_has_the_given_date(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--date", "2030-01-01", "--format", "json") == 1
    assert json.loads(capsys.readouterr().out)["date"] == "2030-01-01"


def test_github_gets_a_command_for_each_finding(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.set("dev", "batchSize", "0")

    assert run(folder, "--format", "github") == 1
    command, summary = capsys.readouterr().out.splitlines()
    assert command.startswith("::error file=Pulumi.dev.yaml,title=bad-value,line=8::orders:batchSize")
    assert summary == "3 stacks compared: 1 error"


@pytest.fixture(name="terminal")
def fixture_terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal with colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": ""}])
def test_a_terminal_has_colours(
    folder: ProjectFolder,
    capsys: pytest.CaptureFixture[str],
    terminal: pytest.MonkeyPatch,
    variables: dict[str, str],
) -> None:
    folder.set("dev", "batchSize", "0")
    for name, value in variables.items():
        terminal.setenv(name, value)

    run(folder)

    assert "\x1b[1;31merror" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "no_color"), [(["--no-color"], ""), ([], "1")])
def test_colours_can_be_switched_off(
    folder: ProjectFolder,
    capsys: pytest.CaptureFixture[str],
    terminal: pytest.MonkeyPatch,
    arguments: list[str],
    no_color: str,
) -> None:
    folder.set("dev", "batchSize", "0")
    terminal.setenv("NO_COLOR", no_color)

    run(folder, *arguments)

    text = capsys.readouterr().out
    assert "error" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("pipfile", "prefix"), [(False, "uv run poe"), (True, "pipenv run")])
def test_help_shows_every_option_every_status_and_examples(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str], pipfile: bool, prefix: str
) -> None:
    if pipfile:
        folder.write("Pipfile", "")

    with pytest.raises(SystemExit) as error:
        run(folder, "--help")

    text = capsys.readouterr().out
    assert error.value.code == 0
    assert all(option in text for option in OPTIONS)
    assert all(f"\n  {status}  " in text for status in range(3))
    examples = [line.strip() for line in text.partition("examples:")[2].splitlines() if line]
    assert len(examples) > 3
    assert all(example.startswith(f"{prefix} validate") for example in examples)


def test_an_interrupt_is_status_130(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "validate_configuration", interrupted)

    with pytest.raises(SystemExit) as error:
        run(folder)

    assert error.value.code == 130
    assert capsys.readouterr().err == "\nvalidate: interrupted\n"


class Pipe:
    """A closed pipe as standard output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        self.stream = os.fdopen(writer, "w", encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", self.stream)


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_a_closed_pipe_is_no_error(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    pipe = Pipe(monkeypatch)

    status = run(folder, "--format", form)

    # Remaining output is discarded.
    pipe.stream.close()
    assert status == 0


def test_a_report_that_cannot_be_written_is_status_2(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(command_line, "print_report", full)
    with (folder.path / "report").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)

        assert run(folder) == 2

    assert capfd.readouterr().err == f"validate: the report cannot be written: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.parametrize("form", ["text", "json", "github"])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_report_can_be_piped_in_any_encoding(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, form: str, encoding: str
) -> None:
    folder.write("Pulumi.dev.yaml", folder.read("Pulumi.dev.yaml") + "  aws:größe: 日本\ngröße日本: 1\n")
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding=encoding))

    assert run(folder, "--format", form) == 1
    assert b"unknown-section" in file.getvalue()


def test_the_task_calls_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["validate", "--format", "json"])

    with pytest.raises(SystemExit):
        runpy.run_module("tools.validate", run_name="__main__")

    assert json.loads(capsys.readouterr().out)["stacks"]
