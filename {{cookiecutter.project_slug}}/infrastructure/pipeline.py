"""The pipeline, assembled from its components."""

import pulumi

from infrastructure.account import Account
from infrastructure.context import Context
from infrastructure.encryption import Encryption
from infrastructure.messaging import Messaging
from infrastructure.monitoring import Alarms, Dashboard, Metrics
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

    def __init__(self, settings: Settings) -> None:
        super().__init__("pipeline:infrastructure:Pipeline", "pipeline")
        child = pulumi.ResourceOptions(parent=self)
        context = Context(settings, Account.current(), pulumi.get_project())
        key_arn = Encryption(context, opts=child).key_arn
        self.storage = Storage(context, key_arn, opts=child)
        self.messaging = Messaging(context, key_arn, opts=child)
        self.processing = Processing(context, key_arn, storage=self.storage, messaging=self.messaging, opts=child)
        metrics = Metrics(self.storage, self.messaging, self.processing)
        self.alarms = Alarms(context, metrics, opts=child)
        Dashboard(context, metrics, opts=child)
        self.register_outputs({})
