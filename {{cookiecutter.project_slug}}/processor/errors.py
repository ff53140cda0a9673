"""Errors told apart by AWS's error code: what a person or the queue should do about each."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import ClientError

REASON_MAX_LENGTH: Final = 256


class ErrorClass(StrEnum):
    """What becomes of a message whose processing failed."""

    TRANSIENT = "transient"
    """It may succeed later: the message returns to its queue."""

    POISON = "poison"
    """It can never succeed: the message goes to the dead-letter queue at once."""

    MISCONFIGURED = "misconfigured"
    """No message can succeed until a person acts: the message returns to its queue, and an alarm is raised."""


_CODES: Final[Mapping[ErrorClass, frozenset[str]]] = MappingProxyType(
    {
        # Most of these the SDK has repeated before it raises them:
        # https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
        ErrorClass.TRANSIENT: frozenset(
            {
                "BandwidthLimitExceeded",
                "BatchOutOfTimeError",
                "ConnectTimeoutError",
                "ConnectionClosedError",
                "EndpointConnectionError",
                "InternalError",
                "InternalFailure",
                "InternalServerError",
                "KMSInternalException",
                "KMSThrottling",
                "KMSThrottlingException",
                "KmsThrottled",
                "LimitExceededException",
                "OperationAborted",
                "PriorRequestNotComplete",
                "ProvisionedThroughputExceededException",
                "ReadTimeoutError",
                "ReplicatedWriteConflictException",
                "RequestLimitExceeded",
                "RequestThrottled",
                "RequestThrottledException",
                "RequestTimeout",
                "RequestTimeoutException",
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
        ErrorClass.POISON: frozenset(
            {
                "EntityTooLarge",
                "InvalidMessageContents",
                "InvalidParameter",
                "InvalidParameterValue",
                "InvalidParameterValueException",
                "InvalidRequest",
                "InvalidWriteOffset",
                "ItemCollectionSizeLimitExceededException",
                "KeyTooLongError",
                "MaxMessageLengthExceeded",
                "ParamValidationError",
                "ParameterValueInvalid",
                "TooManyParts",
                "ValidationError",
                "ValidationException",
            }
        ),
        ErrorClass.MISCONFIGURED: frozenset(
            {
                "AWS.SimpleQueueService.NonExistentQueue",
                "AccessDenied",
                "AccessDeniedException",
                "AllAccessDisabled",
                "AuthorizationError",
                "AuthorizationErrorException",
                "AuthorizationHeaderMalformed",
                "EncryptionTypeMismatch",
                "EndpointDisabled",
                "ExpiredToken",
                "ExpiredTokenException",
                "IncompleteSignature",
                "InvalidAccessKeyId",
                "InvalidAddress",
                "InvalidClientTokenId",
                "InvalidSecurity",
                "KMS.AccessDeniedException",
                "KMS.DisabledException",
                "KMS.InvalidStateException",
                "KMS.KMSInvalidStateException",
                "KMS.NotFoundException",
                "KMSAccessDenied",
                "KMSAccessDeniedException",
                "KMSDisabled",
                "KMSDisabledException",
                "KMSInvalidState",
                "KMSInvalidStateException",
                "KMSNotFound",
                "KMSNotFoundException",
                "KMSOptInRequired",
                "KmsAccessDenied",
                "KmsDisabled",
                "KmsInvalidKeyUsage",
                "KmsInvalidState",
                "KmsNotFound",
                "KmsOptInRequired",
                "MissingAuthenticationToken",
                "NoCredentialsError",
                "NoSuchBucket",
                "NotFound",
                "NotFoundException",
                "OptInRequired",
                "PermanentRedirect",
                "PlatformApplicationDisabled",
                "QueueDoesNotExist",
                "ResourceNotFoundException",
                "SignatureDoesNotMatch",
                "UnrecognizedClientException",
                "UnsupportedOperation",
            }
        ),
    }
)

ERROR_CLASSES: Final[Mapping[str, ErrorClass]] = MappingProxyType(
    {code: error_class for error_class, codes in _CODES.items() for code in codes}
)


def error_code(error: BaseException) -> str:
    """Name an error: AWS's code if AWS answered, or else the name of the exception's class."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "")
    return type(error).__name__


def classify(error: BaseException) -> ErrorClass:
    """Tell what should become of the message: an error that nobody knows may pass, so it counts as transient."""
    return ERROR_CLASSES.get(error_code(error), ErrorClass.TRANSIENT)


def describe(error: BaseException) -> str:
    """Say what went wrong without repeating what the message says, which may be confidential.

    Returns:
        At most 256 characters that SQS accepts in a message attribute.
    """
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        reason = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in problems)
    elif classify(error) is ErrorClass.MISCONFIGURED:
        # AWS names the permission or the resource that is missing.
        reason = str(error)
    elif isinstance(error, ClientError):
        reason = f"{error_code(error)} from {error.operation_name}"
    else:
        reason = type(error).__name__
    printable = "".join(character if character.isprintable() else " " for character in reason)
    return printable[:REASON_MAX_LENGTH]
