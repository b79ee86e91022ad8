"""The error of outbound HTTP. Callers translate it: a failed tool call or a failed delivery."""

from collections.abc import Mapping
from typing import Literal

from runyard_service.domain.errors import FailureKind, RunyardError

OutboundErrorCode = Literal[
    "address_refused",
    "redirect_rejected",
    "response_invalid",
    "response_too_large",
    "timeout",
    "too_many_redirects",
    "unreachable",
    "url_invalid",
]

# What a status says about the same request later. A 500 is not among them: it may be an error of
# every such request.
KINDS_BY_STATUS: Mapping[int, FailureKind] = {
    400: "invalid",
    404: "invalid",
    408: "network",
    422: "invalid",
    425: "overloaded",
    429: "rate_limited",
    502: "overloaded",
    503: "overloaded",
    504: "overloaded",
}
# A gateway forwarded the request, and received no response.
STATUSES_IN_DOUBT = frozenset({502, 504})


class OutboundError(RunyardError):
    """A request was not sent, or no complete response arrived.

    `kind` is `network` if the same request may succeed later. `is_in_doubt` is True if the request
    was sent: the host may have processed it.
    """

    def __init__(
        self,
        code: OutboundErrorCode,
        message: str,
        *,
        kind: FailureKind = "rejected",
        is_in_doubt: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kind = kind
        self.is_in_doubt = is_in_doubt
