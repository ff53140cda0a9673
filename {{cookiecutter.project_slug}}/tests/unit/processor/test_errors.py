"""Classification and description of errors."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ParamValidationError
from botocore.retries import standard

from processor.errors import ErrorClass, classify, describe, error_code
from processor.events import EXAMPLE, Event


def client_error(code: str, message: str = "refused", operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def validation_error(body: str) -> ValidationError:
    with pytest.raises(ValidationError) as refusal:
        Event.model_validate_json(body)
    return refusal.value


# AWS's error codes by cause, in the order of the calls: S3, DynamoDB, SNS, SQS.
MISCONFIGURED = {
    "a permission is missing": "AccessDenied AllAccessDisabled AccessDeniedException AuthorizationError",
    "a resource is missing": (
        "NoSuchBucket ResourceNotFoundException NotFound AWS.SimpleQueueService.NonExistentQueue QueueDoesNotExist"
    ),
    "a resource is the wrong one": (
        "PermanentRedirect AuthorizationHeaderMalformed InvalidAddress AWS.SimpleQueueService.UnsupportedOperation"
    ),
    "the role has no access to the key": "KMS.AccessDeniedException AccessDeniedException KMSAccessDenied",
    "the key cannot be used": (
        "KMS.DisabledException KMS.KMSInvalidStateException KMS.NotFoundException KMSDisabled KMSInvalidState "
        "KMSNotFound KMS.InvalidStateException KmsDisabled KMS.InvalidKeyUsageException"
    ),
    "the account is not signed up for the service": "OptInRequired KMSOptInRequired KMS.OptInRequired",
    "the function has no valid credentials": (
        "InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken UnrecognizedClientException MissingAuthenticationToken "
        "IncompleteSignature ExpiredTokenException InvalidClientTokenId InvalidSecurity"
    ),
    "the service refuses a parameter": (
        "InvalidRequest ValidationException ValidationError InvalidParameter ParameterValueInvalid "
        "InvalidParameterValue InvalidMessageContents"
    ),
}
TRANSIENT = ["SlowDown", "InternalError", "KMS.ThrottlingException", "KMSThrottling", "Exception", "BrandNew", ""]
DENIED = "An error occurred (AccessDenied) when calling the Operation operation: "
DESCRIBED = [
    # The reason has the names of invalid members, but never their content.
    (
        validation_error(json.dumps(EXAMPLE | {"type": "secret order", "data": 1})),
        "type: String should match pattern '^[A-Za-z0-9._-]{1,128}$'; data: Input should be an object",
    ),
    (validation_error("secret"), "body: Invalid JSON: expected value at line 1 column 1"),
    (client_error("AccessDenied", "no s3:PutObject"), f"{DENIED}no s3:PutObject"),
    # At most 256 printable characters, for a message attribute.
    (client_error("AccessDenied", "\x00\n\x1b" + "x" * 1000), f"{DENIED}   {'x' * 1000}"[:256]),
    # AWS's error text may quote SendMessage's parameters, which contain the message.
    (client_error("AccessDenied", "secret", "SendMessage"), "AccessDenied from SendMessage"),
    (client_error("BrandNew", "secret"), "BrandNew from Operation"),
    (KeyError("secret"), "KeyError"),
    (ParamValidationError(report="value: secret"), "ParamValidationError"),
]


def retried() -> set[str]:
    """Return the error codes that botocore's standard mode retries."""
    checkers = standard.TransientRetryableChecker, standard.ThrottledRetryableChecker
    lists = [getattr(checker, name) for checker in checkers for name in vars(checker) if name.endswith("_ERROR_CODES")]
    return {code for codes in lists for code in codes}


@pytest.mark.parametrize("code", sorted({code for codes in MISCONFIGURED.values() for code in codes.split()}))
def test_a_code_that_somebody_must_act_on_is_a_misconfiguration(code: str) -> None:
    assert classify(client_error(code)) is ErrorClass.MISCONFIGURED


@pytest.mark.parametrize("code", sorted({*TRANSIENT, *retried()}))
def test_any_other_code_counts_as_transient(code: str) -> None:
    assert classify(client_error(code)) is ErrorClass.TRANSIENT


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (NoCredentialsError(), ErrorClass.MISCONFIGURED),
        (ParamValidationError(report="Bucket"), ErrorClass.MISCONFIGURED),
        (EndpointConnectionError(endpoint_url="https://example.com"), ErrorClass.TRANSIENT),
        # A bug in the function must not lose messages.
        (KeyError("x"), ErrorClass.TRANSIENT),
        (validation_error("{"), ErrorClass.POISON),
    ],
    ids=error_code,
)
def test_an_exception_is_classified_by_its_name(error: Exception, error_class: ErrorClass) -> None:
    assert classify(error) is error_class


@pytest.mark.parametrize("response", [{}, {"Error": {}}, {"Error": {"Code": ""}}])
def test_an_error_without_a_code_has_the_name_of_the_exception(response: Any) -> None:
    # SQS rejects attributes with an empty value.
    assert error_code(ClientError(response, "Operation")) == "ClientError"


@pytest.mark.parametrize(("error", "description"), DESCRIBED)
def test_an_error_is_described_without_the_content_of_the_message(error: Exception, description: str) -> None:
    assert describe(error) == description
