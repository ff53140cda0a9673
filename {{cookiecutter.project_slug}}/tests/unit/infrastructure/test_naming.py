"""Physical names."""

import re

from infrastructure.naming import Names
from infrastructure.settings import SUFFIX_MAX_LENGTH, Settings
from tools.settings import PROJECT_MAX_LENGTH, read_settings
from tools.testing import example_config

# Maximum lengths of names on AWS.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
MAX_BUCKET_NAME = 63
# https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
MAX_FUNCTION_NAME = 64
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
MAX_QUEUE_NAME = 80


def names(project: str, suffix: str, **settings: str) -> Names:
    """Return the names of a stack."""
    own = {f"orders:{key}": value for key, value in {"environmentSuffix": suffix, **settings}.items()}
    return Names(project, read_settings(Settings, "orders", example_config("orders") | own))


LONGEST = names("p" * PROJECT_MAX_LENGTH, "s" * SUFFIX_MAX_LENGTH)


def test_a_name_has_the_project_the_suffix_and_the_role() -> None:
    assert names("orders", "qa").of("queue") == "orders-qa-queue"


def test_the_longest_bucket_name_has_the_maximum_length() -> None:
    assert len(LONGEST.access_log_bucket("123456789012")) == MAX_BUCKET_NAME
    assert len(LONGEST.payload_bucket("123456789012")) < MAX_BUCKET_NAME


def test_the_longest_function_name_is_short_enough() -> None:
    assert len(LONGEST.function) <= MAX_FUNCTION_NAME


def test_the_payload_bucket_has_the_configured_name_or_one_with_the_account() -> None:
    assert names("orders", "qa").payload_bucket("123456789012") == "orders-qa-payloads-123456789012"
    assert names("orders", "qa", bucketName="our-bucket").payload_bucket("123456789012") == "our-bucket"


def test_the_longest_queue_name_is_short_enough() -> None:
    assert len(LONGEST.of("dead-letter-queue")) <= MAX_QUEUE_NAME


def test_the_log_group_is_the_one_that_lambda_writes_to() -> None:
    assert LONGEST.log_group == f"/aws/lambda/{LONGEST.function}"


def test_names_are_lower_case_as_s3_requires() -> None:
    assert re.fullmatch(r"[a-z0-9-]+", LONGEST.access_log_bucket("123456789012"))
