"""Mistakes in the function, and the tests of the workflow that must notice what becomes of messages."""

from dataclasses import dataclass

from tests.deployment.breakages import (
    BATCH,
    DONE,
    ITEM,
    MALFORMED,
    NOTIFICATION,
    PAYLOAD,
    RETRIED,
    TOO_OFTEN,
)


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


MISTAKES: dict[str, Mistake] = {
    "dead-lettered, and returned too": Mistake(
        "processor/handler.py",
        "return super().success_handler(record, ErrorClass.POISON)",
        "return super().failure_handler(record, exception)",
        (DONE,),
    ),
    "done, and returned too": Mistake(
        "processor/handler.py",
        "return super().success_handler(record, result)",
        "return super().failure_handler(record, (ValueError, ValueError(), None))",
        (DONE,),
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
        (BATCH, DONE, *MALFORMED),
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
        (BATCH, DONE, ITEM, NOTIFICATION, PAYLOAD, RETRIED, TOO_OFTEN),
    ),
}
