"""What people are told on GitHub: one comment for a pull request, one issue for drift."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.ci.conftest import Machine
from tools.ci.records import Change, Record
from tools.ci.report import report
from tools.ci.system import write_file

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for gh is a script with a shebang")

COMMENTS = "repos/example/orders/issues/7/comments"
ISSUES = "repos/example/orders/issues"
LIST_COMMENTS = f"api --method GET {COMMENTS}?per_page=100 --paginate --slurp"
LIST_ISSUES = f"api --method GET {ISSUES}?state=open&per_page=100 --paginate --slurp"
DELETION = Change(urn="u", name="payloads", type="aws:s3/bucket:Bucket", operation="delete", holds_data=True)
DRIFT = Change(urn="u", name="queue", type="aws:sqs/queue:Queue", operation="changed", properties=("tags.Team",))
COMMENT = """\
<!-- ci-report preview orders -->
## What a deployment would change

| stack | create | import | update | replace | delete | result |
|---|---|---|---|---|---|---|
| `dev` | 0 | 0 | 0 | 0 | 1 | **deletes or replaces what holds data: `payloads`** |
| `staging` | 0 | 0 | 0 | 0 | 0 | failed: `the state is locked` |
| `prod` | 0 | 0 | 0 | 0 | 0 | no changes |

### What a deployment would change: `dev`

**deletes or replaces what holds data: `payloads`**

|  | resource | type | properties |
|---|---|---|---|
| **delete** | `payloads` | `aws:s3/bucket:Bucket` |  |"""
ISSUE = """\
<!-- ci-report drift orders -->
## What was changed outside Pulumi

| stack | create | import | update | replace | delete | result |
|---|---|---|---|---|---|---|
| `dev` | 0 | 0 | 0 | 0 | 0 | no drift |
| `staging` | 0 | 0 | 0 | 0 | 0 | skipped: `no account` |
| `prod` | 0 | 0 | 0 | 0 | 0 | failed: `changed outside Pulumi: queue` |

### What was changed outside Pulumi: `prod`

failed: `changed outside Pulumi: queue`

