"""Which alarms an outage raises, when, and until when: the recorded alarms watch a simulated pipeline."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from processor.timing import CALL_SECONDS
from tests.unit.conftest import Deploy
from tests.unit.infrastructure.simulation import LONG_TIMES, Episode, Fault, Pipeline
from tools.project import PROJECT_FOLDER
from tools.testing import Deployment
from tools.testing.cloudwatch import ALARM, INSUFFICIENT_DATA, MINUTE, Alarm, Metrics, Reading

# Of each alarm: how many minutes after the outage begins it is raised, and how many minutes after the outage ends it is
# over. It is negative if it is over before, and None if it is not over.
Times = Mapping[str, tuple[int, int | None]]


@dataclass(frozen=True)
class Outage:
    """An outage of half an hour, and what tells of it.

    Attributes:
        faults: What is wrong, from which minute of the outage.
        steady: The alarms with a message every four seconds.
        single: The alarms with one message in total.
        poison: Whether the function's validation refuses the messages of the outage.
    """

    faults: Mapping[int, Fault]
    steady: Times
    single: Times
    poison: bool = False


OUTAGES: Final = {
    "S3 does not answer": Outage(
        {0: Fault(error="ReadTimeoutError", seconds=CALL_SECONDS)},
        steady={"returned": (6, 11), "duration": (8, 13)},
        single={"returned": (6, 6)},
    ),
    "DynamoDB answers with errors": Outage(
        {0: Fault(error="InternalServerError")},
        steady={"returned": (5, 11)},
        single={"returned": (5, 5)},
    ),
    "SNS answers with errors": Outage(
        {0: Fault(error="InternalError")},
        steady={"returned": (5, 11)},
        single={"returned": (5, 5)},
    ),
    "The function lacks a permission": Outage(
        {0: Fault(error="AccessDeniedException")},
        steady={"misconfigured": (5, 11)},
        single={"misconfigured": (5, 5)},
    ),
    "The table has another key": Outage(
        {0: Fault(error="ValidationException")},
        steady={"misconfigured": (5, 11)},
        single={"misconfigured": (5, 5)},
    ),
    # SQS reuses the key's data keys for five minutes. The log is encrypted with the same key.
    "The KMS key is disabled": Outage(
        {0: Fault(error="KMS.DisabledException", logged=False), 5: Fault(polled=False, logged=False)},
        steady={"not-received": (13, 3), "oldest-message": (22, 10)},
        single={"not-received": (15, 3)},
    ),
    "The event source is disabled, or may not receive": Outage(
        {0: Fault(polled=False)},
        steady={"not-received": (8, 3), "oldest-message": (18, 10)},
        single={"not-received": (7, 3), "oldest-message": (18, 11)},
    ),
    "Lambda throttles the function": Outage(
        {0: Fault(throttled=True)},
        steady={"throttles": (5, 13), "not-received": (9, 6), "oldest-message": (18, 13)},
        single={"throttles": (5, 11), "oldest-message": (18, 4)},
    ),
    "The function crashes when it starts": Outage(
        {0: Fault(crashes=True, seconds=1)},
        steady={"errors": (4, 21), "oldest-message": (18, 22)},
        single={"errors": (15, 9), "oldest-message": (18, 4)},
    ),
    "The function hangs until its timeout": Outage(
        {0: Fault(crashes=True, seconds=120)},
        steady={"errors": (6, 20), "duration": (8, 12), "oldest-message": (18, 21)},
        single={"errors": (17, 9), "oldest-message": (18, 4)},
    ),
    "A service is slow": Outage(
        {0: Fault(seconds=50)},
        steady={"duration": (5, 13), "returned": (8, 12)},
        single={},
    ),
    "DynamoDB throttles the table": Outage(
        {0: Fault(reported="throttled table")},
        steady={"throttled-writes": (7, 9)},
        single={},
    ),
    "DynamoDB throttles the index": Outage(
        {0: Fault(reported="throttled index")},
        steady={"throttled-writes": (7, 9)},
        single={},
    ),
    "SNS cannot deliver to a subscriber": Outage(
        {0: Fault(reported="lost notification")},
        steady={"failed-notifications": (3, 16)},
        single={"failed-notifications": (3, -14)},
    ),
    "Messages are malformed": Outage(
        {},
        steady={"new-dead-letters": (3, 13), "dead-letters": (3, None)},
        single={"new-dead-letters": (3, -14), "dead-letters": (3, None)},
        poison=True,
    ),
    "Malformed messages cannot be dead-lettered": Outage(
        {0: Fault(letter_error="AccessDenied")},
        steady={"misconfigured": (5, 11), "new-dead-letters": (33, None), "dead-letters": (33, None)},
        single={"misconfigured": (5, 5), "new-dead-letters": (35, 18), "dead-letters": (35, None)},
        poison=True,
    ),
}
# What heals by itself, so that no alarm may tell of it, and how many seconds it lasts.
HEALS: Final = {
    "a minute without one of the services": (Fault(error="InternalServerError"), MINUTE),
    "a minute without an answer": (Fault(error="ReadTimeoutError", seconds=CALL_SECONDS), MINUTE),
    "a minute without free executions": (Fault(throttled=True), MINUTE),
    "a minute in which Lambda receives nothing": (Fault(polled=False), MINUTE),
    "a new permission that takes effect after a minute": (Fault(error="AccessDenied"), MINUTE),
    "two minutes of throttled writes": (Fault(reported="throttled table"), 2 * MINUTE),
    "one crash": (Fault(crashes=True, seconds=1), 4),
    "one timeout": (Fault(crashes=True, seconds=120), 4),
    "one slow invocation": (Fault(seconds=80), 4),
}
STEADY: Final = "a message every four seconds"
SINGLE: Final = "one message in total"
TRAFFIC: Final = (STEADY, SINGLE)
EVERY_SECONDS: Final = 4

# When something goes wrong in the simulation, and until when the alarms are watched, in minutes.
BEGIN: Final = 10
LASTS: Final = 30
AFTERWARDS: Final = 25
# The second of the minute in which it goes wrong, and a reading of the documentation.
READINGS: Final = {0: Reading(delay=1, extra=2, zeros=True), 40: Reading(delay=2, extra=5, zeros=False)}
# With long times: the alarms that tell of a single message, and after how many minutes.
LONG_OUTAGES: Final = [
    ("misconfigured", Fault(error="AccessDenied"), 18),
    ("returned", Fault(error="InternalError"), 18),
    ("errors", Fault(crashes=True, seconds=1), 102),
    ("errors", Fault(crashes=True, seconds=900), 117),
    ("not-received", Fault(polled=False), 19),
]
# A stack is created in minute 0, and idle. These are the minutes of three floods of malformed messages, when somebody
# looks at the dead letters, and when somebody deletes them. Before the third flood, the queue's metrics have stopped.
HOURS: Final = 60
FLOODS: Final = (7 * HOURS, 10 * HOURS, 18 * HOURS)
READ: Final = 9 * HOURS
PURGED: Final = 19 * HOURS
NIGHT: Final = 10 * HOURS
# No outage is silent for longer, but for those in `SLOW`.
FEW_MINUTES: Final = 8
# A single crash heals. Only the next delivery, after the visibility timeout of 12 minutes, shows that it does not.
# Without the key, messages are received for some more minutes; but EventBridge tells of it at once.
SLOW: Final = {
    ("The KMS key is disabled", STEADY),
    ("The KMS key is disabled", SINGLE),
    ("The function crashes when it starts", SINGLE),
    ("The function hangs until its timeout", SINGLE),
}


class History:
    """The states of an alarm."""

    def __init__(self) -> None:
        self._changes = [(0, INSUFFICIENT_DATA)]

    def add(self, minute: int, state: str) -> None:
        """Add the state at a minute."""
        if state != self.at(minute):
            self._changes.append((minute, state))

    def at(self, minute: int) -> str:
        """Return the state at a minute."""
        return next(state for changed, state in reversed(self._changes) if changed <= minute)

    def raised(self) -> list[int]:
        """Return the minutes in which the alarm was raised."""
        return [minute for minute, state in self._changes if state == ALARM]

    def over(self) -> int | None:
        """Return the minute in which it was over for good."""
        minute, state = self._changes[-1]
        return None if state == ALARM else minute


Histories = Mapping[str, History]


def watch(stack: Deployment, metrics: Metrics, minutes: range, reading: Reading) -> Histories:
    """Evaluate a stack's alarms each minute; return the histories of those that were raised, by their roles."""
    recorded = stack.all("aws:cloudwatch/metricAlarm:MetricAlarm")
    alarms = {name.removesuffix("-alarm"): Alarm(alarm.inputs) for name, alarm in recorded.items()}
    histories = {role: History() for role in alarms}
    for minute in minutes:
        for role, alarm in alarms.items():
            histories[role].add(minute, alarm.evaluate(metrics, minute, reading))
    return {role: history for role, history in histories.items() if history.raised()}


