"""The ``pulumi-rollback`` task: which version the alias points to, and what is refused."""

import io
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import boto3
import pytest

from infrastructure.processing import LIVE
from scripts import rollback
from tests.unit.emulated import Emulated
from tools.testing.deployed import NotDeployedError

FUNCTION = "orders-dev-processor"
REGION = "us-east-1"


@pytest.fixture(name="lambda_")
def fixture_lambda(aws: Emulated) -> Any:
    """Lambda with three versions of the function, of which the alias runs the last."""
    assert aws
    session = boto3.Session("testing", "testing", region_name=REGION)
    role = session.client("iam").create_role(RoleName=FUNCTION, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client = session.client("lambda")
    client.create_function(
        FunctionName=FUNCTION,
        Role=role,
        Runtime="python3.13",
        Handler="handler",
        Code={"ZipFile": archive("1")},
        Publish=True,
    )
    for content in ("2", "3"):
        client.update_function_code(FunctionName=FUNCTION, ZipFile=archive(content), Publish=True)
    client.create_alias(FunctionName=FUNCTION, Name=LIVE, FunctionVersion="3")
    return client


@pytest.fixture(name="saved")
def fixture_saved(lambda_: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stacks whose outputs were read, and `local` if the emulator was entered."""
    saved: list[str] = []
    deployed = SimpleNamespace(outputs={"function_name": FUNCTION}, client=lambda service: {"lambda": lambda_}[service])
    monkeypatch.setattr(rollback, "save_outputs", saved.append)
    monkeypatch.setattr(rollback, "enter_local_stack", lambda task: saved.append(f"local for {task}"))
    monkeypatch.setattr(rollback, "find_deployed", lambda: deployed)
    return saved


def archive(content: str) -> bytes:
    """Return code for a version."""
    file = io.BytesIO()
    with ZipFile(file, "w") as opened:
        opened.writestr("handler.py", content)
    return file.getvalue()


def live(client: Any) -> str:
    """Return the version that processes messages."""
    return client.get_alias(FunctionName=FUNCTION, Name=LIVE)["FunctionVersion"]


def test_the_version_before_the_current_one_processes_messages(
    lambda_: Any, saved: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rollback.rollback("prod")

    assert (live(lambda_), saved) == ("2", ["prod"])
    assert f"{FUNCTION}:{LIVE} ran version 3 and now runs version 2." in capsys.readouterr().out


def test_a_version_can_be_named(lambda_: Any, saved: list[str]) -> None:
    rollback.rollback("dev", "1")

    assert (live(lambda_), saved) == ("1", ["dev"])


def test_the_local_stack_is_rolled_back_in_the_emulator(lambda_: Any, saved: list[str]) -> None:
    rollback.rollback("local")

    assert (live(lambda_), saved) == ("2", ["local for pulumi-rollback"])


@pytest.mark.parametrize("version", ["4", "0", "$LATEST", "two"])
def test_a_version_that_does_not_exist_is_refused(lambda_: Any, saved: list[str], version: str) -> None:
    with pytest.raises(SystemExit) as refusal:
        rollback.rollback("dev", version)

    assert str(refusal.value) == f"pulumi-rollback: {FUNCTION} has no version {version}; its versions: 1, 2, 3"
    assert (live(lambda_), saved) == ("3", ["dev"])


def test_without_an_earlier_version_nothing_is_changed(lambda_: Any) -> None:
    rollback.move_alias(lambda_, FUNCTION, "1")

    with pytest.raises(SystemExit) as refusal:
        rollback.move_alias(lambda_, FUNCTION)

    message = f"{FUNCTION} has no version before 1, which {LIVE} runs; its versions: 1, 2, 3"
    assert str(refusal.value) == f"pulumi-rollback: {message}"
    assert live(lambda_) == "1"


def test_versions_are_compared_as_numbers(lambda_: Any) -> None:
    for content in range(4, 12):
        lambda_.update_function_code(FunctionName=FUNCTION, ZipFile=archive(str(content)), Publish=True)
    rollback.move_alias(lambda_, FUNCTION, "11")

    assert rollback.move_alias(lambda_, FUNCTION) == ("11", "10")


def test_a_stack_that_is_not_deployed_is_one_line(saved: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise NotDeployedError("no outputs")

    monkeypatch.setattr(rollback, "find_deployed", missing)

    with pytest.raises(SystemExit, match=r"^pulumi-rollback: no outputs$"):
        rollback.rollback("dev")

    assert saved == ["dev"]
