"""Deployed stacks, with recorded commands and responses of the Automation API.

The answers have the form of the Pulumi CLI's: https://www.pulumi.com/docs/iac/cli/commands/
"""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error
from pulumi.automation.events import EngineEvent

from tests.remembered import outputs_of
from tests.validate.folder import TODAY, ProjectFolder
from tests.validate.test_drift import QUEUE, diff, planned, refreshed
from tools.configuration.stack_files import read_stack_config
from tools.testing.recording import ACCOUNT_ID
from tools.validate import Report, configuration, live, validate_configuration

Config = dict[str, dict[str, Any]]
# Another type with the same name.
NEW = "urn:pulumi:dev::orders::pipeline:infrastructure:Messaging$aws:sqs/queuePolicy:QueuePolicy::queue"
TIMES = {"startTime": "2026-03-01T12:00:00.000Z", "endTime": "2026-03-01T12:01:00.000Z"}
SUMMARY = {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {"same": 40}, "PolicyPacks": {}}
NO_STACK = "error: no stack named '{stack}' found"
ERROR = """\
Previewing update (dev):
Diagnostics:
  pulumi:pulumi:Stack (orders-dev):
    error: the function's bundle is missing:
      build/processor-python3.13-arm64.zip
"""


def update(kind: str = "update", result: str = "succeeded", config: Config | None = None) -> dict[str, Any]:
    """Return an entry of ``pulumi stack history --json``."""
    entry = {"kind": kind, "message": "", "environment": {}, "config": config or {}, "result": result, "version": 1}
    return entry | TIMES


@dataclass
class Backend:
    """Stands in for the CLI: answers commands from its attributes.

    Attributes:
        history: By stack, newest first.
        empty: Stacks whose state has no resources.
        outputs: By stack.
        secret_outputs: Names of outputs that are secrets.
        events: Of each stack's preview.
        failing: The error that a command prints, by command or by stack.
        commands: What was asked, with the environment variables that were added.
    """

    history: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    events: dict[str, list[EngineEvent]] = field(default_factory=dict)
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    secret_outputs: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    commands: list[tuple[list[str], Mapping[str, str]]] = field(default_factory=list)

    def run(self, args: list[str], cwd: str, additional_env: Mapping[str, str], *_callbacks: object) -> CommandResult:
        """Answer a command as the CLI does."""
        assert Path(cwd).is_dir()
        self.commands.append((args, additional_env))
        stack = args[args.index("--stack") + 1] if "--stack" in args else ""
        for cause in (args[0], args[1], stack):
            if cause in self.failing:
                raise create_command_error(CommandResult(stdout=ERROR, stderr=self.failing[cause], code=255))
        if stack and stack not in self.history:
            raise create_command_error(CommandResult(stdout="", stderr=NO_STACK.format(stack=stack), code=255))
        answers: dict[str, Callable[[], object]] = {
            "ls": lambda: [{"name": name, "current": False} for name in self.history],
            "history": lambda: self.history[stack][20 * int(args[6]) - 20 : 20 * int(args[6])],
            "export": lambda: {
                "version": 4,
                "features": ["refreshBeforeUpdate"],
                "deployment": {} if stack in self.empty else {"resources": [{}]},
            },
            # Without --show-secrets, secrets are masked.
            "output": lambda: (
                self.outputs[stack]
                | ({} if "--show-secrets" in args else dict.fromkeys(self.secret_outputs, "[secret]"))
            ),
        }
        return CommandResult(stdout=json.dumps(answers[args[1]]()), stderr="", code=0)


