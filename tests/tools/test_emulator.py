"""Tests that the emulator is installed, started, found, kept running, and stopped with all its processes."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import stand_in_emulator
from tools import emulator


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for an emulator. Teardown stops the emulator."""
    folder = tmp_path / ".local"
    yield folder
    emulator.stop_emulator(folder)


@pytest.fixture(name="stand_in")
def fixture_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the stand-in instead of MiniStack, which unit tests do not install."""
    monkeypatch.setattr(emulator, "find_interpreter", lambda: sys.executable)
    monkeypatch.setattr(emulator, "COMMAND", (stand_in_emulator.__file__,))


def function_of(folder: Path) -> psutil.Process:
    """Return the stand-in's child process, which represents a Lambda function."""
    return psutil.Process(int((folder / emulator.TEMPORARY_FOLDER / "function").read_text(encoding="utf-8")))


def ended(process: psutil.Process) -> bool:
    """Whether a process has ended, possibly as a zombie."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.usefixtures("stand_in")
def test_a_started_emulator_is_found_and_stopped_with_its_functions(folder: Path) -> None:
    address = emulator.start_emulator(folder)
    function = function_of(folder)
    assert address.startswith("http://127.0.0.1:")
    assert emulator.answers(address)
    assert emulator.find_emulator(folder) is None

    emulator.keep_emulator(folder)
    assert emulator.find_emulator(folder) == address

    emulator.stop_emulator(folder)
    assert not emulator.answers(address)
    assert ended(function)
    assert not folder.exists()


@pytest.mark.usefixtures("stand_in")
def test_a_start_stops_the_emulator_of_a_killed_task(folder: Path) -> None:
    first = emulator.start_emulator(folder)
    (folder / "left").touch()

    second = emulator.start_emulator(folder)

    assert first != second
    assert (emulator.answers(first), emulator.answers(second)) == (False, True)
    assert not (folder / "left").exists()


@pytest.mark.usefixtures("stand_in")
def test_a_process_with_the_reused_pid_of_an_emulator_is_not_killed(folder: Path) -> None:
    folder.mkdir()
    own = psutil.Process()
    record = emulator.Record(url="http://127.0.0.1:1", pid=own.pid, created=own.create_time() - 3600, kept=True)
    (folder / emulator.RECORD_FILE).write_text(record.model_dump_json(), encoding="utf-8")

    emulator.stop_emulator(folder)

    assert own.is_running()
    assert not folder.exists()


@pytest.mark.usefixtures("stand_in")
def test_the_emulator_does_not_inherit_this_shells_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of an account")
    monkeypatch.setenv("GATEWAY_PORT", "4566")

    address = emulator.start_emulator(folder)
    seen = function_of(folder).environ()

    temporary = str(folder / emulator.TEMPORARY_FOLDER)
    expected = {"BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "MINISTACK_ACCOUNT_ID": "123456789012", "TZ": "UTC"}
    expected |= {"GATEWAY_PORT": address.rpartition(":")[2]}
    expected |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary)
    assert "AWS_PROFILE" not in seen
    assert "HOME" not in seen
    assert seen["PATH"] == os.environ["PATH"]
    assert seen | expected == seen


def test_keep_without_a_running_emulator_does_nothing(folder: Path) -> None:
    folder.mkdir()

    emulator.keep_emulator(folder)

    assert emulator.find_emulator(folder) is None


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"url": "http://127.0.0.1:1", "pid": 999999999, "created": 0, "kept": true}']
)
def test_a_stale_or_damaged_record_is_not_an_emulator(folder: Path, content: str | None) -> None:
    folder.mkdir()
    if content is not None:
        (folder / emulator.RECORD_FILE).write_text(content, encoding="utf-8")

    assert emulator.find_emulator(folder) is None
    emulator.stop_emulator(folder)
    assert not folder.exists()


def test_another_server_at_the_address_is_not_an_emulator(folder: Path) -> None:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        own = psutil.Process()
        record = emulator.Record(url=url, pid=own.pid, created=own.create_time(), kept=True)
        (folder / emulator.RECORD_FILE).write_text(record.model_dump_json(), encoding="utf-8")

        def say_something_else() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"220 not a web server\r\n")

        thread = threading.Thread(target=say_something_else)
        thread.start()
        assert emulator.find_emulator(folder) is None
        thread.join()
    # Otherwise the fixture would kill the test process, whose PID is in the record.
    (folder / emulator.RECORD_FILE).unlink()


def test_another_emulator_at_the_address_is_not_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    record = emulator.Record(url="http://127.0.0.1:1", pid=999999999, created=0, kept=True)
    (folder / emulator.RECORD_FILE).write_text(record.model_dump_json(), encoding="utf-8")
    monkeypatch.setattr(emulator, "answers", lambda _: True)

    assert emulator.find_emulator(folder) is None


@pytest.mark.usefixtures("stand_in")
def test_an_emulator_that_does_not_start_is_reported_with_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "COMMAND", ("-m", "nothing_of_this_name"))

    expected = r"^the emulator did not start; its log ends with:\n.*No module named nothing_of_this_name"
    with pytest.raises(SystemExit, match=expected):
        emulator.start_emulator(folder)


@pytest.mark.usefixtures("stand_in")
def test_an_emulator_that_does_not_answer_in_time_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "START_SECONDS", -1)
    monkeypatch.setattr(emulator, "answers", lambda _: False)

    with pytest.raises(SystemExit, match=r"^the emulator did not start"):
        emulator.start_emulator(folder)


class Uv:
    """Stand-in for uv: records calls, and returns the given exit statuses.

    Attributes:
        online: Exit status with network access.
        offline: Exit status with ``--offline``.
        calls: The recorded commands.
    """

    def __init__(self, online: int, offline: int = 1) -> None:
        self.online = online
        self.offline = offline
        self.calls: list[list[str]] = []

    def __call__(self, command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        """Stand in for `subprocess.run`."""
        self.calls.append(command)
        status = self.offline if "--offline" in command else self.online
        return subprocess.CompletedProcess(command, status, "/cache/bin/python\n", "no network\n")


def test_the_emulators_environment_is_installed_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uv = Uv(online=0)
    monkeypatch.setattr(subprocess, "run", uv)

    assert emulator.find_interpreter() == "/cache/bin/python"

    assert ["--offline" in call for call in uv.calls] == [True, False]
    assert capsys.readouterr().out == f"Installing the emulator {emulator.MINISTACK}; this happens only once ...\n"


def test_a_cached_environment_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    uv = Uv(online=2, offline=0)
    monkeypatch.setattr(subprocess, "run", uv)

    assert emulator.find_interpreter() == "/cache/bin/python"

    assert len(uv.calls) == 1
    assert {"--offline", emulator.MINISTACK, emulator.COMPANION} <= {*uv.calls[0]}
    # The local stack's bundle is built for this interpreter.
    assert uv.calls[0][uv.calls[0].index("--python") + 1] == sys.executable


def test_an_environment_that_cannot_be_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Uv(online=2))

    with pytest.raises(SystemExit, match=r"^the emulator cannot be installed: no network$"):
        emulator.find_interpreter()
