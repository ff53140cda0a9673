"""Refuses invalid answers before any file is written.

Cookiecutter renders this hook, runs it in the new, empty folder, and removes the folder if the hook fails. The answers
are rendered as one JSON literal, so that no answer can become code. ``make new`` imports this module, to check each
answer as soon as it is given.
"""

import json
import re
import sys
import unicodedata

# The longest resource name that contains the slug is the access log bucket's. S3 allows 63 characters:
# slug (25) + "-" + environmentSuffix (12) + "-access-logs-" (13) + account ID (12) = 63.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
SLUG_MAX_LENGTH = 25
TEXT_MAX_LENGTH = 200
# https://www.rfc-editor.org/errata/eid1690
EMAIL_MAX_LENGTH = 254
SHOWN_LENGTH = 60

SLUG = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
EMAIL = r"[A-Za-z0-9_]([A-Za-z0-9._%+-]*[A-Za-z0-9_+-])?@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}"
REGION = r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]"
VERSION = r"[0-9]+\.[0-9]+\.[0-9]+"

# Configuration namespaces that Pulumi reserves, and bucket prefixes that S3 reserves.
RESERVED_SLUGS = {"aws", "pulumi"}
RESERVED_BEGINNINGS = ("amzn-s3-demo-", "sthree-", "xn--")
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}

# Characters that end a line or that file formats forbid: controls, surrogates, line and paragraph separators.
REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# Characters that disguise text: the byte order mark, and bidirectional embeddings, overrides and isolates.
# https://www.unicode.org/reports/tr55/
REFUSED_CHARACTERS = set("\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

TEXT_ALLOWED = (
    f"1 to {TEXT_MAX_LENGTH} characters on one line, no spaces around them, "
    "no control characters or bidirectional controls"
)
EMAIL_ALLOWED = f"an e-mail address like team@example.com, at most {EMAIL_MAX_LENGTH} characters"
REGION_ALLOWED = "the name of an AWS region, like us-east-1"
SLUG_ALLOWED = (
    f"1 to {SLUG_MAX_LENGTH} lower-case letters, digits and single hyphens, starting with a letter and not ending "
    "with a hyphen; no name that AWS, Pulumi or Windows reserves"
)
CHOICES = {
    "license": ("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"),
    "python_version": ("3.11", "3.12", "3.13", "3.14"),
    "lambda_runtime": ("python3.11", "python3.12", "python3.13", "python3.14"),
    "lambda_architecture": ("arm64", "x86_64"),
    "package_manager": ("uv", "pipenv"),
    "state_backend": ("pulumi-cloud", "s3", "local-file"),
    "ci": ("github", "gitlab", "none"),
}
# The template's private settings. A user's Cookiecutter configuration could override them and so change every file.
PRIVATE = {
    "_copy_without_render": ["*.py"],
    "_jinja2_env_vars": {"trim_blocks": True, "lstrip_blocks": True, "line_statement_prefix": "#%"},
    "_new_lines": "\n",
}


def is_refused(character):
    """Whether a character is forbidden in answers. The numeric comparisons match Unicode's noncharacters."""
    code = ord(character)
    return (
        character in REFUSED_CHARACTERS
        or unicodedata.category(character) in REFUSED_CATEGORIES
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    )


def is_text(answer):
    """Whether an answer is one line of text that is valid in all of the project's file formats."""
    return (
        isinstance(answer, str)
        and 0 < len(answer) <= TEXT_MAX_LENGTH
        and answer == answer.strip()
        and not any(map(is_refused, answer))
    )


def is_slug(answer):
    """Whether an answer is valid as a folder name, Pulumi configuration namespace and prefix of AWS resource names."""
    return (
        isinstance(answer, str)
        and len(answer) <= SLUG_MAX_LENGTH
        and re.fullmatch(SLUG, answer) is not None
        and answer not in RESERVED_SLUGS | WINDOWS_DEVICES
        and not answer.startswith(RESERVED_BEGINNINGS)
    )


def is_email(answer):
    """Whether an answer has the form of an e-mail address. Quoted local parts are not supported."""
    return isinstance(answer, str) and len(answer) <= EMAIL_MAX_LENGTH and re.fullmatch(EMAIL, answer) is not None


def is_region(answer):
    """Whether an answer has the form of an AWS region. A list would refuse new regions."""
    return isinstance(answer, str) and re.fullmatch(REGION, answer) is not None


CHECKS = {
    "project_name": (is_text, TEXT_ALLOWED),
    "project_slug": (is_slug, SLUG_ALLOWED),
    "description": (is_text, TEXT_ALLOWED),
    "author_name": (is_text, TEXT_ALLOWED),
    "author_email": (is_email, EMAIL_ALLOWED),
    "aws_region_dev": (is_region, REGION_ALLOWED),
    "aws_region_staging": (is_region, REGION_ALLOWED),
    "aws_region_prod": (is_region, REGION_ALLOWED),
    "notification_email": (is_email, EMAIL_ALLOWED),
}


def shown(answer):
    """Escape and shorten an answer for a message."""
    text = ascii(answer)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}... ({len(answer)} characters)"


def refusal(question, answer):
    """Return the reason why an answer is refused, or None."""
    if question in CHOICES:
        choices = CHOICES[question]
        is_allowed, allowed = answer in choices, f"one of {', '.join(choices)}"
    else:
        check, allowed = CHECKS[question]
        is_allowed = check(answer)
    return None if is_allowed else f"{question}: {shown(answer)} is refused; allowed: {allowed}"


def refusals(answers):
    """Yield a line for each refused answer, and for each overridden private setting."""
    for question in (*CHECKS, *CHOICES):
        line = refusal(question, answers[question])
        if line:
            yield line
    # The version is stored only in cookiecutter.json, so only its form can be checked.
    version = answers["_template_version"]
    unchanged = {setting: answers[setting] == value for setting, value in PRIVATE.items()}
    unchanged["_template_version"] = isinstance(version, str) and re.fullmatch(VERSION, version) is not None
    for setting, is_unchanged in unchanged.items():
        if not is_unchanged:
            yield f"{setting}: {shown(answers[setting])} is refused; it is the template's own and cannot be changed"


def refused(lines):
    """Combine refusals into one message."""
    answers = "1 answer" if len(lines) == 1 else f"{len(lines)} answers"
    return "\n".join([f"{answers} refused, nothing was written:", *(f"  - {line}" for line in lines)])


def main(answers):
    """If any answer is refused, print all refusals and exit with an error."""
    found = list(refusals(answers))
    if found:
        print(
            f"\n{refused(found)}\n\nIgnore the stack trace below: Cookiecutter prints one whenever a hook stops it.\n",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main(json.loads(r"""{{ cookiecutter | tojson }}"""))
