"""Formats of the report: text, JSON, and annotations of a pull request."""

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from tests.validate.folder import ProjectFolder
from tools.testing.recording import STACKS
from tools.validate import formats
from tools.validate.report import Deployment, Finding, Property, Report, Resource

SCHEMA_FILE = Path(formats.__file__).with_name("report.schema.json")
SCHEMA: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
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
Pulumi.prod.yaml:7: warning: orders:notificationEmail: a secret, which no rule can check; \
allowed: plain text, unless the value is confidential [secret-setting]
2 stacks compared: 1 error, 1 warning
"""
MARKDOWN = """\
dev: deployed: 1 drifted, 0 to be changed

| severity | place | finding | rule |
|---|---|---|---|
| error | `Pulumi.dev.yaml:4` | `aws:region: found 'a' \\| \\n b` | `region` |
| warning | `qa, test` | `m` | `a-rule` |
| warning |  | `m` | `a-rule` |

1 stack compared: 1 error, 2 warnings
"""
FINDING = Finding(rule="a-rule", severity="warning", message="m")
RESOURCE = Resource(
    urn="urn:pulumi:dev::orders::aws:sqs/queue:Queue::queue",
    name="queue",
    type="aws:sqs/queue:Queue",
    operation="changed",
    properties=(Property(path="tags.Team", found='"a"', expected=None),),
)


def report_with(folder: ProjectFolder, *findings: Finding, deployments: tuple[Deployment, ...] | None = None) -> Report:
    """Return a report of the project with the given findings."""
    return folder.validate("dev").model_copy(update={"findings": findings, "deployments": deployments})


def printed(report: Report, **options: Any) -> str:
    """Return a report as text."""
    file = io.StringIO()
    formats.print_report(report, Console(file=file, **options))
    return file.getvalue()


def test_a_piped_report_is_plain_and_aligned(folder: ProjectFolder) -> None:
    folder.set("prod", "lambdaMemoryMb", "256")
    folder.set("prod", "notificationEmail", "{secure: AAAB}")
    folder.set("dev", "aws:profile", "x")

    assert printed(folder.validate("dev", "prod")) == TABLE


@pytest.mark.parametrize("width", [0, 1, *range(60, 121, 3), 200])
def test_lines_fit_the_terminal(folder: ProjectFolder, width: int) -> None:
    text = printed(folder.validate(*STACKS), force_terminal=True, width=width, color_system=None, legacy_windows=False)

    *table, legend, summary = text.splitlines()
    assert max(map(len, table)) <= max(width, 60)
    assert legend.startswith("* the stacks differ")
    assert summary == "4 stacks compared: no problems found"
    # Nothing is omitted or wrapped.
    assert sum(line.count("team@example.com") for line in table) == 4
    assert sum(line.count("(python3.13)") for line in table) == 4
    groups = [line for line in table if "setting of orders" in line]
    assert len([line for line in table if " lambdaTimeoutSeconds " in line]) == len(groups)


def test_a_terminal_shows_as_many_stacks_side_by_side_as_fit(folder: ProjectFolder) -> None:
    report = folder.validate(*STACKS)

    wide = printed(report, force_terminal=True, width=140, color_system=None, legacy_windows=False)
    narrow = printed(report, force_terminal=True, width=80, color_system=None, legacy_windows=False)

    assert wide.count("setting of orders") == 1
    assert narrow.count("setting of orders") == 2
    assert all(len(line) <= 140 for line in wide.splitlines())
    assert narrow.count("lambdaRuntime") == 2
    assert narrow.count("(python3.13)") == 4


def test_only_what_matters_is_coloured_in_a_terminal(folder: ProjectFolder) -> None:
    report = report_with(folder, FINDING.model_copy(update={"message": "found 512"}))

    lines = printed(report, force_terminal=True, width=140, color_system="standard").splitlines()

    assert "\x1b[33mwarning\x1b[0m: found 512 [a-rule]" in lines
    (default,) = (line for line in lines if "lambdaRuntime" in line)
    assert "\x1b[2m(python3.13)" in default
    assert not any("\x1b[1m" in line for line in lines if "lambdaRuntime" in line)


def test_differences_are_bold_in_a_terminal(folder: ProjectFolder) -> None:
    text = printed(folder.validate("dev", "prod"), force_terminal=True, width=140, color_system="standard")

    (line,) = (line for line in text.splitlines() if "lambdaMemoryMb" in line)
    assert "\x1b[1mlambdaMemoryMb" in line


def test_a_report_without_a_readable_stack_has_no_table(folder: ProjectFolder) -> None:
    folder.write("Pulumi.dev.yaml", "- a\n")
    report = folder.validate("dev")

    for text in (printed(report), printed(report, force_terminal=True, color_system=None)):
        assert text == (
            "Pulumi.dev.yaml:1: error: is not a mapping of keys to values [unreadable-file]\n"
            "0 stacks compared, not dev: 1 error\n"
        )


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ((), "1 stack compared: no problems found"),
        ((FINDING,), "1 stack compared: 1 warning"),
        ((FINDING, FINDING.model_copy(update={"severity": "error"}), FINDING), "1 stack compared: 1 error, 2 warnings"),
    ],
)
def test_the_last_line_is_a_summary(folder: ProjectFolder, findings: tuple[Finding, ...], summary: str) -> None:
    assert printed(report_with(folder, *findings)).splitlines()[-1] == summary


def test_each_deployment_has_a_line(folder: ProjectFolder) -> None:
    deployments = (
        Deployment(stack="dev", state="deployed", drift=(RESOURCE,), pending=()),
        Deployment(stack="prod", state="not-deployed"),
    )

    lines = printed(report_with(folder, deployments=deployments)).splitlines()

    assert lines[-3:] == [
        "dev: deployed: 1 drifted, 0 to be changed",
        "prod: not-deployed",
        "1 stack compared: no problems found",
    ]


def test_markdown_has_the_deployments_the_findings_and_the_summary(folder: ProjectFolder) -> None:
    deployment = Deployment(stack="dev", state="deployed", drift=(RESOURCE,))
    wrong = Finding(rule="region", severity="error", message="found `a` | \n b", key="aws:region")
    placed = wrong.model_copy(update={"file": "Pulumi.dev.yaml", "line": 4})
    without_a_file = FINDING.model_copy(update={"stacks": ("qa", "test")})

    report = report_with(folder, placed, without_a_file, FINDING, deployments=(deployment,))

    assert "\n".join(formats.to_markdown(report)) + "\n" == MARKDOWN


def test_markdown_without_findings_is_the_summary(folder: ProjectFolder) -> None:
    assert list(formats.to_markdown(folder.validate("dev"))) == ["1 stack compared: no problems found"]


def test_a_finding_without_a_file_names_the_stack(folder: ProjectFolder) -> None:
    finding = FINDING.model_copy(update={"stacks": ("qa",)})

    assert "warning: qa: m [a-rule]\n" in printed(report_with(folder, finding))


@pytest.mark.parametrize("terminal", [True, False])
def test_escape_sequences_in_files_are_not_printed(folder: ProjectFolder, terminal: bool) -> None:
    folder.set("dev", "aws:profile", '"\\e[31m[bold]\\u202e"')
    folder.set("dev", '"aws:\\e[31mkey"', "1")
    for name in ("Pulumi.dev.yaml", "Pulumi.yaml"):
        text = folder.read(name).replace("name: orders", 'name: "[/x]\\e[31m"')
        folder.write(name, text + '"\\e[0mzzz": 1\n')
    folder.write("Pulumi.\x1b[31m.yaml", "")

    text = printed(folder.validate(), force_terminal=terminal, color_system=None, width=400)

    assert "\x1b" not in text
    for escaped in (
        "\\x1b[31m[bold]\\u202e",
        "\\x1b[0mzzz: Pulumi has no",
        "setting of [/x]\\x1b[31m",
        "aws:\\x1b[31mkey",
    ):
        assert escaped in text
    assert "Pulumi.\\x1b[31m.yaml: warning: Pulumi does not read this file" in text


def test_a_value_that_is_too_long_for_a_column_keeps_its_end(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:profile", "x" * 300 + "end")

    report = folder.validate("dev")

    assert f"{'x' * 97}...{'x' * 97}end\n" in printed(report)
    assert f"{'x' * 17}...{'x' * 17}end " in printed(report, force_terminal=True, color_system=None, width=120)
    assert f"{'x' * 300}end" in formats.to_json(report)


def test_extremely_long_texts_are_cut(folder: ProjectFolder) -> None:
    folder.write(
        "Pulumi.dev.yaml", f"{folder.read('Pulumi.dev.yaml')}  ? aws:{'k' * 5000}\n  : 1\n? {'k' * 5000}\n: 1\n"
    )

    text = printed(folder.validate("dev"))

    assert max(map(len, text.splitlines())) < 1200
    assert f"{'k' * 900}" in text


def test_the_committed_schema_is_up_to_date() -> None:
    # An incompatible change also increases SCHEMA_VERSION.
    assert Report.model_json_schema(mode="serialization") == SCHEMA


def test_the_json_of_a_report_is_valid_by_the_schema(folder: ProjectFolder) -> None:
    folder.set("dev", "lambdaMemoryMb", "{secure: AAAB}")
    folder.set("prod", "batchSize", "7")
    folder.write("Pulumi.staging.yaml", "- a\n")
    deployments = (Deployment(stack="dev", state="deployed", drift=(RESOURCE,)),)
    report = folder.validate().model_copy(update={"deployments": deployments})

    content = json.loads(formats.to_json(report))

    jsonschema.validate(content, SCHEMA)
    assert content["schema_version"] == 1
    assert content["status"] == 2
    assert Report.model_validate({name: value for name, value in content.items() if name != "status"}) == report


@pytest.mark.parametrize("broken", [{"schema_version": 2}, {"status": 3}, {"findings": [{}]}, {"more": 1}])
def test_the_schema_refuses_anything_but_a_report(folder: ProjectFolder, broken: dict[str, Any]) -> None:
    content = json.loads(formats.to_json(folder.validate()))

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | broken, SCHEMA)


def test_the_json_is_ascii(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:profile", "日本")

    assert formats.to_json(folder.validate()).isascii()


@pytest.mark.parametrize(
    ("finding", "command"),
    [
        (FINDING, "::warning title=a-rule::m"),
        (
            Finding(rule="a-rule", severity="error", message="m", file="Pulumi.dev.yaml", line=3, key="a:b"),
            "::error file=Pulumi.dev.yaml,title=a-rule,line=3::a:b: m",
        ),
        (
            Finding(rule="a-rule", severity="error", message="100 %\n::error::b\r", file="a,b:\x1bc.yaml"),
            "::error file=a%2Cb%3A\\x1bc.yaml,title=a-rule::100 %25\\n::error::b\\r",
        ),
    ],
)
def test_a_finding_annotates_its_line_in_a_pull_request(folder: ProjectFolder, finding: Finding, command: str) -> None:
    commands = list(formats.to_github(report_with(folder, finding), folder.path))

    assert commands == [command, f"1 stack compared: 1 {finding.severity}"]


def annotation(folder: ProjectFolder) -> str:
    """Return the annotation of a finding in a stack file."""
    finding = FINDING.model_copy(update={"file": "Pulumi.dev.yaml"})
    command, _ = formats.to_github(report_with(folder, finding), folder.path)
    return command


def test_an_annotation_has_the_path_in_the_repository(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.path.parent))

    assert annotation(folder) == f"::warning file={folder.path.name}/Pulumi.dev.yaml,title=a-rule::m"


def test_the_repository_may_be_a_symbolic_link(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("links") / "workspace"
    try:
        link.symlink_to(folder.path.parent, target_is_directory=True)
    except OSError:
        pytest.skip("this user may not make links on this system")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(link))

    assert annotation(folder) == f"::warning file={folder.path.name}/Pulumi.dev.yaml,title=a-rule::m"


def test_a_folder_outside_the_repository_annotates_with_the_file_name_only(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path_factory.mktemp("elsewhere")))

    assert annotation(folder) == "::warning file=Pulumi.dev.yaml,title=a-rule::m"
