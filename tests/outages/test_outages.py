"""Tests of the alarms that each outage triggers, and of their timing, evaluated with simulated metrics."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pytest

from processor.names import MISCONFIGURED, RETURNED
from processor.timing import CALL_SECONDS
from tests.outages.cloudwatch import ALARM, MINUTE, Alarm, Metrics, Reading
from tests.outages.simulation import Fault, Pipeline
from tools.testing import RecordedProgram, example_config, run_program

# For each alarm: minutes from the start of the outage to ALARM, and from the end of the outage to OK. The latter is
# negative if OK comes before the end, and None if the alarm stays in ALARM.
Times = Mapping[str, tuple[int, int | None]]


class Outage(NamedTuple):
    """Faults by their first minute, and the alarms that they trigger with steady traffic and with a single message."""

    faults: Mapping[int, Fault]
    steady: Times
    single: Times


OUTAGES: Final = {
    "a service answers with errors": Outage({0: Fault(error=RETURNED)}, {"returned": (5, 11)}, {"returned": (5, 5)}),
    "a service is slow": Outage({0: Fault(seconds=50)}, {"returned": (8, 12)}, {}),
    "the function lacks a permission": Outage(
        {0: Fault(error=MISCONFIGURED)}, {"misconfigured": (5, 11)}, {"misconfigured": (5, 5)}
    ),
    # SQS reuses the key's data keys for five minutes. The log is encrypted with the same key.
    "the KMS key is disabled": Outage(
        {0: Fault(error=MISCONFIGURED, logged=False), 5: Fault(polled=False, logged=False)},
        {"not-received": (13, 3), "oldest-message": (22, 10)},
        {"not-received": (15, 3)},
    ),
    "the event source is disabled": Outage(
        {0: Fault(polled=False)},
        {"not-received": (8, 3), "oldest-message": (18, 10)},
        {"not-received": (7, 3), "oldest-message": (18, 11)},
    ),
    "Lambda throttles the function": Outage(
        {0: Fault(throttled=True)},
        {"throttles": (5, 13), "not-received": (9, 6), "oldest-message": (18, 13)},
        {"throttles": (5, 11), "oldest-message": (18, 4)},
    ),
    "the function crashes when it starts": Outage(
        {0: Fault(crashes=True, seconds=1)},
        {"errors": (4, 21), "oldest-message": (18, 22)},
        {"errors": (15, 9), "oldest-message": (18, 4)},
    ),
    "the function hangs until its timeout": Outage(
        {0: Fault(crashes=True, seconds=120)},
        {"errors": (6, 20), "oldest-message": (18, 21)},
        {"errors": (17, 9), "oldest-message": (18, 4)},
    ),
    "SNS cannot deliver to a subscriber": Outage(
        {0: Fault(notified=False)}, {"failed-notifications": (3, 16)}, {"failed-notifications": (3, -14)}
    ),
    "messages are malformed": Outage({0: Fault()}, {"dead-letters": (3, None)}, {"dead-letters": (3, None)}),
    "malformed messages cannot be dead-lettered": Outage(
        {0: Fault(letter_error=MISCONFIGURED)},
        {"misconfigured": (5, 11), "dead-letters": (33, None)},
        {"misconfigured": (5, 5), "dead-letters": (35, None)},
    ),
}
# Transient faults that must trigger no alarm, and their durations in seconds.
TRANSIENT_FAULTS: Final = {
    "a service fails for a minute": (Fault(error=RETURNED), MINUTE),
    "a service does not respond for a minute": (Fault(error=RETURNED, seconds=CALL_SECONDS), MINUTE),
    "Lambda throttles the function for a minute": (Fault(throttled=True), MINUTE),
    "Lambda does not poll the queue for a minute": (Fault(polled=False), MINUTE),
    "a new permission that takes effect after a minute": (Fault(error=MISCONFIGURED), MINUTE),
    "one crash": (Fault(crashes=True, seconds=1), 4),
    "one timeout": (Fault(crashes=True, seconds=120), 4),
    "one slow invocation": (Fault(seconds=80), 4),
}
# With a long timeout and batch window: alarms, their faults, and the minutes to ALARM with a single message.
LONG_TIMES: Final = {"lambdaTimeoutSeconds": "900", "batchWindowSeconds": "300"}
LONG_OUTAGES: Final = [
    ("misconfigured", Fault(error=MISCONFIGURED), 18),
    ("returned", Fault(error=RETURNED), 18),
    ("errors", Fault(crashes=True, seconds=1), 102),
    ("errors", Fault(crashes=True, seconds=900), 117),
    ("not-received", Fault(polled=False), 19),
]
TRAFFIC: Final = ("steady", "single")
# Minutes before, during and after the outage.
BEGIN, LASTS, AFTERWARDS = 10, 30, 25
HOURS: Final = 60
# Interpretations of the documentation, by the second in which the outage starts.
READINGS: Final = {0: Reading(delay=1, extra=2, zeros=True), 40: Reading(delay=2, extra=5, zeros=False)}


@pytest.fixture(scope="module", name="stack")
def fixture_stack() -> RecordedProgram:
    """The recorded program of a stack with the default settings."""
    return run_program(example_config(), "example")


@pytest.fixture(scope="module", name="slow_stack")
def fixture_slow_stack() -> RecordedProgram:
    """The recorded program of a stack with a long timeout and batch window."""
    return run_program(example_config(**LONG_TIMES), "example")


def recorded_alarms(stack: RecordedProgram) -> dict[str, Alarm]:
    """Return a stack's alarms by logical name, without the suffix ``-alarm``."""
    recorded = stack.all("aws:cloudwatch/metricAlarm:MetricAlarm")
    return {name.removesuffix("-alarm"): Alarm(resource.inputs) for name, resource in recorded.items()}


