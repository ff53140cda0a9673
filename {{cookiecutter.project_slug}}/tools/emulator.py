"""The AWS emulator on this machine: started, kept, found again and stopped.

The emulator ends with the process that has started it, however that ends, unless the file of its address says that it
is to stay. So nothing is left behind by an interrupt, and removing that file is all it takes to stop it.
"""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO, Final, cast

from infrastructure.stack_files import PROJECT_FOLDER

LOCAL_FOLDER: Final = PROJECT_FOLDER / ".local"
ADDRESS_FILE: Final = "emulator.json"
LOG_FILE: Final = "emulator.log"
PROCESS: Final = "tools.emulator_process"
# A page of moto's own, by which it is told from whatever else listens there by now:
# https://docs.getmoto.org/en/latest/docs/configuration/index.html
PROOF: Final = "/moto-api/config"
# What reading the address of an emulator can raise, if it never was there or was damaged.
UNREADABLE: Final = (OSError, ValueError, TypeError, KeyError)
# What asking whatever has come to listen at such an address can raise.
NO_EMULATOR: Final = (OSError, HTTPException)
ANSWER_SECONDS: Final = 5
END_SECONDS: Final = 10


def find_emulator(folder: Path = LOCAL_FOLDER) -> str | None:
    """Look for an emulator that was kept.

    Args:
        folder: Where it keeps its address.

    Returns:
        Its address, or nothing if there is none or it does not answer.
    """
    address = read_address(folder)
    return address if address and answers(address) else None


@contextmanager
def started_emulator(folder: Path = LOCAL_FOLDER) -> Generator[str]:
    """Start an emulator in an empty folder; it ends with the block unless the block keeps it.

    Args:
        folder: Where its address and its log go. Whatever an earlier emulator left there is removed.

    Yields:
        Its address.

    Raises:
        SystemExit: If it does not start, with where its log is.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", PROCESS, str(folder)]
    with (folder / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=PROJECT_FOLDER,
            encoding="utf-8",
            # The terminal's signals are for this process to decide on.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    try:
        # The emulator ends when its standard input does: with this block, or with this process.
        with cast(IO[str], process.stdin), cast(IO[str], process.stdout) as output:
            address = output.readline().strip()
            if not address:
                sys.exit(f"the emulator did not start; its messages are in {folder / LOG_FILE}")
            yield address
    finally:
        if read_address(folder) is None:
            _end(process)
        else:
            # It is nobody's child any more, and Python need not warn that nobody has waited for it.
            process.returncode = 0


def keep_emulator(address: str, folder: Path = LOCAL_FOLDER) -> None:
    """Let an emulator outlive the process that has started it."""
    (folder / ADDRESS_FILE).write_text(json.dumps({"url": address}) + "\n", encoding="utf-8")


def stop_emulator(folder: Path = LOCAL_FOLDER) -> None:
    """Stop a kept emulator, and remove all that it and its deployments have written.

    Raises:
        SystemExit: If it still answers after ten seconds.
    """
    address = find_emulator(folder)
    (folder / ADDRESS_FILE).unlink(missing_ok=True)
    deadline = time.monotonic() + END_SECONDS
    while address and answers(address):
        if time.monotonic() > deadline:
            sys.exit(f"the emulator at {address} does not stop; its messages are in {folder / LOG_FILE}")
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def read_address(folder: Path) -> str | None:
    """Read the address of the emulator that is to stay, or nothing."""
    try:
        return json.loads((folder / ADDRESS_FILE).read_text(encoding="utf-8"))["url"]
    except UNREADABLE:
        return None


def answers(address: str) -> bool:
    """Tell whether an emulator answers at an address."""
    # A proxy for the rest of the world knows nothing of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address + PROOF, timeout=ANSWER_SECONDS):
            return True
    except NO_EMULATOR:
        return False


def _end(process: subprocess.Popen[str]) -> None:
    """Wait until the emulator has ended, and do not wait for ever."""
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
