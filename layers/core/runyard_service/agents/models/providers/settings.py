"""The settings of a request in pydantic-ai's terms: what the agent and the route set, per provider.

A provider gets only the settings that it takes (`definitions/model_settings/support.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic_ai.settings import ModelSettings

from runyard_service.agents.definitions.model_settings.route_extras import (
    CONTROL_CHARACTERS,
)
from runyard_service.agents.definitions.model_settings.support import takes
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import AssistantMessage, ModelRequest
from runyard_service.agents.models.providers.requests import may_reason
from runyard_service.agents.models.token_bounds import DEFAULT_OUTPUT_TOKENS
from runyard_service.agents.variables import variables_in, with_variables
from runyard_service.domain.errors import DefinitionError

_Settings = dict[str, Any]

# The fields that have the same name in pydantic-ai.
_COMMON = ("temperature", "top_p", "seed", "service_tier", "parallel_tool_calls")
_SHORTEST_THINKING = 1024
# At least this much of a response is left for its text and its calls.
_SHORTEST_TEXT = 256


def request_settings(
    route: Route, request: ModelRequest, variables: Mapping[str, str]
) -> ModelSettings:
    """Return the settings of one request.

    `variables` are the values of `${NAME}`. Raise DefinitionError if the route uses an unknown
    name, or if `tool_choice` names only tools that the request does not have.
    """
    settings = _of_agent(route, request) | _of_route(route, request)
    headers, body = _extras(route, variables)
    if headers:
        settings["extra_headers"] = headers
    thinking = _thinking_tokens(route, settings)
    match route.provider:
        case "anthropic":
            settings |= _anthropic(request, thinking, body)
        case "bedrock":
            settings |= _bedrock(request, thinking, body)
        case "google":
            settings |= _google(thinking, body)
        case _:
            settings |= {"extra_body": body} if body else {}
    return cast(ModelSettings, settings)


def _of_agent(route: Route, request: ModelRequest) -> _Settings:
    settings: _Settings = {}
    for name in _COMMON:
        value = getattr(request.settings, name)
        if value is not None and takes(route.api, name):
            settings[name] = value
    if request.settings.stop and takes(route.api, "stop"):
        settings["stop_sequences"] = list(request.settings.stop)
    if (choice := _tool_choice(request)) is not None:
        settings["tool_choice"] = choice
    return settings


def _of_route(route: Route, request: ModelRequest) -> _Settings:
    # The announcement is a text about pydantic-ai's own frames, which no request here has. It would
    # change the start of a conversation, and so miss the provider's cache.
    settings: _Settings = {"request_timeout": route.timeout, "framing_announcement": "never"}
    if (longest := longest_response(route, request)) is not None:
        settings["max_tokens"] = longest
    if route.reasoning is not None and may_reason(request, route.provider):
        settings["thinking"] = False if route.reasoning == "off" else route.reasoning
    return settings


def longest_response(route: Route, request: ModelRequest) -> int | None:
    """Return the limit of the response in tokens, including its reasoning; None if there is none.

    A thinking budget is a part of the response, so the default length is added to it.
    """
    if request.max_output_tokens is None and route.thinking_budget is not None:
        return route.thinking_budget + DEFAULT_OUTPUT_TOKENS
    return request.max_output_tokens


def secrets_of(route: Route, variables: Mapping[str, str]) -> Sequence[str]:
    """Return the values of variables that the route sends: no message may quote them."""
    names = (*variables_in(route.extra_headers), *variables_in(route.extra_body))
    return [variables[name] for name in names if name in variables]


def _tool_choice(request: ModelRequest) -> str | list[str] | None:
    choice = request.settings.tool_choice
    if not isinstance(choice, tuple):
        return choice
    names = [tool.name for tool in request.tools if tool.name in choice]
    if choice and not names:
        raise DefinitionError(
            f"tool_choice names no tool of the agent: {', '.join(choice)}. Correct the agent file."
        )
    return names


def _extras(route: Route, variables: Mapping[str, str]) -> tuple[dict[str, str], _Settings]:
    try:
        headers = with_variables(route.extra_headers, variables)
        body = with_variables(route.extra_body, variables)
    except KeyError as error:
        raise DefinitionError(
            f"The route uses ${{{error.args[0]}}}, which is not in AGENT_VARIABLES. Add it there."
        ) from None
    for name, value in headers.items():
        if CONTROL_CHARACTERS.search(value):
            raise DefinitionError(
                f"The route's header {name!r} has control characters. Correct its variable."
            )
    return headers, body


def _thinking_tokens(route: Route, settings: _Settings) -> int | None:
    """Return the thinking budget that fits the response; None without one, or with no room for it.

    A budget of the run can shorten the response.
    """
    if route.thinking_budget is None or "thinking" in settings:
        return None
    room = settings["max_tokens"] - _SHORTEST_TEXT
    return min(route.thinking_budget, room) if room >= _SHORTEST_THINKING else None


def _anthropic(request: ModelRequest, thinking: int | None, body: _Settings) -> _Settings:
    settings: _Settings = {"extra_body": body} if body else {}
    if (lifetime := request.settings.cache) != "off":
        # Marked blocks, because gateways do not know Anthropic's field for automatic markers.
        settings["anthropic_cache_tool_definitions"] = lifetime
        settings["anthropic_cache_instructions"] = lifetime
        # A response that the next request continues goes back without a marker.
        if not isinstance(request.messages[-1], AssistantMessage):
            settings["anthropic_cache_messages"] = lifetime
    if thinking is not None:
        settings["anthropic_thinking"] = {"type": "enabled", "budget_tokens": thinking}
    return settings


def _google(thinking: int | None, body: _Settings) -> _Settings:
    settings: _Settings = {"extra_body": body} if body else {}
    if thinking is not None:
        settings["google_thinking_config"] = {"thinking_budget": thinking}
    return settings


def _bedrock(request: ModelRequest, thinking: int | None, body: _Settings) -> _Settings:
    settings: _Settings = {}
    if (lifetime := request.settings.cache) != "off":
        # pydantic-ai knows the models that take a cache point, and for how long.
        settings["cache"] = True if lifetime == "5m" else lifetime
    if (guardrail := request.settings.guardrail) is not None:
        settings["bedrock_guardrail_config"] = {
            "guardrailIdentifier": guardrail.id,
            "guardrailVersion": guardrail.version,
        }
    if thinking is not None:
        body = body | {"thinking": {"type": "enabled", "budget_tokens": thinking}}
    if body:
        settings["bedrock_additional_model_requests_fields"] = body
    return settings
