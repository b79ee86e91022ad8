"""Checkpoints of long logs: their events without the deltas, in one compressed object.

A checkpoint is optional: only the log is the source of truth. A checkpoint contains only events of
the log, and a reader checks that the log contains its last event. If a checkpoint is missing,
damaged or written by another release, the reader reads the whole log instead.
"""

import gzip
import json
import logging
import zlib
from collections.abc import Sequence
from typing import Any

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.domain.errors import StoreRejectedError, StoreUnavailableError
from runyard_service.domain.events import SCHEMA_VERSION, Event, decode_event, encode_event

_log = logging.getLogger(__name__)

# The version of the object's format. The events have their own version.
_FORMAT_VERSION = 1


class Checkpoints:
    """The bucket's `checkpoints/<run id>`, the newest of each run. A bucket rule expires them."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def save(self, run_id: str, events: Sequence[Event]) -> bool:
        """Save these events, without deltas, as a substitute for the log up to the last of them.

        Return False if S3 rejects the write or does not respond. The caller can ignore this.
        """
        head = json.dumps(_head(run_id, len(events))).encode()
        text = b"\n".join([head, *map(encode_event, events)])
        try:
            with translate_errors():
                self._bucket.client.put_object(
                    Bucket=self._bucket.name,
                    Key=_key(run_id),
                    Body=gzip.compress(text, compresslevel=1),
                    ContentType="application/gzip",
                )
        except (StoreRejectedError, StoreUnavailableError):
            _log.warning("checkpoint not saved", extra={"run_id": run_id}, exc_info=True)
            return False
        return True

    def delete(self, run_id: str) -> None:
        """Delete the run's checkpoint, if it has one."""
        self._bucket.delete([_key(run_id)])

    def fetch(self, run_id: str) -> list[Event]:
        """Return the events of the run's checkpoint; empty if it is missing or unusable."""
        try:
            with translate_errors():
                response = self._bucket.client.get_object(
                    Bucket=self._bucket.name, Key=_key(run_id)
                )
                body = response["Body"].read()
            head, *lines = gzip.decompress(body).split(b"\n")
            if json.loads(head) != _head(run_id, len(lines)):
                return []
            return [decode_event(line) for line in lines]
        except (
            StoreRejectedError,
            StoreUnavailableError,
            OSError,
            EOFError,
            zlib.error,
            ValueError,
        ):
            _log.warning("checkpoint not used", extra={"run_id": run_id}, exc_info=True)
            return []


def _head(run_id: str, events: int) -> dict[str, Any]:
    return {"form": _FORMAT_VERSION, "v": SCHEMA_VERSION, "run_id": run_id, "events": events}


def _key(run_id: str) -> str:
    return f"checkpoints/{run_id}"
