"""Large payloads: kept in S3, with only their key in DynamoDB, and put back when they are read.

The key is random, so an upload whose write is then lost to another writer harms nobody.
"""

from collections.abc import Iterable
from typing import Any

import pydantic_core

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.domain.events import to_json
from runyard_service.domain.ids import new_id

# An item holds at most 400 KB; a payload above this size would also make every read of its
# neighbours dear.
MAX_INLINE_BYTES = 100 * 1024


class Payloads:
    """The bucket's `runs/<run id>/payloads/` and `threads/<thread id>/payloads/`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def save(self, owner_id: str, value: Any, *, owners: str = "runs") -> str:
        """Store the value as JSON; gives the key to find it by."""
        return self.save_text(owner_id, to_json(value), owners=owners)

    def save_text(self, owner_id: str, text: bytes, *, owners: str = "runs") -> str:
        """The same for what is JSON already."""
        key = f"{owners}/{owner_id}/payloads/{new_id()}.json"
        with translate_errors():
            self._bucket.client.put_object(
                Bucket=self._bucket.name,
                Key=key,
                Body=text,
                ContentType="application/json",
            )
        return key

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete what was kept under these keys, and what is gone already too."""
        self._bucket.delete(keys)

    def delete_all(self, run_id: str) -> None:
        """Delete all that was ever kept for the run, also what no write came to refer to."""
        prefix = f"runs/{run_id}/payloads/"
        self.delete_many(self._bucket.keys_under(prefix))

    def fetch(self, key: str) -> Any:
        """The value that was kept under this key."""
        return pydantic_core.from_json(self.fetch_text(key))

    def fetch_text(self, key: str) -> bytes:
        """The JSON that was kept under this key."""
        with translate_errors():
            answer = self._bucket.client.get_object(Bucket=self._bucket.name, Key=key)
            return answer["Body"].read()
