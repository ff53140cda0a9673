"""Finding the deployed stack by its outputs, and every reason why there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infrastructure.settings import Settings
from tests.remembered import outputs_of
from tools.configuration.stack_files import PROJECT_FOLDER, StackConfig, read_stack_config
from tools.outputs import OUTPUTS_FILE, write_outputs
from tools.testing import deployed as deployed_stack
from tools.testing.deployed import Deployed, NotDeployedError, find_deployed
from tools.testing.recording import EMULATOR, STACKS, example_account

FILE = r"^cfn-outputs/flat-outputs\.json "


def refused(folder: Path, outputs: object, match: str) -> str:
    """Assert that no stack is found, and return the message."""
    write_outputs(outputs, folder / OUTPUTS_FILE)  # ty: ignore[invalid-argument-type] # what a person may write there
    with pytest.raises(NotDeployedError, match=match) as refusal:
        find_deployed(folder)
    return str(refusal.value)


def configured(monkeypatch: pytest.MonkeyPatch, change: Callable[[StackConfig], StackConfig]) -> None:
    """Change the configuration of every stack."""
    monkeypatch.setattr(deployed_stack, "read_stack_config", lambda stack: change(read_stack_config(stack)))


@pytest.fixture(name="dev")
def fixture_dev(tmp_path: Path) -> Deployed:
    """The dev stack."""
    write_outputs(outputs_of("dev", PROJECT_FOLDER), tmp_path / OUTPUTS_FILE)
    return find_deployed(tmp_path)


@pytest.mark.parametrize("stack", STACKS)
def test_the_stack_is_the_one_whose_outputs_are_in_the_file(
    tmp_path: Path, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stack == "local":
        monkeypatch.setenv("AWS_ENDPOINT_URL", EMULATOR["AWS_ENDPOINT_URL"])
    write_outputs(outputs_of(stack, PROJECT_FOLDER), tmp_path / OUTPUTS_FILE)

    found = find_deployed(tmp_path)

    assert (found.stack, found.is_local) == (stack, stack == "local")
    assert found.account == example_account(read_stack_config(stack).values["aws:region"])
    assert found.outputs == outputs_of(stack, PROJECT_FOLDER)


def test_a_stack_is_found_even_if_some_of_its_outputs_are_wrong(tmp_path: Path) -> None:
    write_outputs(
        outputs_of("dev", PROJECT_FOLDER) | {"topic_arn": "another", "queue_url": "another"}, tmp_path / OUTPUTS_FILE
    )

    assert find_deployed(tmp_path).stack == "dev"


def test_the_settings_are_the_projects_own(dev: Deployed) -> None:
    assert dev.read_settings(Settings).environment == "dev"


def test_a_secret_setting_has_an_example_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypted(config: StackConfig) -> StackConfig:
        key = "orders:notificationEmail"
        return replace(config, values=config.values | {key: '{"secure": "AAAB"}'}, secret_keys=frozenset({key}))

    configured(monkeypatch, encrypted)
    write_outputs(outputs_of("dev", PROJECT_FOLDER), tmp_path / OUTPUTS_FILE)

    assert find_deployed(tmp_path).read_settings(Settings).notification_email == "team@example.com"


def test_a_client_is_created_once_for_the_stacks_region(dev: Deployed) -> None:
    assert dev.client("sqs") is dev.client("sqs")
    assert dev.client("sqs").meta.region_name == "us-east-2"


def test_clients_use_the_access_keys_of_the_stacks_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"aws:accessKey": "of-the-stack", "aws:secretKey": "of-the-stack", "aws:token": '{"secure": "AAAB"}'}
    configured(
        monkeypatch,
        lambda config: replace(config, values=config.values | keys, secret_keys=frozenset({"aws:token"})),
    )
    write_outputs(outputs_of("dev", PROJECT_FOLDER), tmp_path / OUTPUTS_FILE)

    credentials = find_deployed(tmp_path).session.get_credentials()

    assert credentials is not None
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("of-the-stack", "of-the-stack", None)


def test_without_outputs_the_message_says_to_deploy(tmp_path: Path) -> None:
    with pytest.raises(NotDeployedError, match=f"{FILE}does not exist: deploy first with the task `local-up` or"):
        find_deployed(tmp_path)


def test_unreadable_outputs_are_reported_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / OUTPUTS_FILE).mkdir(parents=True)

    with pytest.raises(NotDeployedError, match=f"{FILE}cannot be read: "):
        find_deployed(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_outputs_that_are_not_json_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / OUTPUTS_FILE).parent.mkdir()
    (tmp_path / OUTPUTS_FILE).write_bytes(content)

    with pytest.raises(NotDeployedError, match=f"{FILE}is not JSON; rewrite it with the task `outputs`$"):
        find_deployed(tmp_path)


def test_missing_outputs_are_named(tmp_path: Path) -> None:
    outputs = outputs_of("dev", PROJECT_FOLDER) | {"queue_url": ""}
    del outputs["table_arn"]

    refused(tmp_path, outputs, f"{FILE}lacks table_arn, queue_url; rewrite it with the task `outputs`$")


def test_outputs_that_are_not_a_mapping_lack_everything(tmp_path: Path) -> None:
    refused(tmp_path, ["bucket_name"], f"{FILE}lacks bucket_name, table_name, table_arn, ")


def test_outputs_without_an_arn_name_no_account(tmp_path: Path) -> None:
    refused(
        tmp_path,
        dict.fromkeys(outputs_of("dev", PROJECT_FOLDER), "a"),
        f"{FILE}names no account: no output is an ARN; rewrite",
    )


def test_outputs_of_another_program_match_no_stack(tmp_path: Path) -> None:
    another = {name: str(text).replace("orders", "another") for name, text in outputs_of("dev", PROJECT_FOLDER).items()}

    refused(tmp_path, another, f"{FILE}matches no stack; rewrite it with the task `outputs`$")


def test_outputs_that_match_two_stacks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployed_stack, "STACKS", ("dev", "dev"))

    refused(
        tmp_path, outputs_of("dev", PROJECT_FOLDER), f"{FILE}matches dev and dev; rewrite it with the task `outputs`$"
    )


def test_stacks_that_could_not_be_compared_are_listed_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(stack: str) -> StackConfig:
        config = read_stack_config(stack)
        return replace(config, values=config.values | {"orders:batchSize": "0"})

    monkeypatch.setattr(deployed_stack, "read_stack_config", read)
    monkeypatch.setattr(deployed_stack, "STACKS", ("absent", "dev"))

    message = refused(tmp_path, outputs_of("dev", PROJECT_FOLDER), f"{FILE}matches no stack")

    assert "\nabsent: Pulumi.absent.yaml: does not exist in " in message
    assert '\ndev: the stack\'s configuration has 1 problem:\n  - orders:batchSize: found "0"; allowed: ' in message


@pytest.mark.parametrize(
    ("stack", "endpoint", "reason"),
    [
        ("dev", "http://127.0.0.1:5000", "AWS_ENDPOINT_URL points to this machine"),
        ("local", "", "AWS_ENDPOINT_URL is not set"),
    ],
)
def test_an_environment_that_points_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, endpoint: str, reason: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    message = refused(
        tmp_path,
        outputs_of(stack, PROJECT_FOLDER),
        f"{FILE}belongs to the stack {stack}, but orders:environment: found ",
    )

    assert reason in message
