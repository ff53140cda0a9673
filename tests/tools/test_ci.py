"""Tests of the task ``ci``: arguments, files and output of each command."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from tests.stand_in_pulumi import StandInPulumi
from tools import ci
from tools.local import INTEGRATION_TESTS
from tools.preview import Change, Preview, PreviewError, Property
from tools.validate.policies import DriftPolicy, IgnoredDrift, PoliciesError

TABLE, ALIAS, TOPIC = "aws:dynamodb/table:Table", "aws:lambda/alias:Alias", "aws:sns/topic:Topic"
POLICIES = SimpleNamespace(
    stateful=SimpleNamespace(types=(TABLE,)),
    drift=DriftPolicy(
        repair=(TOPIC, f"{ALIAS} functionVersion"),
        ignore=(IgnoredDrift(type=TABLE, property="indexes[*].warmThroughput", reason="AWS adjusts it"),),
    ),
)
WARM = "indexes[3].warmThroughput.readUnitsPerSecond"
# The Pulumi CLI's errors if a deployment violates the saved plan: four recorded, two from its source code.
VIOLATIONS = (
    "    aws:sns:Topic another  error: create is not allowed by the plan: no steps were expected for this resource",
    "    aws:sns:Topic another  error: delete is not allowed by the plan: this resource is constrained to same",
    "error: expected resource operations for urn:pulumi:dev::orders::aws:sns/topic:Topic::another but none were seen",
    "refresh [diff: ~name]; error: resource urn:pulumi:dev::orders::aws:sns/topic:Topic::another violates plan: name",
    "error: no plan for resource urn:pulumi:dev::orders::aws:sns/topic:Topic::another",
    "    aws:sns:Topic another  error: resource violates plan: inputs changed",
)

Operation = Literal["changed", "deleted", "create", "update", "replace", "delete", "import"]


def change(operation: Operation, name: str, *paths: str, type_: str = TOPIC) -> Change:
    properties = tuple(Property(path=path, found='"NOT-FOR-COMMENTS"', expected=None) for path in paths)
    return Change(urn=f"urn:{name}", name=name, type=type_, operation=operation, properties=properties)


class Stack:
    """A stack with a prepared preview result or error, and the files that the task writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "dev.plan.json"
        self.error: Exception | None = None
        self.set()

    def set(self, *drift: Change, pending: tuple[Change, ...] = (), is_deployed: bool = True, notes: Any = ()) -> None:
        """Set the result of the preview."""
        self.seen = Preview(drift, pending, {}, is_deployed, notes)

    def preview(self, stack: str, *, plan: Path | None = None) -> Preview:
        """Stand in for `preview_stack`."""
        assert stack == "dev"
        if plan:
            assert not self.plan.exists()
            plan.write_text("a plan", encoding="utf-8")
        if self.error:
            raise self.error
        return self.seen

    @property
    def text(self) -> str:
        """The Markdown comment that the last command wrote."""
        return (self.folder / "dev.md").read_text(encoding="utf-8")


@pytest.fixture(name="stack")
def fixture_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    """A deployed stack without drift or pending changes."""
    stack = Stack(tmp_path / "ci")
    monkeypatch.setattr(ci, "FOLDER", stack.folder)
    monkeypatch.setattr(ci, "preview_stack", stack.preview)
    monkeypatch.setattr(ci, "read_policies", lambda _folder: POLICIES)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return stack


