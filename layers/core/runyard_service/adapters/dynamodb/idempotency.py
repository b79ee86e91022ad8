"""The request and the stored response of each Idempotency-Key: one item, retained for a day.

A request *claims* its record before it does any work. The record holds a fingerprint of the request
and a new id, which a create uses as the id of its run. There is no lock and no lease. A repeated
request, concurrent or after a crash, gets the same id and repeats the work. This is harmless,
because each part takes effect only once: a run is written only if absent, an execution is named
after its run, the same answer to an input request is accepted twice, and a cancel of an ended run
does nothing. The crash points of a create, and what the retry does:

    before the claim             finds nothing: claims, and starts the run
    claim ✓ ✗ run                finds the id without a run: starts the run with that id
    claim ✓ run ✓ ✗ execution    finds the created run: starts the execution, if the sweep has not
    … execution ✓ ✗ response     finds the run: waits for it like the first request, and responds
    … response stored ✗ sent     finds the stored response, and repeats it

A request that creates a thread, a message, a file or a webhook stores no response. The transaction
that creates the resource also sets the state of the record to `created`, so the resource is created
once. A retry builds the first response again from the request and the resource. So no copy of the
content or of a secret remains after the resource is deleted.

Of concurrent requests with the same key, the first stored response counts for all. An error is not
stored: a repetition of the request is processed again. The key stays bound to the request even
then, and a corrected request needs a new key.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from runyard_service.adapters.conflict_retry import (
    CLAIM_IDEMPOTENCY_KEY_ATTEMPTS,
    retry_on_conflict,
)
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Item,
    Key,
    TransactWriteItem,
)
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.s3.payloads import MAX_INLINE_BYTES, Payloads
from runyard_service.domain.ids import new_id
from runyard_service.domain.request_errors import ConflictError, UnavailableError

RETENTION_SECONDS = 24 * 3600
HEADER = "Idempotency-Key"


@dataclass(frozen=True)
class StoredResponse:
    """A stored HTTP response: its status, the headers to repeat, and the body's text."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Claim:
    """The claim of a request on its record. `id` is the id of the resource that it creates."""

    key: Key
    id: str
    is_first: bool
    response: StoredResponse | None = None

    @property
    def digest(self) -> str:
        """Return the digest in the record's key."""
        return str(self.key["pk"]).partition("#")[2]