def test_each_alarm_has_an_outage(stack: RecordedProgram) -> None:
    alarms = {alarm for outage in OUTAGES.values() for alarm in (*outage.steady, *outage.single)}

    assert recorded_alarms(stack).keys() == alarms


def watch(stack: RecordedProgram, metrics: Metrics, minutes: range, reading: Reading) -> dict[str, Sequence[int]]:
    """Evaluate a stack's alarms each minute, and return the minutes in ALARM of each alarm that fires."""
    found = {
        role: [minute for minute in minutes if alarm.evaluate(metrics, minute, reading) == ALARM]
        for role, alarm in recorded_alarms(stack).items()
    }
    return {role: in_alarm for role, in_alarm in found.items() if in_alarm}


def simulate(
    stack: RecordedProgram, faults: Mapping[int, Fault], seconds: int, traffic: str, second: int, poison: bool = False
) -> Metrics:
    """Simulate an outage that starts at ``second`` of the minute `BEGIN` and lasts ``seconds``; return the metrics."""
    begin = BEGIN * MINUTE + second
    minutes = BEGIN + seconds // MINUTE + AFTERWARDS
    timed = [(begin + minute * MINUTE, fault) for minute, fault in faults.items()]
    pipeline = Pipeline(stack, [*timed, (begin + seconds, Fault())])
    for sent in [begin + 1] if traffic == "single" else range(0, minutes * MINUTE, 4):
        pipeline.at(sent, pipeline.send, poison and begin <= sent < begin + seconds)
    return pipeline.run(minutes)


