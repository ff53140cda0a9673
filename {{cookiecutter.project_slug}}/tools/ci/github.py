"""GitHub's API, through the ``gh`` CLI, which GitHub's runners have.

https://docs.github.com/en/rest/issues
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

from tools.project import find_program

INSTALLATION: Final = "https://cli.github.com"
# What the API says to the token of a fork's or Dependabot's pull request.
READ_ONLY: Final = "Resource not accessible by integration"
# https://docs.github.com/en/rest/issues/comments: a body has at most 65,536 characters.
LONGEST_BODY: Final = 60_000
CUT: Final = "\n\nThe rest is in the summary of the run."


class ReadOnlyTokenError(Exception):
    """The job's token may not write."""


def call(method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
    """Call the API.

    Args:
        method: The HTTP method.
        path: The path, without a leading slash.
        content: What to send; nothing by default.

    Returns:
        The answer. That of GET is a list of all pages' items.

    Raises:
        ReadOnlyTokenError: If the token may not write.
        SystemExit: If the CLI is missing or the call fails, with the reason.
    """
    command = [find_program("gh", INSTALLATION), "api", "--method", method, path]
    command += ["--paginate", "--slurp"] if content is None else ["--input", "-"]
    sent = None if content is None else json.dumps(content)
    finished = subprocess.run(command, check=False, input=sent, capture_output=True, encoding="utf-8")
    if finished.returncode:
        if READ_ONLY in finished.stdout + finished.stderr:
            raise ReadOnlyTokenError
        reason = " ".join(finished.stderr.split()) or f"exit status {finished.returncode}"
        sys.exit(f"`gh api {method} {path}` failed: {reason}")
    try:
        answer = json.loads(finished.stdout)
    except ValueError as error:
        sys.exit(f"the answer to `gh api {method} {path}` cannot be read: {error}")
    return answer if content is not None else [item for page in answer for item in page]


def find_marked(path: str, marker: str) -> dict[str, Any] | None:
    """Find the first comment or issue of a list that a bot has written, and whose text begins with a marker.

    Args:
        path: The list.
        marker: A comment in HTML, which GitHub does not show.
    """
    items = call("GET", path)
    # The user may have been deleted.
    written = (item for item in items if item["user"] and item["user"]["type"] == "Bot" and "pull_request" not in item)
    return next((item for item in written if (item["body"] or "").startswith(marker)), None)


def fit(body: str) -> str:
    """Cut a text that is too long for a comment."""
    return body if len(body) <= LONGEST_BODY else f"{body[:LONGEST_BODY]}{CUT}"
