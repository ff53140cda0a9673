"""The identity of a message: its ID and time from SQS, or the original ID and time after a redrive."""

from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from processor.identity import Identity, identify
from tests.unit.emulated import MESSAGE_ID, SENT, sqs_record

FIRST_ID = "00000000-aaaa-4bbb-8ccc-dddddddddddd"
GIVEN = Identity(MESSAGE_ID, str(SENT))
FIRST = Identity(FIRST_ID, str(SENT))
# IDs and times that SQS cannot assign.
IDS = ["", None, "m-1", FIRST_ID.upper(), f"{FIRST_ID}\n", f"{FIRST_ID}0", f"../{FIRST_ID}", "a" * 36]
TIMES = ["", None, "yesterday", str(SENT)[:-1], f"0{SENT}", "-772280000123", "\N{ARABIC-INDIC DIGIT ONE}" * 13]
LATER = str(SENT + 1)


def text(value: str | None) -> dict[str, Any]:
    """Return a string attribute in Lambda's format."""
    return {"dataType": "String", "stringValue": value}


def identity(**attributes: dict[str, Any]) -> Identity:
    return identify(SQSRecord(sqs_record("", **attributes)))


REDRIVEN = {name: text(value) for name, value in FIRST.attributes.items()}
IGNORED = [
    {},
    *({name: REDRIVEN[name]} for name in REDRIVEN),
    *(REDRIVEN | {"OriginalMessageId": text(value)} for value in IDS),
    *(REDRIVEN | {"OriginalSentTimestamp": text(value)} for value in (*TIMES, LATER)),
    *(REDRIVEN | {"OriginalMessageId": other} for other in ({}, {"dataType": "Binary", "binaryValue": "AAEC"})),
]


def test_a_redriven_message_keeps_its_original_id_and_time() -> None:
    assert [*REDRIVEN] == ["OriginalMessageId", "OriginalSentTimestamp"]
    assert identity(**REDRIVEN) == FIRST


@pytest.mark.parametrize("attributes", IGNORED)
def test_an_identity_that_sqs_cannot_have_given_is_ignored(attributes: dict[str, Any]) -> None:
    assert identity(**attributes) == GIVEN


def test_the_time_is_in_utc() -> None:
    assert GIVEN.sent == datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
