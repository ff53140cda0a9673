"""What the emulator cannot do. Every report of a run against it repeats this list.

A test that fails for one of these reasons is expected to fail; once it passes, the run fails, and the limit goes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """One thing that the emulator does otherwise than AWS.

    Attributes:
        reason: What it does, and what that means for the tests.
        tests: Names of the tests that fail for it.
    """

    reason: str
    tests: tuple[str, ...] = ()


EMULATOR_LIMITS: tuple[Limit, ...] = (
    Limit(
        "a function's own dead-letter queue is taken and forgotten",
        ("test_failed_asynchronous_events_are_dead_lettered",),
    ),
    Limit(
        "a bucket's EventBridge notifications are taken and forgotten",
        ("test_changes_of_payloads_go_to_eventbridge",),
    ),
    Limit("permissions are not enforced: the workflow shows nothing of the role's policy, which is compared as text"),
    Limit("encryption is not done: that each resource names the key is all that can be shown"),
    Limit("functions are not run: a poller of the test suite takes the place of Lambda's event source mapping"),
    Limit("e-mails are not sent, and the subscription needs no confirmation"),
    Limit("alarms are not evaluated: their configuration is all that can be shown"),
)
