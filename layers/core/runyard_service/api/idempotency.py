"""`Idempotency-Key`: the same request, asked again, is answered again and does nothing anew.

What the guarantee rests on, and each crash point, stands in
`adapters/dynamodb/idempotency.py`. A stream is not kept as an answer: asked
again, it is the same run's stream from its first event.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.adapters.dynamodb.idempotency import HEADER, Answer, Claim, fingerprint_of
from runyard_service.api.services import Services
from runyard_service.domain.errors import InvalidRequestError

REPLAYED_HEADER = "Idempotency-Replayed"
MAX_LENGTH = 255
# Of the first answer's headers, those that say something about the run.
_KEPT_HEADERS = ("Location", "X-Run-Id")


async def once(
    request: Request,
    services: Services,
    key: AccessKey,
    content: Mapping[str, Any],
    answer: Callable[[Claim | None], Awaitable[Response]],
) -> Response:
    """The response to a request that may carry an Idempotency-Key.

    `content` is what is asked, as JSON values; `answer` does it, and is given the claim, which has
    the id of the run that it may start (None without a key). It may be called again for the same
    id. Raises InvalidRequestError for a key that is none, ConflictError for one that another
    request has.
    """
    name = _name(request)
    if name is None:
        return await answer(None)
    asked = fingerprint_of(request.method, request.url.path, key.agent, content)
    idempotency = services.stores.idempotency
    claim = await run_in_threadpool(idempotency.claim, key.project_id, name, asked)
    if claim.answer is not None:
        return _marked(_response(claim.answer), claim)
    response = await answer(claim)
    if (given := _answer_of(response)) is not None:
        counts = await run_in_threadpool(idempotency.keep_answer, claim, given)
        if counts != given:
            response = _response(counts)
    return _marked(response, claim)


def _name(request: Request) -> str | None:
    names = request.headers.getlist(HEADER)
    if not names:
        return None
    if len(names) > 1 or not 0 < len(names[0]) <= MAX_LENGTH or not _is_printable(names[0]):
        raise InvalidRequestError({HEADER: f"must be 1 to {MAX_LENGTH} printable ASCII characters"})
    return names[0]


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _answer_of(response: Response) -> Answer | None:
    """What is kept of a response; None of a stream, and of the way to one, which is a ticket."""
    if response.media_type != "application/json":
        return None
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, headers, bytes(response.body).decode())


def _response(answer: Answer) -> Response:
    return Response(
        answer.text, answer.status, headers=dict(answer.headers), media_type="application/json"
    )


def _marked(response: Response, claim: Claim) -> Response:
    if not claim.is_first:
        response.headers[REPLAYED_HEADER] = "true"
    return response
