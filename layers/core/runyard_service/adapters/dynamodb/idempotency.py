"""What was asked under an Idempotency-Key, and what was answered: one item, kept for a day.

A record is *claimed* before anything is done: it holds what is asked (a fingerprint) and a new id,
under which a create starts its run. There is no lock and no lease: whoever comes with the same
request, at the same moment or after a crash, gets the same id and does the same work again, which
is harmless because each piece of it happens once (a run is put if absent, an execution is named
after its run, the same answer to a question is welcome twice, a cancel of what has ended is none).
The crash points of a create, and what the retry finds:

    before the claim            nothing: it claims and starts the run
    claim ✓ ✗ run               the id, and no run: it starts the run under that id
    claim ✓ run ✓ ✗ execution   the run, created: it starts the execution (or the sweep has done so)
    … execution ✓ ✗ answer      the run: it waits for it as the first would have, and answers
    … answer kept ✗ sent        the answer, which it repeats

Of twins at the same moment, the first one that keeps an answer decides it for all. A refusal or a
failure is no answer: the same request is judged again when it comes again. The key stays bound to
the request even so; a corrected request needs a new key.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from runyard_service.adapters.conflict_retry import (
    CLAIM_IDEMPOTENCY_KEY_ATTEMPTS,
    retry_on_conflict,
)
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, Item, Key
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.s3.payloads import MAX_INLINE_BYTES, Payloads
from runyard_service.domain.errors import ConflictError, UnavailableError
from runyard_service.domain.ids import new_id

RETENTION_SECONDS = 24 * 3600
HEADER = "Idempotency-Key"


@dataclass(frozen=True)
class StoredResponse:
    """A response: its status, the headers that matter, and the body's text."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Claim:
    """The right to do what is asked, once. `id` is the id of the run that a create starts."""

    key: Key
    id: str
    is_first: bool
    answer: StoredResponse | None = None

    @property
    def digest(self) -> str:
        """What the record is found by."""
        return str(self.key["pk"]).partition("#")[2]


class Idempotency:
    """The idempotency records of the records table."""

    def __init__(self, table: Table, payloads: Payloads) -> None:
        self._table = table
        self._payloads = payloads

    def claim(self, project_id: str, name: str, fingerprint: str) -> Claim:
        """Claim the name for this request, within the project.

        Raises ConflictError where another request has it; its record ends after KEPT_SECONDS.
        """
        key = keys.idempotency(compute_fingerprint(project_id, name))
        for attempt in retry_on_conflict(CLAIM_IDEMPOTENCY_KEY_ATTEMPTS):
            fields = {
                "state": "open",
                "fingerprint": fingerprint,
                "claim_id": new_id(),
                "ttl": int(time.time()) + RETENTION_SECONDS,
            }
            found = self._write(key, fields)
            if found is None:
                return Claim(key, str(fields["claim_id"]), is_first=True)
            if found["ttl"] > time.time():
                return self._joined(key, found, fingerprint)
            # DynamoDB takes its time to remove what is over: the record is used again.
            no_answer = dict.fromkeys(("status", "headers", "text", "text_key"))
            with attempt:
                self._table.update(key, fields | no_answer, only_if={"claim_id": found["claim_id"]})
                return Claim(key, str(fields["claim_id"]), is_first=True)
        raise UnavailableError({HEADER: "is being modified concurrently; retry"})

    def _write(self, key: Key, fields: Mapping[str, object]) -> Item | None:
        """Put the record; gives the one that is there instead, if one is."""
        try:
            self._table.put({**key, **fields}, if_absent=True)
        except ConditionFailedError as error:
            found = error.items[0]
            assert found is not None, "a failed put comes with what stands there"
            # A call whose answer was lost is sent again by boto3 and then meets its own item.
            return None if found["claim_id"] == fields["claim_id"] else found
        return None

    def _joined(self, key: Key, found: Item, fingerprint: str) -> Claim:
        if found["fingerprint"] != fingerprint:
            raise ConflictError({HEADER: "was used with another request"})
        if found["state"] == "forgotten":
            raise ConflictError({HEADER: "was used for a deleted run"})
        return Claim(key, found["claim_id"], is_first=False, answer=self._answer(found))

    def store_response(self, claim: Claim, answer: StoredResponse) -> StoredResponse:
        """Keep the answer, unless there is one; gives the one that counts."""
        fields: dict[str, object] = {
            "state": "answered",
            "status": answer.status,
            "headers": dict(answer.headers),
        }
        if len(answer.text.encode()) > MAX_INLINE_BYTES:
            fields["text_key"] = self._payloads.save(claim.id, answer.text)
        else:
            fields["text"] = answer.text
        try:
            self._table.update(claim.key, fields, only_if={"claim_id": claim.id, "state": "open"})
        except ConditionFailedError:
            found = self._table.get(claim.key)
            if found is not None and found["claim_id"] == claim.id:
                return self._answer(found) or answer
        return answer

    def forget(self, digest: str, run_id: str) -> None:
        """The run that was started under this record is deleted, and its answer with it.

        The record itself stays for its time, so that the same create starts no run anew.
        """
        fields = {"state": "forgotten", "status": None, "headers": None, "text": None}
        with suppress(ConditionFailedError):  # Its time is over, or it has another's by now.
            self._table.update(
                keys.idempotency(digest),
                {**fields, "text_key": None},
                only_if={"claim_id": run_id},
            )

    def _answer(self, item: Item) -> StoredResponse | None:
        if item["state"] != "answered":
            return None
        text = item.get("text")
        if text is None:
            text = self._payloads.fetch(item["text_key"])
        return StoredResponse(int(item["status"]), item["headers"], text)


def compute_fingerprint(*parts: object) -> str:
    """A digest of JSON values, the same for equal values whatever their order and spacing was."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