def simulate(stack: Deployment, outage: Outage, traffic: str, seconds: int, second: int) -> Metrics:
    """Return the metrics of a pipeline.

    Args:
        stack: The pipeline's stack.
        outage: What goes wrong.
        traffic: Which messages it gets.
        seconds: For how long.
        second: At which second of a minute it begins.
    """
    begin = BEGIN * MINUTE + second
    minutes = BEGIN + seconds // MINUTE + AFTERWARDS
    starts = [begin + minute * MINUTE for minute in outage.faults]
    ends = [*starts[1:], begin + seconds]
    # Without faults there is one end too many.
    episodes = zip(outage.faults.values(), starts, ends, strict=False)
    pipeline = Pipeline(stack, [Episode(*episode) for episode in episodes])
    for sent in [begin + 1] if traffic == SINGLE else range(0, minutes * MINUTE, EVERY_SECONDS):
        pipeline.send(sent, is_poison=outage.poison and begin <= sent < begin + seconds)
    return pipeline.run(minutes)


@dataclass(frozen=True)
class Observed:
    """What the alarms did in an outage.

    Attributes:
        outage: The outage.
        traffic: Which messages the pipeline got.
        histories: Their histories in each reading.
    """

    outage: str
    traffic: str
    histories: list[Histories]


@pytest.fixture(scope="module", name="observed", params=[*itertools.product(OUTAGES, TRAFFIC)], ids=", ".join)
def fixture_observed(request: pytest.FixtureRequest, example: Deployment) -> Observed:
    """What the alarms do in each outage."""
    outage, traffic = request.param
    histories = []
    for second, reading in READINGS.items():
        metrics = simulate(example, OUTAGES[outage], traffic, LASTS * MINUTE, second)
        histories.append(watch(example, metrics, range(BEGIN, BEGIN + LASTS + AFTERWARDS), reading))
    return Observed(outage, traffic, histories)


