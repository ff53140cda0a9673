"""The report written down: for people, for programs, for a pull request."""

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from tests.unit.tools.validate.folder import ProjectFolder
from tools.validate import formats
from tools.validate.report import Deployment, Finding, Property, Report, Resource

SCHEMA_FILE = Path(formats.__file__).with_name("report.schema.json")
SCHEMA: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
TABLE = """\
   setting of orders          dev                prod
*  environment                dev                prod
*  environmentSuffix          dev                prod
   lambdaRuntime              (python3.13)       (python3.13)
   lambdaArchitecture         (arm64)            (arm64)
*  lambdaMemoryMb             512                256
   lambdaTimeoutSeconds       (300)              (300)
   lambdaReservedConcurrency  (10)               (10)
   batchSize                  (10)               (10)
   batchWindowSeconds         (0)                (0)
   maxReceiveCount            (3)                (3)
   messageRetentionSeconds    (1209600)          (1209600)
   noncurrentVersionDays      (30)               (30)
*  logRetentionDays           30                 365
*  notificationEmail          team@example.com   [secret]
   bucketName                 ("")               ("")
   kmsKeyArn                  ("")               ("")
   forceDestroy               (false)            (false)
*  aws:defaultTags            {"tags": {"a": "a  -
*  aws:region                 us-east-2          us-east-1
* the stacks differ; (value) a default of Pulumi.yaml; - not set; [secret] not shown
Pulumi.prod.yaml:4: error: orders:lambdaMemoryMb: found "256", weaker than "512" of dev (Pulumi.dev.yaml:4), \
which comes before prod; allowed: 512 or more (policies.toml) [weaker-setting]
2 stacks compared: 1 error
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
    """Form a report of the project with findings of the test's own."""
    return folder.validate("dev").model_copy(update={"findings": findings, "deployments": deployments})


def printed(report: Report, **options: Any) -> str:
    """Print a report as people see it."""
    file = io.StringIO()
    formats.print_report(report, Console(file=file, highlight=False, **options))
    return file.getvalue()


def test_a_piped_report_is_plain_and_complete(folder: ProjectFolder) -> None:
    folder.set("prod", "lambdaMemoryMb", "256")
    folder.set("prod", "notificationEmail", "{secure: AAAB}")
    folder.set("dev", "aws:defaultTags", "{tags: {a: a}}")

    lines = printed(folder.validate("dev", "prod")).replace('{"tags": {"a": "a"}}', '{"tags": {"a": "a').splitlines()

    assert [" ".join(line.split()) for line in lines] == [" ".join(line.split()) for line in TABLE.splitlines()]
    assert all(line == line.rstrip() for line in lines)


def test_a_terminal_has_as_many_stacks_side_by_side_as_there_is_room_for(folder: ProjectFolder) -> None:
    report = folder.validate()

    wide = printed(report, force_terminal=True, width=140, color_system=None, legacy_windows=False)
    narrow = printed(report, force_terminal=True, width=80, color_system=None, legacy_windows=False)

    assert wide.count("setting of orders") == 1
    assert narrow.count("setting of orders") == 2
    assert all(len(line) <= 140 for line in wide.splitlines())
    assert narrow.count("lambdaRuntime") == 2
    assert narrow.count("(python3.13)") == 4


def test_a_terminal_has_colours(folder: ProjectFolder) -> None:
    text = printed(report_with(folder, FINDING), force_terminal=True, width=140, color_system="standard")

    assert "\x1b[33mwarning\x1b[0m" in text


