"""Storage: backups, deletion protection, encryption and lifecycle rules."""

from typing import Any

import pytest

from runyard_dev.template.cloudformation import Resolver, load_document
from tests.template.repository import ROOT, Translated

TABLES = ("EventsTable", "RecordsTable")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_backups_and_deletion_protection(translated: Translated, table: str) -> None:
    properties = translated.properties(table)
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
    assert properties["TimeToLiveSpecification"]["AttributeName"] == "ttl"


@pytest.mark.parametrize("resource", [*TABLES, "Bucket"])
def test_data_is_retained_when_the_stack_is_deleted(translated: Translated, resource: str) -> None:
    definition = translated.document["Resources"][resource]
    assert (definition["DeletionPolicy"], definition["UpdateReplacePolicy"]) == (
        "Retain",
        "Retain",
    )


def test_every_index_projects_only_keys(translated: Translated) -> None:
    """DynamoDB would write a larger projection again at every change of a run."""
    indexes = translated.properties("RecordsTable")["GlobalSecondaryIndexes"]
    assert {index["IndexName"] for index in indexes} >= {"open-runs", "runs-by-project"}
    assert {index["Projection"]["ProjectionType"] for index in indexes} == {"KEYS_ONLY"}


def test_the_bucket_is_private_and_encrypted(translated: Translated) -> None:
    bucket = translated.properties("Bucket")
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert "BucketEncryption" in bucket
    assert "VersioningConfiguration" not in bucket
    (statement,) = translated.properties("BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


KEY = "arn:aws:kms:us-east-1:123456789012:key/6f1d2c3b"
QUEUES = ("WebhookQueue", "WebhookDeadLetterQueue", "PublishDeadLetterQueue")


def encryption(**parameters: str) -> dict[str, Any]:
    """Return the encryption at rest of each resource, for these template parameters."""
    document = load_document(ROOT / "template.yaml")
    resolver = Resolver(document, stack_name="s", parameters=parameters)
    properties = {
        name: resolver.resolve(document["Resources"][name]["Properties"])
        for name in (*TABLES, *QUEUES, "Bucket", "TicketSecret")
    }
    (rule,) = properties["Bucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return {
        **{name: properties[name].get("SSESpecification") for name in TABLES},
        **{
            name: (
                properties[name].get("SqsManagedSseEnabled"),
                properties[name].get("KmsMasterKeyId"),
            )
            for name in QUEUES
        },
        "Bucket": rule,
        "TicketSecret": properties["TicketSecret"].get("KmsKeyId"),
    }


def test_keys_of_aws_encrypt_every_resource_by_default() -> None:
    assert encryption() == {
        **dict.fromkeys(TABLES),  # DynamoDB's default, which needs no property.
        **dict.fromkeys(QUEUES, (True, None)),
        "Bucket": {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
        "TicketSecret": None,
    }


def test_a_key_of_the_account_encrypts_every_resource_with_content() -> None:
    by_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert encryption(KmsKeyArn=KEY) == {
        **{name: {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY} for name in TABLES},
        **dict.fromkeys(QUEUES, (None, KEY)),
        "Bucket": {"ServerSideEncryptionByDefault": by_key, "BucketKeyEnabled": True},
        "TicketSecret": KEY,
    }


def test_the_encryption_tests_cover_every_queue_and_table(translated: Translated) -> None:
    assert set(translated.of_type("AWS::SQS::Queue")) == set(QUEUES)
    assert set(translated.of_type("AWS::DynamoDB::Table")) == set(TABLES)
