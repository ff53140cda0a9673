"""The tasks for one stack: exit status, record, summary, and the engine's commands."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ci.conftest import Machine
from tests.ci.recorded import (
    CONFLICT,
    CREATE,
    DELETE_BUCKET,
    LOCKED,
    NO_AWS_CREDENTIALS,
    NO_BACKEND_CREDENTIALS,
    NO_CREDENTIALS,
    NO_STACK,
    NOT_FOR_PEOPLE,
    REPLACE_BUCKET,
    UPDATE,
    VIOLATED,
    preview,
)
from tools.ci import failures, pipeline
from tools.ci.pipeline import deploy, drift, plan
from tools.ci.pipeline import preview as preview_stack
from tools.outputs import exported_names
from tools.validate import CannotValidateError, Finding
from tools.validate.policies import PoliciesError
from tools.validate.report import Deployment, Property, Resource

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang")

Task = Callable[[str], None]

OUTPUTS = json.dumps(dict.fromkeys(exported_names(), "value"))
DRIFTED = Resource(
    urn="urn:pulumi:dev::orders::aws:s3/bucket:Bucket::payloads",
    name="payloads",
    type="aws:s3/bucket:Bucket",
    operation="changed",
    properties=(Property(path="tags.Team", found=f'"{NOT_FOR_PEOPLE}"', expected='"a"'),),
)
DRIFT = Finding(rule="drift", severity="error", message=f"tags.Team is {NOT_FOR_PEOPLE}", key="payloads")
CHANGES = """\
### What a deployment would change: `dev`

changes

|  | resource | type | properties |
|---|---|---|---|
| update | `processor` | `aws:lambda/function:Function` | `memorySize`, `tags.Team` |
| create | `queue` | `aws:sqs/queue:Queue` |  |
"""
REPLACEMENT = """\
### What a deployment would change: `dev`

**deletes or replaces what holds data: `payloads`**

|  | resource | type | properties |
|---|---|---|---|
| **replace** | `payloads` | `aws:s3/bucket:Bucket` | `bucket` |
"""
DRIFT_FOUND = """\
### What was changed outside Pulumi: `dev`

failed: `changed outside Pulumi: payloads; revert it, or take it over with 'pulumi refresh'`

|  | resource | type | properties |
|---|---|---|---|
| changed | `payloads` | `aws:s3/bucket:Bucket` | `tags.Team` |
"""
DEPLOYED = """\
### Deployment: `dev`

deployed and tested

- deployed
- 7 outputs
- the integration tests passed
- no drift
"""
PREVIEW = "preview --json --refresh --stack dev --non-interactive"


def plan_command(machine: Machine) -> str:
    """Return the engine's command for a plan, which has another name until it is accepted."""
    return f"preview --json --save-plan {machine.folder / 'dev.plan.json.draft'} --stack dev --non-interactive"


def failed(task: Task, stack: str = "dev") -> str:
    """Run a task that fails, and return what it says."""
    with pytest.raises(SystemExit) as error:
        task(stack)
    assert "\n" not in str(error.value.code)
    return str(error.value.code)


def deployable(machine: Machine) -> None:
    """Let a planned deployment succeed."""
    machine.folder.mkdir()
    (machine.folder / "dev.plan.json").touch()
    machine.pulumi.answer("up")
    machine.pulumi.answer("stack", "output", output=OUTPUTS)


def test_a_preview_changes_no_state_and_writes_what_would_change(machine: Machine) -> None:
    machine.pulumi.answer("preview", output=preview(UPDATE, CREATE))

    preview_stack("dev")

    assert machine.pulumi.calls == [PREVIEW]
    assert machine.bundles == ["build dev"]
    assert machine.read("dev.md") == CHANGES
    assert machine.read("summary.md") == f"{CHANGES}\n"
    assert machine.record()["counts"] == {"create": 1, "import": 0, "update": 1, "replace": 0, "delete": 0}
    assert machine.record()["state"] == "done"


