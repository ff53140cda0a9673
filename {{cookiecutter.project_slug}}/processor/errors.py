"""Classification of errors by error code, and error descriptions that omit the SQS message."""

import re
from enum import StrEnum
from typing import Final

from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import ClientError

REASON_MAX_LENGTH: Final = 256


class ErrorClass(StrEnum):
    """The class of an error, which determines how its message is handled."""

    TRANSIENT = "transient"
    """A retry may succeed: the message returns to its queue."""

    POISON = "poison"
    """The message fails this function's own validation: it goes to the dead-letter queue at once."""

    MISCONFIGURED = "misconfigured"
    """Every message fails until the cause is fixed: the messages return to their queue, and an alarm fires."""


# Error codes' affixes differ by service: for a disabled KMS key, S3 returns KMS.DisabledException, and SNS KMSDisabled.
_AFFIXES: Final = re.compile(r"^(.*\.)?(KMS|Kms)?|Exception$")

# AWS's error codes without affixes, and botocore's exceptions. The content of a message that passes this function's own
# validation cannot make AWS reject a call. So a validation error from AWS affects every message, for example if the
# table has a different key.
_MISCONFIGURED: Final = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationError",
        "AuthorizationHeaderMalformed",
        "Disabled",
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidAddress",
        "InvalidClientTokenId",
        "InvalidKeyUsage",
        "InvalidMessageContents",
        "InvalidParameter",
        "InvalidParameterValue",
        "InvalidRequest",
        "InvalidSecurity",
        "InvalidState",
        "MissingAuthenticationToken",
        "NoCredentialsError",
        "NoSuchBucket",
        "NonExistentQueue",
        "NotFound",
        "OptInRequired",
        "ParamValidationError",
        "ParameterValueInvalid",
        "PermanentRedirect",
        "QueueDoesNotExist",
        "ResourceNotFound",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
        "UnsupportedOperation",
        "Validation",
        "ValidationError",
    }
)


def error_code(error: BaseException) -> str:
    """Return AWS's error code, or the name of the exception's class if there is no code. The result is never empty."""
    answered = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return answered or type(error).__name__


def classify(error: BaseException) -> ErrorClass:
    """Return an error's class. Unknown errors count as transient, because a retry may succeed."""
    if isinstance(error, ValidationError):
        return ErrorClass.POISON
    is_misconfigured = _AFFIXES.sub("", error_code(error)) in _MISCONFIGURED
    return ErrorClass.MISCONFIGURED if is_misconfigured else ErrorClass.TRANSIENT


def describe(error: BaseException) -> str:
    """Describe an error without the content of the SQS message, which may be confidential.

    Returns:
        At most 256 characters, all of which SQS accepts in a message attribute.
    """
    if isinstance(error, ValidationError):
        places = [(".".join(map(str, problem["loc"])) or "body", problem["msg"]) for problem in error.errors()]
        reason = "; ".join(f"{place}: {message}" for place, message in places)
    elif not isinstance(error, ClientError):
        reason = type(error).__name__
    elif classify(error) is ErrorClass.MISCONFIGURED and error.operation_name != "SendMessage":
        # AWS's text names the missing permission or resource. For SendMessage, the text may quote the message's body
        # or attributes.
        reason = str(error)
    else:
        reason = f"{error_code(error)} from {error.operation_name}"
    printable = "".join(character if character.isprintable() else " " for character in reason)
    return printable[:REASON_MAX_LENGTH]
