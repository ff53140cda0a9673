"""The poller that takes Lambda's place in the emulator: it keeps to what SQS and Lambda document."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import boto3
import pytest
from moto import mock_aws

from tests.integration import poller, runtime
from tests.integration.poller import Delivery, FunctionProcess, InvocationError, Poller

REGION = "us-east-2"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:123456789012:queue"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:123456789012:function:processor"
MAPPING = {
    "BatchSize": 10,
    "MaximumBatchingWindowInSeconds": 0,
    "EventSourceArn": QUEUE_ARN,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}
CONFIGURATION = {
    "FunctionName": "processor",
    "FunctionArn": FUNCTION_ARN,
    "Handler": "processor.handler.lambda_handler",
    "MemorySize": 512,
    "Timeout": 30,
    "Environment": {"Variables": {"GREETING": "hello"}},
}
# What the runtime needs of a handler's module.
STORE = """
import boto3, os, sys, time
from types import SimpleNamespace
s3 = boto3.client("s3", region_name="us-east-2", aws_access_key_id="testing", aws_secret_access_key="testing")
store = SimpleNamespace(s3=s3)
"""
EVENT = {"Records": []}

Install = Callable[..., FunctionProcess]


@pytest.fixture(name="install")
def fixture_install(tmp_path: Path) -> Iterator[Install]:
    """Install a bundle whose handler is some code, and end its process with the test."""
    made: list[FunctionProcess] = []

    def install(code: str, timeout: int = 30) -> FunctionProcess:
        bundle = tmp_path / "bundle.zip"
        with ZipFile(bundle, "w") as archive:
            archive.writestr("processor/handler.py", STORE + code)
        variables = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        made.append(FunctionProcess(bundle, CONFIGURATION | {"Timeout": timeout}, variables))
        return made[-1]

    yield install
    for function in made:
        function.close()
        assert not Path(function.folder).exists()


def test_the_function_has_its_environment_and_its_context_and_nothing_of_the_tests(install: Install) -> None:
    function = install(
        "def lambda_handler(event, context):\n"
        "    return [dict(os.environ), context.function_name, context.memory_limit_in_mb,\n"
        "            context.invoked_function_arn, context.get_remaining_time_in_millis(), event]\n"
    )

    environment, name, memory, arn, remaining, event = function.invoke(EVENT)

    assert environment["GREETING"] == "hello"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name == "processor"
    assert not [variable for variable in environment if variable.startswith("PYTEST")]
    assert (memory, arn, event) == ("512", FUNCTION_ARN, EVENT)
    assert 29_000 < remaining <= 30_000


def test_the_function_lives_on_between_invocations(install: Install) -> None:
    function = install("calls = []\ndef lambda_handler(event, context):\n    calls.append(1)\n    return len(calls)\n")

    assert [function.invoke(EVENT), function.invoke(EVENT)] == [1, 2]


def test_what_the_function_prints_is_no_answer(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    function = install("def lambda_handler(event, context):\n    print('a log')\n    return 'an answer'\n")

    assert function.invoke(EVENT) == "an answer"
    assert capfd.readouterr().err.splitlines() == ["a log"]


@pytest.mark.parametrize("end", ["raise ValueError", "os._exit(3)"])
def test_a_function_that_crashes_gives_no_answer_and_is_started_anew(install: Install, end: str) -> None:
    function = install(f"def lambda_handler(event, context):\n    if event['Records']:\n        {end}\n    return 1\n")

    with pytest.raises(InvocationError):
        function.invoke({"Records": [1]})
    assert function.invoke(EVENT) == 1


def test_a_function_that_has_ended_since_is_started_anew(install: Install) -> None:
    function = install("def lambda_handler(event, context):\n    return 1\n")
    function.invoke(EVENT)
    assert function.process
    function.process.kill()
    function.process.wait()

    with pytest.raises(InvocationError):
        function.invoke(EVENT)
    assert function.invoke(EVENT) == 1


def test_a_function_that_runs_out_of_time_is_ended(install: Install) -> None:
    function = install("def lambda_handler(event, context):\n    time.sleep(60)\n", timeout=1)

    with pytest.raises(InvocationError):
        function.invoke(EVENT)


@pytest.mark.parametrize("package", ["pydantic", "aws_lambda_powertools", "infrastructure", "tests"])
def test_what_neither_the_bundle_nor_the_runtime_has_cannot_be_imported(
    install: Install, capfd: pytest.CaptureFixture[str], package: str
) -> None:
    function = install(f"import {package}\n")

    with pytest.raises(RuntimeError, match=r"^the bundle's processor\.handler\.lambda_handler cannot be imported"):
        function.start()

    assert f"No module named '{package}'" in capfd.readouterr().err


def test_an_injected_fault_is_s3s_answer_to_the_handlers_client(install: Install) -> None:
    function = install(
        "def lambda_handler(event, context):\n"
        "    try:\n"
        "        s3.put_object(Bucket='payloads', Key='messages/m-1.json', Body=b'')\n"
        "    except s3.exceptions.ClientError as error:\n"
        "        return error.response['Error']['Code']\n"
    )

    assert function.invoke({"Records": [faulty("m-1", receive_count=1, deliveries=1)]}) == "OperationAborted"


def faulty(message: str, *, receive_count: int, deliveries: int) -> dict[str, Any]:
    """Form the record of a message that asks for a fault."""
    return {
        "messageId": message,
        "attributes": {"ApproximateReceiveCount": str(receive_count)},
        "messageAttributes": {"InjectedFault": {"stringValue": str(deliveries)}},
    }


@pytest.mark.parametrize(("receive_count", "asked"), [(1, True), (2, True), (3, False)])
def test_a_fault_is_injected_into_as_many_deliveries_as_the_message_asks_for(receive_count: int, asked: bool) -> None:
    event = {
        "Records": [
            faulty("m-1", receive_count=receive_count, deliveries=2),
            {"messageId": "m-2", "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}},
        ]
    }

    assert runtime.faulty_messages(event) == ({"m-1"} if asked else set())


class Function:
    """Stands in for the function's process: notes the events, and answers as it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answer: Callable[[list[str]], Any] = lambda _: {"batchItemFailures": []}

    def invoke(self, event: dict[str, Any]) -> Any:
        """Answer an event by the messages in it."""
        self.events.append(event)
        return self.answer([record["messageId"] for record in event["Records"]])


