"""Deletion in the bucket: of objects by their names, and of all that lie under a prefix."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from runyard.domain.errors import StoreUnavailableError
from runyard.store.dynamo import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What S3 takes in one call, and gives in one.
_AT_ONCE = 1000


def delete_objects(client: "S3Client", bucket: str, keys: Iterable[str]) -> None:
    """Delete these objects; one that is gone already is no fault."""
    left = iter(keys)
    while batch := list(islice(left, _AT_ONCE)):
        with translated():
            answer = client.delete_objects(
                Bucket=bucket,
                Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
            )
        if answer.get("Errors"):
            raise StoreUnavailableError("objects were not deleted")


def keys_under(client: "S3Client", bucket: str, prefix: str) -> Iterator[str]:
    """The names of all objects that begin with the prefix, a thousand at a time."""
    # Deleting what was listed moves no other name, so the place in the list holds.
    after = ""
    while True:
        with translated():
            answer = client.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after)
        for found in answer.get("Contents", ()):
            yield (after := found["Key"])
        if not answer.get("IsTruncated"):
            return
