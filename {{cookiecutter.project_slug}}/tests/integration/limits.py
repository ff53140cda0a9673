"""What the emulator does not do. Every report of a run against it repeats this list.

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
    Limit("permissions are not enforced: the role's policy is compared, and not tried"),
    Limit("nothing is encrypted: that each resource names the key is all that is tested"),
    Limit("e-mails are not sent, and a subscription needs no confirmation"),
    Limit("alarms see neither the queues' metrics nor those that the function logs: their configuration is compared"),
)
