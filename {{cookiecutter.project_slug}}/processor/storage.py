"""Processing of a message: store the payload, write the item, publish the notification."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError

from processor.environment import Environment
from processor.errors import error_code
from processor.events import Event
from processor.identity import identify
from processor.names import EXPIRY_ATTRIBUTE, OBJECT_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True)
class MessageStore:
    """Stores each message as one object and one item, and publishes one notification.

    Storing is idempotent: a duplicate delivery creates no second object version or item. It repeats the notification
    only if no earlier delivery has marked the item as announced.

    Attributes:
        s3: S3 client.
        dynamodb: DynamoDB client.
        sns: SNS client.
        environment: Names of the bucket, the table and the topic.
    """

    s3: S3Client
    dynamodb: DynamoDBClient
    sns: SNSClient
    environment: Environment

    def store(self, record: SQSRecord) -> None:
        """Process a message, or complete the work of an earlier delivery.

        Raises:
            pydantic.ValidationError: If the body is not a valid event.
            botocore.exceptions.ClientError: If AWS rejects a call.
            botocore.exceptions.BotoCoreError: If AWS cannot be reached.
        """
        event = Event.model_validate_json(record.body)
        item = _item(record, event)
        self._store_payload(item["object_key"], record.body.encode())
        if self._is_announced(item):
            return
        self.sns.publish(
            TopicArn=self.environment.topic_arn,
            Subject="Event received",
            Message=json.dumps(item, sort_keys=True),
            MessageAttributes={"type": {"DataType": "String", "StringValue": event.type}},
        )
        # The condition keeps an expired item from being recreated without expiry.
        with suppress(self.dynamodb.exceptions.ConditionalCheckFailedException):
            self.dynamodb.update_item(
                TableName=self.environment.table_name,
                Key={"message_id": {"S": item["message_id"]}},
                UpdateExpression="SET announced = :true",
                ConditionExpression="attribute_exists(message_id)",
                ExpressionAttributeValues={":true": {"BOOL": True}},
            )

    def _store_payload(self, key: str, payload: bytes) -> None:
        """Store the payload unless an earlier delivery has stored it: a second version would only add cost."""
        try:
            self.s3.put_object(
                Bucket=self.environment.bucket_name,
                Key=key,
                Body=payload,
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error_code(error) != "PreconditionFailed":
                raise

    def _is_announced(self, item: dict[str, str]) -> bool:
        """Write the item unless it exists, and return whether it is marked as announced."""
        attributes: dict[str, Any] = {name: {"S": value} for name, value in item.items()}
        if self.environment.data_retention_days:
            # DynamoDB deletes an item after this time, in seconds since 1970:
            # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
            kept = timedelta(days=self.environment.data_retention_days)
            expires_at = datetime.fromisoformat(item["timestamp"]) + kept
            attributes[EXPIRY_ATTRIBUTE] = {"N": str(int(expires_at.timestamp()))}
        try:
            self.dynamodb.put_item(
                TableName=self.environment.table_name,
                Item=attributes | {"announced": {"BOOL": False}},
                ConditionExpression="attribute_not_exists(message_id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException as error:
            # The type stub of `error.response` has no `Item`.
            return cast(dict[str, Any], error.response)["Item"]["announced"]["BOOL"]
        return False


def _item(record: SQSRecord, event: Event) -> dict[str, str]:
    """Return a message's item. The index's partition key is the date, so a query covers one date only."""
    identity = identify(record)
    date = identity.sent.date().isoformat()
    return {
        "message_id": identity.message_id,
        "date": date,
        "timestamp": identity.sent.isoformat(timespec="milliseconds"),
        "type": event.type,
        "object_key": f"{OBJECT_PREFIX}{date}/{identity.message_id}.json",
    }
