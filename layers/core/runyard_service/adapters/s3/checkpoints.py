"""Checkpoints of long logs: their events without the deltas, in one compressed object.

A checkpoint is offered and never needed: the log alone is the truth. It is made of events that are
in the log already, and whoever reads one looks whether the log has the event that it ends with. One
that is missing, torn, or of another release costs the reading of the whole log, and nothing else.
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

# Of the object's own form; the events have their own version.
_FORM = 1


class Checkpoints:
    """The bucket's `checkpoints/<run id>`, the newest of each run; they expire by themselves."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def save(self, run_id: str, events: Sequence[Event]) -> bool:
        """Offer these events, deltas left out, in place of the log up to the last of them.

        Gives whether that was possible: it is no failure if not.
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
        """The events of the run's checkpoint; empty where there is none that is of use."""
        try:
            with translate_errors():
                answer = self._bucket.client.get_object(Bucket=self._bucket.name, Key=_key(run_id))
                body = answer["Body"].read()
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
    return {"form": _FORM, "v": SCHEMA_VERSION, "run_id": run_id, "events": events}


def _key(run_id: str) -> str:
    return f"checkpoints/{run_id}"
