"""The S3 bucket: its client, and listing and deletion of objects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.domain.errors import StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 deletes at most this many objects in a call.
_BATCH_OBJECTS = 1000


@dataclass(frozen=True)
class Bucket:
    """The bucket of this name, connected at first use: most invocations do not need it."""

    name: str
    connect: "Callable[[], S3Client]"

    @cached_property
    def client(self) -> "S3Client":
        """The client. Its creation takes a twentieth of a cold start."""
        return self.connect()

    def download_url(self, key: str, seconds: float) -> str:
        """Return an address that returns the object to anybody, for this number of seconds."""
        url = self.client.generate_presigned_url(
            "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=ceil(seconds)
        )
        return str(url)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete these objects. A missing object is no error."""
        remaining = iter(keys)
        while batch := list(islice(remaining, _BATCH_OBJECTS)):
            with translate_errors():
                response = self.client.delete_objects(
                    Bucket=self.name,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if response.get("Errors"):
                raise StoreUnavailableError("objects were not deleted")

    def keys_under(self, prefix: str) -> Iterator[str]:
        """Return the keys of all objects with this prefix; read up to 1,000 keys per call."""
        # The caller may delete listed objects: StartAfter names a key, not a number of keys.
        after = ""
        while True:
            with translate_errors():
                response = self.client.list_objects_v2(
                    Bucket=self.name, Prefix=prefix, StartAfter=after
                )
            for entry in response.get("Contents", ()):
                yield (after := entry["Key"])
            if not response.get("IsTruncated"):
                return
