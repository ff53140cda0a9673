"""The whole pipeline, put together from its components."""

import pulumi

from infrastructure.account import Account
from infrastructure.alarms import Alarms
from infrastructure.context import Context
from infrastructure.dashboard import Dashboard
from infrastructure.encryption import Encryption
from infrastructure.messaging import Messaging
from infrastructure.metrics import Metrics
from infrastructure.naming import Names
from infrastructure.processing import Processing
from infrastructure.settings import Settings
from infrastructure.storage import Storage


class Pipeline(pulumi.ComponentResource):
    """The event pipeline of a stack: queue, function, bucket, table, topic, alarms and dashboard.

    Attributes:
        storage: The payload bucket and the table.
        messaging: The queues and the topic.
        processing: The function and its role.
        alarms: The alarms and their topic.
    """

    storage: Storage
    messaging: Messaging
    processing: Processing
    alarms: Alarms

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pipeline:infrastructure:Pipeline", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        context = Context(settings, Names(pulumi.get_project(), settings), Account.current())
        kms_key_arn = Encryption("encryption", context, opts=child).key_arn
        self.storage = Storage("storage", context=context, kms_key_arn=kms_key_arn, opts=child)
        self.messaging = Messaging("messaging", context=context, kms_key_arn=kms_key_arn, opts=child)
        self.processing = Processing(
            "processing",
            context=context,
            storage=self.storage,
            messaging=self.messaging,
            kms_key_arn=kms_key_arn,
            opts=child,
        )
        metrics = Metrics(self.storage, self.messaging, self.processing)
        self.alarms = Alarms("alarms", context=context, metrics=metrics, kms_key_arn=kms_key_arn, opts=child)
        Dashboard("dashboard", context=context, metrics=metrics, opts=child)
        self.register_outputs({})
