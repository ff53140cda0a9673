"""Tests of the CLI of ``validate``: exit statuses, options and report formats."""

import io
import json
import os
import runpy
import sys

import jsonschema
import pytest
from rich.text import Text

from tests.validate.folder import TODAY, ProjectFolder
from tools.validate import command as command_line
from tools.validate.report import Report

TABLE = """\
   setting of orders     dev               prod
*  environment           dev               prod
*  environmentSuffix     dev               prod
   lambdaRuntime         (python3.13)      (python3.13)
   lambdaArchitecture    (arm64)           (arm64)
*  lambdaMemoryMb        512               256
   lambdaTimeoutSeconds  (60)              (60)
   batchSize             (10)              (10)
   batchWindowSeconds    (0)               (0)
   maxReceiveCount       (3)               (3)
*  logRetentionDays      30                365
*  notificationEmail     team@example.com  [secret]
   bucketName            ("")              ("")
   kmsKeyArn             ("")              ("")
   forceDestroy          (false)           (false)
*  aws:profile           x                 -
*  aws:region            us-east-2         us-east-1
* the stacks differ; (value) a default of Pulumi.yaml; - not set; [secret] not shown
Pulumi.prod.yaml:4: error: orders:lambdaMemoryMb: found "256", weaker than "512" of dev (Pulumi.dev.yaml:4), \
which comes before prod; allowed: 512 or more (policies.toml) [weaker-setting]
Pulumi.prod.yaml:7: warning: orders:notificationEmail: is encrypted, so no rule can check it; \
allowed: plain text, unless the value is confidential [secret-setting]
2 stacks compared: 1 error, 1 warning
"""


def run(folder: ProjectFolder, *arguments: str) -> int:
    """Run ``validate`` as of `TODAY`, a date on which the unchanged project has no problems."""
    return command_line.main(arguments, folder.path, TODAY)


