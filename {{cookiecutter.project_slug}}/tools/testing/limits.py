"""What the emulator does otherwise than AWS, and what that means for the tests. Every report of a run repeats it."""

EMULATOR_LIMITS = (
    "IAM permissions are not enforced: the role's policy is only compared",
    "data is not encrypted: the tests only check that each resource names the key",
    "e-mails are not sent, and subscriptions need no confirmation",
    "alarms get no metrics from queues or from the function's log: only their configuration is compared",
)
