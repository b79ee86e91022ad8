"""The bucket: its client, and deletion of objects by their names."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.domain.errors import StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What S3 takes in one call, and gives in one.
_AT_ONCE = 1000


@dataclass(frozen=True)
class Bucket:
    """The bucket of this name, connected at its first use: most invocations need none of it."""

    name: str
    connect: "Callable[[], S3Client]"

    @cached_property
    def client(self) -> "S3Client":
        """The client; to make it is a twentieth of a cold start."""
        return self.connect()

    def delete(self, keys: Iterable[str]) -> None:
        """Delete these objects; one that is gone already is no fault."""
        left = iter(keys)
        while batch := list(islice(left, _AT_ONCE)):
            with translate_errors():
                answer = self.client.delete_objects(
                    Bucket=self.name,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if answer.get("Errors"):
                raise StoreUnavailableError("objects were not deleted")

    def keys_under(self, prefix: str) -> Iterator[str]:
        """The names of all objects that begin with the prefix, a thousand at a time."""
        # Deleting what was listed moves no other name, so the place in the list holds.
        after = ""
        while True:
            with translate_errors():
                answer = self.client.list_objects_v2(
                    Bucket=self.name, Prefix=prefix, StartAfter=after
                )
            for found in answer.get("Contents", ()):
                yield (after := found["Key"])
            if not answer.get("IsTruncated"):
                return
