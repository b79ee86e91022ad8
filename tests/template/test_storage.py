"""What is kept is kept: backups, protection, encryption, an end for what may end."""

import pytest

from tests.template.repository import Translated

TABLES = ("EventsTable", "RecordsTable")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_backed_up_and_protected(translated: Translated, table: str) -> None:
    properties = translated.properties(table)
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
    assert properties["TimeToLiveSpecification"]["AttributeName"] == "ttl"


@pytest.mark.parametrize("resource", [*TABLES, "Bucket"])
def test_data_outlives_its_stack(translated: Translated, resource: str) -> None:
    kept = translated.document["Resources"][resource]
    assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == (
        "RetainExceptOnCreate",
        "Retain",
    )


def test_only_keys_are_projected_to_every_index(translated: Translated) -> None:
    """A larger projection would be written again at every change of a run."""
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
