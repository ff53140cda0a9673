"""The identity of a message: SQS's id and time, or the first ones if the message was sent back."""

from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from processor.identity import Identity, identify
from tests.unit.emulated import MESSAGE_ID, SENT, sqs_record

FIRST_ID = "00000000-aaaa-4bbb-8ccc-dddddddddddd"
FIRST_SENT = str(SENT - 86_400_000)
GIVEN = Identity(MESSAGE_ID, str(SENT))


def text(value: str | None) -> dict[str, Any]:
    """Return a text attribute as Lambda passes it."""
    return {"dataType": "String", "stringValue": value}


SENT_BACK = {"OriginalMessageId": text(FIRST_ID), "OriginalSentTimestamp": text(FIRST_SENT)}


def identity(**attributes: dict[str, Any]) -> Identity:
    """Return the identity of a message with these attributes."""
    return identify(SQSRecord(sqs_record("", **attributes)))


def test_a_new_message_has_the_id_and_the_time_that_sqs_gave_it() -> None:
    assert identity() == GIVEN


def test_a_message_that_was_sent_back_keeps_its_first_id_and_time() -> None:
    assert identity(**SENT_BACK) == Identity(FIRST_ID, FIRST_SENT)


def test_the_attributes_of_an_identity_bring_it_back() -> None:
    attributes = {name: text(value) for name, value in identity(**SENT_BACK).attributes.items()}

    assert attributes == SENT_BACK


@pytest.mark.parametrize("missing", SENT_BACK)
def test_half_an_identity_is_ignored(missing: str) -> None:
    assert identity(**{name: value for name, value in SENT_BACK.items() if name != missing}) == GIVEN


@pytest.mark.parametrize(
    "message_id",
    ["", None, "m-1", FIRST_ID.upper(), f"{FIRST_ID}\n", f"{FIRST_ID}0", FIRST_ID[:-1], f"../{FIRST_ID}", "a" * 36],
)
def test_an_id_that_sqs_cannot_have_given_is_ignored(message_id: str | None) -> None:
    assert identity(**SENT_BACK | {"OriginalMessageId": text(message_id)}) == GIVEN


@pytest.mark.parametrize(
    "sent_timestamp",
    ["", None, "yesterday", FIRST_SENT[:-1], f"0{FIRST_SENT}", "-772280000123", "\N{ARABIC-INDIC DIGIT ONE}" * 13],
)
def test_a_time_that_sqs_cannot_have_given_is_ignored(sent_timestamp: str | None) -> None:
    assert identity(**SENT_BACK | {"OriginalSentTimestamp": text(sent_timestamp)}) == GIVEN


@pytest.mark.parametrize(("later", "is_ignored"), [(0, False), (1, True)])
def test_a_first_time_after_the_message_was_sent_is_ignored(later: int, is_ignored: bool) -> None:
    claimed = identity(**SENT_BACK | {"OriginalSentTimestamp": text(str(SENT + later))})

    assert (claimed == GIVEN) is is_ignored


@pytest.mark.parametrize("attribute", [{}, {"dataType": "Binary", "binaryValue": "AAEC"}])
def test_an_attribute_that_is_no_text_is_ignored(attribute: dict[str, Any]) -> None:
    assert identity(**SENT_BACK | {"OriginalMessageId": attribute}) == GIVEN


def test_the_time_is_in_utc() -> None:
    assert GIVEN.sent == datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
