"""The outputs file: complete, or not written at all."""

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools import outputs

COMPLETE = {name: f"value of {name}" for name in outputs.exported_names()}


@pytest.fixture(name="file")
def fixture_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the outputs file, in a temporary folder."""
    monkeypatch.setattr(outputs, "PROJECT_FOLDER", tmp_path)
    return tmp_path / outputs.OUTPUTS_FILE


def pulumi_answers(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | str, status: int = 0) -> list[list[str]]:
    """Stand in for the engine, which answers with JSON or a text, and record its calls."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=status, stdout=answer if isinstance(answer, str) else json.dumps(answer))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return commands


def test_the_outputs_of_the_named_stack_are_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = pulumi_answers(monkeypatch, COMPLETE)

    assert outputs.save_outputs("staging") == COMPLETE

    assert commands == [["/usr/bin/pulumi", "stack", "output", "--json", "--stack", "staging"]]
    assert json.loads(file.read_text(encoding="utf-8")) == COMPLETE
    assert capsys.readouterr().out == "cfn-outputs/flat-outputs.json: 7 outputs of staging\n"


@pytest.mark.parametrize(
    "answer", [{}, COMPLETE | {"queue_url": ""}, {k: v for k, v in COMPLETE.items() if k != "queue_url"}]
)
def test_incomplete_outputs_keep_the_earlier_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, str]
) -> None:
    outputs.write_outputs(COMPLETE, file)
    before = file.read_bytes()
    pulumi_answers(monkeypatch, answer)

    with pytest.raises(
        SystemExit, match=r"^outputs: stack dev lacks .*queue_url.*; the task `pulumi-deploy` deploys it$"
    ):
        outputs.save_outputs("dev")

    assert file.read_bytes() == before


def test_a_failing_engine_is_reported_with_its_exit_status(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi_answers(monkeypatch, {}, status=255)

    with pytest.raises(SystemExit, match="failed with exit status 255"):
        outputs.save_outputs("dev")

    assert not file.exists()


def test_outputs_that_cannot_be_read_are_reported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi_answers(monkeypatch, "warning: a new version")

    with pytest.raises(SystemExit, match="outputs: the output of `pulumi stack output --json` cannot be read: "):
        outputs.save_outputs("dev")

    assert not file.exists()


@pytest.mark.usefixtures("file")
def test_a_missing_engine_is_reported_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(SystemExit, match="pulumi is not on the PATH; https://www"):
        outputs.save_outputs("dev")


def test_only_the_finished_file_is_left(file: Path) -> None:
    outputs.write_outputs(COMPLETE, file)

    assert list(file.parent.iterdir()) == [file]


def test_the_outputs_are_those_that_the_program_names(tmp_path: Path) -> None:
    program = 'import pulumi\n\nif pulumi:\n    pulumi.export("second", 1)\npulumi.export("first", 2)\nprint("third")\n'
    (tmp_path / "__main__.py").write_text(program, encoding="utf-8")

    assert sorted(outputs.exported_names(tmp_path)) == ["first", "second"]
