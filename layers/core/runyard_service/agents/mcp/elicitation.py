"""Turn what MCP servers ask into input requests, and the answers into what the servers get back.

A server asks in rounds. The id of an input request follows from its call, its round and the
server's key, so the log alone maps answers to keys.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from runyard_service.agents.definitions.input_forms import form_issue
from runyard_service.domain.event_payloads.tool_calls import ToolCallInputRequired
from runyard_service.domain.events import Event, to_json
from runyard_service.domain.ids import derived_id
from runyard_service.domain.steps import ToolCallState

MAX_ROUNDS = 10

Requests = Mapping[str, Mapping[str, Any]]


def newest_round(call: ToolCallState) -> ToolCallInputRequired:
    """Return the newest round of a call that has one."""
    return cast(ToolCallInputRequired, call.rounds[-1].data)


def request_ids(call_id: str, asked: ToolCallInputRequired) -> Mapping[str, str]:
    """Return the id of the input request for each key of a round, oldest first."""
    answered = asked.get("answered", {})
    return {
        key: answered.get(key) or derived_id(call_id, "round", str(asked["round"]), key)
        for key in asked["requests"]
    }


def open_elicitations(call: ToolCallState) -> Mapping[str, Mapping[str, Any]]:
    """Return what the newest round still asks, by the id of the input request."""
    asked = newest_round(call)
    ids = request_ids(call.id, asked)
    return {
        ids[key]: request
        for key, request in asked["requests"].items()
        if ids[key] not in call.answers
    }


def awaits_newest_round(call: ToolCallState) -> bool:
    """Return whether the newest input request of the call is one of its newest round."""
    if not call.rounds or call.request is None:
        return False
    return call.request.data["id"] in request_ids(call.id, newest_round(call)).values()


def input_responses(call: ToolCallState) -> Mapping[str, Any]:
    """Return the answers of the newest round by the server's keys, as MCP defines them."""
    asked = newest_round(call)
    return responses_for(call, asked["requests"], request_ids(call.id, asked))


def responses_for(
    call: ToolCallState, requests: Requests, ids: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return the answers with these ids by the server's keys."""
    return {key: _response(request, call.answers[ids[key]]) for key, request in requests.items()}


class RecordedAnswers:
    """The answers of a call that the server asks for again, because it forgot its state.

    Each answer counts once, in its order: a server may ask the same twice.
    """

    def __init__(self, call: ToolCallState) -> None:
        self._ids: dict[str, list[str]] = {}
        used: set[str] = set()
        for event in call.rounds:
            asked = cast(ToolCallInputRequired, event.data)
            for key, id_ in request_ids(call.id, asked).items():
                if id_ in call.answers and id_ not in used:
                    used.add(id_)
                    self._ids.setdefault(_digest(asked["requests"][key]), []).append(id_)

    def take(self, requests: Requests) -> Mapping[str, str]:
        """Return the ids of the answers to these requests, by key; a new request has none."""
        found = {}
        for key, request in requests.items():
            if ids := self._ids.get(_digest(request)):
                found[key] = ids.pop(0)
        return found


def form_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `params` of the input request: a form, or a URL that the person opens."""
    if "url" in request:
        return {"url": request["url"]}
    return {"form": request.get("requestedSchema", {"type": "object"})}


def requests_issue(requests: Requests) -> str:
    """Return why no person can be asked this; empty if a person can."""
    for key, request in requests.items():
        if not isinstance(request.get("message"), str) or not request["message"].strip():
            return f"The request {key!r} of the server has no message."
        if issue := _params_issue(form_of(request)):
            return f"The request {key!r} of the server cannot be asked: {issue}."
    return ""


def _params_issue(params: Mapping[str, Any]) -> str:
    if "url" in params:
        url = params["url"]
        is_url = isinstance(url, str) and urlsplit(url).scheme in ("https", "http")
        return "" if is_url else "its URL must start with https://"
    form = params["form"]
    if not isinstance(form, Mapping):
        return "its schema must be an object"
    issue = form_issue(form)
    return "" if issue is None else f"{'.'.join(map(str, ('schema', *issue[0])))} {issue[1]}"


def _response(request: Mapping[str, Any], answer: Event) -> Mapping[str, Any]:
    if answer.type == "input_request.expired":
        return {"action": "cancel"}
    if answer.data.get("declined"):
        return {"action": "decline"}
    if "url" in request:
        return {"action": "accept"}
    return {"action": "accept", "content": answer.data["feedback"]}


def _digest(request: Mapping[str, Any]) -> str:
    # The order of the keys may differ between two requests of one server.
    return hashlib.sha256(to_json(_sorted(request))).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]
    return value