@pytest.fixture(name="cli")
def fixture_cli(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> StandInPulumi:
    """A stand-in for the Pulumi CLI, with a saved plan and passing integration tests."""
    cli = StandInPulumi(monkeypatch)
    monkeypatch.setattr(ci, "save_outputs", lambda name: cli.calls.append(f"outputs of {name}") or {"url": "x"})
    monkeypatch.setattr(ci, "run_to_completion", lambda command: cli.calls.append(command) or 0)
    stack.folder.mkdir()
    stack.plan.write_text("a plan", encoding="utf-8")
    return cli


def refusal(command: str, stack: str = "dev") -> str:
    with pytest.raises(SystemExit) as exit_:
        ci.main(command, stack)
    return str(exit_.value).removeprefix(f"ci: {command} {stack}: ")


@pytest.mark.parametrize(
    ("command", "stack", "message"),
    [
        ("paln", "dev", 'no command "paln"; did you mean plan? allowed: preview, plan, deploy, drift'),
        ("plan", "stagign", 'no stack "stagign"; did you mean staging? allowed: dev, prod, staging'),
        ("plan", "local", 'no stack "local"; allowed: dev, prod, staging'),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest_and_all_names(command: str, stack: str, message: str) -> None:
    assert refusal(command, stack) == f"ci: there is {message}"


def test_a_project_that_cannot_be_read_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ci, "read_project", partial(ci.read_project, tmp_path))

    assert refusal("plan") == f"ci: Pulumi.yaml: does not exist in {tmp_path}"


def test_a_preview_is_described_without_values_and_counted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    pending = (
        change("update", "function", "code"),
        change("replace", "table", "name", type_=TABLE),
        change("delete", "topic"),
        change("create", "queue"),
        change("import", "key"),
    )
    stack.set(
        change("changed", "logs", "retentionInDays"), change("deleted", "email"), pending=pending, notes=("note",)
    )

    ci.main("preview", "dev")

    assert stack.text.splitlines() == [
        "### Preview: `dev`",
        "",
        "1 to update, 1 to replace, 1 to delete, 1 to create, 1 to import",
        "",
        "- note",
        "- `logs` was changed outside Pulumi (`retentionInDays`)",
        "- `email` was deleted outside Pulumi",
        "- will update `function` (`code`)",
        "- **will replace `table`** (`name`)",
        "- will delete `topic`",
        "- will create `queue`",
        "- will import `key`",
    ]
    assert summary.read_text(encoding="utf-8") == f"before\n{stack.text}\n"
    assert stack.text in capsys.readouterr().out
    widget = json.loads((stack.folder / "dev.terraform.json").read_text(encoding="utf-8"))
    assert widget == {"create": 3, "update": 1, "delete": 2}


def test_a_long_list_is_cut_so_that_it_fits_into_a_comment(stack: Stack) -> None:
    stack.set(pending=tuple(change("create", f"queue-{number}") for number in range(103)))

    ci.main("preview", "dev")

    assert stack.text.count("will create") == 100
    assert stack.text.endswith("- and 3 more\n")


def test_a_plan_without_changes_replaces_an_earlier_plan(stack: Stack) -> None:
    stack.folder.mkdir()
    stack.plan.write_text("an earlier plan", encoding="utf-8")

    ci.main("plan", "dev")

    assert stack.plan.read_text(encoding="utf-8") == "a plan"
    assert [*stack.folder.glob("*draft*")] == []
    assert (stack.folder / "summary.md").read_text(encoding="utf-8") == f"{stack.text}\n"
    assert "\n\nno changes\n" in stack.text


@pytest.mark.parametrize(
    ("drift", "repaired"),
    [
        (change("changed", "table", WARM, type_=TABLE), None),
        (change("deleted", "email"), "email (deleted)"),
        (change("changed", "email", "endpoint"), "email (endpoint)"),
        (change("changed", "alias", "functionVersion", type_=ALIAS), "alias (functionVersion)"),
    ],
)
def test_drift_in_the_policies_neither_stops_a_plan_nor_fails(
    stack: Stack, drift: Change, repaired: str | None
) -> None:
    stack.set(drift)

    ci.main("plan", "dev")

    assert stack.plan.exists()
    assert ("repairs" in stack.text) is (f"- repairs drift: `{repaired}`\n" in stack.text)
    assert ("repairs" in stack.text) is bool(repaired)

    ci.main("drift", "dev")

    assert f"\n\n{f'the next deployment repairs `{repaired}`' if repaired else 'no drift'}\n" in stack.text


@pytest.mark.parametrize(
    ("drift", "refused"),
    [
        (change("deleted", "table", type_=TABLE), "table (deleted)"),
        (change("changed", "table", WARM, "ttl", type_=TABLE), "table (ttl)"),
        (change("changed", "table", "indexes[3].warmThroughputs", type_=TABLE), "table (indexes[3].warmThroughputs)"),
        (change("changed", "table", "indexes", type_=TABLE), "table (indexes)"),
        (change("changed", "alias", "functionVersion", "name", type_=ALIAS), "alias (name)"),
        (change("deleted", "alias", type_=ALIAS), "alias (deleted)"),
        (change("changed", "queue", "functionVersion", type_="aws:sqs/queue:Queue"), "queue (functionVersion)"),
    ],
)
def test_other_drift_fails_and_stops_a_plan_unless_a_person_allows_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, drift: Change, refused: str
) -> None:
    stack.set(drift)
    reason = (
        f"changed outside Pulumi: {refused}; revert the drift, or list it in policies.toml under [drift]: as `repair` "
        "if deployments may revert it, as `ignore` if AWS causes it"
    )

    assert refusal("drift") == reason
    monkeypatch.setenv("CI_ALLOW_DRIFT", "prod")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert refusal("plan") == f"{reason}; or overwrite the drift in a new run, started by hand with CI_ALLOW_DRIFT=dev"
    assert "\n\n**failed**: `changed outside" in stack.text
    assert [path.name for path in stack.folder.glob("*plan*")] == []

    monkeypatch.setenv("CI_ALLOW_DRIFT", "dev")
    ci.main("plan", "dev")
    assert f"`{refused}`" in stack.text
    assert stack.plan.exists()


@pytest.mark.parametrize("operation", ["delete", "replace"])
def test_a_plan_that_loses_data_is_refused_unless_a_person_allows_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    stack.set(pending=(change(operation, "table", type_=TABLE), change(operation, "topic"), change("update", "x")))
    monkeypatch.setenv("CI_ALLOW_DATA_LOSS", "prod")
    # On GitHub, the override is a workflow input.
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    assert refusal("plan") == (
        "the plan deletes or replaces stateful resources: table; allow this in a new run, started by hand with "
        "allow_data_loss=dev"
    )
    assert [path.name for path in stack.folder.glob("*plan*")] == []

    monkeypatch.setenv("CI_ALLOW_DATA_LOSS", "dev")
    ci.main("plan", "dev")
    assert stack.plan.exists()


@pytest.mark.parametrize("error", [PreviewError("one\ntwo"), PoliciesError("one\ntwo"), SystemExit("one\ntwo")])
@pytest.mark.parametrize("command", ["preview", "plan", "drift"])
def test_a_failure_is_one_line_and_in_the_comment(stack: Stack, command: str, error: Exception) -> None:
    stack.error = error

    assert refusal(command) == "one; two"
    assert "**failed**: `one; two`\n" in stack.text
    assert not stack.plan.exists()


@pytest.mark.parametrize(("is_deployed", "result"), [(True, "no drift"), (False, "skipped: the stack is not deployed")])
def test_pending_changes_are_not_drift(stack: Stack, is_deployed: bool, result: str) -> None:
    stack.set(pending=(change("update", "function", "code"),), is_deployed=is_deployed, notes=("a note",))

    ci.main("drift", "dev")

    assert stack.text == f"### Drift: `dev`\n\n{result}\n\n- a note\n"


def test_a_deployment_follows_the_plan_and_is_tested(cli: StandInPulumi, stack: Stack) -> None:
    ci.main("deploy", "dev")

    up, *_, history, saved, tested = cli.calls
    assert (
        up == f"up --yes --skip-preview --color never --refresh --plan {stack.plan} --exec-kind auto.local --stack dev"
    )
    assert "--show-secrets" not in history
    assert (saved, tested) == ("outputs of dev", INTEGRATION_TESTS)
    assert "\n\ndeployed, and the integration tests passed\n\n- 1 outputs\n" in stack.text


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_deployment_that_violates_the_plan_is_refused(cli: StandInPulumi, violation: str) -> None:
    cli.failures["up"] = violation

    assert refusal("deploy") == "another violates the saved plan; re-run all jobs, or on GitLab run a new pipeline"


def test_a_deployment_that_fails_is_not_tested(cli: StandInPulumi, capsys: pytest.CaptureFixture[str]) -> None:
    cli.failures["up"] = "Diagnostics:\n  error: AccessDenied: no"

    assert refusal("deploy") == "AccessDenied: no"
    assert len(cli.calls) == 1
    assert cli.failures["up"] in capsys.readouterr().err


def test_failing_integration_tests_fail_the_deployment(cli: StandInPulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ci, "run_to_completion", lambda _command: 1)

    assert refusal("deploy") == "the integration tests failed; the deployment is not rolled back"
    assert cli.calls[-1] == "outputs of dev"


def test_without_a_plan_all_jobs_must_be_run_again(stack: Stack) -> None:
    assert (
        refusal("deploy") == f"dev.plan.json is not in {stack.folder}; re-run all jobs, or on GitLab run a new pipeline"
    )
