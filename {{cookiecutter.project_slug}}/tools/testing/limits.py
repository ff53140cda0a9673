"""Differences between the emulator and AWS, and what they mean for the tests. Every test run prints them."""

from collections.abc import Mapping

# Inputs that the emulator does not keep, by type. On AWS they are compared.
NOT_IN_THE_EMULATOR: Mapping[str, frozenset[str]] = {
    "aws:cloudwatch/logGroup:LogGroup": frozenset({"deletionProtectionEnabled"}),
    "aws:cloudwatch/metricAlarm:MetricAlarm": frozenset({"metricQueries"}),
    "aws:lambda/eventSourceMapping:EventSourceMapping": frozenset({"metricsConfig"}),
}
EMULATOR_LIMITS = (
    "IAM permissions are not enforced: the role's policy is only compared",
    "data is not encrypted: the tests only check that each resource names the key",
    "e-mails are not sent, and subscriptions need no confirmation",
    "alarms get no metrics from queues or from the function's log: only their configuration is compared",
    *(
        f"{type_.rpartition(':')[2]}.{name} is not kept, and so not compared"
        for type_, names in NOT_IN_THE_EMULATOR.items()
        for name in sorted(names)
    ),
)
