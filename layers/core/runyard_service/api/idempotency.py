"""`Idempotency-Key`: a retried request gets the response of the first one, and has no effect.

`adapters/dynamodb/idempotency.py` explains the guarantee and each crash point. Streams are not
stored as responses: a retry gets the stream of the same run from its first event. A stored response
never contains a secret.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.adapters.dynamodb.idempotency import (
    HEADER,
    Claim,
    Creation,
    Idempotency,
    StoredResponse,
    compute_fingerprint,
)
from runyard_service.api.services import Services
from runyard_service.domain.request_errors import InvalidRequestError

REPLAYED_HEADER = "Idempotency-Replayed"
MAX_LENGTH = 255
# The headers of the first response that are about the run.
_STORED_HEADERS = ("Location", "X-Run-Id")


@dataclass(frozen=True)
class RequestClaim:
    """The result of `claim_idempotency`. Without an Idempotency-Key, it claims nothing."""

    idempotency: Idempotency
    record: Claim | None = None

    @property
    def stored_response(self) -> Response | None:
        """Return the response to the first request, or None if this request must be processed."""
        if self.record is None or self.record.response is None:
            return None
        return _with_replay_header(_response(self.record.response), self.record)

    @property
    def id(self) -> str | None:
        """Return the id for the created resource, the same for each retry."""
        return self.record.id if self.record else None

    @property
    def digest(self) -> str:
        """Return the name of the record, or an empty string without an Idempotency-Key."""
        return self.record.digest if self.record else ""

    @property
    def creation(self) -> Creation | None:
        """Return what creates the resource of this request once; None without a key."""
        return Creation(self.idempotency, self.record) if self.record else None

    def created_response(self, response: Response) -> Response:
        """Return the response, built again for a retry, with the header of a retry."""
        return _with_replay_header(response, self.record) if self.record else response

    @property
    def target(self) -> str | None:
        """Return what an earlier request with this key acted on, or None."""
        return self.idempotency.target_of(self.record) if self.record else None

    def bind(self, target: str) -> str:
        """Bind retries to what this request acts on; return the first target that was bound."""
        return self.idempotency.bind(self.record, target) if self.record else target


async def claim_idempotency(
    request: Request,
    services: Services,
    key: AccessKey,
    content: Mapping[str, Any],
    *,
    owner: Sequence[str] = (),
) -> RequestClaim:
    """Claim the request's Idempotency-Key, if it has one.

    `content` is the request as JSON values. `owner` replaces the project of the key. A caller
    returns `stored_response` if there is one. Otherwise it processes the request, and passes its
    response to `store_response`. A retry may process the request again under the same id. Raises
    InvalidRequestError for an invalid key, and ConflictError for a key that another request has
    used.
    """
    idempotency = services.stores.idempotency
    name = _name(request)
    if name is None:
        return RequestClaim(idempotency)
    fingerprint = compute_fingerprint(request.method, request.url.path, key.agent, content)
    record = await run_in_threadpool(idempotency.claim, owner or key.project_id, name, fingerprint)
    return RequestClaim(idempotency, record)


async def store_response(claim: RequestClaim, response: Response) -> Response:
    """Store the response under the claim, and return what the caller gets.

    That is the response of a concurrent retry if it was stored first.
    """
    if claim.record is None:
        return response
    if (stored := _stored_response_of(response)) is not None:
        first = await run_in_threadpool(claim.idempotency.store_response, claim.record, stored)
        if first != stored:
            response = _response(first)
    return _with_replay_header(response, claim.record)


def _name(request: Request) -> str | None:
    names = request.headers.getlist(HEADER)
    if not names:
        return None
    if len(names) > 1 or not 0 < len(names[0]) <= MAX_LENGTH or not _is_printable(names[0]):
        raise InvalidRequestError({HEADER: f"must be 1 to {MAX_LENGTH} printable ASCII characters"})
    return names[0]


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _stored_response_of(response: Response) -> StoredResponse | None:
    """Return the response to store, or None for a stream or a redirect with a ticket."""
    if response.media_type != "application/json":
        return None
    headers = {name: response.headers[name] for name in _STORED_HEADERS if name in response.headers}
    return StoredResponse(response.status_code, headers, bytes(response.body).decode())


def _response(stored: StoredResponse) -> Response:
    return Response(
        stored.text, stored.status, headers=dict(stored.headers), media_type="application/json"
    )


def _with_replay_header(response: Response, claim: Claim) -> Response:
    if not claim.is_first:
        response.headers[REPLAYED_HEADER] = "true"
    return response
