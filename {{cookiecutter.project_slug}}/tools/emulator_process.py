"""What runs in the emulator's own process: moto's server, until nobody wants it any more.

https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO
from unittest import mock

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer
from moto.sqs.models import Queue

from tools.emulator import read_address

LOOPBACK: Final = "127.0.0.1"
ANY_FREE_PORT: Final = 0
WATCH_SECONDS: Final = 0.2


def serve(folder: Path, starter: TextIO, answers: TextIO) -> None:
    """Run the emulator for as long as the process that started it, and then for as long as it is to be kept.

    Args:
        folder: Where the address of the emulator that is to stay is written.
        starter: Ends when the process that started the emulator does.
        answers: Where the emulator's address goes, on one line.
    """
    server = ThreadedMotoServer(LOOPBACK, ANY_FREE_PORT, verbose=False)
    with mended_moto():
        server.start()
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        print(address, file=answers, flush=True)
        starter.read()
        while read_address(folder) == address:
            time.sleep(WATCH_SECONDS)
        server.stop()


@contextmanager
def mended_moto() -> Generator[None]:
    """Mend what would keep the stack from being deployed or used; the unit tests tell when moto needs it no longer.

    - Its S3 refuses every request for an object once the bucket's policy has a condition. Here it asks no policy, as
      its other services ask none.
    - Its SQS forgets ``RedriveAllowPolicy``, for which the provider waits, and a queue's policy with any attribute set.
    """
    set_attributes = Queue._set_attributes  # noqa: SLF001 # pylint: disable=protected-access # moto has no other way

    def set_attributes_and_keep_policy(queue: Queue, attributes: dict[str, Any], now: float | None = None) -> None:
        kept = {"Policy": queue.policy} if hasattr(queue, "_policy_json") else {}
        set_attributes(queue, kept | attributes, now)

    with (
        mock.patch.object(FakeBucket, "get_permission", return_value=PermissionResult.NEUTRAL),
        mock.patch.object(Queue, "_set_attributes", set_attributes_and_keep_policy),
        mock.patch.object(Queue, "BASE_ATTRIBUTES", [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]),
        mock.patch.object(Queue, "redrive_allow_policy", None, create=True),
    ):
        yield


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin, sys.stdout)