def test_a_preview_without_changes_says_so(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.pulumi.answer("preview", output=preview())

    preview_stack("dev")

    assert machine.read("dev.md") == "### What a deployment would change: `dev`\n\nno changes\n"
    assert capsys.readouterr().out == "ci-preview: dev: done\n"


def test_a_preview_shows_what_would_lose_data_and_passes(machine: Machine) -> None:
    machine.pulumi.answer("preview", output=preview(*REPLACE_BUCKET))

    preview_stack("dev")

    assert machine.read("dev.md") == REPLACEMENT
    assert machine.record()["loses"] == ["payloads"]
    assert json.loads(machine.read("dev.terraform.json")) == {"create": 1, "update": 0, "delete": 1}


@pytest.mark.parametrize("task", [preview_stack, plan])
def test_values_are_neither_written_nor_printed(
    machine: Machine, capfd: pytest.CaptureFixture[str], task: Task
) -> None:
    machine.pulumi.answer("preview", output=preview(UPDATE, CREATE))

    task("dev")

    assert NOT_FOR_PEOPLE not in machine.read("dev.json") + machine.read("summary.md") + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (LOCKED, "the state is locked: a deployment is running, or one was killed and `pulumi cancel` must unlock it"),
        (CONFLICT, "the state is locked: a deployment is running, or one was killed and `pulumi cancel` must unlock"),
        (NO_STACK, "the backend has no stack dev; the task `pulumi-create-stack` creates it"),
        (NO_BACKEND_CREDENTIALS, "there are no valid credentials: PULUMI_ACCESS_TOKEN must be set for login during"),
        (NO_AWS_CREDENTIALS, "there are no valid credentials: pulumi:providers:aws resource 'default_7_51_0' has"),
        ("error: an error\n  its details\n", "pulumi failed with exit status 255: an error"),
        ("", "pulumi failed with exit status 255: it says nothing"),
    ],
    ids=["locked", "locked in Pulumi Cloud", "no stack", "no token", "no AWS credentials", "unknown", "silent"],
)
@pytest.mark.parametrize(("task", "name"), [(preview_stack, "ci-preview"), (plan, "ci-plan")])
def test_a_failed_preview_is_explained_in_one_line(
    machine: Machine, capfd: pytest.CaptureFixture[str], task: Task, name: str, messages: str, reason: str
) -> None:
    machine.pulumi.answer("preview", messages=messages, status=255)

    told = failed(task)

    assert told.startswith(f"{name}: dev: {reason}")
    assert machine.record()["state"] == "failed"
    assert machine.record()["reason"].startswith(reason)
    assert f"failed: `{reason[:20]}" in machine.read("summary.md")
    assert capfd.readouterr().err == messages


@pytest.mark.parametrize("messages", NO_CREDENTIALS.values(), ids=NO_CREDENTIALS)
def test_a_preview_with_missing_or_bad_credentials_says_so(machine: Machine, messages: str) -> None:
    machine.pulumi.answer("preview", messages=messages, status=255)

    assert failed(preview_stack).startswith("ci-preview: dev: there are no valid credentials: ")


def test_every_sign_of_missing_or_bad_credentials_has_a_message_of_its_own() -> None:
    signs = failures.NO_CREDENTIALS.pattern.removeprefix("(?i)").split("|")

    found = [[sign for sign in signs if re.search(f"(?i){sign}", message)] for message in NO_CREDENTIALS.values()]
    assert sorted(found) == sorted([sign] for sign in signs)


def test_an_error_of_the_program_is_explained_by_the_previews_diagnostics(machine: Machine) -> None:
    output = preview(errors=("the stack's configuration has 1 problem:\n  - orders:batchSize: found",))
    machine.pulumi.answer("preview", output=output, messages="\n", status=255)

    reason = "pulumi failed with exit status 255: the stack's configuration has 1 problem:"
    assert failed(preview_stack) == f"ci-preview: dev: {reason}"


def test_a_preview_that_cannot_be_read_fails(machine: Machine) -> None:
    machine.pulumi.answer("preview", output="Previewing update (dev)")

    told = failed(preview_stack)

    assert told.startswith("ci-preview: dev: the output of `pulumi preview --json` cannot be read: Expecting value")


