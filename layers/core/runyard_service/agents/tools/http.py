"""The `http` tool: an HTTP API as a tool, its request written as templates in the agent's file."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from runyard_service.agents.definitions.tools import PLACEHOLDER, HttpTool
from runyard_service.agents.tools.base import ToolEnvironment, ToolError, ToolInvocation
from runyard_service.outbound.errors import (
    KINDS_BY_STATUS,
    STATUSES_IN_DOUBT,
    OutboundError,
)
from runyard_service.outbound.messages import OutgoingRequest, OutgoingResponse
from runyard_service.outbound.retry_after import retry_after_of
from runyard_service.outbound.safe_client import fetch

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The client sets these itself.
OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
EXCERPT_CHARACTERS = 500


async def call_http(
    tool: HttpTool, invocation: ToolInvocation, environment: ToolEnvironment
) -> str:
    """Make the call that the tool describes; the text of the response is the result.

    Raise ToolError with one of these codes: `http_<status>` for a status of 400 and above,
    `variable_missing`, `argument_missing`, `argument_rejected`, or the code of an OutboundError.
    """
    request = _request(tool, invocation, environment)
    try:
        response = await fetch(request, environment.private_hosts)
    except OutboundError as error:
        raise ToolError(
            error.code, error.message, kind=error.kind, is_in_doubt=error.is_in_doubt
        ) from error
    if response.status >= 400:
        raise ToolError(
            f"http_{response.status}",
            _failure(response),
            kind=KINDS_BY_STATUS.get(response.status, "rejected"),
            is_in_doubt=response.status in STATUSES_IN_DOUBT,
            retry_after=retry_after_of(response.retry_after),
        )
    return response.text


def host_of(
    template: str, arguments: Mapping[str, Any], variables: Mapping[str, str]
) -> tuple[str, bool]:
    """Return host and port of a tool's URL, and whether an argument chooses them."""

    def variable(match: re.Match[str]) -> str:
        return variables.get(match["variable"], "") if match["variable"] else match[0]

    def argument(match: re.Match[str]) -> str:
        return quote(_text(arguments.get(match["argument"], "")), safe="")

    host = urlsplit(PLACEHOLDER.sub(variable, template)).netloc
    rendered = PLACEHOLDER.sub(argument, host)
    return rendered.lower(), rendered != host


def _failure(response: OutgoingResponse) -> str:
    excerpt = response.text.strip()[:EXCERPT_CHARACTERS]
    return f"HTTP {response.status}: {excerpt}" if excerpt else f"HTTP {response.status}"


def _request(
    tool: HttpTool, invocation: ToolInvocation, environment: ToolEnvironment
) -> OutgoingRequest:
    arguments = {name: value for name, value in invocation.input.items() if value is not None}
    url = _url(tool.url, arguments, environment.variables)
    headers = _headers(tool, arguments, environment.variables)
    named = {
        match["argument"]
        for text in (tool.url, *tool.headers.values())
        for match in PLACEHOLDER.finditer(text)
    }
    rest = {name: value for name, value in arguments.items() if name not in named}
    body = None
    if tool.method in {"GET", "DELETE"}:
        url = _with_query(url, rest)
    else:
        body = json.dumps(rest, ensure_ascii=False).encode()
        headers.setdefault("content-type", "application/json")
    if tool.effect == "idempotent" or tool.method != "GET":
        headers.setdefault("idempotency-key", invocation.tool_call_id)
    return OutgoingRequest(tool.method, url, headers, body, tool.timeout, tool.max_response_bytes)


def _url(template: str, arguments: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """The URL with its arguments percent-encoded; no argument can change the path."""
    path, separator, query = template.partition("?")
    rendered = _rendered(path, arguments, variables, lambda text: quote(text, safe=""))
    # `.` needs no encoding, yet `..` would climb to another resource.
    if {".", ".."} & set(urlsplit(rendered).path.split("/")):
        raise ToolError("argument_rejected", "An argument would change the path of the address.")
    for match in PLACEHOLDER.finditer(path):
        if match["argument"] and arguments[match["argument"]] == "":
            raise ToolError("argument_missing", f"{match['argument']!r} must not be empty.")
    return (
        rendered + separator + _rendered(query, arguments, variables, lambda text: quote(text, ""))
    )


def _headers(
    tool: HttpTool, arguments: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, str]:
    headers = {
        name.lower(): _rendered(value, arguments, variables, lambda text: text)
        for name, value in tool.headers.items()
        if name.lower() not in OWN_HEADERS
    }
    for name, value in headers.items():
        if CONTROL_CHARACTERS.search(value):
            raise ToolError("argument_rejected", f"The header {name!r} cannot hold that.")
    return headers


def _rendered(
    template: str,
    arguments: Mapping[str, Any],
    variables: Mapping[str, str],
    encode: Callable[[str], str],
) -> str:
    """The template with its values. One pass: an argument that looks like `${NAME}` stays text."""

    def value(match: re.Match[str]) -> str:
        if variable := match["variable"]:
            if variable not in variables:
                raise ToolError("variable_missing", f"${{{variable}}} is not set.")
            return variables[variable]
        name = match["argument"]
        if name not in arguments:
            raise ToolError("argument_missing", f"The argument {name!r} is needed.")
        return encode(_text(arguments[name]))

    return PLACEHOLDER.sub(value, template)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _with_query(url: str, arguments: Mapping[str, Any]) -> str:
    pairs = [
        (name, _text(item))
        for name, value in arguments.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(pairs)}"
