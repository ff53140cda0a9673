"""Mistakes in the function, and the tests of the workflow that must notice what becomes of messages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One text of the function's source that is replaced with another.

    Attributes:
        file: The file in the rendered project.
        old: What is replaced.
        new: What it is replaced with.
        caught_by: The tests of the workflow that fail, and no others do.
    """

    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]


BATCH = "test_of_ten_messages_one_is_bad_and_nine_are_processed_once"
PAYLOAD = "test_a_payload_is_stored_byte_for_byte"
ITEM = "test_an_item_is_found_by_time"
NOTIFICATION = "test_a_message_is_announced_with_its_item"
MALFORMED = (
    "test_a_malformed_message_is_dead_lettered_with_its_reason[data]",
    "test_a_malformed_message_is_dead_lettered_with_its_reason[JSON]",
)
RETRIED = "test_a_transient_failure_is_retried_and_then_done"
TOO_OFTEN = "test_a_message_that_fails_too_often_is_dead_lettered_by_its_queue"

MISTAKES: dict[str, Mistake] = {
    "dead-lettered, and returned too": Mistake(
        "processor/handler.py",
        "return super().success_handler(record, ErrorClass.POISON)",
        "return super().failure_handler(record, exception)",
        (BATCH,),
    ),
    "done, and returned too": Mistake(
        "processor/handler.py",
        "return super().success_handler(record, result)",
        "return super().failure_handler(record, (ValueError, ValueError(), None))",
        (BATCH, RETRIED),
    ),
    "failed, and deleted": Mistake(
        "processor/handler.py",
        "        return super().failure_handler(record, exception)",
        "        return super().success_handler(record, exception)",
        (RETRIED, TOO_OFTEN),
    ),
    "malformed, and tried again": Mistake(
        "processor/handler.py",
        "if classify(error) is ErrorClass.POISON:",
        "if classify(error) is None:",
        (BATCH, *MALFORMED),
    ),
    "announced twice": Mistake(
        "processor/storage.py",
        "        self.sns.publish(",
        '        self.sns.publish(TopicArn=self.topic_arn, Subject="Event received", Message=json.dumps(item))\n'
        "        self.sns.publish(",
        (BATCH,),
    ),
    "stored otherwise than it came": Mistake(
        "processor/storage.py",
        "Body=record.body.encode()",
        'Body=record.body.replace(" ", "").encode()',
        (BATCH, PAYLOAD, RETRIED),
    ),
    "neither stored nor announced": Mistake(
        "processor/storage.py",
        "        item = _item(record, event)\n",
        "        item = _item(record, event)\n        return\n",
        (BATCH, ITEM, NOTIFICATION, PAYLOAD, RETRIED, TOO_OFTEN),
    ),
}