@pytest.mark.parametrize("task", [preview_stack, drift])
def test_on_ci_a_stack_without_an_account_is_skipped(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], task: Task
) -> None:
    monkeypatch.setenv("CI", "true")

    task("dev")

    assert machine.pulumi.calls == machine.bundles == []
    assert machine.record()["state"] == "skipped"
    assert "skipped: `Pulumi.dev.yaml does not set aws:allowedAccountIds`" in machine.read("summary.md")
    assert capsys.readouterr().out.endswith(": dev: Pulumi.dev.yaml does not set aws:allowedAccountIds\n")


@pytest.mark.usefixtures("with_account", "on_github")
def test_a_preview_on_ci_uses_the_bundle_that_was_built_once(machine: Machine) -> None:
    machine.pulumi.answer("preview", output=preview())

    preview_stack("dev")

    assert machine.bundles == ["check dev"]


@pytest.mark.usefixtures("with_account", "on_github")
def test_a_bundle_of_other_files_stops_a_task_before_the_engine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.ci.bundles.check_bundle", lambda _: sys.exit("package: the bundle a.zip is missing"))

    assert failed(preview_stack) == "ci-preview: dev: package: the bundle a.zip is missing"
    assert machine.pulumi.calls == []


@pytest.mark.usefixtures("with_account")
def test_on_github_the_summary_is_the_jobs(machine: Machine, on_github: Path) -> None:
    machine.pulumi.answer("preview", output=preview(UPDATE, CREATE))

    preview_stack("dev")
    preview_stack("dev")

    assert (on_github / "summary").read_text(encoding="utf-8") == f"{CHANGES}\n" * 2


def test_a_plan_is_saved_after_no_drift_was_found(machine: Machine) -> None:
    machine.pulumi.answer("preview", output=preview(UPDATE, CREATE))

    plan("dev")

    assert machine.pulumi.calls == [plan_command(machine)]
    assert (machine.folder / "dev.plan.json").exists()
    assert machine.read("dev.md") == CHANGES.replace(
        "What a deployment would change", "What this deployment will change"
    )


@pytest.mark.parametrize(
    "rule", ["pending-change", "config-differs", "missing-output", "malformed-output", "update-failed"]
)
def test_what_a_deployment_settles_does_not_stop_its_plan(machine: Machine, rule: str) -> None:
    machine.findings["dev"] = [Finding(rule=rule, severity="error", message="m", key="payloads")]
    machine.pulumi.answer("preview", output=preview())

    plan("dev")

    assert (machine.folder / "dev.plan.json").exists()


def test_other_findings_stop_a_plan(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.findings["dev"] = [Finding(rule="region", severity="error", message=NOT_FOR_PEOPLE, stacks=("dev",))]

    assert failed(plan) == "ci-plan: dev: `validate --live --strict` lists above what is wrong: region"
    assert machine.pulumi.calls == []
    # A finding may quote a value, so it is in the log only.
    assert f"error: dev: {NOT_FOR_PEOPLE} [region]" in capsys.readouterr().out.splitlines()
    assert NOT_FOR_PEOPLE not in machine.read("dev.json") + machine.read("summary.md")


def test_a_stack_that_was_never_deployed_is_planned(machine: Machine) -> None:
    machine.deployments["dev"] = Deployment(stack="dev", state="not-deployed")
    machine.pulumi.answer("preview", output=preview(CREATE))

    plan("dev")

    assert machine.record()["notes"] == ["not deployed yet, so there is no drift to find"]


def test_drift_stops_a_plan_and_removes_an_earlier_one(machine: Machine) -> None:
    machine.deployments["dev"] = Deployment(stack="dev", state="deployed", drift=(DRIFTED,))
    machine.findings["dev"] = [DRIFT]
    machine.folder.mkdir()
    (machine.folder / "dev.plan.json").touch()

    told = failed(plan)

    assert told == "ci-plan: dev: changed outside Pulumi: payloads; revert it, or take it over with `pulumi refresh`"
    assert machine.pulumi.calls == []
    assert not (machine.folder / "dev.plan.json").exists()
    assert machine.record()["changes"][0]["properties"] == ["tags.Team"]
    assert NOT_FOR_PEOPLE not in machine.read("dev.json") + machine.read("summary.md")


@pytest.mark.parametrize("steps", [(DELETE_BUCKET,), REPLACE_BUCKET], ids=["deletion", "replacement"])
@pytest.mark.parametrize("allowed", ["", "staging", "true"])
def test_a_plan_that_would_lose_data_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, steps: tuple[dict[str, object], ...], allowed: str
) -> None:
    monkeypatch.setenv("CI_ALLOW_DATA_LOSS", allowed)
    machine.pulumi.answer("preview", output=preview(UPDATE, *steps))

    told = failed(plan)

    assert told == (
        "ci-plan: dev: it would delete or replace what holds data: payloads; allowed only in a run with "
        "CI_ALLOW_DATA_LOSS=dev"
    )
    assert not (machine.folder / "dev.plan.json").exists()
    assert machine.record()["loses"] == ["payloads"]
    assert "| **delete** | `payloads`" in machine.read("dev.md") or "| **replace** | `payloads`" in machine.read(
        "dev.md"
    )


