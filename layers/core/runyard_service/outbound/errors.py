"""The error of outbound HTTP. Callers translate it: a failed tool call or a failed delivery."""

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
