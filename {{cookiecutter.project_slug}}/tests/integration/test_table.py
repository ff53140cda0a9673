"""The table: what is deployed is what was promised."""

from typing import Any

import pytest

from infrastructure.storage import TIMESTAMP_INDEX
from tests.integration.deployed import Deployed, hold

KEYS = [{"AttributeName": "message_id", "KeyType": "HASH"}]
INDEX_KEYS = [{"AttributeName": "date", "KeyType": "HASH"}, {"AttributeName": "timestamp", "KeyType": "RANGE"}]


@pytest.fixture(scope="module", name="table")
def fixture_table(deployed: Deployed) -> dict[str, Any]:
    """The table, as DynamoDB describes it."""
    return deployed.client("dynamodb").describe_table(TableName=deployed.outputs["table_name"])["Table"]


def test_an_item_is_found_by_its_message(table: dict[str, Any]) -> None:
    hold(table["TableName"], "keys", found=table["KeySchema"], promised=KEYS)


def test_an_index_finds_items_by_time(table: dict[str, Any]) -> None:
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}

    found = indexes.get(TIMESTAMP_INDEX, {})
    hold(table["TableName"], f"keys of {TIMESTAMP_INDEX}", found=found.get("KeySchema"), promised=INDEX_KEYS)
    hold(
        table["TableName"],
        f"projection of {TIMESTAMP_INDEX}",
        found=found["Projection"]["ProjectionType"],
        promised="ALL",
    )


def test_the_table_is_paid_for_by_use(table: dict[str, Any]) -> None:
    found = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")

    hold(table["TableName"], "billing", found=found, promised="PAY_PER_REQUEST")


def test_the_table_can_be_recovered(deployed: Deployed, table: dict[str, Any]) -> None:
    backups = deployed.client("dynamodb").describe_continuous_backups(TableName=table["TableName"])

    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    hold(table["TableName"], "recovery", found=recovery["PointInTimeRecoveryStatus"], promised="ENABLED")


def test_items_are_encrypted_with_the_stacks_key(deployed: Deployed, table: dict[str, Any]) -> None:
    encryption = table.get("SSEDescription", {})

    found = (encryption.get("SSEType"), encryption.get("KMSMasterKeyArn"))
    hold(table["TableName"], "encryption", found=found, promised=("KMS", deployed.key_arn))


def test_the_table_of_production_cannot_be_deleted(deployed: Deployed, table: dict[str, Any]) -> None:
    found = table.get("DeletionProtectionEnabled", False)

    hold(table["TableName"], "deletion protection", found=found, promised=deployed.settings.is_production)
