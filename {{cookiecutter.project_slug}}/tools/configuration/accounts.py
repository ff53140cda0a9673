"""The accounts that a stack may be deployed to, as a setting of the AWS provider lists them.

https://www.pulumi.com/registry/packages/aws/installation-configuration/#configuration-options
"""

import json
import re
from typing import Final

ACCOUNTS_KEY: Final = "aws:allowedAccountIds"
ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")


def read_accounts(text: str) -> tuple[str, ...] | None:
    """Read the value of `ACCOUNTS_KEY`.

    Args:
        text: The value, a list as JSON; empty if the key is not set.

    Returns:
        The accounts' IDs, none if every account is allowed; ``None`` if it is something else.
    """
    try:
        listed = json.loads(text or "[]")
    except ValueError:
        return None
    ids = tuple(map(str, listed)) if isinstance(listed, list) else ("",)
    return ids if all(map(ACCOUNT_ID.fullmatch, ids)) else None
