"""Every error of a request to an API: the caller must act.

One table per API turns them into responses.

    RequestError
    ├── UnauthorizedError ── MissingTokenError
    ├── NotFoundError ── ThreadNotFoundError, ProjectNotFoundError
    ├── ConflictError ── RunActiveError, ThreadBusyError, RunNotActiveError, InputAmbiguousError
    ├── TooManyRequestsError ── RunLimitError
    └── … and errors without a subclass
"""

from collections.abc import Mapping

from runyard_service.domain.errors import RunyardError


class RequestError(RunyardError):
    """The API cannot do what the caller requests.

    `details` maps the name of each invalid field to an issue, in words for the caller.
    """

    def __init__(self, details: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(f"{field}: {issue}" for field, issue in (details or {}).items()))
        self.details = dict(details or {})


class InvalidRequestError(RequestError):
    """The request is invalid and cannot succeed without a change."""


class UnauthorizedError(RequestError):
    """The access key is missing, unknown, expired or revoked."""


class MissingTokenError(UnauthorizedError):
    """The request has no access key."""


class ForbiddenError(RequestError):
    """The access key lacks the scope that the route needs."""


class NotFoundError(RequestError):
    """There is no such run, or it belongs to another project."""


class ThreadNotFoundError(NotFoundError):
    """There is no such thread, or it belongs to another project."""


class ProjectNotFoundError(NotFoundError):
    """The organization has no such project."""


class ConflictError(RequestError):
    """The request conflicts with the current state."""


class RunActiveError(ConflictError):
    """The run has not ended, and only an ended run can be deleted."""


class ThreadBusyError(ConflictError):
    """The thread has an active run."""


class RunNotActiveError(ConflictError):
    """The run has ended, or has no open input request."""


class InputAmbiguousError(ConflictError):
    """The run has several open input requests, and the answer names none of them."""


class PayloadTooLargeError(RequestError):
    """The request is larger than the limit of this endpoint."""


class ResponseTooLargeError(PayloadTooLargeError):
    """The response is larger than the limit of this endpoint."""


class UnsupportedMediaTypeError(RequestError):
    """The route does not accept the media type of the body."""


class TooManyRequestsError(RequestError):
    """The caller has reached a limit and can retry after `retry_after` seconds."""

    def __init__(self, details: Mapping[str, str] | None = None, *, retry_after: int = 1) -> None:
        super().__init__(details)
        self.retry_after = retry_after


class RunLimitError(TooManyRequestsError):
    """The project or the organization has too many active runs."""


class UnavailableError(RequestError):
    """The service cannot process the request now; the caller may retry."""