@pytest.fixture(name="backend")
def fixture_backend(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A backend in which the deployed dev stack matches its file."""
    values = read_stack_config("dev", folder.path).values
    config = {key: {"value": value, "secret": False} for key, value in values.items()}
    backend = Backend(
        history={"dev": [update(config=config)]},
        outputs={"dev": outputs_of("dev", folder.path)},
        events={"dev": [refreshed(QUEUE, {"a": 1}, {"a": 1})]},
    )

    def preview(deployed: automation.Stack, *, on_event: Callable[[EngineEvent], None], **options: Any) -> Any:
        assert options == {"refresh": True, "color": "never"}
        if {deployed.name, "preview"} & {*backend.failing}:
            raise create_command_error(CommandResult(stdout=ERROR, stderr="error: preview failed", code=255))
        for event in backend.events[deployed.name]:
            on_event(event)
        return SimpleNamespace(change_summary=backend.changes.get(deployed.name, {}))

    monkeypatch.setattr("pulumi.automation._local_workspace.PulumiCommand", lambda **_: backend)
    monkeypatch.setattr(automation.Stack, "preview", preview)
    monkeypatch.setattr(configuration, "find_engine", lambda: "pulumi")
    monkeypatch.setattr(live, "build_bundle", lambda stack: sys.stdout.write(f"built {stack}\n"))
    monkeypatch.setattr(live, "find_emulator", lambda: None)
    return backend


def validate(folder: ProjectFolder, *stacks: str, **options: Any) -> Report:
    """Validate the deployed stacks of the project, or some of them."""
    return validate_configuration(folder.path, stacks=stacks, live=True, today=TODAY, **options)


def states(report: Report) -> dict[str, str]:
    """Return the state of each stack."""
    return {deployment.stack: deployment.state for deployment in report.deployments or ()}


def rules(report: Report) -> list[tuple[str, str | None]]:
    """List the findings by rule and key."""
    return [(finding.rule, finding.key) for finding in report.findings]


def test_no_problems_are_found_in_a_stack_that_matches_its_file(folder: ProjectFolder, backend: Backend) -> None:
    report = validate(folder)

    assert report.findings == ()
    assert states(report) == {"dev": "deployed", "staging": "not-deployed", "prod": "not-deployed"}
    assert backend.commands


def test_nothing_is_changed_and_no_stack_is_selected(folder: ProjectFolder, backend: Backend) -> None:
    validate(folder)

    asked = [" ".join(args) for args, _ in backend.commands]
    assert asked == [
        "stack ls --json",
        "stack export --stack dev",
        "stack history --json --page-size 20 --page 1 --stack dev",
        "stack output --json --stack dev",
        "stack output --json --show-secrets --stack dev",
    ]


def test_deployments_are_checked_only_with_live(folder: ProjectFolder, backend: Backend) -> None:
    assert folder.validate().deployments is None
    assert not backend.commands


@pytest.mark.parametrize(
    ("stack_config", "message"),
    [
        ({"value": "256", "secret": False}, 'the file has "512", but the last update had "256"; deploy the file, or'),
        (None, 'the file has "512", but the last update had no value'),
        ({"secret": True}, 'the file has "512", but the last update had [secret]'),
    ],
)
def test_configuration_that_differs_from_the_last_update_is_found(
    folder: ProjectFolder, backend: Backend, stack_config: dict[str, Any] | None, message: str
) -> None:
    config = backend.history["dev"][0]["config"]
    del config["orders:lambdaMemoryMb"]
    if stack_config:
        config["orders:lambdaMemoryMb"] = stack_config

    (finding,) = validate(folder).findings

    assert (finding.rule, finding.file, finding.line) == ("config-differs", "Pulumi.dev.yaml", 4)
    assert finding.message.startswith(message)


def test_configuration_that_was_removed_from_the_file_is_found(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"][0]["config"]["aws:profile"] = {"value": "x", "secret": False}

    (finding,) = validate(folder).findings

    assert (finding.rule, finding.key, finding.line) == ("config-differs", "aws:profile", 1)
    assert finding.message.startswith('the file has no value, but the last update had "x"')


def test_secrets_are_neither_compared_nor_shown(folder: ProjectFolder, backend: Backend) -> None:
    folder.set("dev", "notificationEmail", "{secure: AAAB}")
    folder.set("dev", "aws:secretKey", "not-for-the-logs")
    config = backend.history["dev"][0]["config"]
    config["orders:notificationEmail"] = {"secret": True}
    config["aws:secretKey"] = {"value": "other-for-no-logs", "secret": False}

    report = validate(folder)

    assert rules(report) == [("secret-setting", "orders:notificationEmail"), ("plain-credential", "aws:secretKey")]
    assert "for-" not in report.model_dump_json()


def test_structures_are_compared_by_content(folder: ProjectFolder, backend: Backend) -> None:
    folder.set("dev", "aws:assumeRoles", "[{durationSeconds: 900, roleArn: a, flag: true}]")
    value = '[{"roleArn":"a","durationSeconds":900,"flag":true}]'
    backend.history["dev"][0]["config"]["aws:assumeRoles"] = {"value": value, "secret": False}

    assert validate(folder).findings == ()


def test_defaults_that_an_older_engine_has_not_stored_are_no_difference(
    folder: ProjectFolder, backend: Backend
) -> None:
    del backend.history["dev"][0]["config"]["orders:batchSize"]

    assert validate(folder).findings == ()


def test_a_default_that_has_changed_since_is_found(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"][0]["config"]["orders:batchSize"]["value"] = "5"

    assert rules(validate(folder)) == [("config-differs", "orders:batchSize")]


def test_missing_outputs_are_found(folder: ProjectFolder, backend: Backend) -> None:
    del backend.outputs["dev"]["queue_url"]
    backend.outputs["dev"]["table_arn"] = ""

    assert rules(validate(folder)) == [("missing-output", "queue_url"), ("missing-output", "table_arn")]


@pytest.mark.parametrize("name", ["bucket_name", "table_arn", "queue_url", "function_name", "topic_arn"])
def test_an_output_that_is_not_what_the_program_exports_is_found(
    folder: ProjectFolder, backend: Backend, name: str
) -> None:
    backend.outputs["dev"][name] += "-other"

    (finding,) = validate(folder).findings

    assert (finding.rule, finding.key) == ("malformed-output", name)
    assert finding.found
    assert "-other" in finding.found


def test_a_url_of_another_account_is_found(folder: ProjectFolder, backend: Backend) -> None:
    backend.outputs["dev"]["queue_url"] = f"https://sqs.example.com/9{ACCOUNT_ID}/orders-dev-queue"

    assert rules(validate(folder)) == [("malformed-output", "queue_url")]


def test_a_url_may_have_another_domain(folder: ProjectFolder, backend: Backend) -> None:
    backend.outputs["dev"]["queue_url"] = f"http://127.0.0.1:5000/{ACCOUNT_ID}/orders-dev-queue"

    assert validate(folder).findings == ()


def test_a_credential_that_only_the_backend_has_is_not_shown(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"][0]["config"]["aws:secretKey"] = {"value": "not-for-the-logs", "secret": False}

    (finding,) = validate(folder).findings

    assert finding.message.startswith("the file has no value, but the last update had [secret]")


def test_a_wrong_output_that_is_not_an_arn_is_found(folder: ProjectFolder, backend: Backend) -> None:
    backend.outputs["dev"]["function_arn"] = "processor"

    (finding,) = validate(folder).findings

    allowed = f"arn:aws:lambda:us-east-2:{ACCOUNT_ID}:function:orders-dev-processor"
    assert (finding.key, finding.found, finding.allowed) == ("function_arn", "processor", allowed)
    assert finding.message == f'found "processor"; allowed: {allowed}'


def test_outputs_without_an_account_are_not_compared(folder: ProjectFolder, backend: Backend) -> None:
    backend.outputs["dev"] = dict.fromkeys(backend.outputs["dev"], "processor")

    assert validate(folder).findings == ()


def test_drift_is_reported_by_property(folder: ProjectFolder, backend: Backend) -> None:
    backend.events["dev"] = [
        refreshed(QUEUE, {"delaySeconds": 0, "tags": {"a": "b"}}, {"delaySeconds": 5}, **diff("delaySeconds", "tags"))
    ]

    report = validate(folder)

    (finding,) = report.findings
    assert (finding.rule, finding.stacks, finding.file, finding.key) == ("drift", ("dev",), "Pulumi.dev.yaml", "queue")
    assert finding.message == (
        "queue (aws:sqs/queue:Queue) was changed outside Pulumi: delaySeconds is 5 instead of 0, "
        'tags is not set instead of {"a": "b"}'
    )
    assert report.status == 1


def test_a_deleted_resource_is_drift(folder: ProjectFolder, backend: Backend) -> None:
    backend.events["dev"] = [refreshed(QUEUE, {"a": 1}, None)]

    assert [finding.message for finding in validate(folder).findings] == [
        "queue (aws:sqs/queue:Queue) was deleted outside Pulumi"
    ]


def test_pending_changes_are_reported(folder: ProjectFolder, backend: Backend) -> None:
    backend.events["dev"] = [
        planned("update", QUEUE, {"a": 1}, {"a": 2}, **diff("a")),
        planned("create", NEW, None, {"a": 1}),
    ]
    backend.changes["dev"] = {"update": 1, "create": 1}

    report = validate(folder)

    assert {finding.rule for finding in report.findings} == {"pending-change"}
    assert {finding.message for finding in report.findings} == {
        "the next update would update queue (aws:sqs/queue:Queue): a is 1 instead of 2",
        "the next update would create queue (aws:sqs/queuePolicy:QueuePolicy)",
    }


def test_a_failed_update_is_reported(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"][0]["result"] = "failed"

    (finding,) = validate(folder).findings

    assert finding.rule == "update-failed"
    assert finding.message == "the last update failed; the deployed stack may be a mix of two versions"


def test_a_refresh_is_no_update(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"].insert(0, update("refresh", "failed"))

    assert validate(folder).findings == ()


def test_an_update_on_the_second_page_of_the_history_is_found(folder: ProjectFolder, backend: Backend) -> None:
    deployed = backend.history["dev"][0]
    backend.history["dev"] = [*[update("refresh")] * 45, deployed]
    deployed["config"]["orders:batchSize"]["value"] = "5"

    assert rules(validate(folder)) == [("config-differs", "orders:batchSize")]


@pytest.mark.parametrize("history", [[], [update("destroy"), update()], [update("update", "failed")]])
def test_a_stack_without_resources_is_not_deployed(
    folder: ProjectFolder, backend: Backend, history: list[dict[str, Any]]
) -> None:
    backend.history["dev"] = history
    backend.empty.append("dev")

    report = validate(folder)

    assert report.findings == ()
    assert states(report)["dev"] == "not-deployed"


@pytest.mark.parametrize("history", [[], [update("refresh")]])
def test_an_imported_state_is_compared_without_a_history(
    folder: ProjectFolder, backend: Backend, history: list[dict[str, Any]]
) -> None:
    backend.history["dev"] = history
    backend.events["dev"] = [refreshed(QUEUE, {"a": 1}, None)]

    assert rules(validate(folder)) == [("drift", "queue")]


def test_a_partly_destroyed_stack_is_deployed(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"].insert(0, update("destroy"))

    assert states(validate(folder))["dev"] == "deployed"


def test_a_failed_destroy_is_reported(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"].insert(0, update("destroy", "failed"))

    report = validate(folder)

    assert states(report)["dev"] == "deployed"
    assert [finding.message for finding in report.findings] == [
        "the last destroy failed; the deployed stack may be a mix of two versions"
    ]


def test_an_imported_stack_is_deployed_without_a_configuration_to_compare(
    folder: ProjectFolder, backend: Backend
) -> None:
    backend.history["dev"] = [update("resource-import")]

    report = validate(folder)

    assert states(report)["dev"] == "deployed"
    assert report.findings == ()


def test_keys_that_an_imported_environment_may_set_are_not_compared(folder: ProjectFolder, backend: Backend) -> None:
    folder.write("Pulumi.dev.yaml", folder.read("Pulumi.dev.yaml") + "environment: [orders/dev]\n")
    config = backend.history["dev"][0]["config"]
    config["aws:profile"] = {"value": "x", "secret": False}
    config["orders:batchSize"]["value"] = "5"
    config["orders:lambdaMemoryMb"]["value"] = "1024"

    assert rules(validate(folder)) == [("config-differs", "orders:lambdaMemoryMb")]


def test_findings_are_kept_if_the_preview_fails(folder: ProjectFolder, backend: Backend) -> None:
    del backend.outputs["dev"]["queue_url"]
    backend.history["dev"][0]["config"]["orders:batchSize"]["value"] = "5"
    backend.failing["preview"] = "error: preview failed"

    assert {rule for rule, _ in rules(validate(folder))} == {"config-differs", "missing-output", "unreadable-stack"}


def test_a_secret_output_is_masked(folder: ProjectFolder, backend: Backend) -> None:
    backend.outputs["dev"]["table_name"] = "not-for-the-logs"
    backend.secret_outputs.append("table_name")

    (finding,) = validate(folder).findings

    assert finding.message == "found [secret]; allowed: orders-dev-messages"


def test_outputs_that_do_not_depend_on_a_secret_are_compared(folder: ProjectFolder, backend: Backend) -> None:
    folder.set("dev", "aws:token", "{secure: AAAB}")
    backend.history["dev"][0]["config"]["aws:token"] = {"secret": True}
    backend.outputs["dev"]["table_name"] = "t"

    assert rules(validate(folder)) == [("malformed-output", "table_name")]


@pytest.mark.parametrize(
    ("key", "judged"),
    [
        ("environmentSuffix", []),
        ("aws:region", []),
        ("bucketName", ["table_name"]),
        ("notificationEmail", ["bucket_name", "table_name"]),
    ],
)
def test_an_output_that_depends_on_a_secret_is_not_compared(
    folder: ProjectFolder, backend: Backend, key: str, judged: list[str]
) -> None:
    folder.set("dev", key, "{secure: AAAB}")
    full_key = key if ":" in key else f"orders:{key}"
    backend.history["dev"][0]["config"][full_key] = {"secret": True}
    backend.outputs["dev"] |= {"table_name": "t", "bucket_name": "b"}

    found = rules(validate(folder))

    assert ("secret-setting", full_key) in found
    assert sorted(str(name) for rule, name in found if rule == "malformed-output") == judged


def test_a_stack_name_in_several_organizations_is_ambiguous(folder: ProjectFolder, backend: Backend) -> None:
    backend.history |= {"acme/dev": [], "other/dev": []}
    assert states(validate(folder))["dev"] == "deployed"
    del backend.history["dev"]

    (finding,) = validate(folder).findings

    assert finding.message.endswith("the backend has several stacks of this name: acme/dev, other/dev")


def test_a_bug_in_the_validation_is_not_reported_as_an_unreadable_stack(
    folder: ProjectFolder, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "read_events", lambda *_: backend.outputs["nowhere"])

    with pytest.raises(KeyError):
        validate(folder)


@pytest.mark.parametrize("cause", ["history", "output", "dev"])
def test_an_unreadable_stack_is_reported_and_the_others_are_checked(
    folder: ProjectFolder, backend: Backend, cause: str
) -> None:
    if cause == "dev":
        backend.history["staging"] = []
        backend.empty.append("staging")
    backend.failing[cause] = "error: preview failed"

    report = validate(folder)

    (finding,) = report.findings
    assert (finding.rule, finding.stacks) == ("unreadable-stack", ("dev",))
    assert finding.message == (
        "the deployed stack cannot be read: the function's bundle is missing: build/processor-python3.13-arm64.zip"
    )
    assert states(report)["dev"] == "unreadable"
    assert report.status == 2


@pytest.mark.parametrize("text", ["no JSON", "[{}]"])
def test_unexpected_output_of_the_cli_makes_the_stack_unreadable(
    folder: ProjectFolder, backend: Backend, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(live.automation.Stack, "outputs", lambda _: json.loads(text)[0]["value"])

    assert rules(validate(folder)) == [("unreadable-stack", None)]
    assert backend.commands


def test_a_stack_with_an_update_in_progress_is_not_checked(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["dev"].insert(0, update("update", "in-progress"))

    (finding,) = validate(folder).findings

    assert (
        finding.message
        == "the deployed stack cannot be read: its update is in progress; try again when it has finished"
    )


def test_an_unreadable_backend_makes_its_stacks_unreadable(folder: ProjectFolder, backend: Backend) -> None:
    backend.failing["ls"] = "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions"

    report = validate(folder)

    assert {finding.rule for finding in report.findings} == {"unreadable-stack"}
    assert states(report) == dict.fromkeys(("dev", "staging", "prod"), "unreadable")


def test_a_stack_whose_bundle_cannot_be_built_is_unreadable(
    folder: ProjectFolder, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_stack: str) -> None:
        raise SystemExit("package: uv failed with exit status 2; its message is above")

    monkeypatch.setattr(live, "build_bundle", failing)

    (finding,) = validate(folder).findings

    assert finding.message == (
        "the deployed stack cannot be read: package: uv failed with exit status 2; its message is above"
    )
    assert backend.history


def test_only_the_report_is_on_standard_output(
    folder: ProjectFolder, backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    validate(folder)

    assert capsys.readouterr() == ("", "built dev\n")
    assert backend.commands


def test_a_long_reason_is_cut(folder: ProjectFolder, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_stack: str) -> None:
        raise SystemExit("x" * 1000)

    monkeypatch.setattr(live, "build_bundle", failing)

    (finding,) = validate(folder).findings

    assert finding.message.endswith(f"{'x' * 300}...")
    assert backend.history


def test_a_reason_without_a_message_is_the_exceptions_name(
    folder: ProjectFolder, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_stack: automation.Stack) -> None:
        raise TypeError

    monkeypatch.setattr(automation.Stack, "outputs", failing)

    (finding,) = validate(folder).findings

    assert finding.message == "the deployed stack cannot be read: TypeError"
    assert backend.history


def test_lost_events_make_a_stack_unreadable(folder: ProjectFolder, backend: Backend) -> None:
    backend.changes["dev"] = {"update": 1}

    (finding,) = validate(folder).findings

    assert finding.rule == "unreadable-stack"
    assert finding.message.endswith("the engine counts 1 resources to update, but its events report 0")


def test_a_stack_without_a_file_is_reported_unless_stacks_are_selected(folder: ProjectFolder, backend: Backend) -> None:
    backend.history["acme/feature-1"] = []

    (finding,) = validate(folder).findings
    assert (finding.rule, finding.severity, finding.stacks) == ("stack-without-file", "warning", ("feature-1",))
    assert validate(folder, "dev").findings == ()


def test_selected_stacks_are_found_without_a_list(folder: ProjectFolder, backend: Backend) -> None:
    report = validate(folder, "dev", "staging")

    assert states(report) == {"dev": "deployed", "staging": "not-deployed"}
    assert all(args[1] != "ls" for args, _ in backend.commands)


def test_a_stack_of_an_organization_is_read_by_its_full_name(folder: ProjectFolder, backend: Backend) -> None:
    for told in (backend.history, backend.outputs, backend.events):
        told["acme/dev"] = told.pop("dev")  # ty: ignore[invalid-assignment] # three alike

    assert states(validate(folder))["dev"] == "deployed"
    assert backend.commands[-1][0][-1] == "acme/dev"


def test_stacks_are_checked_concurrently(
    folder: ProjectFolder, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(3, timeout=10)

    def outputs(_stack: automation.Stack) -> dict[str, Any]:
        together.wait()
        return {}

    for stack in ("staging", "prod"):
        backend.history[stack], backend.events[stack] = [update()], []
    monkeypatch.setattr(automation.Stack, "outputs", outputs)

    assert set(states(validate(folder, "dev", "staging", "prod")).values()) == {"deployed"}


def test_the_local_stack_is_read_from_the_emulators_backend(
    folder: ProjectFolder, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "find_emulator", lambda: "http://127.0.0.1:5000")
    monkeypatch.setenv("AWS_PROFILE", "production")
    backend.history["local"] = [update()]
    backend.outputs["local"] = {"function_arn": "x"}
    backend.events["local"] = []

    report = validate(folder, "local", "dev")

    assert states(report)["local"] == "deployed"
    variables = next(added for args, added in backend.commands if args[-1] == "local")
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5000"
    assert variables["AWS_PROFILE"] == ""
    assert variables["PULUMI_BACKEND_URL"] == "file://./.local/state"
    assert all("AWS_ENDPOINT_URL" not in added for args, added in backend.commands if args[-1] == "dev")


def test_the_local_stack_alone_needs_no_other_backend(folder: ProjectFolder, backend: Backend) -> None:
    assert states(validate(folder, "local")) == {"local": "not-deployed"}
    assert not backend.commands
