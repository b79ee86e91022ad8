"""Settings that a provider does not take, and faulty fields of routes, by file, line and field."""

import pytest

from runyard_service.agents.definitions.loader import read_agents
from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.registry import resolve
from runyard_service.domain.errors import DefinitionError
from runyard_service.domain.request_errors import InvalidRequestError

AGENT = """\
key: clerk
version: "1"
instructions: Help. It is {{ now }}.
prompt: "{{ now }}: {{ input.name }}"
input_schema: { type: object }
tools: [{ kind: http, name: look, description: Looks., url: http://localhost }]
"""
ROUTES = """\
openai: { model: 'openai:m', base_url: 'https://llm.example/v1' }
responses: { model: 'openai:m' }
anthropic: { model: 'anthropic:m' }
thinking: { model: 'anthropic:m', thinking_budget: 2000 }
bedrock: { model: 'bedrock:m' }
"""


def errors(fields: str = "", route: str = "openai", routes: str = "") -> list[str]:
    """Return the errors of an agent with these fields on line 8."""
    texts = {"routes.yaml": ROUTES + routes, "clerk.yaml": f"{AGENT}route: {route}\n{fields}"}
    try:
        read_agents(texts)
    except DefinitionError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("route", "fields"),
    [
        ("openai", "temperature: 2\ntop_p: 0.5\nstop: [END]\nseed: 1\nservice_tier: flex\n"),
        ("openai", "parallel_tool_calls: false\ntool_choice: [look]\ntool_result_bytes: 5000\n"),
        ("openai", "output_mode: native\noutput_schema: { type: object }\n"),
        ("anthropic", "cache: 1h\ntemperature: 1\nparallel_tool_calls: true\nstop: [END]\n"),
        ("anthropic", "cache: off\ntool_choice: none\nservice_tier: default\n"),
        ("thinking", "max_output_tokens: 2001\ntool_choice: auto\n"),
        ("bedrock", "cache: 5m\nguardrail: { id: g, version: 1 }\ntool_choice: required\n"),
    ],
)
def test_a_provider_takes_its_settings(route: str, fields: str) -> None:
    assert errors(fields, route) == []


@pytest.mark.parametrize(
    ("route", "field", "error"),
    [
        ("openai", "cache: 1h", "cache: is not possible with openai-chat routes: this provider"),
        (
            "openai",
            "guardrail: { id: g, version: DRAFT }",
            "guardrail: is not possible with",
        ),
        ("responses", "seed: 1", "seed: is not possible with openai-responses routes; remove it"),
        ("anthropic", "seed: 1", "seed: is not possible with anthropic routes; remove it"),
        ("anthropic", "temperature: 1.5", "temperature: must be at most 1 with anthropic routes"),
        ("anthropic", "service_tier: flex", "service_tier: must be auto or default with anthropic"),
        ("bedrock", "seed: 1", "seed: is not possible with bedrock routes; remove it"),
        ("bedrock", "parallel_tool_calls: false", "parallel_tool_calls: is not possible with"),
        ("thinking", "max_output_tokens: 2000", "max_output_tokens: must exceed the route's"),
        ("thinking", "temperature: 0.5", "temperature: must be 1 or unset: this route has a"),
        ("thinking", "tool_choice: required", "tool_choice: must be auto or none: this route"),
        (
            "openai",
            "tool_choice: [lok]",
            "tool_choice.0: 'lok' is not a tool of the agent; did",
        ),
        ("openai", "output_mode: native", "output_mode: native requires an output_schema"),
        ("bedrock", "guardrail: { id: g, version: 0 }", "guardrail.version: String should match"),
        ("openai", "temperature: 3", "temperature: Input should be less than or equal to 2"),
    ],
)
def test_a_setting_that_is_not_possible_is_an_error(route: str, field: str, error: str) -> None:
    (message,) = errors(f"{field}\n", route)
    assert message.startswith(f"clerk.yaml, line 8: {error}")