def expected(outage: str, traffic: str) -> Times:
    """Return the alarms of an outage."""
    return OUTAGES[outage].steady if traffic == STEADY else OUTAGES[outage].single


def latest(minutes: Iterable[int | None], since: int) -> int | None:
    """Return how long after a minute the latest of some minutes is."""
    known = [minute for minute in minutes if minute is not None]
    return max(known) - since if len(known) == len(READINGS) else None


def test_an_outage_raises_its_alarms(observed: Observed) -> None:
    roles = {role for histories in observed.histories for role in histories}
    found = {role: [histories[role] for histories in observed.histories if role in histories] for role in roles}

    assert {
        role: (
            latest((history.raised()[0] for history in histories), BEGIN),
            latest((history.over() for history in histories), BEGIN + LASTS),
        )
        for role, histories in found.items()
    } == expected(observed.outage, observed.traffic)


def test_no_outage_is_declared_over_before_it_is(observed: Observed) -> None:
    lasting = set(expected(observed.outage, observed.traffic)) - {"new-dead-letters", "failed-notifications"}

    for histories in observed.histories:
        first = min((histories[role].raised()[0] for role in lasting), default=BEGIN + LASTS)
        for minute in range(first, BEGIN + LASTS):
            assert ALARM in {histories[role].at(minute) for role in lasting}, minute


