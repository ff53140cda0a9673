"""What functions have logged in the emulator, and the ``local-logs`` task, which follows it."""

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
# Of two invocations at a time, the one that has begun first can end last.
OVERLAP_MILLISECONDS: Final = 60_000


def follow() -> None:
    """Print what functions have logged in the emulator, and go on until a person interrupts it.

    Raises:
        SystemExit: If the local stack is not up, or it is taken down.
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
    """What functions log in an emulator, line by line, each line once.

    Args:
        address: The emulator's.
        since: When to begin, in milliseconds since 1970; with the first line when left out.

    Attributes:
        lines: All that was read so far.
    """

    def __init__(self, address: str, since: int = 0) -> None:
        session = boto3.Session(*CREDENTIALS.values(), region_name=read_stack_config(STACK).values[REGION_KEY])
        self._logs: Any = session.client("logs", endpoint_url=address)
        self.lines: list[str] = []
        self._since = since
        self._printed: Counter[tuple[str, int, str]] = Counter()

    def read(self) -> list[str]:
        """Read the lines that have come since the last call."""
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
