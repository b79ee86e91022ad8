"""Which provider takes which setting.

The check of the agent files reports a setting that the provider of the agent's own route does not
take. With another route, a run ignores such a setting, except a guardrail: the request is rejected.
"""

from collections.abc import Iterator, Mapping

from runyard_service.agents.definitions.known_fields import suggestion
from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.definitions.routes import Route

# The providers' own documentation, and pydantic-ai 2.68: `ModelSettings`, "Supported by".
_NOT_TAKEN: Mapping[str, frozenset[str]] = {
    "openai-chat": frozenset({"cache", "guardrail"}),
    "openai-responses": frozenset({"cache", "stop", "seed", "guardrail"}),
    "anthropic": frozenset({"seed", "guardrail"}),
    "bedrock": frozenset({"seed", "parallel_tool_calls"}),
    "google": frozenset({"cache", "parallel_tool_calls", "guardrail"}),
    "mistral": frozenset({"cache", "service_tier", "guardrail"}),
}
# The providers whose temperature is at most 1.
_LOW_TEMPERATURE = frozenset({"anthropic", "bedrock"})
_REASONS = {
    "cache": "this provider caches by itself, for a time that it chooses",
    "guardrail": "only Amazon Bedrock applies it",
}


def takes(api: str, setting: str) -> bool:
    """Return whether the API of a route takes the setting, a field of `RequestSettings`."""
    return setting not in _NOT_TAKEN.get(api, frozenset())


def guardrail_problem(definition: AgentDefinition, route: Route) -> str | None:
    """Return why the agent must not run with the route; None if it may.

    A guardrail protects people: without it the run must not start.
    """
    if definition.guardrail is None or route.provider in ("bedrock", "scripted"):
        return None
    return "the agent has a guardrail, and only routes of Amazon Bedrock apply it"


def setting_issues(definition: AgentDefinition, route: Route) -> Iterator[tuple[list[str], str]]:
    """Yield the path and the text of each setting that the agent's own route cannot take."""
    provider = route.provider
    for name in sorted(_NOT_TAKEN.get(route.api, ())):
        if name in definition.model_fields_set and getattr(definition, name) not in (None, ()):
            why = f": {_REASONS[name]}" if name in _REASONS else ""
            yield [name], f"is not possible with {route.api} routes{why}; remove it"
    temperature = definition.temperature or 0
    if provider in _LOW_TEMPERATURE and temperature > 1:
        yield ["temperature"], f"must be at most 1 with {provider} routes"
    if provider == "anthropic" and definition.service_tier in ("flex", "priority"):
        yield ["service_tier"], "must be auto or default with anthropic routes"
    yield from _thinking_issues(definition, route)


def _thinking_issues(definition: AgentDefinition, route: Route) -> Iterator[tuple[list[str], str]]:
    budget = route.thinking_budget
    if budget is None:
        return
    longest = definition.max_output_tokens
    if longest is not None and longest <= budget:
        yield (
            ["max_output_tokens"],
            f"must exceed the route's thinking_budget ({budget}), which is a part of it",
        )
    thinks_as_anthropic = route.provider in ("anthropic", "bedrock")
    if thinks_as_anthropic and definition.temperature not in (None, 1):
        yield ["temperature"], "must be 1 or unset: this route has a thinking_budget"
    if definition.requires_call and thinks_as_anthropic:
        yield ["tool_choice"], "must be auto or none: this route thinks before it calls a tool"


def tool_choice_issues(definition: AgentDefinition) -> Iterator[tuple[list[str | int], str]]:
    """Yield the path and the text of each tool that `tool_choice` requires and the agent lacks.

    The names of a server's tools are known only when a run lists them.
    """
    if not definition.requires_call:
        return
    names = {name for tool in definition.tools if (name := getattr(tool, "name", ""))}
    if not definition.tools:
        yield ["tool_choice"], "requires a tool, and the agent has no tools"
    elif isinstance(definition.tool_choice, tuple) and len(names) == len(definition.tools):
        for index, name in enumerate(definition.tool_choice):
            if name not in names:
                text = f"{name!r} is not a tool of the agent{suggestion(name, names)}"
                yield ["tool_choice", index], text