def printed(folder: ProjectFolder, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    run(folder, *arguments)
    return capsys.readouterr().out


def test_report_in_a_pipe_is_plain_and_aligned(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.set("prod", "lambdaMemoryMb", "256")
    folder.set("prod", "notificationEmail", "{secure: AAAB}")
    folder.set("dev", "aws:profile", "x")

    text = printed(folder, capsys, "dev", "prod")

    assert [line.rstrip() for line in text.splitlines()] == TABLE.splitlines()


@pytest.mark.parametrize(
    ("value", "arguments", "status", "summary"),
    [
        (None, (), 0, "3 stacks compared: no problems found"),
        ("7", (), 0, "3 stacks compared: 1 warning"),
        ("7", ("--strict",), 1, "3 stacks compared: 1 error"),
        ("0", ("dev",), 1, "1 stack compared: 1 error"),
        ("[", (), 2, "2 stacks compared, not dev: 1 error"),
        (None, ("dve",), 2, "0 stacks compared, not dve: 1 error"),
    ],
)
def test_status_and_summary_are_of_the_worst_finding(
    folder: ProjectFolder,
    capsys: pytest.CaptureFixture[str],
    value: str | None,
    arguments: tuple[str, ...],
    status: int,
    summary: str,
) -> None:
    folder.set("dev", "batchSize", value)

    assert run(folder, *arguments) == status
    assert capsys.readouterr().out.endswith(f"{summary}\n")


def test_quiet_omits_the_comparison(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(folder, capsys, "dve", "--quiet") == (
        "Pulumi.dve.yaml:1: error: does not exist; did you mean dev? [unreadable-file]\n"
        "0 stacks compared, not dve: 1 error\n"
    )


def test_json_is_described_by_the_models_schema(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.set("dev", "aws:profile", "日本")
    folder.set("dev", "batchSize", "7")

    text = printed(folder, capsys, "--format", "json")

    content = json.loads(text)
    assert text.isascii()
    jsonschema.validate(content, Report.model_json_schema(mode="serialization"))
    assert (content["schema_version"], content["status"], content["deployments"]) == (2, 0, None)
    (finding,) = content["findings"]
    assert finding == {
        "rule": "small-batches",
        "severity": "warning",
        "message": 'found "7"; allowed in dev: 5 or 10 (policies.toml)',
        "stacks": ["dev"],
        "file": "Pulumi.dev.yaml",
        "line": 9,
        "key": "orders:batchSize",
    }


@pytest.mark.parametrize(("workspace", "prefix"), [("", ""), ("..", "project/"), ("elsewhere", "")])
def test_pull_request_is_annotated_from_the_root_of_the_repository(
    folder: ProjectFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    workspace: str,
    prefix: str,
) -> None:
    if workspace:
        monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.path / workspace))
    folder.write("Pulumi.a,b:%.yml", "")
    folder.append("Pulumi.dev.yaml", '"\\e[31m\\n::error::100 %": 1\n')

    assert printed(folder, capsys, "--format", "github").replace(folder.path.name, "project") == (
        f"::warning file={prefix}Pulumi.a%2Cb%3A%25.yml,line=1,title=ignored-file::"
        "Pulumi does not read this file; allowed: Pulumi.STACK.yaml\n"
        f"::error file={prefix}Pulumi.dev.yaml,line=8,title=unknown-section::\\x1b[31m\\n::error::100 %25: "
        "unknown section; allowed: config, environment, secretsprovider, encryptedkey, encryptionsalt\n"
        "3 stacks compared: 1 error, 1 warning\n"
    )


def test_escape_sequences_of_files_are_not_printed(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.set("dev", "aws:profile", '"\\e[31m[bold]\\u202e"')
    folder.set("dev", '"aws:\\e[31mkey"', "1")
    folder.write("Pulumi.\x1b[31m.yaml", "")

    text = printed(folder, capsys)

    assert "\x1b" not in text
    for escaped in ("\\x1b[31m[bold]\\u202e", "aws:\\x1b[31mkey", "Pulumi.\\x1b[31m.yaml:1: warning: "):
        assert escaped in text


@pytest.mark.parametrize("width", ["60", "140"])
def test_terminal_has_colours_and_breaks_lines(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": width}.items():
        monkeypatch.setenv(name, value)
    folder.set("dev", "batchSize", "0")
    folder.set("dev", "aws:profile", "Q" * 100)

    text = printed(folder, capsys)

    # Messages are not wrapped, so that they stay searchable.
    assert '\x1b[1;31merror\x1b[0m: orders:batchSize: found "0"; allowed: a whole number from 1 to 10000 [' in text
    table = text.partition("* the stacks")[0]
    assert "\x1b[2m(python3.13)" in table
    assert table.count("Q") == 100
    assert max(len(Text.from_ansi(line).plain) for line in table.splitlines()) <= int(width)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Pulumi.yaml", "- a\n", "validate: Pulumi.yaml:1: is not a mapping of keys to values\n"),
        ("policies.toml", "stronger = 1\nvalues = 1\n", "validate: policies.toml: namespaces: is not set\n"),
    ],
)
def test_project_that_cannot_be_read_is_not_validated(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str], name: str, content: str, message: str
) -> None:
    folder.write(name, content)

    with pytest.raises(SystemExit) as error:
        run(folder, "--format", "json")

    captured = capsys.readouterr()
    assert (error.value.code, captured.out) == (2, "")
    assert captured.err.startswith(message)
    assert all(line.startswith("validate: ") for line in captured.err.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stric"], "unrecognized arguments: --stric"),
        (["--stack", "dev"], "unrecognized arguments: --stack"),
        (["--format", "xml"], "argument --format: invalid choice: 'xml'"),
    ],
)
def test_wrong_usage_is_refused(
    folder: ProjectFolder, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as error:
        run(folder, *arguments)

    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_help_has_examples_for_the_package_manager(folder: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write("Pipfile", "")

    with pytest.raises(SystemExit) as error:
        run(folder, "--help")

    text = capsys.readouterr().out
    assert error.value.code == 0
    assert "usage: pipenv run validate [-h]" in text
    assert "\n  pipenv run validate staging prod --strict\n" in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_closed_pipe_is_not_an_error(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)

        assert run(folder, "--format", form) == 0


@pytest.mark.parametrize("form", ["text", "github"])
def test_report_can_be_piped_in_a_legacy_encoding(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    folder.append("Pulumi.dev.yaml", "  aws:größe: 日本\ngröße日本: 1\n")
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding="cp1252"))

    assert run(folder, "--format", form) == 1
    assert b"gr\xf6\xdfe\\u65e5\\u672c: unknown section" in file.getvalue()


def test_task_validates_its_own_project(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["validate", "--format", "json"])

    with pytest.raises(SystemExit):
        runpy.run_module("tools.validate", run_name="__main__")

    assert json.loads(capsys.readouterr().out)["stacks"] == ["dev", "staging", "prod"]
