"""Run an agent of Strands as a durable agent.

    from runyard.strands import serve
    handler = serve(agent, effects={"search": "none", "pay": "unsafe"})

Each response of the model and each tool call is recorded. An interrupt asks a person. Each run
uses a copy of the agent, with the messages that the agent has when `serve` is called.
"""

import asyncio
import copy
import functools
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python
from strands import Agent
from strands.agent.state import AgentState
from strands.interrupt import Interrupt
from strands.models import Model
from strands.telemetry.metrics import EventLoopMetrics
from strands.types._events import ToolInterruptEvent, ToolResultEvent

from runyard.durable import frameworks
from runyard.durable.context import Context
from runyard.durable.frameworks import Effects, RunyardModel
from runyard.durable.handler import Agent as Handler
from runyard.durable.results import ModelResponse


def serve(
    agent: Agent,
    *,
    effects: Effects | None = None,
    model: RunyardModel = None,
    prompt: Callable[[Any], Any] = frameworks.prompt_of,
    output: Callable[[Any], Any] | None = None,
) -> Handler:
    """Return the handler of this agent.

    `effects` has the effect of each tool by name; other tools are `unsafe`, or have the effect of
    `*`. `prompt` returns the user's prompt for the run's input, and `output` the run's output for
    the `AgentResult`: by default its structured output or its text. `model="runyard"` requests
    responses through the service, which streams and budgets them; `ServiceModel()` as the agent's
    model does the same.
    """
    effects = effects or {}
    frameworks.check_options(effects, model)
    messages, state = copy.deepcopy(agent.messages), copy.deepcopy(agent.state.get())

    async def run(ctx: Context, data: Any) -> Any:
        own = _copy(agent, copy.deepcopy(messages), copy.deepcopy(state))
        is_ours = model or isinstance(agent.model, ServiceModel)
        own.model = ServiceModel() if is_ours else _recorded_model(ctx, agent.model)
        own.tool_registry.registry = {
            name: _recorded_tool(ctx, own, tool, frameworks.effect_of(effects, name))
            for name, tool in agent.tool_registry.registry.items()
        }
        result = await own.invoke_async(prompt(data))
        while result.stop_reason == "interrupt":
            responses = await asyncio.gather(*(_ask(ctx, item) for item in result.interrupts))
            result = await own.invoke_async(list(responses))
        return _output(result) if output is None else output(result)

    return frameworks.handler_of(run)


def _copy(agent: Agent, messages: Any, state: Any) -> Any:
    """Return a copy of the agent that shares no state of a conversation with it."""
    own = copy.copy(agent)
    own.messages = messages
    own.state = AgentState(state)
    own.event_loop_metrics = EventLoopMetrics()
    own.conversation_manager = copy.copy(agent.conversation_manager)
    own.tool_registry = copy.copy(agent.tool_registry)
    own.tool_caller = type(agent.tool_caller)(own)
    own._interrupt_state = type(agent._interrupt_state)()
    own._concurrency = type(agent._concurrency)(agent._concurrency.mode)
    own._model_state = {}
    own._cancel_signal = threading.Event()
    return own