@pytest.fixture(name="queue")
def fixture_queue() -> Iterator[Any]:
    """A queue in an emulated AWS."""
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name=REGION)
        sqs = session.client("sqs")
        sqs.create_queue(QueueName="queue", Attributes={"VisibilityTimeout": "1800"})
        yield sqs


@pytest.fixture(name="function")
def fixture_function() -> Function:
    """A function that is told what to answer."""
    return Function()


def poller_of(queue: Any, function: Any, **mapping: Any) -> Poller:
    """Form a poller with a mapping."""
    url = queue.get_queue_url(QueueName="queue")["QueueUrl"]
    return Poller(queue, url, MAPPING | mapping, function)


def send(queue: Any, count: int) -> list[str]:
    """Send messages, and return their identities."""
    url = queue.get_queue_url(QueueName="queue")["QueueUrl"]
    return [queue.send_message(QueueUrl=url, MessageBody=f"body {number}")["MessageId"] for number in range(count)]


def left(queue: Any) -> set[str]:
    """Find what is still in the queue, after what is hidden has come back."""
    url = queue.get_queue_url(QueueName="queue")["QueueUrl"]
    found: set[str] = set()
    while messages := queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found |= {message["MessageId"] for message in messages}
        for message in messages:
            queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_an_empty_queue_calls_no_function(queue: Any, function: Function) -> None:
    assert poller_of(queue, function).poll() == 0
    assert function.events == []


