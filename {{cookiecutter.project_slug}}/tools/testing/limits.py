"""Differences between the emulator and AWS, and what they mean for the tests. Every test run prints them."""

EMULATOR_LIMITS = (
    "IAM permissions are not enforced: the role's policy is only compared",
    "data is not encrypted: the tests only check that each resource names the key",
    "e-mails are not sent, and subscriptions need no confirmation",
    "alarms get no metrics from queues or from the function's log: only their configuration is compared",
)
