"""The emulator: it ends with whoever started it unless it is kept, and is found and stopped by its address alone."""

import io
import json
import runpy
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

from tools import emulator, emulator_process

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:*",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for an emulator; what is kept there ends with the test."""
    folder = tmp_path / ".local"
    yield folder
    (folder / emulator.ADDRESS_FILE).unlink(missing_ok=True)


def wait_until_it_ends(address: str) -> None:
    """Wait until an emulator answers no more, for five seconds."""
    deadline = time.monotonic() + 5
    while emulator.answers(address):
        assert time.monotonic() < deadline, f"{address} still answers"
        time.sleep(0.05)


def test_an_emulator_that_is_not_kept_ends_with_its_block(folder: Path) -> None:
    folder.mkdir()
    (folder / "left by an earlier one").touch()

    with emulator.started_emulator(folder) as address:
        assert address.startswith("http://127.0.0.1:")
        assert emulator.answers(address)
        assert emulator.find_emulator(folder) is None

    assert not emulator.answers(address)
    assert [path.name for path in folder.iterdir()] == [emulator.LOG_FILE]


def test_a_kept_emulator_is_found_and_stopped(folder: Path) -> None:
    with emulator.started_emulator(folder) as address:
        emulator.keep_emulator(address, folder)

    assert emulator.find_emulator(folder) == address
    emulator.stop_emulator(folder)
    assert not emulator.answers(address)
    assert not folder.exists()


def test_an_emulator_ends_when_the_process_that_started_it_is_killed(folder: Path) -> None:
    program = (
        "import pathlib, time, tools.emulator as emulator\n"
        f"with emulator.started_emulator(pathlib.Path({str(folder)!r})) as address:\n"
        "    print(address, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=emulator.PROJECT_FOLDER, stdout=subprocess.PIPE, encoding="utf-8") as starter:
        address = starter.stdout.readline().strip() if starter.stdout else ""
        assert emulator.answers(address)

        starter.kill()

    wait_until_it_ends(address)


def test_an_emulator_ends_when_its_address_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_process, "WATCH_SECONDS", 0.01)
    folder.mkdir()
    answers = io.StringIO()
    starter = SimpleNamespace(read=lambda: emulator.keep_emulator(answers.getvalue().strip(), folder))
    thread = threading.Thread(target=emulator_process.serve, args=(folder, starter, answers))
    thread.start()
    while emulator.find_emulator(folder) is None:
        time.sleep(0.01)

    (folder / emulator.ADDRESS_FILE).unlink()

    thread.join(5)
    assert not thread.is_alive()


def test_the_process_takes_its_folder_from_its_arguments(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["emulator_process", str(folder)])
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    runpy.run_path(emulator_process.__file__, run_name="__main__")

    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"url": "http://127.0.0.1:1"}'])
def test_what_an_emulator_left_when_the_machine_went_down_is_no_emulator(folder: Path, content: str | None) -> None:
    folder.mkdir()
    if content is not None:
        (folder / emulator.ADDRESS_FILE).write_text(content, encoding="utf-8")

    assert emulator.find_emulator(folder) is None
    emulator.stop_emulator(folder)
    assert not folder.exists()


def test_what_has_come_to_listen_at_the_address_since_is_no_emulator(folder: Path) -> None:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        emulator.keep_emulator(f"http://127.0.0.1:{server.getsockname()[1]}", folder)

        def say_something_else() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"220 not a web server\r\n")

        thread = threading.Thread(target=say_something_else)
        thread.start()
        assert emulator.find_emulator(folder) is None
        thread.join()


def test_an_emulator_that_does_not_start_is_reported_with_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "PROCESS", "tools.nothing")

    with (
        pytest.raises(SystemExit, match=r"^the emulator did not start; its messages are in .*emulator\.log$"),
        emulator.started_emulator(folder),
    ):
        pytest.fail("it has started")

    assert "No module named tools.nothing" in (folder / emulator.LOG_FILE).read_text(encoding="utf-8")


def test_an_emulator_that_does_not_stop_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    emulator.keep_emulator("http://127.0.0.1:1", folder)
    monkeypatch.setattr(emulator, "answers", lambda _: True)
    monkeypatch.setattr(emulator, "END_SECONDS", 0.2)

    with pytest.raises(SystemExit, match=r"^the emulator at http://127\.0\.0\.1:1 does not stop; its messages are in"):
        emulator.stop_emulator(folder)


def test_an_emulator_that_does_not_end_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "END_SECONDS", 0.2)
    monkeypatch.setattr(emulator, "PROCESS", "tests.unit.tools.deaf_emulator")

    with emulator.started_emulator(folder) as answer:
        pass

    assert answer == "deaf"


def test_what_keeps_the_stack_out_of_moto_is_still_to_be_mended() -> None:
    """Once this fails, moto does by itself what `mended_moto` makes it do, and the mending can go."""
    session = boto3.Session("testing", "testing", region_name="us-east-2")

    def tried(address: str) -> tuple[bool, bool, bool]:
        s3, sqs = session.client("s3", endpoint_url=address), session.client("sqs", endpoint_url=address)
        s3.create_bucket(Bucket="payloads", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
        s3.put_bucket_policy(Bucket="payloads", Policy=json.dumps(POLICY))
        url = sqs.create_queue(QueueName="q", Attributes={"Policy": json.dumps(POLICY)})["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedriveAllowPolicy": '{"redrivePermission":"denyAll"}'})
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        try:
            s3.put_object(Bucket="payloads", Key="k", Body=b"")
        except s3.exceptions.ClientError:
            return False, "Policy" in attributes, "RedriveAllowPolicy" in attributes
        return True, "Policy" in attributes, "RedriveAllowPolicy" in attributes

    server = emulator_process.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        assert tried(address) == (False, False, False)
        reset = urllib.request.Request(f"{address}/moto-api/reset", method="POST")  # noqa: S310 # the emulator above
        with emulator_process.mended_moto(), urllib.request.urlopen(reset):  # noqa: S310
            assert tried(address) == (True, True, True)
    finally:
        server.stop()
