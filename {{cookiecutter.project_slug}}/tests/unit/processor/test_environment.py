"""The function's environment variables."""

import pytest

from processor.environment import Environment, read_environment

ENVIRONMENT = Environment("1", "2", "3", "4", "5", max_receive_count=6, data_retention_days=7, environment="8")
VARIABLES = {
    "BUCKET_NAME": "1",
    "TABLE_NAME": "2",
    "TOPIC_ARN": "3",
    "QUEUE_URL": "4",
    "DLQ_URL": "5",
    "MAX_RECEIVE_COUNT": "6",
    "DATA_RETENTION_DAYS": "7",
    "ENVIRONMENT": "8",
}


def test_the_function_reads_what_the_infrastructure_sets() -> None:
    assert ENVIRONMENT.variables() == VARIABLES
    assert read_environment(VARIABLES | {"PATH": "/bin"}) == ENVIRONMENT


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(KeyError, match="DLQ_URL"):
        read_environment({name: value for name, value in VARIABLES.items() if name != "DLQ_URL"})


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="many"):
        read_environment(VARIABLES | {"MAX_RECEIVE_COUNT": "many"})
