"""The classes and descriptions of errors."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from processor.errors import _CODES, ERROR_CLASSES, ErrorClass, classify, describe, error_code
from processor.events import EXAMPLE, Event


def client_error(code: str, message: str = "refused") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def validation_error(body: str) -> ValidationError:
    with pytest.raises(ValidationError) as refusal:
        Event.model_validate_json(body)
    return refusal.value


# One of AWS's error codes of each kind, and its class.
CLASSES = {
    "ThrottlingException": ErrorClass.TRANSIENT,
    "ProvisionedThroughputExceededException": ErrorClass.TRANSIENT,
    "SlowDown": ErrorClass.TRANSIENT,
    "ServiceUnavailable": ErrorClass.TRANSIENT,
    "RequestTimeout": ErrorClass.TRANSIENT,
    "InternalError": ErrorClass.TRANSIENT,
    "KMSThrottlingException": ErrorClass.TRANSIENT,
    "EntityTooLarge": ErrorClass.POISON,
    "ValidationException": ErrorClass.POISON,
    "InvalidParameter": ErrorClass.POISON,
    "AccessDenied": ErrorClass.MISCONFIGURED,
    "AccessDeniedException": ErrorClass.MISCONFIGURED,
    "NoSuchBucket": ErrorClass.MISCONFIGURED,
    "ResourceNotFoundException": ErrorClass.MISCONFIGURED,
    "KMS.DisabledException": ErrorClass.MISCONFIGURED,
    "KMSAccessDeniedException": ErrorClass.MISCONFIGURED,
}


@pytest.mark.parametrize("code", CLASSES)
def test_awss_error_code_decides_the_class(code: str) -> None:
    assert classify(client_error(code)) is CLASSES[code]


@pytest.mark.parametrize("code", ["", "BrandNewException"])
def test_an_unknown_code_counts_as_transient(code: str) -> None:
    assert classify(client_error(code)) is ErrorClass.TRANSIENT


def test_a_response_without_a_code_counts_as_transient() -> None:
    assert classify(ClientError({}, "Operation")) is ErrorClass.TRANSIENT


def test_a_failed_connection_is_transient() -> None:
    assert classify(EndpointConnectionError(endpoint_url="https://example.com")) is ErrorClass.TRANSIENT
    assert classify(ReadTimeoutError(endpoint_url="https://example.com")) is ErrorClass.TRANSIENT


def test_missing_credentials_are_a_misconfiguration() -> None:
    assert classify(NoCredentialsError()) is ErrorClass.MISCONFIGURED


def test_a_malformed_message_is_poison() -> None:
    assert classify(validation_error("{")) is ErrorClass.POISON


def test_a_programming_error_is_transient_so_that_no_message_is_lost() -> None:
    assert classify(KeyError("x")) is ErrorClass.TRANSIENT


def test_no_code_is_in_two_classes() -> None:
    assert len(ERROR_CLASSES) == sum(map(len, _CODES.values()))


def test_the_code_is_awss_or_the_name_of_the_exception() -> None:
    assert error_code(client_error("SlowDown")) == "SlowDown"
    assert error_code(KeyError("x")) == "KeyError"


def test_a_malformed_message_is_described_by_location_and_not_by_content() -> None:
    described = describe(validation_error(json.dumps(EXAMPLE | {"type": "our secret", "data": 1})))

    assert described.startswith("type: String should match pattern")
    assert "; data: Input should be " in described
    assert "secret" not in described


def test_a_body_that_is_not_json_is_described() -> None:
    assert describe(validation_error("our secret")).startswith("body: Invalid JSON")


def test_a_misconfiguration_is_described_by_awss_message() -> None:
    assert "may not s3:PutObject" in describe(client_error("AccessDenied", "role may not s3:PutObject"))


@pytest.mark.parametrize("code", ["KeyTooLongError", "ThrottlingException", "BrandNewException"])
def test_other_responses_are_described_without_awss_message_which_may_be_confidential(code: str) -> None:
    assert describe(client_error(code, "our secret")) == f"{code} from Operation"


@pytest.mark.parametrize("error", [KeyError("our secret"), ParamValidationError(report="value: our secret")])
def test_any_other_exception_is_described_by_its_name(error: Exception) -> None:
    assert describe(error) == type(error).__name__


OPERATIONS = {
    "s3": ["PutObject"],
    "dynamodb": ["PutItem", "UpdateItem"],
    "sns": ["Publish"],
    "sqs": ["SendMessage"],
}
# Means that the message was delivered before.
EXPECTED = {"ConditionalCheckFailedException"}


@pytest.mark.parametrize("service", OPERATIONS)
def test_every_error_that_the_services_document_is_in_the_table(service: str, clients: dict[str, Any]) -> None:
    model = clients[service].meta.service_model
    shapes = [shape for name in OPERATIONS[service] for shape in model.operation_model(name).error_shapes]
    codes = {shape.metadata.get("error", {}).get("code", shape.name) for shape in shapes} - EXPECTED

    assert codes - set(ERROR_CLASSES) == set()


def test_a_description_fits_into_a_message_attribute() -> None:
    described = describe(client_error("AccessDenied", "\x00\n\x1b" + "x" * 1000))

    assert described.isprintable()
    assert len(described) == 256
