"""Copies of tables and of a bucket, as a restore makes them.

A restored table has the items and the indexes of its source. It has no stream, no expiry, no
point-in-time recovery and no deletion protection (DynamoDB developer guide, "Restoring a DynamoDB
table to a point in time").
"""

from typing import Any

_BATCH = 25  # Items in a BatchWriteItem request at most.


def restore_table(dynamodb: Any, source: str, target: str) -> None:
    """Create the table `target` with the items of `source`."""
    found = dynamodb.describe_table(TableName=source)["Table"]
    schema = {name: found[name] for name in ("AttributeDefinitions", "KeySchema")}
    if indexes := found.get("GlobalSecondaryIndexes"):
        schema["GlobalSecondaryIndexes"] = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in indexes
        ]
    dynamodb.create_table(TableName=target, BillingMode="PAY_PER_REQUEST", **schema)
    dynamodb.get_waiter("table_exists").wait(TableName=target, WaiterConfig={"Delay": 1})
    for page in dynamodb.get_paginator("scan").paginate(TableName=source):
        writes = [{"PutRequest": {"Item": item}} for item in page["Items"]]
        for start in range(0, len(writes), _BATCH):
            batch: Any = {target: writes[start : start + _BATCH]}
            while batch:
                batch = dynamodb.batch_write_item(RequestItems=batch)["UnprocessedItems"]


def copy_bucket(s3: Any, source: str, target: str) -> None:
    """Create the bucket `target` with the objects of `source`."""
    s3.create_bucket(Bucket=target)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=source):
        for item in page.get("Contents", []):
            key = item["Key"]
            s3.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})
