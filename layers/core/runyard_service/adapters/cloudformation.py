"""The answer that a deployment waits for: CloudFormation goes on once a custom resource's function
has said, by a PUT to the address in its event, how it went.

Without an answer the deployment stands still until its timeout, so there is one whatever happens.
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

# CloudFormation takes 4096 bytes in all, and shows the reason among the stack's events.
_MAX_REASON_BYTES = 3000
_CUT = "… (`make check-agents` shows all of it)"
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 10
_FIRST_PAUSE_SECONDS = 0.5


@contextmanager
def respond_to_cloudformation(event: Mapping[str, Any], resource_id: str) -> Iterator[None]:
    """Do the work inside of this, and CloudFormation is told how it ended.

    A failure ends here: the deployment fails for it. Only where the answer cannot be given it
    raises what stood in the way, and Lambda does it all once more. `resource_id` names the resource
    for as long as it lives: under another name CloudFormation would take it for a new one.
    """
    reason = ""
    try:
        yield
    except DefinitionError as error:
        _log.error("agents not published: %s", error)
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - an entry point
        _log.exception("custom resource failed")
        # Only our own errors are known to hold no secret.
        what = f" ({error})" if isinstance(error, RunyardError) else ""
        reason = f"{type(error).__name__}{what}; the function's log says more"
    answer = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": _shortened(reason),
        "PhysicalResourceId": event.get("PhysicalResourceId") or resource_id,
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    _put(event["ResponseURL"], json.dumps(answer).encode())


def _shortened(reason: str) -> str:
    """As many whole lines as there is room for."""
    if len(json.dumps(reason)) <= _MAX_REASON_BYTES:
        return reason
    lines = reason.splitlines()
    while lines and len(json.dumps("\n".join([*lines, _CUT]))) > _MAX_REASON_BYTES:
        lines.pop()
    return "\n".join([*lines, _CUT])


def _put(url: str, body: bytes) -> None:
    # The address is signed without a content type, so there must be none; urllib would add one.
    request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):
                return
        except (OSError, HTTPException) as error:
            # Never the address: whoever has it can answer in our place.
            _log.warning("CloudFormation response rejected", extra={"error": type(error).__name__})
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
