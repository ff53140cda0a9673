"""Reads the functions' logs from the emulator; the ``local-logs`` task follows them."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.configuration.model import REGION_KEY
from tools.configuration.stack_files import read_stack_config
from tools.emulator import find_emulator
from tools.engine import interruptible
from tools.local import CREDENTIALS, STACK, enter_local_stack

FUNCTION_LOGS: Final = "/aws/lambda/"
PAUSE_SECONDS: Final = 1
# Of two concurrent invocations, the first to start can be the last to end.
OVERLAP_MILLISECONDS: Final = 60_000


def follow() -> None:
    """Print the functions' logs, and follow them until interrupted.

    Raises:
        SystemExit: If the local stack is not up or is stopped.
    """
    with interruptible("local-logs"):
        address = enter_local_stack("local-logs")
        log = FunctionLog(address)
        while find_emulator() == address:
            # The emulator may be stopped at any moment.
            with contextlib.suppress(BotoCoreError, ClientError):
                for line in log.read():
                    print(line, flush=True)
            time.sleep(PAUSE_SECONDS)
        sys.exit("local-logs: the local stack was stopped")


class FunctionLog:
    """The functions' logs in an emulator; each line is returned once.

    Args:
        address: The emulator's address.
        since: Start time in milliseconds since 1970; by default the first line.

    Attributes:
        lines: All lines read so far.
    """

    def __init__(self, address: str, since: int = 0) -> None:
        session = boto3.Session(*CREDENTIALS.values(), region_name=read_stack_config(STACK).values[REGION_KEY])
        self._logs: Any = session.client("logs", endpoint_url=address)
        self.lines: list[str] = []
        self._since = since
        self._printed: Counter[tuple[str, int, str]] = Counter()

    def read(self) -> list[str]:
        """Read the lines that are new since the last call."""
        found: Counter[tuple[str, int, str]] = Counter()
        newest, lines = self._since, []
        for event in sorted(self._events(), key=lambda event: event["timestamp"]):
            key = (event["logStreamName"], event["timestamp"], event["message"])
            found[key] += 1
            newest = max(newest, event["timestamp"])
            if found[key] > self._printed[key]:
                lines.append(event["message"].rstrip())
        self._printed = found
        self._since = max(self._since, newest - OVERLAP_MILLISECONDS)
        self.lines += lines
        return lines

    def _events(self) -> Iterator[dict[str, Any]]:
        groups = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=FUNCTION_LOGS)
        for group in (group for page in groups for group in page["logGroups"]):
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"], startTime=self._since
            )
            for page in pages:
                yield from page["events"]
