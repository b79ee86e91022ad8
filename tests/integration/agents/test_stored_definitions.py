"""Test that a stored definition has the same meaning: every field set, unset, or at its default."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.stores import Stores
from runyard_service.agents.conversation import output_of, request_for
from runyard_service.agents.definitions.conditions import Test
from runyard_service.agents.definitions.human_tools import ApprovalRule, AskHuman
from runyard_service.agents.definitions.models import (
    AgentDefinition,
    ContextPolicy,
    Limits,
    Snapshot,
)
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.script import Script
from runyard_service.agents.definitions.tools import HttpTool, LambdaTool, PythonTool
from runyard_service.application.steps.budget import Budget
from runyard_service.application.steps.tool_calls.next_action import next_action
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import CallOrigin, ToolCallState

OBJECT = {"type": "object"}
PARAMETERS = {"type": "object", "properties": {"amount": {}, "note": {"type": "string"}}}
TOOL: dict[str, Any] = {
    "effect": "idempotent",
    "approval": {"when": {"amount": {"above": 100}}},
    "timeout": 5,
    "parameters": PARAMETERS,
}
NEEDED = {"name": "pay", "description": "Pays."}
HTTP = {"kind": "http", "url": "https://x.example/{amount}", **NEEDED}
ASK = {"kind": "ask_human"}
AGENT = {"key": "a", "version": "1", "instructions": "x", "route": "r", "input_schema": OBJECT}
CODE_AGENT = {**AGENT, "kind": "code", "function": "orders"}
ROUTE = {"model": "openai:m"}
TURN = {"say": "Hello."}
SCRIPT = {"dialogues": [{"name": "a", "turns": [TURN]}]}

# For each model: the required fields, and another value for every field.
SAMPLES: list[tuple[type[BaseModel], dict[str, Any], dict[str, Any]]] = [
    (
        Test,
        {},
        {
            "equals": 120,
            "one_of": ["5000", 120, None],
            "contains": "5",
            "matches": "^5",
            "above": 100,
            "below": 100,
            "exists": False,
        },
    ),
    (
        ApprovalRule,
        {},
        {
            "prompt": "Pay {{ input.amount }}?",
            "when": {"amount": 120},
            "editable": ["amount"],
            "expires_in": 60,
            "on_expiry": "deny",
        },
    ),
    (
        HttpTool,
        HTTP,
        {**TOOL, "method": "POST", "headers": {"X-A": "{note}"}, "max_response_bytes": 100},
    ),
    (PythonTool, {"kind": "python", "function": "a:b", **NEEDED}, TOOL),
    (LambdaTool, {"kind": "lambda", "function": "f", **NEEDED}, TOOL),
    (
        AskHuman,
        ASK,
        {
            "name": "ask",
            "description": "Asks.",
            "choices": ["yes", "no"],
            "form": {**OBJECT, "properties": {"on": {"const": 1.0}}},
            "expires_in": 60,
            "on_expiry": "fail",
            "default": "yes",
        },
    ),
    (
        Limits,
        {},
        {
            "steps": 3,
            "tokens": 100,
            "usd": "0.50",
            "wall_clock_seconds": 9,
            "usd_per_day": "2",
            "on_limit": "ask",
            "output_attempts": 1,
            "truncated_replies": 1,
            "operations": 10,
            "invocations": 10,
            "wait_seconds": 60,
        },
    ),
    (
        ContextPolicy,
        {},
        {
            "compact_at": 0.5,
            "keep_turns": 2,
            "tool_result_bytes": 1000,
            "summary_route": "r",
        },
    ),
    (
        AgentDefinition,
        AGENT,
        {
            "description": "An agent.",
            "prompt": "{{ input.amount }}",
            "fallback": ["r2", "r3"],
            "output_schema": {**OBJECT, "required": ["ok"]},
            "tools": [HTTP, ASK],
            "limits": {"steps": 2},
            "max_output_tokens": 50,
            "context": {"keep_turns": 2},
            "empty_output": "retry",  # `allow` excludes the output_schema.
            "cache": "1h",
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": ["END"],
            "seed": 7,
            "service_tier": "flex",
            "parallel_tool_calls": False,
            "tool_choice": ["pay"],
            "output_mode": "tool",  # `native` requires the output_schema.
            "guardrail": {"id": "g", "version": "DRAFT"},
            "tool_result_bytes": 100,
        },
    ),
    (
        AgentDefinition,
        CODE_AGENT,
        {"alias": "beta", "invocation_timeout": 9, "other_routes": ["r2"]},
    ),
    (
        Route,
        ROUTE,
        {
            "base_url": "https://m.example",
            "region": "eu-west-1",
            "api_key_variable": "KEY",
            "api_key_secret": "secret",
            "input_usd_per_million": "1.5",
            "output_usd_per_million": "3",
            "cached_input_usd_per_million": "0.10",
            "timeout": 9,
            "context_window": 32_000,
            "reasoning": "off",
            "think_tags": "off",
            "cache_write_usd_per_million": "2",
            "thinking_budget": None,  # Not together with reasoning, nor for openai.
            "extra_headers": {"x-team": "a"},
            "extra_body": {"top_k": 5},
            "max_tokens_field": "max_tokens",
            "stream_options": False,
            "stream_usage": "increments",
        },
    ),
    (
        Snapshot,
        {"definition": AGENT, "route": ROUTE, "route_id": "r"},
        {
            "script": SCRIPT,
            "fallback": [{"route": ROUTE, "route_id": "r2", "script": SCRIPT}],
            "other_routes": [{"route": ROUTE, "route_id": "r3"}],
            "summary_route": {**ROUTE, "timeout": 9},
            "mcp_servers": {"crm": {"url": "https://crm.example/mcp"}},
            "mcp_lock": {"crm": {"look": "0" * 64}},
        },
    ),
]
AMOUNTS: list[Any] = [None, 50, 100, 120, 5000, 100.5, "5000", "120", True, False, [5], {"a": 5}]


def _variants(
    model: type[BaseModel], needed: dict[str, Any], others: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each field unset, set to another value, and set to its default; then all set."""
    yield "unset", needed
    yield "all", {**needed, **others}
    for name, field in model.model_fields.items():
        if name in others:
            yield f"{name} set", {**needed, name: others[name]}
            yield (
                f"{name} at default",
                {**needed, name: field.get_default(call_default_factory=True)},
            )