|  | resource | type | properties |
|---|---|---|---|
| changed | `queue` | `aws:sqs/queue:Queue` | `tags.Team` |"""


def written(body: str, kind: str = "Bot", **more: Any) -> dict[str, Any]:
    """Return a comment or an issue as the API does."""
    return {"id": 11, "number": 12, "user": {"type": kind}, "body": body} | more


def list_of(machine: Machine, *items: dict[str, Any]) -> None:
    """Let the API list these, on two pages."""
    machine.gh.answer("api", "--method", "GET", output=json.dumps([[written("another")], [*items]]))


def write(*records: Record) -> None:
    """Write the records of the stacks."""
    for record in records:
        write_file(f"{record.stack}.json", record.model_dump_json())


@pytest.fixture(name="previews")
def fixture_previews(machine: Machine, on_github: Path) -> Machine:
    """Previews of three stacks, on GitHub, where nothing has been written yet."""
    write(
        Record(task="preview", stack="dev", state="done", changes=(DELETION,)),
        Record(task="preview", stack="staging", state="failed", reason="the state is locked"),
        Record(task="preview", stack="prod", state="done"),
    )
    list_of(machine)
    machine.gh.answer("api", "--method", "POST", output="{}")
    machine.gh.answer("api", "--method", "PATCH", output="{}")
    assert on_github.exists()
    return machine


@pytest.fixture(name="drifts")
def fixture_drifts(previews: Machine) -> Machine:
    """The same with results of a search for drift."""
    write(
        Record(task="drift", stack="dev", state="done"),
        Record(task="drift", stack="staging", state="skipped", reason="no account"),
        Record(task="drift", stack="prod", state="failed", reason="changed outside Pulumi: queue", changes=(DRIFT,)),
    )
    return previews


def no_drift() -> None:
    """Let prod have no drift any more."""
    write(Record(task="drift", stack="prod", state="done"))


def sent(machine: Machine) -> tuple[str, dict[str, Any]]:
    """Return the last request and its content."""
    call, content = machine.gh.requests[-1]
    return call, json.loads(content)


def refused(kind: str) -> str:
    """Report, and return why it fails."""
    with pytest.raises(SystemExit) as error:
        report(kind)
    assert "\n" not in str(error.value.code)
    return str(error.value.code)


def test_the_first_report_writes_a_comment(previews: Machine, on_github: Path) -> None:
    report("preview")

    assert previews.gh.calls == [LIST_COMMENTS, f"api --method POST {COMMENTS} --input -"]
    assert sent(previews)[1] == {"body": COMMENT}
    assert (on_github / "summary").read_text(encoding="utf-8") == f"{COMMENT}\n\n"


def test_a_later_report_updates_it(previews: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    list_of(previews, written("<!-- ci-report preview orders -->\nearlier"))

    report("preview")

    assert sent(previews) == ("api --method PATCH repos/example/orders/issues/comments/11 --input -", {"body": COMMENT})
    assert capsys.readouterr().out == "ci-report: the comment is updated\n"


def test_a_comment_whose_author_was_deleted_is_not_updated(previews: Machine) -> None:
    list_of(previews, written(COMMENT) | {"user": None})

    report("preview")

    assert sent(previews) == (f"api --method POST {COMMENTS} --input -", {"body": COMMENT})


def test_an_answer_that_cannot_be_read_is_reported(previews: Machine) -> None:
    previews.gh.answer("api", "--method", "GET", output="<html>")

    assert refused("preview").startswith(f"the answer to `gh api GET {COMMENTS}?per_page=100` cannot be read: ")


def test_a_report_that_says_the_same_writes_nothing(previews: Machine) -> None:
    list_of(previews, written(COMMENT))

    report("preview")

    assert previews.gh.calls == [LIST_COMMENTS]


@pytest.mark.parametrize(
    "other",
    [
        written(COMMENT, kind="User"),
        written(f"> {COMMENT}"),
        written(COMMENT.replace("orders", "invoices")),
        written(COMMENT.replace("preview", "drift")),
        written(""),
        written(None),  # ty: ignore[invalid-argument-type] # as the API does
    ],
    ids=["a person's", "a quotation", "another project's", "another kind", "empty", "null"],
)
def test_another_comment_is_left_alone(previews: Machine, other: dict[str, Any]) -> None:
    list_of(previews, other)

    report("preview")

    assert previews.gh.calls[-1] == f"api --method POST {COMMENTS} --input -"


def test_a_stack_whose_job_has_written_nothing_has_failed(previews: Machine) -> None:
    (previews.folder / "prod.json").unlink()

    report("preview")

    row = "| `prod` | 0 | 0 | 0 | 0 | 0 | failed: `its job has ended without a result of ci-preview` |"
    assert row in sent(previews)[1]["body"]


def test_a_token_that_may_not_write_is_no_failure(previews: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    message = "gh: Resource not accessible by integration (HTTP 403)\n"
    previews.gh.answer("api", "--method", "POST", messages=message, status=1)

    report("preview")

    assert capsys.readouterr().out.startswith("ci-report: the comment is not written: this job's token may not, as alw")


@pytest.mark.parametrize(
    ("messages", "reason"), [("gh: Not Found\n(HTTP 404)\n", "gh: Not Found (HTTP 404)"), ("", "exit status 1")]
)
def test_another_failure_of_the_api_is_reported(previews: Machine, messages: str, reason: str) -> None:
    previews.gh.answer("api", "--method", "POST", messages=messages, status=1)

    assert refused("preview") == f"`gh api POST {COMMENTS}` failed: {reason}"


def test_a_report_that_is_too_long_is_cut(previews: Machine) -> None:
    write(Record(task="preview", stack="prod", state="failed", reason="x" * 70_000))

    report("preview")

    body = sent(previews)[1]["body"]
    assert len(body) < 65_536
    assert body.endswith("\n\nThe rest is in the summary of the run.")


def test_drift_opens_an_issue(drifts: Machine) -> None:
    report("drift")

    assert drifts.gh.calls == [LIST_ISSUES, f"api --method POST {ISSUES} --input -"]
    assert sent(drifts)[1] == {"body": ISSUE, "title": "Drift: prod"}


@pytest.mark.parametrize("earlier", [{"title": "Drift: prod", "body": "x"}, {"title": "Drift: dev", "body": ISSUE}])
def test_other_drift_updates_the_issue(drifts: Machine, earlier: dict[str, str]) -> None:
    list_of(drifts, written(**({"body": ""} | earlier | {"body": f"{ISSUE.splitlines()[0]}\n{earlier['body']}"})))

    report("drift")

    assert sent(drifts) == (f"api --method PATCH {ISSUES}/12 --input -", {"body": ISSUE, "title": "Drift: prod"})


def test_the_same_drift_leaves_the_issue_as_it_is(drifts: Machine) -> None:
    list_of(drifts, written(ISSUE, title="Drift: prod"))

    report("drift")

    assert drifts.gh.calls == [LIST_ISSUES]


def test_a_pull_request_is_not_taken_for_the_issue(drifts: Machine) -> None:
    list_of(drifts, written(ISSUE, title="Drift: prod", pull_request={}))

    report("drift")

    assert drifts.gh.calls[-1] == f"api --method POST {ISSUES} --input -"


def test_the_issue_is_closed_when_no_drift_is_left(drifts: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    no_drift()
    list_of(drifts, written(ISSUE, title="Drift: prod"))

    report("drift")

    call, content = sent(drifts)
    assert call == f"api --method PATCH {ISSUES}/12 --input -"
    assert (content["state"], content["state_reason"]) == ("closed", "completed")
    assert "| `prod` | 0 | 0 | 0 | 0 | 0 | no drift |" in content["body"]
    assert capsys.readouterr().out == "ci-report: the issue is closed\n"


def test_a_stack_that_was_skipped_keeps_its_issue_open(drifts: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    no_drift()
    list_of(drifts, written(ISSUE, title="Drift: staging, prod"))

    report("drift")

    assert drifts.gh.calls == [LIST_ISSUES]
    assert capsys.readouterr().out == "ci-report: the issue is left open: staging was not read\n"


def test_without_drift_no_issue_is_opened(drifts: Machine) -> None:
    no_drift()

    report("drift")

    assert drifts.gh.calls == [LIST_ISSUES]


def test_a_stack_that_could_not_be_read_keeps_the_issue_open(drifts: Machine) -> None:
    no_drift()
    (drifts.folder / "dev.json").unlink()
    list_of(drifts, written(ISSUE, title="Drift: prod"))

    report("drift")

    assert sent(drifts)[1]["title"] == "Drift: dev"


@pytest.mark.parametrize("kind", ["preview", "drift"])
def test_elsewhere_only_the_summary_is_written(drifts: Machine, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name)

    report(kind)

    assert drifts.read("summary.md").startswith(f"<!-- ci-report {kind} orders -->\n")
    assert drifts.gh.calls == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("GITHUB_REPOSITORY", "", "ci-report: GITHUB_REPOSITORY is not set; allowed: the repository, as OWNER/NAME"),
        (
            "GITHUB_REF",
            "",
            "ci-report: GITHUB_REF is not set; allowed: the merge of a pull request, refs/pull/NUMBER/merge",
        ),
        (
            "GITHUB_REF",
            "refs/heads/main",
            'ci-report: GITHUB_REF is "refs/heads/main"; allowed: refs/pull/NUMBER/merge',
        ),
        ("PATH", "", "gh is not on the PATH; https://cli.github.com says how to install it"),
    ],
)
@pytest.mark.usefixtures("previews")
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv(name, value)

    assert refused("preview") == told


@pytest.mark.usefixtures("previews")
def test_another_kind_is_refused() -> None:
    assert refused("plan") == 'ci-report: found "plan"; allowed: preview or drift'
