"""Runs a bundle's handler as Lambda would, in a process of its own; `poller` starts it and talks to it.

It says when it is ready. Then each line of the standard input is an event in JSON, each answer is a line in JSON. An
error that the handler does not catch ends the process. Only the standard library, the bundle and what Lambda's runtime
brings can be imported, so that a dependency that is missing in the bundle is missing here too.

A message with the attribute ``InjectedFault`` cannot be stored for as many deliveries as it says: S3 then answers the
handler's client that another request was in the way, which passes.
"""

import importlib
import json
import os
import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from types import SimpleNamespace
from typing import Any

FAULT = "InjectedFault"
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
TRANSIENT = "OperationAborted"
READY = "ready"
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html
BROUGHT = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}


class RuntimeLibraries:
    """Finds what Lambda's runtime brings, where this project has installed it.

    Attributes:
        folder: Where packages are installed.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a package that the runtime brings, and nothing else."""
        return PathFinder.find_spec(name, [self.folder], target) if path is None and name in BROUGHT else None


class Context:
    """Lambda's context of one invocation.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def __init__(self, request_id: str, deadline: float) -> None:
        self.aws_request_id = request_id
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.invoked_function_arn = os.environ["INVOKED_FUNCTION_ARN"]
        self.deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Tell how many milliseconds are left."""
        return max(0, int(1000 * (self.deadline - time.monotonic())))


def faulty_messages(event: dict[str, Any]) -> set[str]:
    """Find the messages whose attributes ask for a fault at this delivery."""
    return {
        record["messageId"]
        for record in event["Records"]
        if FAULT in record["messageAttributes"]
        and int(record["attributes"]["ApproximateReceiveCount"])
        <= int(record["messageAttributes"][FAULT]["stringValue"])
    }


def main() -> None:
    """Import the handler, then answer event after event until the input ends."""
    task_root, libraries, timeout = sys.argv[1:]
    # The handler's logs and metrics go where the process's errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1)
    sys.path.insert(0, task_root)
    sys.meta_path.append(RuntimeLibraries(libraries))
    module_name, _, function = os.environ["_HANDLER"].rpartition(".")
    module = importlib.import_module(module_name)
    handler = getattr(module, function)
    faulty: set[str] = set()

    def answer_for_s3(request: Any, **_: Any) -> Any:
        """Answer in S3's place that another request is in the way of a faulty message's."""
        if not any(message in request.url for message in faulty):
            return None
        body = f"<Error><Code>{TRANSIENT}</Code></Error>".encode()
        awsrequest: Any = importlib.import_module("botocore.awsrequest")
        return awsrequest.AWSResponse(request.url, 409, {}, SimpleNamespace(stream=lambda: iter([body])))

    module.store.s3.meta.events.register("before-send.s3.PutObject", answer_for_s3)
    print(READY, file=answers, flush=True)
    for number, line in enumerate(sys.stdin):
        event = json.loads(line)
        faulty.clear()
        faulty.update(faulty_messages(event))
        context = Context(f"00000000-0000-0000-0000-{number:012}", time.monotonic() + float(timeout))
        print(json.dumps(handler(event, context)), file=answers, flush=True)


if __name__ == "__main__":
    main()