@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_keeps_its_alarms_in_alarm_until_it_ends(stack: RecordedProgram, name: str, traffic: str) -> None:
    outage, end = OUTAGES[name], BEGIN + LASTS
    minutes = range(BEGIN, end + AFTERWARDS)
    begins: dict[str, int] = {}
    ends: dict[str, int | None] = {}

    for second, reading in READINGS.items():
        metrics = simulate(stack, outage.faults, LASTS * MINUTE, traffic, second, "malformed" in name)
        found = watch(stack, metrics, minutes, reading)
        for role, in_alarm in found.items():
            over = None if in_alarm[-1] == minutes[-1] else in_alarm[-1] + 1 - end
            begins[role] = max(in_alarm[0] - BEGIN, begins.get(role, 0))
            ends[role] = over if over is None else max(over, ends.get(role) or over)
        # SNS gives up on a notification only once, so its alarm does not last.
        in_alarm = {minute for role in found.keys() - {"failed-notifications"} for minute in found[role]}
        assert in_alarm >= {*range(min(in_alarm, default=end), end)}

    assert {role: (begins[role], ends[role]) for role in begins} == getattr(outage, traffic)


@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("trouble", TRANSIENT_FAULTS)
def test_transient_faults_trigger_no_alarm(
    stack: RecordedProgram, slow_stack: RecordedProgram, trouble: str, traffic: str
) -> None:
    fault, seconds = TRANSIENT_FAULTS[trouble]

    for (second, reading), each in itertools.product(READINGS.items(), (stack, slow_stack)):
        metrics = simulate(each, {0: fault}, seconds, traffic, second)
        assert watch(each, metrics, range(BEGIN, BEGIN + AFTERWARDS), reading) == {}


@pytest.mark.parametrize(("role", "fault", "minutes"), LONG_OUTAGES)
def test_an_outage_triggers_its_alarm_with_a_long_timeout_and_window(
    slow_stack: RecordedProgram, role: str, fault: Fault, minutes: int
) -> None:
    metrics = simulate(slow_stack, {0: fault}, 2 * minutes * MINUTE, "single", 0)
    found = watch(slow_stack, metrics, range(BEGIN, BEGIN + 2 * minutes), READINGS[0])

    assert found[role][0] == BEGIN + minutes


def test_dead_letters_alarm_stays_in_alarm_when_the_metrics_stop(stack: RecordedProgram) -> None:
    # The queue is inactive for more than six hours before each event.
    flood, purged = 7 * HOURS, 15 * HOURS
    pipeline = Pipeline(stack)
    pipeline.at(flood * MINUTE, pipeline.send, True)
    pipeline.at(purged * MINUTE, pipeline.purge)
    metrics = pipeline.run(purged + AFTERWARDS)

    # The metrics return after 15 minutes.
    found = watch(stack, metrics, range(1, purged + AFTERWARDS), READINGS[0])
    assert found == {"dead-letters": [*range(flood + 17, purged + 17)]}


def test_not_received_alarm_stays_in_alarm_when_the_metrics_stop(stack: RecordedProgram) -> None:
    metrics = simulate(stack, {0: Fault(polled=False)}, 9 * HOURS * MINUTE, "single", 0)

    assert watch(stack, metrics, range(BEGIN, 9 * HOURS), READINGS[0])["not-received"][-1] == 9 * HOURS - 1


def test_messages_that_sqs_dead_letters_after_crashes_trigger_the_alarm(stack: RecordedProgram) -> None:
    metrics = simulate(stack, {0: Fault(crashes=True, seconds=1)}, 150 * MINUTE, "single", 0)

    # Ten deliveries, each with a visibility timeout of twelve minutes.
    assert watch(stack, metrics, range(BEGIN, BEGIN + 150), READINGS[0])["dead-letters"][0] == BEGIN + 122


@pytest.mark.parametrize(("messages", "minutes"), [(0, 10 * HOURS), (5000, BEGIN + AFTERWARDS)])
def test_neither_a_night_without_messages_nor_a_peak_triggers_an_alarm(
    stack: RecordedProgram, messages: int, minutes: int
) -> None:
    pipeline = Pipeline(stack)
    for _ in range(messages):
        pipeline.at(BEGIN * MINUTE, pipeline.send, False)

    assert watch(stack, pipeline.run(minutes), range(1, minutes), READINGS[0]) == {}
