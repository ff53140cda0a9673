"""The Pulumi program: read the settings, build the pipeline, export the outputs."""

import pulumi

from infrastructure.pipeline import Pipeline
from infrastructure.settings import Settings
from tools.settings import load_settings

pipeline = Pipeline(load_settings(Settings))

pulumi.export("bucket_name", pipeline.storage.bucket.bucket)
pulumi.export("bucket_arn", pipeline.storage.bucket.arn)
pulumi.export("table_name", pipeline.storage.table.name)
pulumi.export("table_arn", pipeline.storage.table.arn)
pulumi.export("topic_arn", pipeline.messaging.topic.arn)
pulumi.export("queue_url", pipeline.messaging.queue.url)
pulumi.export("queue_arn", pipeline.messaging.queue.arn)
pulumi.export("dlq_url", pipeline.messaging.dead_letter_queue.url)
pulumi.export("dlq_arn", pipeline.messaging.dead_letter_queue.arn)
pulumi.export("function_arn", pipeline.processing.function.arn)
pulumi.export("function_name", pipeline.processing.function.name)
pulumi.export("lambda_role_arn", pipeline.processing.role.arn)
pulumi.export("alarm_topic_arn", pipeline.alarms.topic.arn)
