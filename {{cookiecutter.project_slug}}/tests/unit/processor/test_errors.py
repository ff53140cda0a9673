"""The classes and descriptions of errors."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from botocore.retries import standard

from processor.errors import _CODES, ERROR_CLASSES, ErrorClass, classify, describe, error_code
from processor.events import EXAMPLE, Event


def client_error(code: str, message: str = "refused", operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def validation_error(body: str) -> ValidationError:
    with pytest.raises(ValidationError) as refusal:
        Event.model_validate_json(body)
    return refusal.value


# What may go wrong, and the codes that AWS answers then, in the order of the calls: S3, DynamoDB, SNS, SQS.
TRANSIENT = {
    "the service is throttled": [
        "SlowDown",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "Throttling",
        "RequestThrottled",
    ],
    "the key is throttled": ["KMS.ThrottlingException", "KMSThrottling", "KmsThrottled"],
    "the service has a failure": [
        "InternalError",
        "ServiceUnavailable",
        "InternalServerError",
        "InternalFailure",
    ],
    "the service has waited too long": ["RequestTimeout", "RequestTimeoutException"],
    "another request is in the way": [
        "OperationAborted",
        "ConditionalRequestConflict",
        "TransactionConflictException",
        "ReplicatedWriteConflictException",
    ],
    "the message is not hidden any more": [
        "AWS.SimpleQueueService.MessageNotInflight",
        "ReceiptHandleIsInvalid",
    ],
}
MISCONFIGURED = {
    "a permission is missing": [
        "AccessDenied",
        "AllAccessDisabled",
        "AccessDeniedException",
        "AuthorizationError",
    ],
    "a resource is missing": [
        "NoSuchBucket",
        "ResourceNotFoundException",
        "NotFound",
        "AWS.SimpleQueueService.NonExistentQueue",
    ],
    "a resource is another one": [
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "EncryptionTypeMismatch",
        "EndpointDisabled",
        "InvalidAddress",
        "AWS.SimpleQueueService.UnsupportedOperation",
    ],
    "the role must not use the key": ["KMSAccessDenied", "KMS.AccessDeniedException"],
    "the key is disabled, is to be deleted, or does not exist": [
        "KMS.DisabledException",
        "KMS.KMSInvalidStateException",
        "KMS.NotFoundException",
        "KMSDisabled",
        "KMSInvalidState",
        "KMSNotFound",
        "KMS.InvalidStateException",
    ],
    "the key cannot encrypt": ["KMS.InvalidKeyUsageException"],
    "the account does not take part": ["OptInRequired", "KMSOptInRequired", "KMS.OptInRequired"],
    "the function has no valid credentials": [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "IncompleteSignature",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSecurity",
    ],
    "the service refuses a parameter": [
        "InvalidRequest",
        "KeyTooLongError",
        "EntityTooLarge",
        "MaxMessageLengthExceeded",
        "ValidationException",
        "ValidationError",
        "ItemCollectionSizeLimitExceededException",
        "InvalidParameter",
        "ParameterValueInvalid",
        "InvalidParameterValue",
        "InvalidMessageContents",
    ],
}
SITUATIONS = {ErrorClass.TRANSIENT: TRANSIENT, ErrorClass.MISCONFIGURED: MISCONFIGURED}
CLASSES = {
    code: error_class for error_class, listed in SITUATIONS.items() for codes in listed.values() for code in codes
}

OPERATIONS = {
    "s3": ["PutObject"],
    "dynamodb": ["PutItem", "UpdateItem"],
    "sns": ["Publish"],
    "sqs": ["SendMessage", "ChangeMessageVisibility"],
}
# Means that the message was delivered before.
EXPECTED = {"ConditionalCheckFailedException"}
# Not of a service that the function calls.
FOREIGN = {"EC2ThrottledException"}

UNREACHABLE = [
    EndpointConnectionError(endpoint_url="https://example.com"),
    ConnectTimeoutError(endpoint_url="https://example.com"),
    ReadTimeoutError(endpoint_url="https://example.com"),
    ConnectionClosedError(endpoint_url="https://example.com"),
    SSLError(endpoint_url="https://example.com", error=OSError("handshake")),
]
# Raised in the function itself.
OWN = {
    "BatchOutOfTimeError": ErrorClass.TRANSIENT,
    "NoCredentialsError": ErrorClass.MISCONFIGURED,
    "ParamValidationError": ErrorClass.MISCONFIGURED,
}


def documented(service_model: Any, operations: list[str]) -> set[str]:
    """List the errors of operations: their codes, and their names, which another protocol may send."""
    shapes = [shape for name in operations for shape in service_model.operation_model(name).error_shapes]
    return {
        name for shape in shapes for name in (shape.name, shape.metadata.get("error", {}).get("code", shape.name))
    } - EXPECTED


def retried() -> set[str]:
    """List the error codes with which the SDK tries a call again."""
    checkers = standard.TransientRetryableChecker, standard.ThrottledRetryableChecker
    lists = [getattr(checker, name) for checker in checkers for name in vars(checker) if name.endswith("_ERROR_CODES")]
    return {code for codes in lists for code in codes} - FOREIGN


@pytest.mark.parametrize("code", CLASSES)
def test_awss_error_code_decides_the_class(code: str) -> None:
    assert ERROR_CLASSES.get(code) is CLASSES[code]


@pytest.mark.parametrize("service", OPERATIONS)
def test_every_error_that_a_service_documents_has_a_class(service: str, clients: dict[str, Any]) -> None:
    assert documented(clients[service].meta.service_model, OPERATIONS[service]) <= set(ERROR_CLASSES)


def test_every_error_with_which_the_sdk_tries_again_is_transient() -> None:
    assert {ERROR_CLASSES.get(code) for code in retried()} == {ErrorClass.TRANSIENT}


@pytest.mark.parametrize("error", UNREACHABLE, ids=error_code)
def test_a_service_that_cannot_be_reached_is_transient(error: Exception) -> None:
    assert ERROR_CLASSES.get(error_code(error)) is ErrorClass.TRANSIENT


@pytest.mark.parametrize("name", OWN)
def test_the_functions_own_errors_have_a_class(name: str) -> None:
    assert ERROR_CLASSES.get(name) is OWN[name]


def test_the_table_has_no_other_code(clients: dict[str, Any]) -> None:
    models = {service: documented(clients[service].meta.service_model, names) for service, names in OPERATIONS.items()}

    assert set(ERROR_CLASSES) == {*CLASSES, *OWN, *map(error_code, UNREACHABLE)}.union(retried(), *models.values())


@pytest.mark.parametrize("code", ["", "BrandNewException"])
def test_an_unknown_code_counts_as_transient(code: str) -> None:
    assert classify(client_error(code)) is ErrorClass.TRANSIENT


def test_a_response_without_a_code_counts_as_transient() -> None:
    assert classify(ClientError({}, "Operation")) is ErrorClass.TRANSIENT


@pytest.mark.parametrize(
    "error", [NoCredentialsError(), ParamValidationError(report="Bucket"), client_error("NotFound")]
)
def test_errors_of_the_sdk_and_of_aws_are_classified_alike(error: Exception) -> None:
    assert classify(error) is ErrorClass.MISCONFIGURED


def test_only_a_message_that_the_function_itself_refuses_is_poison() -> None:
    assert classify(validation_error("{")) is ErrorClass.POISON
    assert ErrorClass.POISON not in ERROR_CLASSES.values()


def test_a_programming_error_is_transient_so_that_no_message_is_lost() -> None:
    assert classify(KeyError("x")) is ErrorClass.TRANSIENT


def test_no_code_is_in_two_classes() -> None:
    assert len(ERROR_CLASSES) == sum(map(len, _CODES.values()))


def test_the_code_is_awss_or_the_name_of_the_exception() -> None:
    assert error_code(client_error("SlowDown")) == "SlowDown"
    assert error_code(KeyError("x")) == "KeyError"


@pytest.mark.parametrize("response", [{}, {"Error": {}}, {"Error": {"Code": ""}}])
def test_an_answer_without_a_code_has_the_name_of_the_exception_because_sqs_refuses_empty_attributes(
    response: Any,
) -> None:
    assert error_code(ClientError(response, "Operation")) == "ClientError"


def test_a_malformed_message_is_described_by_location_and_not_by_content() -> None:
    described = describe(validation_error(json.dumps(EXAMPLE | {"type": "our secret", "data": 1})))

    assert described.startswith("type: String should match pattern")
    assert "; data: Input should be " in described
    assert "secret" not in described


def test_a_body_that_is_not_json_is_described() -> None:
    assert describe(validation_error("our secret")).startswith("body: Invalid JSON")


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationException"])
def test_a_misconfiguration_is_described_by_awss_message(code: str) -> None:
    described = describe(client_error(code, "role may not s3:PutObject"))

    assert described == f"An error occurred ({code}) when calling the Operation operation: role may not s3:PutObject"


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidMessageContents"])
def test_what_aws_says_about_a_message_that_it_does_not_take_is_left_out(code: str) -> None:
    assert describe(client_error(code, "not 'our secret'", "SendMessage")) == f"{code} from SendMessage"


@pytest.mark.parametrize("code", ["ThrottlingException", "BrandNewException"])
def test_other_responses_are_described_without_awss_message_which_may_be_confidential(code: str) -> None:
    assert describe(client_error(code, "our secret")) == f"{code} from Operation"


@pytest.mark.parametrize("error", [KeyError("our secret"), ParamValidationError(report="value: our secret")])
def test_any_other_exception_is_described_by_its_name(error: Exception) -> None:
    assert describe(error) == type(error).__name__


def test_a_description_fits_into_a_message_attribute() -> None:
    described = describe(client_error("AccessDenied", "\x00\n\x1b" + "x" * 1000))

    assert described.isprintable()
    assert len(described) == 256