@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_silent_for_a_few_minutes_only(outage: str, traffic: str) -> None:
    raised = expected(outage, traffic).values()

    assert ((outage, traffic) in SLOW) is (min((minutes for minutes, _ in raised), default=0) > FEW_MINUTES)


@pytest.mark.parametrize("traffic", TRAFFIC)
def test_a_healthy_pipeline_raises_no_alarm(example: Deployment, traffic: str) -> None:
    metrics = simulate(example, Outage({}, {}, {}), traffic, 0, 0)

    assert watch(example, metrics, range(BEGIN, BEGIN + AFTERWARDS), READINGS[0]) == {}


@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("trouble", HEALS)
def test_what_heals_by_itself_raises_no_alarm(example: Deployment, trouble: str, traffic: str) -> None:
    fault, seconds = HEALS[trouble]

    for second, reading in READINGS.items():
        metrics = simulate(example, Outage({0: fault}, {}, {}), traffic, seconds, second)
        assert watch(example, metrics, range(BEGIN, BEGIN + AFTERWARDS), reading) == {}


@pytest.mark.parametrize("trouble", HEALS)
def test_what_heals_by_itself_raises_no_alarm_with_a_long_timeout_either(deploy_example: Deploy, trouble: str) -> None:
    stack = deploy_example(**LONG_TIMES)
    fault, seconds = HEALS[trouble]
    metrics = simulate(stack, Outage({0: fault}, {}, {}), STEADY, seconds, 0)

    assert watch(stack, metrics, range(BEGIN, BEGIN + AFTERWARDS), READINGS[0]) == {}


@pytest.mark.parametrize(("role", "fault", "minutes"), LONG_OUTAGES)
def test_an_outage_is_told_with_a_long_timeout_too(
    deploy_example: Deploy, role: str, fault: Fault, minutes: int
) -> None:
    stack = deploy_example(**LONG_TIMES)
    metrics = simulate(stack, Outage({0: fault}, {}, {}), SINGLE, 2 * minutes * MINUTE, 0)
    histories = watch(stack, metrics, range(BEGIN, BEGIN + 2 * minutes), READINGS[0])

    assert histories[role].raised() == [BEGIN + minutes]


@pytest.fixture(scope="module", name="letters")
def fixture_letters(example: Deployment) -> Histories:
    """The alarms while malformed messages arrive in a pipeline that has been idle for hours, are read, and deleted."""
    pipeline = Pipeline(example)
    for second in itertools.chain.from_iterable(range(flood * MINUTE, flood * MINUTE + 50) for flood in FLOODS):
        pipeline.send(second, is_poison=True)
    # SQS measures in the last second of the minute.
    pipeline.at(READ * MINUTE + 50, pipeline.letters.read)
    pipeline.at(PURGED * MINUTE, pipeline.letters.purge)
    metrics = pipeline.run(PURGED + AFTERWARDS)
    return watch(example, metrics, range(FLOODS[0] - 1, PURGED + AFTERWARDS), READINGS[0])


def test_only_the_alarms_of_dead_letters_tell_of_them(letters: Histories) -> None:
    assert set(letters) == {"dead-letters", "new-dead-letters"}


def test_each_flood_of_dead_letters_is_told(letters: Histories) -> None:
    assert letters["new-dead-letters"].raised() == [flood + 2 for flood in FLOODS]


