"""What both clients send with every request, and how they describe a failure."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from runyard.client.configuration import Configuration
from runyard.client.core.bodies import Multipart
from runyard.client.core.effects import Failure, Request

CONNECT_SECONDS = 10.0


@cache
def user_agent() -> str:
    """Return the value of the header `User-Agent`."""
    try:
        return f"runyard-python/{version('runyard')}"
    except PackageNotFoundError:
        return "runyard-python"


def wire_headers(request: Request, configuration: Configuration) -> dict[str, str]:
    """Return all headers of the request. Other hosts get neither the key nor the project."""
    headers = {"User-Agent": user_agent(), **request.headers}
    if isinstance(request.body, Multipart):
        headers["Content-Length"] = str(request.body.length)
    if request.has_credentials:
        headers["Authorization"] = f"Bearer {configuration.access_key.reveal()}"
        if configuration.project:
            headers["X-Project-Id"] = configuration.project
    return headers


def absolute_url(request: Request, configuration: Configuration) -> str:
    """Return the URL of the request with its query."""
    target = request.target
    return configuration.url + target if target.startswith("/") else target


def failure_of(error: Exception, configuration: Configuration) -> Failure:
    """Return a failure whose reason contains no key, for an error of httpx2."""
    text = f"{type(error).__name__} at {configuration.url}: {error}".rstrip(": ")
    return Failure(text.replace(configuration.access_key.reveal(), "…"))
