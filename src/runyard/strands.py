"""Run an agent of Strands as a durable agent.

    from runyard.strands import serve
    handler = serve(agent, effects={"search": "none", "pay": "unsafe"})

Each response of the model and each tool call is recorded. An interrupt asks a person. Each run
uses a copy of the agent, with the messages that the agent has when `serve` is called.
"""

import asyncio
import copy
import functools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic_core import to_jsonable_python
from strands import Agent
from strands.agent.state import AgentState
from strands.interrupt import Interrupt
from strands.telemetry.metrics import EventLoopMetrics
from strands.types._events import ToolInterruptEvent, ToolResultEvent

from runyard.durable import frameworks
from runyard.durable.context import Context
from runyard.durable.frameworks import Effects, RunyardModel
from runyard.durable.handler import Agent as Handler
from runyard.durable.protocol import StepUsage
from runyard.service_models.strands import ServiceModel as ServiceModel


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
            events = await ctx.step(
                "model", request, effect="none", ident=_as_json(newest), usage=_usage
            )
        for event in events:
            yield event

    own = copy.copy(model)
    own.stream = stream
    return own


def _usage(events: list[Any]) -> StepUsage:
    """Return the tokens that the events of a response report."""
    reported = [event["metadata"].get("usage", {}) for event in events if "metadata" in event]
    return StepUsage(
        input_tokens=sum(tokens.get("inputTokens", 0) for tokens in reported),
        output_tokens=sum(tokens.get("outputTokens", 0) for tokens in reported),
    )


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
