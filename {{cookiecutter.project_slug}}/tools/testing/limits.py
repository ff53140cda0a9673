"""What the emulator does otherwise than AWS, and what that means for the tests. Every report of a run repeats it."""

EMULATOR_LIMITS = (
    "permissions are not enforced: the role's policy is compared, and not tried",
    "nothing is encrypted: that each resource names the key is all that is tested",
    "e-mails are not sent, and a subscription needs no confirmation",
    "alarms see neither the queues' metrics nor those that the function logs: their configuration is compared",
)
