"""Large payloads: stored in S3, with only their key in DynamoDB.

The key is random, so an upload is harmless if the item that names it loses to another writer.
"""

from collections.abc import Iterable
from typing import Any

import pydantic_core

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.domain.events import to_json
from runyard_service.domain.ids import new_id

# An item holds at most 400 KB. A larger payload than this would also make queries expensive that
# read the items next to it.
MAX_INLINE_BYTES = 100 * 1024


class Payloads:
    """The bucket's `runs/<run id>/payloads/` and `threads/<thread id>/payloads/`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def save(self, owner_id: str, value: Any, *, owners: str = "runs") -> str:
        """Store the value as JSON, and return its key."""
        return self.save_text(owner_id, to_json(value), owners=owners)

    def save_text(self, owner_id: str, text: bytes, *, owners: str = "runs") -> str:
        """Store JSON text in UTF-8, and return its key."""
        key = f"{owners}/{owner_id}/payloads/{new_id()}.json"
        with translate_errors():
            self._bucket.client.put_object(
                Bucket=self._bucket.name,
                Key=key,
                Body=text,
                ContentType="application/json",
            )
        return key

    def download_url(self, key: str, seconds: float) -> str:
        """Return an address that returns the payload to anybody, for this number of seconds."""
        return self._bucket.download_url(key, seconds)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete the payloads of these keys. A missing payload is no error."""
        self._bucket.delete(keys)

    def delete_all(self, run_id: str) -> None:
        """Delete all payloads of the run, also those that no item names."""
        prefix = f"runs/{run_id}/payloads/"
        self.delete_many(self._bucket.keys_under(prefix))

    def fetch(self, key: str) -> Any:
        """Return the value stored under this key."""
        return pydantic_core.from_json(self.fetch_text(key))

    def fetch_text(self, key: str) -> bytes:
        """Return the JSON text stored under this key, in UTF-8."""
        with translate_errors():
            response = self._bucket.client.get_object(Bucket=self._bucket.name, Key=key)
            return response["Body"].read()