def test_a_record_is_what_lambda_hands_over(queue: Any, function: Function) -> None:
    url = queue.get_queue_url(QueueName="queue")["QueueUrl"]
    attributes = {
        "text": {"DataType": "String", "StringValue": "value"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    queue.send_message(QueueUrl=url, MessageBody="{}", MessageAttributes=attributes)

    poller_of(queue, function).poll()

    (record,) = function.events[0]["Records"]
    assert record["body"] == "{}"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["SentTimestamp"].isdigit()
    assert record["messageAttributes"] == {
        "text": {"dataType": "String", "stringValue": "value", "stringListValues": [], "binaryListValues": []},
        "bytes": {"dataType": "Binary", "binaryValue": "AP8=", "stringListValues": [], "binaryListValues": []},
    }
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", QUEUE_ARN, REGION)
    assert {"messageId", "receiptHandle", "md5OfBody"} <= set(record)


def test_what_does_not_fail_is_deleted_and_what_fails_stays(
    queue: Any, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "RETRY_SECONDS", 0)
    messages = send(queue, 3)
    function.answer = lambda _: {"batchItemFailures": [{"itemIdentifier": messages[1]}]}
    polling = poller_of(queue, function)

    assert polling.poll() == 3

    assert polling.deliveries == [Delivery(message, 1, message == messages[1]) for message in messages]
    assert left(queue) == {messages[1]}


@pytest.mark.parametrize(
    "failure", [{"itemIdentifier": "unknown"}, {"itemIdentifier": ""}, {"itemIdentifier": None}, {"wrong": "m-1"}]
)
def test_an_answer_that_names_no_message_of_the_batch_returns_the_whole_batch(
    queue: Any, function: Function, monkeypatch: pytest.MonkeyPatch, failure: dict[str, Any]
) -> None:
    monkeypatch.setattr(poller, "RETRY_SECONDS", 0)
    messages = send(queue, 2)
    function.answer = lambda _: {"batchItemFailures": [failure]}

    poller_of(queue, function).poll()

    assert left(queue) == set(messages)


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_answer_without_failures_is_a_success(queue: Any, function: Function, answer: Any) -> None:
    send(queue, 2)
    function.answer = lambda _: answer

    poller_of(queue, function).poll()

    assert left(queue) == set()


def test_a_function_that_crashes_returns_the_whole_batch(
    queue: Any, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "RETRY_SECONDS", 0)
    messages = send(queue, 2)
    function.answer = crash

    poller_of(queue, function).poll()

    assert left(queue) == set(messages)


def crash(_messages: list[str]) -> Any:
    """Crash as a function does."""
    raise InvocationError


def test_without_partial_responses_an_answer_deletes_the_whole_batch(queue: Any, function: Function) -> None:
    messages = send(queue, 2)
    function.answer = lambda _: {"batchItemFailures": [{"itemIdentifier": messages[0]}]}

    poller_of(queue, function, FunctionResponseTypes=[]).poll()

    assert left(queue) == set()


def test_a_message_that_is_being_processed_is_hidden(queue: Any, function: Function) -> None:
    send(queue, 1)
    second = poller_of(queue, Function())
    seen: list[int] = []

    def poll_meanwhile(_messages: list[str]) -> Any:
        seen.append(second.poll())
        return {"batchItemFailures": []}

    function.answer = poll_meanwhile

    poller_of(queue, function).poll()

    assert seen == [0]


def test_a_message_that_comes_back_is_counted(queue: Any, function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "RETRY_SECONDS", 0)
    (message,) = send(queue, 1)
    function.answer = crash
    polling = poller_of(queue, function)

    polling.poll()
    polling.poll()

    assert polling.deliveries == [Delivery(message, 1, failed=True), Delivery(message, 2, failed=True)]


@pytest.mark.parametrize(("size", "batches"), [(4, [4, 4, 3]), (10, [10, 1]), (11, [10, 1])])
def test_a_batch_is_as_large_as_the_mapping_says_and_sqs_hands_over(
    queue: Any, function: Function, size: int, batches: list[int]
) -> None:
    send(queue, 11)
    polling = poller_of(queue, function, BatchSize=size)

    assert [polling.poll() for _ in batches] == batches


def test_a_batch_is_gathered_for_the_batching_window(
    queue: Any, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, 0.5, 0.9, 0.95, 0.97, 1.1])
    waits: list[float] = []
    monkeypatch.setattr(poller.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(poller.time, "sleep", waits.append)
    send(queue, 25)

    assert poller_of(queue, function, BatchSize=100, MaximumBatchingWindowInSeconds=1).poll() == 25
    assert len(waits) == 1


def test_without_a_mapping_there_is_nothing_to_take_the_place_of(tmp_path: Path) -> None:
    session = boto3.Session("testing", "testing", region_name=REGION)

    (tmp_path / "bundle.zip").touch()

    with (
        mock_aws(),
        pytest.raises(LookupError, match=f"^no event source mapping brings messages of {QUEUE_ARN} to"),
        poller.opened_poller(session, FUNCTION_ARN, QUEUE_ARN, "", tmp_path / "bundle.zip"),
    ):
        pytest.fail("it is open")


def test_without_a_bundle_there_is_nothing_to_run(tmp_path: Path) -> None:
    session = boto3.Session("testing", "testing", region_name=REGION)

    with (
        pytest.raises(LookupError, match=r"bundle\.zip is missing; the task `package` builds it$"),
        poller.opened_poller(session, FUNCTION_ARN, QUEUE_ARN, "", tmp_path / "bundle.zip"),
    ):
        pytest.fail("it is open")