def test_dead_letters_are_told_late_in_a_queue_that_nobody_has_used_for_six_hours(letters: Histories) -> None:
    assert letters["dead-letters"].raised() == [FLOODS[0] + 17]


@pytest.mark.parametrize("minute", [READ + 2, FLOODS[1] - 1, FLOODS[2] - 1, PURGED])
def test_the_alarm_stays_while_letters_remain(letters: Histories, minute: int) -> None:
    assert letters["dead-letters"].at(minute) == ALARM


def test_the_alarm_is_over_when_the_letters_are_deleted(letters: Histories) -> None:
    assert letters["dead-letters"].over() == PURGED + 6


def test_letters_that_sqs_moves_are_told_too(example: Deployment) -> None:
    hours = Outage({0: Fault(crashes=True, seconds=1)}, {}, {})
    metrics = simulate(example, hours, SINGLE, 150 * MINUTE, 0)
    histories = watch(example, metrics, range(BEGIN, BEGIN + 150), READINGS[0])

    # Ten deliveries, twelve minutes each.
    assert histories["dead-letters"].raised() == [BEGIN + 122]
    assert "new-dead-letters" not in histories


def test_messages_that_are_not_received_stay_told_when_the_queues_metrics_stop(example: Deployment) -> None:
    disabled = Outage({0: Fault(polled=False)}, {}, {})
    metrics = simulate(example, disabled, SINGLE, 9 * HOURS * MINUTE, 0)

    assert watch(example, metrics, range(BEGIN, 9 * HOURS), READINGS[0])["not-received"].over() is None


def test_a_night_without_messages_raises_no_alarm(example: Deployment) -> None:
    metrics = Pipeline(example).run(NIGHT)

    assert watch(example, metrics, range(1, NIGHT), READINGS[0]) == {}


def test_a_peak_raises_no_alarm(example: Deployment) -> None:
    pipeline = Pipeline(example)
    for _ in range(5000):
        pipeline.send(BEGIN * MINUTE)
    metrics = pipeline.run(BEGIN + AFTERWARDS)

    assert watch(example, metrics, range(BEGIN, BEGIN + AFTERWARDS), READINGS[0]) == {}


@pytest.mark.parametrize("reading", READINGS.values(), ids=str)
def test_an_hour_without_messages_is_told_if_it_is_asked_for(deploy_example: Deploy, reading: Reading) -> None:
    stack = deploy_example(idleAlarmMinutes="60")
    pipeline = Pipeline(stack)
    for minute in (5, 150):
        pipeline.send(minute * MINUTE)
    histories = watch(stack, pipeline.run(160), range(6 + reading.delay, 160), reading)

    assert set(histories) == {"idle"}
    (raised,) = histories["idle"].raised()
    # If SQS reports no zeros, CloudWatch looks further back for a number.
    assert 65 <= raised <= 65 + reading.delay + reading.extra * 5
    assert histories["idle"].over() == 151 + reading.delay


def described() -> str:
    """Return what the documentation says about outages."""
    text = (PROJECT_FOLDER / "docs" / "errors-and-operations.md").read_text(encoding="utf-8")
    return text.partition("\n## Outages\n")[2].partition("\n## ")[0]


def test_the_documentation_says_which_alarms_tell_of_an_outage_and_when() -> None:
    def cell(times: Times) -> str:
        in_time = sorted((minutes, role) for role, (minutes, _) in times.items() if minutes <= LASTS)
        return ", ".join(f"`{role}` {minutes}" for minutes, role in in_time) or "none"

    assert re.findall(r"^\| ([A-Z].*\|)$", described(), flags=re.MULTILINE) == [
        f"{name} | {cell(outage.steady)} | {cell(outage.single)} |" for name, outage in OUTAGES.items()
    ]


@pytest.mark.parametrize("trouble", HEALS)
def test_the_documentation_says_what_heals_by_itself(trouble: str) -> None:
    assert f"- {trouble}\n" in described()
