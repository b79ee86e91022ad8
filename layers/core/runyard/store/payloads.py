"""Large payloads: kept in S3, with only their key in DynamoDB, and put back when they are read.

The key is random, so an upload whose write is then lost to another writer harms nobody.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runyard.domain.errors import StoreUnavailableError
from runyard.domain.ids import new_id
from runyard.store.dynamo import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# An item holds at most 400 KB; a payload above this size would also make every read of its
# neighbours dear.
MAX_INLINE_BYTES = 100 * 1024
# What S3 takes in one call.
_DELETED_AT_ONCE = 1000


class Payloads:
    """The bucket's `runs/<run id>/payloads/` and `threads/<thread id>/payloads/`."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def keep(self, owner_id: str, value: Any, *, owners: str = "runs") -> str:
        """Store the value as JSON; gives the key to find it by."""
        key = f"{owners}/{owner_id}/payloads/{new_id()}.json"
        with translated():
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=json.dumps(value, ensure_ascii=False).encode(),
                ContentType="application/json",
            )
        return key

    def delete_many(self, keys: Sequence[str]) -> None:
        """Delete what was kept under these keys, and what is gone already too."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = keys[start : start + _DELETED_AT_ONCE]
            with translated():
                answer = self._client.delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if answer.get("Errors"):
                raise StoreUnavailableError("objects were not deleted")

    def fetch(self, key: str) -> Any:
        """The value that was kept under this key."""
        with translated():
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return json.loads(body)
