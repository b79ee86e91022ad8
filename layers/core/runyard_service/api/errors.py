"""What both APIs say alike of a request that is refused: headers beside the body, and details."""

from collections.abc import Mapping
from itertools import islice

from runyard_service.domain.errors import (
    RequestError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)

_MAX_DETAILS = 100
_MAX_NAME_LENGTH = 200


def headers_of(error: RequestError) -> dict[str, str]:
    """What a response to this error carries beside its body."""
    if isinstance(error, TooManyRequestsError):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, UnavailableError):
        return {"Retry-After": "1"}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def shortened(details: Mapping[str, str]) -> dict[str, str]:
    """The details as they are told: whoever sends a thousand unknown fields hears of some."""
    told = islice(details.items(), _MAX_DETAILS)
    return {name[:_MAX_NAME_LENGTH]: fault for name, fault in told}
