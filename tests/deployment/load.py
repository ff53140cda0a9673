"""Sends messages through a deployed pipeline while faults are injected, and prints a JSON report of the results.

Runs in a rendered project's folder and virtual environment, after `driver`: ``python load.py MESSAGES EMULATOR``.
MESSAGES is the number of messages; EMULATOR is the folder of the emulator at ``AWS_ENDPOINT_URL``. The bucket does not
exist while the first third of the messages is sent. Throughout the run, the function's processes are killed.
"""

import contextlib
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

# Import `tests` and `tools` from the rendered project, which is the working directory.
sys.path.insert(0, str(Path.cwd()))
from tests.integration.pipeline import Pipeline, opened_pipeline
from tests.integration.stack import Stack, find_stack
from tools.emulator import RECORD_FILE

# Every Nth message is malformed, with each kind in turn.
MALFORMED_EVERY = 20
MALFORMED = ("not JSON", "[]", '{"type": "load.test"}', '{"type": "no type", "data": {}}')
BATCH = 10
# After this time, SQS redelivers a batch whose process was killed.
VISIBILITY_SECONDS = 8
# The function's maximum concurrency, for a machine with two cores.
CONCURRENCY = 2
KILL_SECONDS = 2
# A busy process uses CPU time within this interval.
SAMPLE_SECONDS = 0.1
DEADLINE_SECONDS = 300
PAUSE_SECONDS = 0.2
SEED = 12


def body_of(number: int) -> str:
    """Return the body of message ``number``; every `MALFORMED_EVERY`-th message is malformed."""
    if number % MALFORMED_EVERY == MALFORMED_EVERY - 1:
        return MALFORMED[number // MALFORMED_EVERY % len(MALFORMED)]
    return json.dumps({"type": "load.test", "data": {"number": number}})


def send(pipeline: Pipeline, numbers: range) -> dict[str, str]:
    """Send the numbered messages, and return their bodies by message ID."""
    sent: dict[str, str] = {}
    for start in numbers[::BATCH]:
        bodies = [body_of(number) for number in range(start, min(start + BATCH, numbers.stop))]
        sent |= dict(zip(pipeline.send(*bodies), bodies, strict=True))
    return sent


@contextmanager
def no_bucket(pipeline: Pipeline) -> Generator[None]:
    """Delete the empty bucket, and recreate it after the block."""
    s3, bucket = pipeline.stack.client("s3"), {"Bucket": pipeline.stack.outputs["bucket_name"]}
    s3.delete_bucket(**bucket)
    yield
    s3.create_bucket(**bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})


@contextmanager
def killing(emulator: Path) -> Generator[list[int]]:
    """Kill random busy processes of the function, one at a time, until the block ends.

    Args:
        emulator: The emulator's folder.

    Yields:
        The PIDs of the killed processes.
    """
    record = json.loads((emulator / RECORD_FILE).read_text(encoding="utf-8"))
    choice, ended, killed = random.Random(SEED), threading.Event(), list[int]()  # noqa: S311 # repeatable, not secret

    def kill() -> None:
        pause = KILL_SECONDS
        while not ended.wait(pause):
            pause = SAMPLE_SECONDS
            # The process may end by itself in the meantime.
            with contextlib.suppress(psutil.NoSuchProcess):
                working = busy_processes(psutil.Process(record["pid"]).children())
                if working:
                    process = choice.choice(working)
                    process.kill()
                    killed.append(process.pid)
                    pause = KILL_SECONDS

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        ended.set()
        killer.join()


def busy_processes(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Find the processes that handle messages: they have network connections, and use CPU time.

    Other processes may be starting. If a starting process is killed, the emulator ends all processes.
    """
    calling = [each for each in processes if each.net_connections()]
    before = [sum(each.cpu_times()[:2]) for each in calling]
    time.sleep(SAMPLE_SECONDS)
    return [each for each, earlier in zip(calling, before, strict=True) if sum(each.cpu_times()[:2]) > earlier]


def wait_until(is_reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_reached() and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)


def is_empty(stack: Stack) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = stack.client("sqs").get_queue_attributes(QueueUrl=stack.outputs["queue_url"], AttributeNames=names)
    return set(answer["Attributes"].values()) == {"0"}


def failed_deliveries(stack: Stack) -> int:
    """Count the deliveries that failed because the bucket was missing: ``NoSuchBucket`` in the function's log."""
    pages = stack.client("logs").get_paginator("filter_log_events")
    lines = pages.paginate(logGroupName=f"/aws/lambda/{stack.outputs['function_name']}").build_full_result()["events"]
    return sum("NoSuchBucket" in line["message"] for line in lines)


def is_lost_or_repeated(pipeline: Pipeline, message: str, body: str, counts: Sequence[int]) -> bool:
    """Whether a message's results are wrong.

    A valid message must have one object, an item and at least one notification; a malformed message, only dead letters.
    """
    payloads, notifications, letters = counts
    if body in MALFORMED:
        return payloads + notifications > 0 or letters < 1
    is_right = pipeline.payload_of(message) == body.encode() and pipeline.item_of(message) is not None
    return not is_right or payloads != 1 or notifications < 1 or letters > 0


def report(messages: int, emulator: Path) -> dict[str, Any]:
    """Send messages while faults are injected, count the results, and describe the wrong results."""
    stack = find_stack()
    queue, sqs, client = {"QueueUrl": stack.outputs["queue_url"]}, stack.client("sqs"), stack.client("lambda")
    sqs.set_queue_attributes(**queue, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})
    (mapping,) = client.list_event_source_mappings()["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": CONCURRENCY})
    with opened_pipeline(stack) as pipeline:
        began = time.monotonic()
        with killing(emulator) as killed:
            with no_bucket(pipeline):
                sent = send(pipeline, range(messages // 3))
                wait_until(lambda: failed_deliveries(stack) > 0)
            sent |= send(pipeline, range(messages // 3, messages))
            wait_until(lambda: is_empty(stack))
        seconds = time.monotonic() - began
        for _ in range(messages // 100):
            pipeline.counts_of()
        counts = dict(zip(sent, pipeline.counts_of(*sent), strict=True))
        # Skip the cleanup: the emulator ends after this run.
        pipeline.sent.clear()
    return {
        "messages": len(sent),
        "malformed": sum(body in MALFORMED for body in sent.values()),
        "failed_deliveries": failed_deliveries(stack),
        "killed": len(killed),
        "objects": sum(each[0] for each in counts.values()),
        "notifications": sum(each[1] for each in counts.values()),
        "dead_letters": sum(each[2] for each in counts.values()),
        "seconds": round(seconds, 1),
        "wrong": {
            each: f"payloads, notifications, dead letters: {counts[each]}"
            for each, body in sent.items()
            if is_lost_or_repeated(pipeline, each, body, counts[each])
        },
    }


if __name__ == "__main__":
    json.dump(report(int(sys.argv[1]), Path(sys.argv[2])), sys.stdout)
