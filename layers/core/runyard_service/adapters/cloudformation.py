"""The response of a custom resource's function to CloudFormation.

A deployment waits until the function has sent its result by a PUT to the URL in its event. Without
a response the deployment waits until its timeout, so this module always sends a response.
"""

import json
import logging
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from runyard_service.domain.errors import DefinitionError, RunyardError

_log = logging.getLogger(__name__)

# CloudFormation accepts 4096 bytes in total, and shows the reason in the stack's events.
_MAX_REASON_BYTES = 3000
_CUT = "… (`make check-agents` shows all of it)"
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 10
_FIRST_PAUSE_SECONDS = 0.5


@contextmanager
def respond_to_cloudformation(event: Mapping[str, Any], resource_id: str) -> Iterator[None]:
    """Return a context that reports to CloudFormation whether the work inside succeeds.

    The context suppresses an error of the work, and the deployment fails. It raises only the error
    of sending the response; Lambda then invokes the function again. `resource_id` names the
    resource permanently: CloudFormation would treat another name as a new resource.
    """
    reason = ""
    try:
        yield
    except DefinitionError as error:
        _log.error("agents not published: %s", error)
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - an entry point
        _log.exception("custom resource failed")
        # The message of another library's error may contain a secret.
        message = f" ({error})" if isinstance(error, RunyardError) else ""
        reason = f"{type(error).__name__}{message}; the function's log says more"
    response = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": _shorten(reason),
        "PhysicalResourceId": event.get("PhysicalResourceId") or resource_id,
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    _send(event["ResponseURL"], json.dumps(response).encode())


def _shorten(reason: str) -> str:
    """Return as many whole lines as fit into _MAX_REASON_BYTES."""
    if len(json.dumps(reason)) <= _MAX_REASON_BYTES:
        return reason
    lines = reason.splitlines()
    while lines and len(json.dumps("\n".join([*lines, _CUT]))) > _MAX_REASON_BYTES:
        lines.pop()
    return "\n".join([*lines, _CUT])


def _send(url: str, body: bytes) -> None:
    # The URL is signed without a content type. Without this header, urllib would add a type.
    request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):
                return
        except (OSError, HTTPException) as error:
            # The URL is never logged: anyone who has it can send a response for the function.
            _log.warning("CloudFormation response rejected", extra={"error": type(error).__name__})
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
