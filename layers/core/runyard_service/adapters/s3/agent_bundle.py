"""The agents' files as one object in S3: a single put replaces them all, or none.

Whoever reads them asks S3 at most every few seconds whether the object is still the same.
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
# Without s3:ListBucket, S3 says AccessDenied of an object that is not there.
_NOT_THERE = frozenset({"NoSuchKey", "AccessDenied"})


class _Bundle(BaseModel):
    """The object's content: every file's text by its name."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    files: dict[str, str]


class AgentBundle:
    """The object `key` of the bucket; one instance may serve several threads."""

    def __init__(self, bucket: Bucket, key: str = BUNDLE_KEY, refresh_seconds: float = 0) -> None:
        self._bucket = bucket
        self._key = key
        self._refresh_seconds = refresh_seconds
        self._asking = threading.Lock()
        self._ask_at = 0.0
        self._etag = ""
        self._body = b""

    @property
    def address(self) -> str:
        """Where the object is, for people."""
        return f"s3://{self._bucket.name}/{self._key}"

    def fingerprint(self) -> str:
        """The object's ETag, at most `refresh_seconds` old.

        Raises DefinitionError where it is not there, StoreUnavailableError where S3 does not say.
        """
        # While one request asks, the others go on with what is there.
        if self._asking.acquire(blocking=not self._etag):
            try:
                if time.monotonic() >= self._ask_at:
                    self._head()
            finally:
                self._asking.release()
        return self._etag

    def read(self) -> Mapping[str, str]:
        """Every file's text by its name. Raises DefinitionError where the object holds none."""
        self.fingerprint()
        try:
            return _Bundle.model_validate_json(self._body).files
        except ValidationError as error:
            raise DefinitionError(f"{self.address}: is not a bundle of agents") from error

    def write(self, texts: Mapping[str, str]) -> None:
        """Replace all files by these."""
        with translate_errors():
            self._bucket.client.put_object(
                Bucket=self._bucket.name,
                Key=self._key,
                Body=json.dumps({"files": dict(texts)}, ensure_ascii=False, indent=1).encode(),
                ContentType="application/json",
            )

    def _head(self) -> None:
        known = {"IfNoneMatch": self._etag} if self._etag else {}
        try:
            with translate_errors():
                answer = self._get(known)
                if answer:
                    # In this order: whoever sees the new ETag finds the new content.
                    self._body = answer["Body"].read()
                    self._etag = answer["ETag"]
        finally:
            # Also where S3 did not answer. While nothing is there yet, every request asks.
            if self._etag:
                self._ask_at = time.monotonic() + self._refresh_seconds

    def _get(self, known: Any) -> "GetObjectOutputTypeDef | None":
        try:
            return self._bucket.client.get_object(Bucket=self._bucket.name, Key=self._key, **known)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == _UNCHANGED:
                return None
            if code in _NOT_THERE:
                raise DefinitionError(f"{self.address}: is not there") from error
            raise