class Idempotency:
    """The idempotency records of the records table."""

    def __init__(self, table: Table, payloads: Payloads) -> None:
        self._table = table
        self._payloads = payloads

    def claim(self, owner: str | Sequence[str], name: str, fingerprint: str) -> Claim:
        """Claim the name for this request. `owner` is the id of its project, or another owner.

        A record expires after RETENTION_SECONDS. Raises ConflictError if another request has
        claimed the name.
        """
        key = keys.idempotency(compute_fingerprint(owner, name))
        for attempt in retry_on_conflict(CLAIM_IDEMPOTENCY_KEY_ATTEMPTS, ConditionFailedError):
            fields = {
                "state": "open",
                "fingerprint": fingerprint,
                "claim_id": new_id(),
                "ttl": int(time.time()) + RETENTION_SECONDS,
            }
            stored = self._write(key, fields)
            if stored is None:
                return Claim(key, str(fields["claim_id"]), is_first=True)
            if stored["ttl"] > time.time():
                return self._join(key, stored, fingerprint)
            # DynamoDB removes expired items with a delay, so an expired record is overwritten.
            no_response = dict.fromkeys(
                ("status", "headers", "text", "text_key", "sequence", "target")
            )
            with attempt:
                self._table.update(
                    key, fields | no_response, only_if={"claim_id": stored["claim_id"]}
                )
                return Claim(key, str(fields["claim_id"]), is_first=True)
        raise UnavailableError({HEADER: "is being modified concurrently; retry"})

    def _write(self, key: Key, fields: Mapping[str, object]) -> Item | None:
        """Write the record if it is absent; return the stored record if another claim has it."""
        try:
            self._table.put({**key, **fields}, if_absent=True)
        except ConditionFailedError as error:
            stored = error.items[0]
            assert stored is not None, "a failed write returns the stored item"
            # boto3 repeats a call whose response was lost. The repetition finds its own item.
            return None if stored["claim_id"] == fields["claim_id"] else stored
        return None

    def _join(self, key: Key, stored: Item, fingerprint: str) -> Claim:
        if stored["fingerprint"] != fingerprint:
            raise ConflictError({HEADER: "was used with another request"})
        if stored["state"] == "forgotten":
            raise deleted_error("run")
        return Claim(key, stored["claim_id"], is_first=False, response=self._response_of(stored))

    def store_response(self, claim: Claim, response: StoredResponse) -> StoredResponse:
        """Store the response unless the record has one; return the stored response."""
        fields: dict[str, object] = {
            "state": "answered",
            "status": response.status,
            "headers": dict(response.headers),
        }
        if len(response.text.encode()) > MAX_INLINE_BYTES:
            fields["text_key"] = self._payloads.save(claim.id, response.text)
        else:
            fields["text"] = response.text
        try:
            self._table.update(claim.key, fields, only_if={"claim_id": claim.id, "state": "open"})
        except ConditionFailedError:
            stored = self._table.get(claim.key)
            if stored is not None and stored["claim_id"] == claim.id:
                return self._response_of(stored) or response
        return response

    def created_change(
        self, claim: Claim, sequence: int, target: str | None = None
    ) -> TransactWriteItem:
        """Return the change that records the creation. It fails if the resource was created.

        `target` is the id of a resource that does not have the id of the claim.
        """
        return self._table.update_change(
            claim.key,
            {"state": "created", "sequence": sequence, "target": target},
            only_if={"claim_id": claim.id, "state": "open"},
        )

    def created_sequence(self, claim: Claim) -> int | None:
        """Return the `sequence` of `created_change`, or None if nothing was created."""
        stored = self._table.get(claim.key)
        if stored is None or stored["claim_id"] != claim.id or stored["state"] != "created":
            return None
        return int(stored["sequence"])

    def created_target(self, claim: Claim) -> str | None:
        """Return the `target` of `created_change`, or None if nothing was created."""
        stored = self._table.get(claim.key)
        if stored is None or stored["claim_id"] != claim.id or stored["state"] != "created":
            return None
        return stored.get("target")

    def bind(self, claim: Claim, target: str) -> str:
        """Bind the claim to what its request acts on, and return the first target bound.

        A retry then acts on the same target, also if a new request would select another one.
        """
        unbound = {"claim_id": claim.id, "target": None}
        try:
            self._table.update(claim.key, {"target": target}, only_if=unbound)
        except ConditionFailedError:
            stored = self._table.get(claim.key)
            if stored is not None and stored["claim_id"] == claim.id:
                return str(stored["target"])
        return target

    def target_of(self, claim: Claim) -> str | None:
        """Return the target that an earlier request bound, or None."""
        stored = None if claim.is_first else self._table.get(claim.key)
        if stored is None or stored["claim_id"] != claim.id:
            return None
        return stored.get("target")

    def forget(self, digest: str, run_id: str) -> None:
        """Delete the stored response of the create of this deleted run.

        The record itself stays until it expires, so a repeated create does not start another run.
        """
        fields = {"state": "forgotten", "status": None, "headers": None, "text": None}
        with suppress(ConditionFailedError):  # It has expired, or has another claim by now.
            self._table.update(
                keys.idempotency(digest),
                {**fields, "text_key": None},
                only_if={"claim_id": run_id},
            )

    def _response_of(self, item: Item) -> StoredResponse | None:
        if item["state"] != "answered":
            return None
        text = item.get("text")
        if text is None:
            text = self._payloads.fetch(item["text_key"])
        return StoredResponse(int(item["status"]), item["headers"], text)


@dataclass(frozen=True)
class Creation:
    """The resource that a request with an Idempotency-Key creates, once."""

    idempotency: Idempotency
    claim: Claim

    @property
    def id(self) -> str:
        """The id of the resource, the same for each retry."""
        return self.claim.id

    def change(self, sequence: int = 0, target: str | None = None) -> TransactWriteItem:
        """Return the change that belongs in the transaction of the resource.

        `sequence` is the position of the resource, if it has one. `target` is its id, if that is
        not the id of the claim.
        """
        return self.idempotency.created_change(self.claim, sequence, target)

    @property
    def is_retry(self) -> bool:
        """Return whether an earlier request has the same key. Only then can the resource exist."""
        return not self.claim.is_first

    def created_target(self) -> str | None:
        """Return the `target` of `change`, or None if the resource was not created yet."""
        return self.idempotency.created_target(self.claim)

    def created_sequence(self) -> int | None:
        """Return the position of the resource, or None if it was not created yet."""
        return self.idempotency.created_sequence(self.claim)


def deleted_error(kind: str) -> ConflictError:
    """Return the error for a key whose resource was created and then deleted."""
    return ConflictError({HEADER: f"was used for a deleted {kind}"})


def compute_fingerprint(*parts: object) -> str:
    """Return a digest of JSON values that does not depend on the order of keys or on spacing."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
