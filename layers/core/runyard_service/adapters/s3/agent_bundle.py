"""The agents' files as one object in S3: a single write replaces all of them or none.

A reader checks at most every few seconds whether the object has changed.
"""

import json
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.domain.errors import DefinitionError

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

BUNDLE_KEY = "agents/agents.json"

_UNCHANGED = "304"
# Without s3:ListBucket, S3 returns AccessDenied for a missing object.
_MISSING = frozenset({"NoSuchKey", "AccessDenied"})


class _Bundle(BaseModel):
    """The object's content: the text of each file by name."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    files: dict[str, str]


class AgentBundle:
    """The object `key` of the bucket. Threads may share an instance."""

    def __init__(self, bucket: Bucket, key: str = BUNDLE_KEY, refresh_seconds: float = 0) -> None:
        self._bucket = bucket
        self._key = key
        self._refresh_seconds = refresh_seconds
        self._check_lock = threading.Lock()
        self._check_at = 0.0
        self._etag = ""
        self._body = b""

    @property
    def address(self) -> str:
        """The object's S3 URI, for messages."""
        return f"s3://{self._bucket.name}/{self._key}"

    def fingerprint(self) -> str:
        """Return the object's ETag, at most `refresh_seconds` old.

        Raises DefinitionError if the object is missing, StoreUnavailableError if S3 does not
        respond.
        """
        # While one thread checks the object, the others continue with the cached content.
        if self._check_lock.acquire(blocking=not self._etag):
            try:
                if time.monotonic() >= self._check_at:
                    self._refresh()
            finally:
                self._check_lock.release()
        return self._etag

    def read(self) -> Mapping[str, str]:
        """Return the text of each file by name. Raises DefinitionError for an invalid object."""
        self.fingerprint()
        try:
            return _Bundle.model_validate_json(self._body).files
        except ValidationError as error:
            raise DefinitionError(f"{self.address}: is not a bundle of agents") from error

    def write(self, texts: Mapping[str, str]) -> None:
        """Replace all files with these texts, by name."""
        with translate_errors():
            self._bucket.client.put_object(
                Bucket=self._bucket.name,
                Key=self._key,
                Body=json.dumps({"files": dict(texts)}, ensure_ascii=False, indent=1).encode(),
                ContentType="application/json",
            )

    def _refresh(self) -> None:
        condition = {"IfNoneMatch": self._etag} if self._etag else {}
        try:
            with translate_errors():
                response = self._get(condition)
                if response:
                    # In this order: a thread that reads the new ETag also reads the new content.
                    self._body = response["Body"].read()
                    self._etag = response["ETag"]
        finally:
            # Also if S3 did not respond. Until the first success, every request checks.
            if self._etag:
                self._check_at = time.monotonic() + self._refresh_seconds

    def _get(self, condition: Any) -> "GetObjectOutputTypeDef | None":
        try:
            return self._bucket.client.get_object(
                Bucket=self._bucket.name, Key=self._key, **condition
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == _UNCHANGED:
                return None
            if code in _MISSING:
                raise DefinitionError(f"{self.address}: does not exist") from error
            raise