def test_a_required_call_needs_a_tool() -> None:
    text = AGENT.replace("tools:", "description: no tools #") + "route: r\ntool_choice: required\n"
    with pytest.raises(DefinitionError, match="line 8: tool_choice: requires a tool, and"):
        read_agents({"routes.yaml": "r: { model: 'openai:m' }\n", "clerk.yaml": text})


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ("extra_headers: { Authorization: x }", "extra_headers.Authorization: would replace the"),
        ("extra_headers: { x-api-key: x }", "extra_headers.x-api-key: would replace the cred"),
        ("extra_headers: { Host: x }", "extra_headers.Host: is set by Runyard's HTTP client"),
        ('extra_headers: { "a b": x }', "extra_headers.a b: is not the name of an HTTP header"),
        ('extra_headers: { a: "x\\ny" }', "extra_headers.a: must not contain control characters"),
        ("extra_body: { messages: [] }", "extra_body.messages: is set by Runyard; remove it"),
        ("extra_body: { temperature: 1 }", "extra_body.temperature: is set by Runyard; use temp"),
        ("thinking_budget: 2000", "thinking_budget: is only for anthropic, bedrock, google routes"),
        ("cache_write_usd_per_million: 1", "cache_write_usd_per_million requires both other"),
    ],
)
def test_a_faulty_route_is_an_error(fields: str, error: str) -> None:
    (message,) = errors(routes=f"faulty:\n  model: openai:m\n  {fields}\n")
    assert message.startswith("routes.yaml, line ")
    assert error in message


def test_a_server_with_the_openai_api_can_get_its_own_fields() -> None:
    own = "extra_body: { thinking: { type: disabled }, chat_template_kwargs: { a: true } }"
    assert errors(routes=f"own:\n  model: openai:m\n  {own}\n") == []
    (message,) = errors(routes="own:\n  model: anthropic:m\n  extra_body: { thinking: {} }\n")
    assert "extra_body.thinking: is set by Runyard; use reasoning or thinking_budget" in message


@pytest.mark.parametrize("field", ["max_tokens_field: max_tokens", "stream_options: false"])
def test_a_field_of_chat_completions_is_only_for_their_servers(field: str) -> None:
    (message,) = errors(routes=f"faulty:\n  model: anthropic:m\n  {field}\n")
    assert message.startswith("routes.yaml, line 8: faulty.")
    assert "is only for openai-chat routes; remove it" in message


def test_a_thinking_budget_excludes_a_reasoning_effort() -> None:
    both = "thinking_budget: 2000\n  reasoning: high"
    (message,) = errors(routes=f"faulty:\n  model: bedrock:m\n  {both}\n")
    assert "thinking_budget: cannot be set together with reasoning" in message


def test_an_agent_with_a_guardrail_does_not_run_without_it() -> None:
    agents = read_agents(
        {
            "routes.yaml": ROUTES,
            "clerk.yaml": f"{AGENT}route: bedrock\nguardrail: {{ id: g, version: 1 }}\n",
        }
    )
    assert resolve(agents, "clerk").route.provider == "bedrock"
    with pytest.raises(InvalidRequestError) as error:
        resolve(agents, "clerk", route_id="openai")
    assert error.value.details == {
        "route_id": "the agent has a guardrail, and only routes of Amazon Bedrock apply it"
    }


def test_settings_have_defaults() -> None:
    definition = AgentDefinition.model_validate(
        {"key": "a", "version": "1", "instructions": "x", "route": "r", "input_schema": {}}
    )
    assert (definition.cache, definition.output_mode) == ("5m", "tool")
    assert definition.tool_result_bytes == 262_144
    assert Route(model="openai:m").stream_options


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ("fallback: [bedrock2, openai]", "fallback.1"),
        ("context: { summary_route: openai }", "context.summary_route"),
    ],
)
def test_no_other_route_of_an_agent_goes_without_its_guardrail(fields: str, where: str) -> None:
    guarded = f"guardrail: {{ id: g, version: 1 }}\n{fields}\n"
    (message,) = errors(guarded, "bedrock", "bedrock2: { model: 'bedrock:n' }\n")
    assert message == (
        f"clerk.yaml, line 9: {where}: the agent has a guardrail, and only routes of Amazon"
        " Bedrock apply it"
    )


def test_a_body_field_of_one_api_of_openai_is_free_in_the_other() -> None:
    chat = "a: { model: 'openai-chat:m', extra_body: { reasoning: {} } }\n"
    assert errors(routes=chat) == []
    (message,) = errors(routes=chat.replace("openai-chat", "openai-responses"))
    assert "a.extra_body.reasoning: is set by Runyard; use reasoning of the route" in message