def _recorded_model(ctx: Context, model: Any) -> Any:
    """Return a copy of the model that records its responses as steps, which can be repeated."""

    async def stream(messages: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async def request() -> Any:
            return [event async for event in model.stream(messages, *args, **kwargs)]

        newest = {name: messages[-1][name] for name in ("role", "content")}
        with ctx.scope("agent"):
            events = await ctx.step("model", request, effect="none", ident=_as_json(newest))
        for event in events:
            yield event

    own = copy.copy(model)
    own.stream = stream
    return own


def _recorded_tool(ctx: Context, agent: Any, tool: Any, effect: Any) -> Any:
    """Return a copy of the tool that records its results as steps."""

    async def stream(tool_use: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async def execute() -> Any:
            return await _outcome(tool.stream(tool_use, *args, **kwargs))

        with frameworks.call_scope(ctx, tool_use["toolUseId"]):
            value = await ctx.step(
                tool_use["name"], execute, effect=effect, ident=_as_json(tool_use["input"])
            )
        if "interrupts" not in value:
            yield ToolResultEvent(value["result"])
            return
        interrupts = agent._interrupt_state.interrupts
        items = [Interrupt(**item) for item in value["interrupts"]]
        yield ToolInterruptEvent(tool_use, [interrupts.setdefault(item.id, item) for item in items])

    own = copy.copy(tool)
    own.stream = stream
    return own


async def _outcome(events: AsyncIterator[Any]) -> dict[str, Any]:
    """Return the result of a tool as JSON, or its interrupts."""
    last: Any = None
    async for event in events:
        last = event
    if isinstance(last, ToolInterruptEvent):
        return {"interrupts": [_as_json(item.to_dict()) for item in last.interrupts]}
    return {"result": _as_json(last.tool_result if isinstance(last, ToolResultEvent) else last)}


async def _ask(ctx: Context, item: Interrupt) -> dict[str, Any]:
    with frameworks.call_scope(ctx, item.id):
        answer = await frameworks.ask_person(ctx, item.name if item.reason is None else item.reason)
    return {"interruptResponse": {"interruptId": item.id, "response": answer}}


def _output(result: Any) -> Any:
    if result.structured_output is not None:
        return to_jsonable_python(result.structured_output)
    return str(result).strip()


_as_json = functools.partial(to_jsonable_python, fallback=str)


class ServiceModel(Model):
    """The model of the agent's route: `ctx.call_model` makes its requests."""

    def update_config(self, **model_config: Any) -> None:
        """Raise TypeError: `routes.yaml` has the settings of the model."""
        raise TypeError("routes.yaml and the agent's file have the settings of the model 'runyard'")

    def get_config(self) -> dict[str, Any]:
        """Return the name of the model."""
        return {"model_id": "runyard"}

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        """Raise TypeError: use `structured_output_model` of the agent."""
        raise TypeError("use Agent(structured_output_model=…) with the model 'runyard'")

    async def stream(
        self,
        messages: Any,
        tool_specs: Any = None,
        system_prompt: str | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """Request a response from the service, and yield its events."""
        tools = [
            {
                "name": spec["name"],
                "description": spec["description"],
                "parameters": spec["inputSchema"]["json"],
            }
            for spec in tool_specs or ()
        ]
        ctx = frameworks.current_context()
        with ctx.scope("agent"):
            response = await ctx.call_model(
                [item for message in messages for item in _service_messages(message)],
                tools=tools,
                instructions=system_prompt or "",
            )
        for event in _events(response):
            yield event


def _events(response: ModelResponse) -> Sequence[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    blocks: list[tuple[dict[str, Any], dict[str, Any]]] = []
    if response.text:
        blocks.append(({}, {"text": response.text}))
    for call in response.tool_calls:
        start = {"toolUse": {"name": call.name, "toolUseId": call.id}}
        blocks.append((start, {"toolUse": {"input": json.dumps(dict(call.input))}}))
    for start, delta in blocks:
        events.append({"contentBlockStart": {"start": start}})
        events.append({"contentBlockDelta": {"delta": delta}})
        events.append({"contentBlockStop": {}})
    reason = "tool_use" if response.tool_calls else "end_turn"
    events.append({"messageStop": {"stopReason": reason}})
    usage = response.usage
    tokens = [usage.get("input_tokens", 0), usage.get("output_tokens", 0)]
    counts = {"inputTokens": tokens[0], "outputTokens": tokens[1], "totalTokens": sum(tokens)}
    events.append({"metadata": {"usage": counts, "metrics": {"latencyMs": 0}}})
    return events


def _service_messages(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a message of Strands as messages of `ctx.call_model`."""
    content = message["content"]
    text = "".join(block["text"] for block in content if "text" in block)
    if message["role"] == "assistant":
        uses = [block["toolUse"] for block in content if "toolUse" in block]
        calls = [
            {"id": use["toolUseId"], "name": use["name"], "input": use["input"]} for use in uses
        ]
        return [{"role": "assistant", "content": text, "tool_calls": calls}]
    results = [
        {
            "role": "tool",
            "tool_call_id": block["toolResult"]["toolUseId"],
            "content": "".join(map(_block_text, block["toolResult"]["content"])),
            "is_error": block["toolResult"]["status"] == "error",
        }
        for block in content
        if "toolResult" in block
    ]
    return [*results, *([{"role": "user", "content": text}] if text else [])]


def _block_text(block: Mapping[str, Any]) -> str:
    if "text" in block:
        return str(block["text"])
    return json.dumps(_as_json(block.get("json", block)), ensure_ascii=False)