@pytest.mark.parametrize("steps", [(DELETE_BUCKET,), REPLACE_BUCKET], ids=["deletion", "replacement"])
def test_a_person_can_allow_it_for_the_stack(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, steps: tuple[dict[str, object], ...]
) -> None:
    monkeypatch.setenv("CI_ALLOW_DATA_LOSS", "dev")
    machine.pulumi.answer("preview", output=preview(*steps))

    plan("dev")

    assert (machine.folder / "dev.plan.json").exists()
    assert "**deletes or replaces what holds data: `payloads`**" in machine.read("summary.md")


def test_a_deployment_applies_the_plan_and_is_tested(machine: Machine) -> None:
    deployable(machine)

    deploy("dev")

    assert machine.pulumi.calls == [
        f"up --yes --plan {machine.folder / 'dev.plan.json'} --stack dev --non-interactive",
        "stack output --json --stack dev",
    ]
    assert machine.tested == ["-m pytest tests/integration"]
    assert machine.read("dev.md") == DEPLOYED


def test_a_deployment_without_a_plan_is_refused(machine: Machine) -> None:
    assert failed(deploy) == (f"ci-deploy: dev: dev.plan.json is not in {machine.folder}; the task `ci-plan` writes it")
    assert machine.pulumi.calls == []


def test_a_violated_plan_is_reported_without_values(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    deployable(machine)
    machine.pulumi.answer("up", output=VIOLATED, status=255)

    told = failed(deploy)

    assert told == (
        "ci-deploy: dev: payloads would not change as planned: nothing that the plan does not name is deployed; "
        "plan again"
    )
    assert NOT_FOR_PEOPLE not in machine.read("summary.md")
    assert machine.pulumi.calls[1:] == machine.tested == []
    assert VIOLATED in capfd.readouterr().out


def test_drift_since_the_plan_stops_a_deployment(machine: Machine) -> None:
    deployable(machine)
    machine.deployments["dev"] = Deployment(stack="dev", state="deployed", drift=(DRIFTED,))
    machine.findings["dev"] = [DRIFT]

    told = failed(deploy)

    assert told == "ci-deploy: dev: changed outside Pulumi: payloads; revert it, or take it over with `pulumi refresh`"
    assert machine.pulumi.calls == machine.tested == []


def test_a_locked_state_stops_a_deployment(machine: Machine) -> None:
    deployable(machine)
    machine.pulumi.answer("up", messages=LOCKED, status=255)

    assert failed(deploy).startswith("ci-deploy: dev: the state is locked: ")
    assert machine.tested == []


def test_failing_integration_tests_fail_the_deployment(machine: Machine) -> None:
    deployable(machine)
    machine.tests = 1

    assert failed(deploy) == "ci-deploy: dev: the integration tests failed; what was deployed stays deployed"
    assert machine.record()["notes"] == ["deployed", "7 outputs"]


def test_a_stack_without_outputs_is_not_tested(machine: Machine) -> None:
    deployable(machine)
    machine.pulumi.answer("stack", "output", output="{}")

    assert failed(deploy).startswith("ci-deploy: dev: outputs: stack dev lacks bucket_name, ")
    assert machine.tested == []


def test_any_finding_fails_a_finished_deployment(machine: Machine) -> None:
    deployable(machine)
    machine.findings["dev"] = [Finding(rule="pending-change", severity="error", message="m", key="payloads")]

    assert failed(deploy) == "ci-deploy: dev: `validate --live --strict` lists above what is wrong: pending-change"
    assert machine.record()["notes"][-1] == "the integration tests passed"


def test_no_drift_is_said(machine: Machine) -> None:
    drift("dev")

    assert machine.read("dev.md") == "### What was changed outside Pulumi: `dev`\n\nno drift\n"
    assert machine.pulumi.calls == []


def test_drift_fails_and_names_the_properties(machine: Machine) -> None:
    machine.deployments["dev"] = Deployment(stack="dev", state="deployed", drift=(DRIFTED,))
    machine.findings["dev"] = [DRIFT]

    told = failed(drift)

    assert told == "ci-drift: dev: changed outside Pulumi: payloads; revert it, or take it over with `pulumi refresh`"
    assert machine.read("dev.md") == DRIFT_FOUND
    assert machine.record()["changes"][0]["holds_data"]


def test_what_is_not_deployed_yet_is_no_drift(machine: Machine) -> None:
    pending = DRIFTED.model_copy(update={"operation": "update"})
    machine.deployments["dev"] = Deployment(stack="dev", state="deployed", pending=(pending,))
    machine.findings["dev"] = [Finding(rule="pending-change", severity="error", message="m", key="payloads")]

    drift("dev")

    assert machine.record()["notes"] == ["resources that wait for the next deployment: 1"]
    assert machine.record()["changes"] == []


def test_drift_is_skipped_if_the_stack_is_not_deployed(machine: Machine) -> None:
    machine.deployments["dev"] = Deployment(stack="dev", state="not-deployed")

    drift("dev")

    # An issue about earlier drift stays open: the state may be lost.
    assert (machine.record()["state"], machine.record()["reason"]) == ("skipped", "it is not deployed")


@pytest.mark.usefixtures("on_github")
def test_on_ci_a_stack_without_an_account_is_not_planned(machine: Machine) -> None:
    assert failed(plan) == "ci-plan: dev: Pulumi.dev.yaml does not set aws:allowedAccountIds"
    assert machine.pulumi.calls == []


def test_a_plan_that_is_not_accepted_is_not_kept(machine: Machine) -> None:
    machine.pulumi.answer("preview", output="no JSON")

    failed(plan)

    assert list(machine.folder.glob("*plan.json*")) == []


@pytest.mark.parametrize(("task", "name"), [(plan, "ci-plan"), (drift, "ci-drift")])
def test_a_stack_that_cannot_be_read_fails_with_the_reason(machine: Machine, task: Task, name: str) -> None:
    reason = "the deployed stack cannot be read: no credentials"
    machine.findings["dev"] = [DRIFT, Finding(rule="unreadable-stack", severity="error", message=reason)]

    assert failed(task) == f"{name}: dev: {reason}"


def test_files_that_cannot_be_read_fail(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise CannotValidateError("policies.toml: is not TOML")

    monkeypatch.setattr(pipeline, "validate_configuration", refuse)

    assert failed(drift) == "ci-drift: dev: policies.toml: is not TOML"
    assert machine.record()["state"] == "failed"


def test_policies_that_cannot_be_read_fail_before_the_engine(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PoliciesError("policies.toml: data: missing")

    monkeypatch.setattr(pipeline, "read_policies", refuse)

    assert failed(preview_stack) == "ci-preview: dev: policies.toml: data: missing"
    assert machine.pulumi.calls == []


@pytest.mark.parametrize(
    ("task", "name"), [(preview_stack, "ci-preview"), (plan, "ci-plan"), (deploy, "ci-deploy"), (drift, "ci-drift")]
)
def test_a_stack_without_a_file_is_refused(machine: Machine, task: Task, name: str) -> None:
    assert failed(task, "qa") == f'{name}: no file for the stack "qa"; allowed: dev, prod, staging'
    assert not machine.folder.exists()


def test_without_the_engine_a_task_says_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert failed(preview_stack).startswith("ci-preview: dev: pulumi is not on the PATH; https://")
    assert machine.bundles == []
