"""Times the rendered function with stubbed AWS calls, compared with an equivalent handler without Powertools.

``make bench`` runs this script in a project's folder and virtual environment. The output is a line per batch size.
"""

import contextlib
import importlib
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

SIZES = (1, 10, 100)
ROUNDS = 300
CONTEXT = SimpleNamespace(
    function_name="benchmark",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:benchmark",
    aws_request_id="request-1",
    get_remaining_time_in_millis=lambda: 300_000,
)
Handler = Callable[[dict[str, Any], Any], Any]


def batch(size: int) -> dict[str, Any]:
    """Return an SQS event with `size` messages."""
    return {
        "Records": [
            {
                "messageId": f"m-{number}",
                "body": '{"type": "order.created", "data": {"id": 1}}',
                "attributes": {"SentTimestamp": "1772366400123"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            }
            for number in range(size)
        ]
    }


def plain_handler(module: Any) -> Handler:
    """Return an equivalent handler without Powertools' batch processing, logging and metrics."""
    record_class = module.SQSRecord

    def handle(event: dict[str, Any], _: Any) -> dict[str, Any]:
        failures = []
        for record in event["Records"]:
            try:
                module.store.store(record_class(record))
            except (module.BotoCoreError, module.ClientError):
                failures.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failures}

    return handle


def measure(handlers: dict[str, Handler], event: dict[str, Any]) -> dict[str, float]:
    """Run the handlers in turn, and return the median time of each handler, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in handlers}
    for _ in range(ROUNDS):
        for name, handler in handlers.items():
            begin = time.perf_counter()
            returned = handler(event, CONTEXT)
            times[name].append(time.perf_counter() - begin)
            assert returned == {"batchItemFailures": []}  # noqa: S101 # a failure must not be timed
    return {name: statistics.median(measured) for name, measured in times.items()}


def main() -> None:
    """Time every batch size."""
    sys.path.insert(0, ".")
    variables = fields(importlib.import_module("processor.environment").Environment)
    # Values never reach AWS, but numeric variables need a number.
    os.environ |= {field.name.upper(): "10" for field in variables}
    os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_LAMBDA_FUNCTION_NAME": "benchmark"}
    # Stub the method through which every boto3 client sends its requests.
    client = importlib.import_module("botocore.client").BaseClient
    client._make_api_call = lambda *_: {}  # noqa: SLF001 # the method is private
    # Powertools' Logger keeps the sys.stdout that it finds at import.
    with contextlib.redirect_stdout(io.StringIO()):
        module = importlib.import_module("processor.handler")
        handlers: dict[str, Handler] = {"function": module.lambda_handler, "plain": plain_handler(module)}
        measured = {size: measure(handlers, batch(size)) for size in SIZES}
    for size, times in measured.items():
        function, plain = (times[name] * 1e6 for name in ("function", "plain"))
        print(f"{size};{function:.0f} µs;{plain:.0f} µs;{function / plain:.1f};{(function - plain) / size:.0f} µs")


if __name__ == "__main__":
    main()
