"""Starts, finds and stops the AWS emulator on this machine.

Only this module depends on the emulator's implementation, MiniStack: https://github.com/ministackorg/ministack
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import psutil
from pydantic import BaseModel, ConfigDict

from tools.package import UV
from tools.project import PROJECT_FOLDER

# MiniStack pins botocore, so it has its own virtual environment. Functions run there too, with the SDK in their bundle.
# Upgrade pulumi-aws and MiniStack together: they are tested together.
MINISTACK: Final = "ministack==1.5.33"
COMPANION: Final = "cbor2==6.3.0"
COMMAND: Final = ("-m", "ministack")
ACCOUNT: Final = "123456789012"

LOOPBACK: Final = "127.0.0.1"
LOCAL_FOLDER: Final = PROJECT_FOLDER / ".local"
RECORD_FILE: Final = "emulator.json"
LOG_FILE: Final = "emulator.log"
LONGEST_LOG: Final = 2_000
# The emulator unpacks functions here.
TEMPORARY_FOLDER: Final = "emulator"
HEALTH: Final = "/_ministack/health"
# Functions inherit the emulator's environment variables, so no other variables of this shell are passed on.
INHERITED: Final = ("PATH", "SYSTEMROOT")
ANSWER_SECONDS: Final = 5
START_SECONDS: Final = 60
END_SECONDS: Final = 10
PAUSE_SECONDS: Final = 0.05
# Tolerance for a system clock that was adjusted after the process started.
CLOCK_SECONDS: Final = 60
# Options that shield a process from the terminal's signals. `creationflags` is for Windows.
DETACHED: Final[dict[str, Any]] = {
    "start_new_session": True,
    "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0),
}


class Record(BaseModel):
    """A started emulator, as recorded in ``emulator.json``. If `kept`, the emulator keeps running after the task.

    `created` is the start time of the process, to detect a reused PID.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    pid: int
    created: float
    kept: bool = False


def find_emulator(folder: Path = LOCAL_FOLDER) -> str | None:
    """Return the URL of the emulator that was kept running, or ``None`` if no such emulator answers."""
    record = _read_record(folder)
    return record.url if record and record.kept and _process_of(record) and answers(record.url) else None


def start_emulator(folder: Path = LOCAL_FOLDER) -> str:
    """Stop an earlier emulator, start a new one in an empty folder, and return its URL; exit if this fails."""
    stop_emulator(folder)
    interpreter = find_interpreter()
    temporary = folder / TEMPORARY_FOLDER
    temporary.mkdir(parents=True)
    port = _free_port()
    url = f"http://{LOOPBACK}:{port}"
    with (folder / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(  # pylint: disable=consider-using-with # the emulator outlives this process
            [interpreter, *COMMAND],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=temporary,
            env=_variables(port, temporary),
            **DETACHED,
        )
    with contextlib.suppress(psutil.NoSuchProcess):
        created = psutil.Process(process.pid).create_time()
        _write_record(folder, Record(url=url, pid=process.pid, created=created))
    is_ready = _wait_until_ready(process, url)
    # Silence Python's warning that the process is still running.
    process.returncode = 0
    if not is_ready:
        # The caller removes the folder.
        log_text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
        sys.exit(f"the emulator did not start; its log ends with:\n{log_text[-LONGEST_LOG:]}")
    return url


def keep_emulator(folder: Path = LOCAL_FOLDER) -> None:
    """Record that the emulator keeps running after this task."""
    if record := _read_record(folder):
        _write_record(folder, record.model_copy(update={"kept": True}))


def stop_emulator(folder: Path = LOCAL_FOLDER) -> None:
    """Stop the emulator if it is running, and remove its folder with the local stack's state."""
    if (record := _read_record(folder)) and (process := _process_of(record)):
        end_process(process)
    shutil.rmtree(folder, ignore_errors=True)


def end_process(process: psutil.Process) -> None:
    """Kill a process and its descendants, and wait until they have ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        # A suspended process cannot start children.
        process.suspend()
        family = [process, *process.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=END_SECONDS)


def find_interpreter() -> str:
    """Return the path of the Python in the emulator's virtual environment, which uv caches on first use.

    Exit if uv cannot create it. The local stack's bundle is built for the same Python version.
    """
    command = ["--quiet", "--python", sys.executable, "--from", MINISTACK, "--with", COMPANION]
    command += ["python", "-X", "utf8", "-c", "import sys; print(sys.executable)"]
    # A cached virtual environment needs no network.
    finished = _uvx("--offline", *command)
    if finished.returncode:
        print(f"Installing the emulator {MINISTACK}; this happens only once ...", flush=True)
        finished = _uvx(*command)
    if finished.returncode:
        sys.exit(f"the emulator cannot be installed: {finished.stderr.strip()}")
    return finished.stdout.strip()


def answers(url: str) -> bool:
    """Whether an emulator at a URL answers a health check."""
    # Bypass proxies, which cannot reach this machine's loopback interface.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    # Another program on the port may not speak HTTP.
    with contextlib.suppress(OSError, HTTPException), opener.open(url + HEALTH, timeout=ANSWER_SECONDS):
        return True
    return False


def _uvx(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*UV, "tool", "run", *arguments], check=False, capture_output=True, encoding="utf-8")


def _process_of(record: Record) -> psutil.Process | None:
    """Return an emulator's process, or ``None`` if it has ended, even if its PID was reused."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.created) < CLOCK_SECONDS:
            return process
    return None


def _wait_until_ready(process: subprocess.Popen[Any], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    # Another program may have taken the port in the meantime.
    return process.poll() is None


def _variables(port: int, temporary: Path) -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | {
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        # Otherwise MiniStack also listens on another port, on all interfaces.
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "TZ": "UTC",
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def _read_record(folder: Path) -> Record | None:
    with contextlib.suppress(OSError, ValueError):
        return Record.model_validate_json((folder / RECORD_FILE).read_text(encoding="utf-8"))
    return None


def _write_record(folder: Path, record: Record) -> None:
    unfinished = folder / f"{RECORD_FILE}.tmp"
    unfinished.write_text(record.model_dump_json() + "\n", encoding="utf-8")
    unfinished.replace(folder / RECORD_FILE)