def snapshot_with(model: type[BaseModel], fields: dict[str, Any]) -> Snapshot:
    """Return an agent that contains this model."""
    definition: dict[str, Any] = dict(AGENT)
    route: dict[str, Any] = dict(ROUTE)
    if model is Test:
        definition["tools"] = [{**HTTP, "approval": {"when": {"amount": fields}}}]
    elif model is ApprovalRule:
        definition["tools"] = [{**HTTP, "parameters": PARAMETERS, "approval": fields}]
    elif model is Limits:
        definition["limits"] = fields
    elif model is ContextPolicy:
        definition["context"] = fields
    elif model is AgentDefinition:
        definition = fields
    elif model is Route:
        route = fields
    elif model is Snapshot:
        return Snapshot.model_validate(fields)
    else:
        definition["tools"] = [fields]
    return Snapshot.model_validate({"definition": definition, "route": route, "route_id": "r"})


def _cases() -> Iterator[Any]:
    """Yield the variants that the validation of agents accepts: only those are stored."""
    for model, needed, others in SAMPLES:
        for name, fields in _variants(model, needed, others):
            with suppress(ValidationError):
                snapshot = snapshot_with(model, fields)
                kind = f", {needed['kind']}" if "kind" in needed else ""
                yield pytest.param(snapshot, id=f"{model.__name__}{kind}: {name}")


@pytest.fixture(scope="module")
def other_stores(stack: DevStack) -> Stores:
    """Return the stores of another process, which must read every definition first."""
    return stores_of(stack.environment)


def behaviour(snapshot: Snapshot) -> Mapping[str, Any]:
    """Return the behavior of the agent: decisions on calls, model request, limits, route."""
    definition, route = snapshot.definition, snapshot.route
    inputs: list[dict[str, Any]] = [{"amount": amount} for amount in AMOUNTS]
    inputs += [{}, {"prompt": "Which?"}, {"prompt": "Which?", "choices": ["a"]}]
    actions = [
        next_action(definition, ToolCallState("c", tool.name, call_input, 1, "started"), origin)
        for tool in definition.callable_tools
        for call_input in inputs
        for origin in CallOrigin
    ]
    run = Run.model_validate(
        {
            **{"id": "r", "project_id": "p", "org_id": "o", "app_id": "a", "agent": "a@1"},
            **{"definition_digest": "d", "started_at": "t", "input": {"amount": 1}},
        }
    )
    limits = definition.limits
    budget = Budget(limits, History())
    names = ("steps", "tokens", "usd", "wall_clock_seconds")
    return {
        "name": snapshot.name,
        "actions": [(type(action), vars(action)) for action in actions],
        "request": request_for(definition, run, History()),
        "answer": output_of(definition, History()),
        "left": [budget.left(name) for name in names],
        "waits": [limits.time_to_answer(seconds, "deny") for seconds in (None, 5, 500)],
        "limits": limits.model_dump(),
        "route": (route.provider, route.model_name, route.model_dump()),
        "script": snapshot.script and Script.model_validate(snapshot.script),
        "all": snapshot.model_dump(),
        "set": _set_fields(snapshot),
    }


def _set_fields(value: Any) -> Any:
    """Return the set fields of the value and of all values in it."""
    if isinstance(value, BaseModel):
        return {name: _set_fields(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, Mapping):
        return {name: _set_fields(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_set_fields(inner) for inner in value]
    return None


@pytest.mark.parametrize("model", list({model: None for model, _, _ in SAMPLES}))
def test_every_field_has_a_sample(model: type[BaseModel]) -> None:
    samples = [needed | others for each, needed, others in SAMPLES if each is model]
    assert set().union(*samples) == model.model_fields.keys()


@pytest.mark.parametrize("before", list(_cases()))
def test_a_stored_definition_behaves_like_the_original(
    stores: Stores, other_stores: Stores, before: Snapshot
) -> None:
    digest = stores.definitions.save(before.to_stored())
    after = Snapshot.from_stored(other_stores.definitions.get(digest))
    assert behaviour(after) == behaviour(before)
