"""Publish the deployed agents. CloudFormation invokes this function as a custom resource.

A deployment waits until the function has sent its result by a PUT to the URL in its event. So the
function imports the layers while it handles the event, and reports also a layer that is broken.
Everything outside `_publish` needs only the standard library.
"""

import json
import logging
import time
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_log = logging.getLogger(__name__)

# The permanent name of the resource: CloudFormation would treat another name as a new resource.
_RESOURCE_ID = "agents"
# CloudFormation accepts 4096 bytes in total, and shows the reason in the stack's events.
_MAX_REASON_BYTES = 3000
_CUT = "… (`make check-agents` shows all of it)"
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 10
_FIRST_PAUSE_SECONDS = 0.5


def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Take a custom resource's request, and send the response to its `ResponseURL`.

    An error of the work fails the deployment. Only an error of sending the response is raised;
    Lambda then invokes the function again.
    """
    reason = ""
    try:
        _publish(event, context)
    except Exception as error:  # noqa: BLE001 - an entry point
        _log.exception("custom resource failed")
        reason = _reason_of(error)
    response = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": _shorten(reason),
        "PhysicalResourceId": event.get("PhysicalResourceId") or _RESOURCE_ID,
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    _send(event["ResponseURL"], json.dumps(response).encode())


def _publish(event: dict[str, Any], context: "LambdaContext") -> None:
    """Publish the agents, unless the stack is deleted: runs may still use them."""
    from runyard_service.application.maintenance.publish_agents import publish_agents
    from runyard_service.container import container
    from runyard_service.observability.logging import configure_observability, observe

    configure_observability()

    @observe
    def publish(event: dict[str, Any], context: "LambdaContext") -> None:
        if event["RequestType"] != "Delete":
            parts = container()
            publish_agents(parts.agents_folder, parts.agent_bundle, parts.settings)

    publish(event, context)


def _reason_of(error: Exception) -> str:
    """Return the reason that the stack's events show, without secrets."""
    classes = {each.__name__ for each in type(error).__mro__}
    if "DefinitionError" in classes:
        return str(error)
    # The message of another library's error may contain a secret.
    message = f" ({error})" if classes & {"RunyardError", "ImportError"} else ""
    return f"{type(error).__name__}{message}; the function's log says more"


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
