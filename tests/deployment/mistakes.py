"""Mistakes in the function, and the tests of the workflow that must fail."""

from dataclasses import dataclass

from tests.deployment.breakages import (
    BATCH,
    DONE,
    ITEM,
    MALFORMED,
    NOTIFICATION,
    PAYLOAD,
    REPEATED,
    RETRIED,
    SENT_BACK,
    TOO_OFTEN,
)


@dataclass(frozen=True)
class Mistake:
    """A replacement in the function's source.

    Attributes:
        file: The file in the rendered project.
        old: The text to replace.
        new: The replacement.
        caught_by: Exactly the tests of the workflow that must fail.
    """

    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]


MISTAKES: dict[str, Mistake] = {
    "dead-lettered and returned": Mistake(
        "processor/handler.py",
        "return super().success_handler(record, ErrorClass.POISON)",
        "return super().failure_handler(record, exception)",
        (DONE,),
    ),
    "processed and returned": Mistake(
        "processor/handler.py",
        "return super().success_handler(record, result)",
        "return super().failure_handler(record, (ValueError, ValueError(), None))",
        (DONE, REPEATED),
    ),
    "failed but deleted": Mistake(
        "processor/handler.py",
        "        return super().failure_handler(record, exception)",
        "        return super().success_handler(record, exception)",
        (RETRIED, TOO_OFTEN),
    ),
    "malformed but retried": Mistake(
        "processor/handler.py",
        "classify(error) is ErrorClass.POISON or is_last_delivery",
        "is_last_delivery",
        (BATCH, DONE, *MALFORMED, SENT_BACK),
    ),
    "no reason after the last delivery": Mistake(
        "processor/handler.py",
        "classify(error) is ErrorClass.POISON or is_last_delivery",
        "classify(error) is ErrorClass.POISON",
        (TOO_OFTEN,),
    ),
    "another identity after a redrive": Mistake(
        "processor/identity.py",
        "    if is_identity and",
        "    if not is_identity and",
        (SENT_BACK,),
    ),
    "two notifications": Mistake(
        "processor/storage.py",
        "        self.sns.publish(",
        "        topic = self.environment.topic_arn\n"
        '        self.sns.publish(TopicArn=topic, Subject="Event received", Message=json.dumps(item))\n'
        "        self.sns.publish(",
        (BATCH, REPEATED),
    ),
    "notified again": Mistake(
        "processor/storage.py",
        "        if self._is_announced(item):",
        "        if self._is_announced(item) is None:",
        (REPEATED,),
    ),
    "stored again": Mistake("processor/storage.py", '                IfNoneMatch="*",\n', "", (REPEATED,)),
    "payload changed": Mistake(
        "processor/storage.py",
        "record.body.encode()",
        'record.body.replace(" ", "").encode()',
        (BATCH, PAYLOAD, RETRIED, SENT_BACK),
    ),
    "nothing stored": Mistake(
        "processor/storage.py",
        "        item = _item(record, event)\n",
        "        item = _item(record, event)\n        return\n",
        (BATCH, DONE, ITEM, NOTIFICATION, PAYLOAD, REPEATED, RETRIED, SENT_BACK, TOO_OFTEN),
    ),
}
