"""Classes of errors, by AWS's error code."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import ClientError

REASON_MAX_LENGTH: Final = 256


class ErrorClass(StrEnum):
    """What happens to a message that failed."""

    TRANSIENT = "transient"
    """It may succeed later: the message returns to its queue."""

    POISON = "poison"
    """This function's own validation refuses the message: it goes to the dead-letter queue at once."""

    MISCONFIGURED = "misconfigured"
    """Every message fails until somebody fixes the cause: it returns to its queue, and an alarm is raised."""


_CODES: Final[Mapping[ErrorClass, frozenset[str]]] = MappingProxyType(
    {
        # The SDK has already retried most of these:
        # https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
        ErrorClass.TRANSIENT: frozenset(
            {
                "AWS.SimpleQueueService.MessageNotInflight",
                "BandwidthLimitExceeded",
                "BatchOutOfTimeError",
                "ConditionalRequestConflict",
                "ConnectTimeoutError",
                "ConnectionClosedError",
                "EndpointConnectionError",
                "InternalError",
                "InternalErrorException",
                "InternalFailure",
                "InternalServerError",
                "KMS.ThrottlingException",
                "KMSThrottling",
                "KMSThrottlingException",
                "KmsThrottled",
                "LimitExceededException",
                "MessageNotInflight",
                "OperationAborted",
                "PriorRequestNotComplete",
                "ProvisionedThroughputExceededException",
                "ReadTimeoutError",
                "ReceiptHandleIsInvalid",
                "ReplicatedWriteConflictException",
                "RequestLimitExceeded",
                "RequestThrottled",
                "RequestThrottledException",
                "RequestTimeout",
                "RequestTimeoutException",
                "SSLError",
                "ServiceUnavailable",
                "SlowDown",
                "ThrottledException",
                "Throttling",
                "ThrottlingException",
                "TooManyRequestsException",
                "TransactionConflictException",
                "TransactionInProgressException",
            }
        ),
        # Once a message has passed this function's own validation, nothing in it can make AWS refuse it. So if AWS's
        # validation refuses a call, all messages fail: the table has another key, for example.
        ErrorClass.MISCONFIGURED: frozenset(
            {
                "AWS.SimpleQueueService.NonExistentQueue",
                "AWS.SimpleQueueService.UnsupportedOperation",
                "AccessDenied",
                "AccessDeniedException",
                "AllAccessDisabled",
                "AuthorizationError",
                "AuthorizationErrorException",
                "AuthorizationHeaderMalformed",
                "EncryptionTypeMismatch",
                "EndpointDisabled",
                "EndpointDisabledException",
                "EntityTooLarge",
                "ExpiredToken",
                "ExpiredTokenException",
                "IncompleteSignature",
                "InvalidAccessKeyId",
                "InvalidAddress",
                "InvalidClientTokenId",
                "InvalidMessageContents",
                "InvalidParameter",
                "InvalidParameterException",
                "InvalidParameterValue",
                "InvalidParameterValueException",
                "InvalidRequest",
                "InvalidSecurity",
                "InvalidSecurityException",
                "InvalidWriteOffset",
                "ItemCollectionSizeLimitExceededException",
                "KMS.AccessDeniedException",
                "KMS.DisabledException",
                "KMS.InvalidKeyUsageException",
                "KMS.InvalidStateException",
                "KMS.KMSInvalidStateException",
                "KMS.NotFoundException",
                "KMS.OptInRequired",
                "KMSAccessDenied",
                "KMSAccessDeniedException",
                "KMSDisabled",
                "KMSDisabledException",
                "KMSInvalidState",
                "KMSInvalidStateException",
                "KMSNotFound",
                "KMSNotFoundException",
                "KMSOptInRequired",
                "KeyTooLongError",
                "KmsAccessDenied",
                "KmsDisabled",
                "KmsInvalidKeyUsage",
                "KmsInvalidState",
                "KmsNotFound",
                "KmsOptInRequired",
                "MaxMessageLengthExceeded",
                "MissingAuthenticationToken",
                "NoCredentialsError",
                "NoSuchBucket",
                "NotFound",
                "NotFoundException",
                "OptInRequired",
                "ParamValidationError",
                "ParameterValueInvalid",
                "PermanentRedirect",
                "PlatformApplicationDisabled",
                "PlatformApplicationDisabledException",
                "QueueDoesNotExist",
                "ResourceNotFoundException",
                "SignatureDoesNotMatch",
                "TooManyParts",
                "UnrecognizedClientException",
                "UnsupportedOperation",
                "ValidationError",
                "ValidationException",
            }
        ),
    }
)

ERROR_CLASSES: Final[Mapping[str, ErrorClass]] = MappingProxyType(
    {code: error_class for error_class, codes in _CODES.items() for code in codes}
)


def error_code(error: BaseException) -> str:
    """Return AWS's error code, or the name of the exception's class if AWS gave none. It is never empty."""
    answered = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return answered or type(error).__name__


def classify(error: BaseException) -> ErrorClass:
    """Return an error's class. An unknown error may pass, so it counts as transient."""
    if isinstance(error, ValidationError):
        return ErrorClass.POISON
    return ERROR_CLASSES.get(error_code(error), ErrorClass.TRANSIENT)


def _names_the_cause(error: ClientError) -> bool:
    """Whether AWS's text names the missing permission or resource, and nothing of a message.

    The parameters of SendMessage are a message's body and attributes, and AWS may quote them.
    """
    return classify(error) is ErrorClass.MISCONFIGURED and error.operation_name != "SendMessage"


def describe(error: BaseException) -> str:
    """Describe an error without the content of the message, which may be confidential.

    Returns:
        At most 256 characters that SQS accepts in a message attribute.
    """
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        reason = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in problems)
    elif isinstance(error, ClientError):
        reason = str(error) if _names_the_cause(error) else f"{error_code(error)} from {error.operation_name}"
    else:
        reason = type(error).__name__
    printable = "".join(character if character.isprintable() else " " for character in reason)
    return printable[:REASON_MAX_LENGTH]
