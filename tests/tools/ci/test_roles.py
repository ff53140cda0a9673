"""The role of a job: its names, its account, and what the job is told without one."""

import os
import stat
from pathlib import Path

import pytest

from tests.ci.conftest import set_values
from tools.ci.roles import write_role

ROLE = "arn:aws:iam::123456789012:role/orders-dev-ci-preview"
IDENTITY = "not-for-people"
NO_ACCOUNT = "Pulumi.dev.yaml does not set aws:allowedAccountIds"
CONFIG = """\
[default]
region = us-east-2
role_arn = arn:aws:iam::123456789012:role/orders-dev-ci-deploy
role_session_name = orders-dev-ci-deploy-42
duration_seconds = 7200
web_identity_token_file = {token}
"""


def refused(stack: str, purpose: str) -> str:
    """Ask for a role that is refused, and return why."""
    with pytest.raises(SystemExit) as error:
        write_role(stack, purpose)
    assert "\n" not in str(error.value.code)
    return str(error.value.code)


@pytest.fixture(name="on_gitlab")
def fixture_on_gitlab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Run on GitLab, in a job with an identity token. Returns the path of the AWS configuration file."""
    config = tmp_path / "aws" / "config"
    variables = {"CI": "true", "GITLAB_CI": "true", "CI_JOB_ID": "42", "AWS_ID_TOKEN": IDENTITY}
    for name, value in (variables | {"AWS_CONFIG_FILE": str(config)}).items():
        monkeypatch.setenv(name, value)
    return config


@pytest.mark.usefixtures("with_account")
def test_github_gets_the_role_the_region_and_the_account(on_github: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (on_github / "output").write_text("earlier=1\n", encoding="utf-8")

    write_role("dev", "preview")

    outputs = f"earlier=1\nrole={ROLE}\nregion=us-east-2\naccount=123456789012\n"
    assert (on_github / "output").read_text(encoding="utf-8") == outputs
    assert capsys.readouterr().out == f"ci-role: {ROLE}\n"


@pytest.mark.parametrize("value", ["[]", "[ ]", "", None])
def test_without_an_account_a_preview_has_no_role(
    on_github: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str | None
) -> None:
    set_values(monkeypatch, {"aws:allowedAccountIds": value})

    write_role("dev", "preview")

    assert (on_github / "output").read_text(encoding="utf-8") == "role=\n"
    assert capsys.readouterr().out == f"ci-role: no credentials for dev: {NO_ACCOUNT}\n"


def test_without_an_account_a_deployment_is_refused(on_github: Path) -> None:
    assert refused("dev", "deploy") == f"ci-role: dev cannot be deployed: {NO_ACCOUNT}"
    assert not (on_github / "output").exists()


@pytest.mark.usefixtures("with_account")
def test_a_job_of_a_fork_gets_no_role(
    on_github: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")

    write_role("dev", "preview")

    assert (on_github / "output").read_text(encoding="utf-8") == "role=\n"
    assert capsys.readouterr().out.startswith("ci-role: no credentials for dev: this job gets no identity token, as it")
    assert refused("dev", "deploy").startswith("ci-role: dev cannot be deployed: this job gets no identity token")


@pytest.mark.parametrize(
    "value",
    ['["123456789012", "123456789013"]', '["12345"]', "any", '{"secure": "AAAB"}'],
    ids=["two", "short", "word", "secret"],
)
@pytest.mark.parametrize("purpose", ["preview", "deploy"])
def test_anything_but_one_account_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, purpose: str) -> None:
    set_values(monkeypatch, {"aws:allowedAccountIds": value})

    assert refused("dev", purpose) == (
        "Pulumi.dev.yaml: aws:allowedAccountIds is wrong; allowed: a list with the ID of one account, "
        'such as ["123456789012"]'
    )


def test_an_encrypted_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    set_values(monkeypatch, {"aws:allowedAccountIds": "[123456789012]"}, secret_keys=("aws:allowedAccountIds",))

    assert refused("dev", "preview").startswith("Pulumi.dev.yaml: aws:allowedAccountIds is wrong; ")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-central-1", "aws")],
)
def test_the_role_is_in_the_regions_partition(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], region: str, partition: str
) -> None:
    set_values(monkeypatch, {"aws:allowedAccountIds": '"123456789012"'.join("[]"), "aws:region": region})

    write_role("staging", "deploy")

    role = f"arn:{partition}:iam::123456789012:role/orders-staging-ci-deploy"
    assert capsys.readouterr().out == f"ci-role: {role}\n"


def test_the_role_has_the_stacks_suffix(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    account = {"aws:allowedAccountIds": '["123456789012"]'}
    set_values(monkeypatch, account | {"orders:environmentSuffix": "blue"})

    write_role("dev", "preview")

    assert capsys.readouterr().out == "ci-role: arn:aws:iam::123456789012:role/orders-blue-ci-preview\n"


@pytest.mark.usefixtures("with_account")
def test_gitlab_gets_an_aws_configuration_file(on_gitlab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_role("dev", "deploy")

    token = on_gitlab.with_name("identity-token")
    assert on_gitlab.read_text(encoding="utf-8") == CONFIG.format(token=token)
    assert token.read_text(encoding="utf-8") == IDENTITY
    assert os.name == "nt" or stat.S_IMODE(token.stat().st_mode) == 0o600
    assert IDENTITY not in capsys.readouterr().out


@pytest.mark.usefixtures("with_account")
def test_a_job_on_gitlab_without_a_token_gets_no_role(on_gitlab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ID_TOKEN")

    write_role("dev", "preview")

    assert not on_gitlab.exists()
    told = "ci-role: dev cannot be deployed: this job has no identity token in AWS_ID_TOKEN"
    assert refused("dev", "deploy") == told


@pytest.mark.usefixtures("with_account")
def test_a_missing_variable_is_named(on_github: Path, on_gitlab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT")
    assert refused("dev", "preview").startswith("ci-role: GITHUB_OUTPUT is not set; allowed: the file for the outputs")
    monkeypatch.delenv("GITHUB_ACTIONS")
    monkeypatch.delenv("AWS_CONFIG_FILE")

    assert (
        refused("dev", "preview")
        == "ci-role: AWS_CONFIG_FILE is not set; allowed: the path of a file that this task writes"
    )
    assert not list(on_github.glob("output"))
    assert not on_gitlab.parent.exists()


@pytest.mark.parametrize(
    ("stack", "purpose", "told"),
    [
        ("qa", "preview", 'ci-role: no file for the stack "qa"; allowed: dev, prod, staging'),
        ("local", "preview", 'ci-role: no file for the stack "local"; allowed: dev, prod, staging'),
        ("dev", "destroy", 'ci-role: found "destroy"; allowed: preview or deploy'),
    ],
)
def test_a_wrong_argument_is_refused(stack: str, purpose: str, told: str) -> None:
    assert refused(stack, purpose) == told


def test_a_wrong_configuration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    set_values(monkeypatch, {"orders:environmentSuffix": None})

    with pytest.raises(SystemExit, match=r"(?s)^ci-role: .*orders:environmentSuffix: missing; allowed: "):
        write_role("dev", "preview")