def test_a_report_without_a_readable_stack_has_no_table(folder: ProjectFolder) -> None:
    folder.write("Pulumi.dev.yaml", "- a\n")
    report = folder.validate("dev")

    for text in (printed(report), printed(report, force_terminal=True, color_system=None)):
        assert text == (
            "Pulumi.dev.yaml:1: error: holds no mapping of keys to values [unreadable-file]\n"
            "0 stacks compared, not dev: 1 error\n"
        )


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ((), "1 stack compared: nothing to say"),
        ((FINDING,), "1 stack compared: 1 warning"),
        ((FINDING, FINDING.model_copy(update={"severity": "error"}), FINDING), "1 stack compared: 1 error, 2 warnings"),
    ],
)
def test_the_last_line_sums_up(folder: ProjectFolder, findings: tuple[Finding, ...], summary: str) -> None:
    assert printed(report_with(folder, *findings)).splitlines()[-1] == summary


def test_what_is_deployed_has_a_line_for_each_stack(folder: ProjectFolder) -> None:
    deployments = (
        Deployment(stack="dev", state="deployed", drift=(RESOURCE,), pending=()),
        Deployment(stack="prod", state="not-deployed"),
    )

    lines = printed(report_with(folder, deployments=deployments)).splitlines()

    assert lines[-3:] == [
        "dev: deployed: 1 drifted, 0 to be changed",
        "prod: not-deployed",
        "1 stack compared: nothing to say",
    ]


def test_a_finding_without_a_file_names_the_stack(folder: ProjectFolder) -> None:
    finding = FINDING.model_copy(update={"stacks": ("qa",)})

    assert "warning: qa: m [a-rule]\n" in printed(report_with(folder, finding))


def test_a_terminal_obeys_nothing_that_a_file_says(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:profile", '"\\e[31m[bold]\\u202e"')
    folder.write("Pulumi.dev.yaml", folder.read("Pulumi.dev.yaml") + '"\\e[0mzzz": 1\n')

    text = printed(folder.validate("dev"))

    assert "\\x1b[31m[bold]\\u202e" in text
    assert "Pulumi.dev.yaml:9: error: \\x1b[0mzzz: Pulumi knows no such section" in text


def test_a_long_value_is_cut_off_in_the_table_and_a_long_key_in_a_finding(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:profile", "x" * 10_000)
    folder.write("Pulumi.dev.yaml", folder.read("Pulumi.dev.yaml") + f'"{"k" * 900}": 1\n')

    report = folder.validate("dev")

    assert max(map(len, printed(report).splitlines())) < 1200
    assert f"{'x' * 37}..." in printed(report)
    assert "x" * 10_000 in formats.to_json(report)


def test_the_committed_schema_is_the_models() -> None:
    # A change that a reader of the old form would stumble over also raises SCHEMA_VERSION.
    assert Report.model_json_schema(mode="serialization") == SCHEMA


def test_the_json_of_a_report_fits_the_schema(folder: ProjectFolder) -> None:
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
def test_the_schema_refuses_what_is_no_report(folder: ProjectFolder, broken: dict[str, Any]) -> None:
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
            Finding(rule="a-rule", severity="error", message="100 %\n::error::b\r", file="a,b:c.yaml"),
            "::error file=a%2Cb%3Ac.yaml,title=a-rule::100 %25\\n::error::b\\r",
        ),
    ],
)
def test_a_finding_annotates_its_line_in_a_pull_request(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, finding: Finding, command: str
) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    commands = list(formats.to_github(report_with(folder, finding), folder.path))

    assert commands == [command, f"1 stack compared: 1 {finding.severity}"]


def test_an_annotation_has_the_path_in_the_repository(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.path.parent))
    finding = FINDING.model_copy(update={"file": "Pulumi.dev.yaml"})

    command, _ = formats.to_github(report_with(folder, finding), folder.path)

    assert command == f"::warning file={folder.path.name}/Pulumi.dev.yaml,title=a-rule::m"


def test_a_folder_outside_the_repository_annotates_by_the_name_alone(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path_factory.mktemp("elsewhere")))
    finding = FINDING.model_copy(update={"file": "Pulumi.dev.yaml"})

    command, _ = formats.to_github(report_with(folder, finding), folder.path)

    assert command == "::warning file=Pulumi.dev.yaml,title=a-rule::m"
