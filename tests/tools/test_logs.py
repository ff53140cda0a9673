"""The functions' log: every line once, sorted by time, while the local stack is up."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tools import local, logs

ADDRESS = "http://127.0.0.1:4999"
MINUTE = 60_000


def event(timestamp: int, message: str, stream: str = "one") -> dict[str, Any]:
    """Return a log event in CloudWatch's form."""
    return {"timestamp": timestamp, "message": f"{message}\n", "logStreamName": stream}


class Logs:
    """Stands in for CloudWatch Logs.

    Attributes:
        groups: The lines of each log group.
    """

    def __init__(self) -> None:
        self.groups: dict[str, list[dict[str, Any]]] = {"/aws/lambda/orders": []}

    def get_paginator(self, operation: str) -> Any:
        """Return a paginator of groups or events, with one item per page."""
        pages: dict[str, Callable[..., Iterator[Any]]] = {
            "describe_log_groups": self._named,
            "filter_log_events": self._lines,
        }

        class Paginator:
            """Yields the pages."""

            paginate = staticmethod(pages[operation])

        return Paginator

    def _named(self, logGroupNamePrefix: str) -> Iterator[Any]:  # pylint: disable=invalid-name # noqa: N803 # boto3's
        for name in self.groups:
            assert name.startswith(logGroupNamePrefix)
            yield {"logGroups": [{"logGroupName": name}]}

    def _lines(self, logGroupName: str, startTime: int) -> Iterator[Any]:  # pylint: disable=invalid-name # noqa: N803
        for line in self.groups[logGroupName]:
            if line["timestamp"] >= startTime:
                yield {"events": [line]}


@pytest.fixture(name="cloudwatch")
def fixture_cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Logs:
    """A log to which lines can be added."""
    cloudwatch = Logs()

    class Session:
        """A session whose clients all lead to this log."""

        def __init__(self, *_credentials: str, region_name: str) -> None:
            assert region_name

        @staticmethod
        def client(service: str, endpoint_url: str) -> Logs:
            """Return the client."""
            assert (service, endpoint_url) == ("logs", ADDRESS)
            return cloudwatch

    monkeypatch.setattr(logs.boto3, "Session", Session)
    return cloudwatch


def test_a_line_is_read_once(cloudwatch: Logs) -> None:
    lines = cloudwatch.groups["/aws/lambda/orders"]
    log = logs.FunctionLog(ADDRESS)

    lines.append(event(2 * MINUTE, "first"))
    assert log.read() == ["first"]
    lines.append(event(2 * MINUTE, "second"))
    assert log.read() == ["second"]
    assert not log.read()


def test_a_line_that_is_logged_twice_is_read_twice(cloudwatch: Logs) -> None:
    cloudwatch.groups["/aws/lambda/orders"] += [event(1, "same"), event(1, "same")]

    assert logs.FunctionLog(ADDRESS).read() == ["same", "same"]


def test_lines_of_all_functions_are_sorted_by_time(cloudwatch: Logs) -> None:
    cloudwatch.groups["/aws/lambda/orders"] += [event(1, "first"), event(3, "third")]
    cloudwatch.groups["/aws/lambda/another"] = [event(2, "second")]

    assert logs.FunctionLog(ADDRESS).read() == ["first", "second", "third"]


def test_a_late_line_is_read(cloudwatch: Logs) -> None:
    lines = cloudwatch.groups["/aws/lambda/orders"]
    log = logs.FunctionLog(ADDRESS)

    lines.append(event(5 * MINUTE, "quick"))
    assert log.read() == ["quick"]
    lines.append(event(4 * MINUTE, "slow", stream="two"))
    assert log.read() == ["slow"]


def test_earlier_lines_are_omitted(cloudwatch: Logs) -> None:
    cloudwatch.groups["/aws/lambda/orders"] += [event(1, "before"), event(9, "after")]

    assert logs.FunctionLog(ADDRESS, since=5).read() == ["after"]


def test_the_log_is_followed_until_the_local_stack_is_stopped(
    cloudwatch: Logs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([ADDRESS, ADDRESS, None])
    cloudwatch.groups["/aws/lambda/orders"].append(event(1, "a line"))
    monkeypatch.setattr(logs, "find_emulator", lambda: next(answers))
    monkeypatch.setattr(logs, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(logs, "enter_local_stack", lambda _: ADDRESS)

    with pytest.raises(SystemExit, match=r"^local-logs: the local stack was stopped$"):
        logs.follow()

    assert capsys.readouterr().out == "a line\n"


def test_stopping_the_emulator_ends_the_log(cloudwatch: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([ADDRESS, None])
    monkeypatch.setattr(logs, "find_emulator", lambda: next(answers))
    monkeypatch.setattr(logs, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(logs, "enter_local_stack", lambda _: ADDRESS)

    def stopped(_operation: str) -> None:
        raise EndpointConnectionError(endpoint_url=ADDRESS)

    monkeypatch.setattr(cloudwatch, "get_paginator", stopped)

    with pytest.raises(SystemExit, match=r"^local-logs: the local stack was stopped$"):
        logs.follow()


def test_without_a_local_stack_there_is_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_emulator", lambda: None)

    with pytest.raises(SystemExit, match=r"^local-logs: the local stack is not up; the task `local-up` deploys it$"):
        logs.follow()
