"""Run a graph of LangGraph as a durable agent.

    from runyard.langgraph import serve
    handler = serve(graph, effects={"look_up": "none", "pay": "unsafe"})

Each node is a recorded step, and each tool call of a `ToolNode`. `interrupt()` asks a person.
"""

import asyncio
import base64
import copy
import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Literal
from uuid import uuid4

from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import set_config_context
from langchain_core.tracers.context import register_configure_hook
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.errors import GraphInterrupt
from langgraph.graph import START
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel
from langgraph.types import Command, Interrupt, interrupt
from pydantic_core import to_jsonable_python

from runyard.durable import frameworks
from runyard.durable.context import Context
from runyard.durable.handler import Agent
from runyard.durable.protocol import Effect, StepUsage
from runyard.service_models.langgraph import ChatModel as ChatModel

REPLAY = "replay"  # A node with this effect is not a step: it runs again in each replay.
_SERIALIZER = JsonPlusSerializer()
# What the models that the current node calls have used: LangChain adds it to their callbacks.
_models: ContextVar[UsageMetadataCallbackHandler | None] = ContextVar("models", default=None)
register_configure_hook(_models, inheritable=True)


def serve(
    graph: Any,
    *,
    effects: Mapping[str, Effect | Literal["replay"]] | None = None,
    state: Callable[[Any], Any] = lambda data: data,
    context: Callable[[Any], Any] = lambda _: None,
    output: Callable[[Any], Any] = lambda state: state,
) -> Agent:
    """Return the handler of this graph.

    `effects` has the effect of each node, and of each tool of a `ToolNode`, by name. Others are
    `unsafe`, or have the effect of `*`. A node that calls `ChatModel` needs `replay`. `state` and
    `context` return the first state and the runtime context for the run's input, and `output` the
    run's output for the last state.
    """
    effects = effects or {}
    frameworks.check_options(effects, None, REPLAY)
    compiled = graph if isinstance(graph, Pregel) else graph.compile()

    async def run(ctx: Context, data: Any) -> Any:
        recorded = _Run(ctx, effects)
        own = recorded.graph(compiled, checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": ctx.run["id"]}}
        value = _with_ids(_with_messages(state(data)), lambda: str(ctx.uuid()))
        while True:
            result = await own.ainvoke(value, config, context=context(data))
            waiting = result.get("__interrupt__") if isinstance(result, Mapping) else None
            if not waiting:
                return _as_json(output(result))
            answers = await asyncio.gather(*(recorded.ask(item) for item in waiting))
            value = Command(
                resume={item.id: answer for item, answer in zip(waiting, answers, strict=True)}
            )

    return frameworks.handler_of(run)


class _Run:
    """The graph of one run, whose nodes record their results."""

    def __init__(self, ctx: Context, effects: Mapping[str, str]) -> None:
        self.ctx = ctx
        self.effects = effects
        self._starts: Counter[str] = Counter()
        self._asked_by: dict[str, str] = {}
        self._tool_calls: dict[str, asyncio.Task[Any]] = {}

    def graph(self, graph: Any, path: str = "", **changes: Any) -> Any:
        """Return a copy of the graph, and of its subgraphs, with recorded nodes."""
        nodes = {
            name: node if name == START else self._node(name, node, path)
            for name, node in graph.nodes.items()
        }
        return graph.copy(update={"nodes": nodes, **changes})

    def _node(self, name: str, node: Any, path: str) -> Any:
        bound = node.bound
        if isinstance(bound, Pregel):
            inner = self.graph(bound, f"{path}{name}.")
            return node.copy({"bound": inner, "subgraphs": [inner]})
        if isinstance(bound, ToolNode):
            tools = copy.copy(bound)
            tools.afunc = tools._afunc  # The original's method calls the original.
            tools._awrap_tool_call = functools.partial(self._call_tool, bound._awrap_tool_call)
            return node.copy({"bound": _Recorded(self, path + name, tools, REPLAY)})
        effect = frameworks.effect_of(self.effects, name)
        return node.copy({"bound": _Recorded(self, path + name, bound, effect)})

    def label(self, name: str) -> str:
        """Return a name for one execution of a node: the nodes of a step start in order."""
        self._starts[name] += 1
        return f"{name.replace('/', '-')}-{self._starts[name]}"

    async def step(
        self, label: str, name: str, effect: Any, ident: Any, function: Callable[[], Any]
    ) -> Any:
        """Record the result of `function`, or that it interrupts the graph."""

        models = UsageMetadataCallbackHandler()

        async def recorded() -> Any:
            _models.set(models)
            try:
                return {"value": _dump(_with_ids(await function(), lambda: str(uuid4())))}
            except GraphInterrupt as interrupted:
                return {"interrupt": _dump([item.value for item in interrupted.args[0]])}

        with self.ctx.scope(label):
            result = await self.ctx.step(
                name,
                recorded,
                effect=effect,
                ident=ident,
                usage=lambda _: _usage(models.usage_metadata),
            )
        if "interrupt" not in result:
            return _load(result["value"])
        return self._interrupt(label, _load(result["interrupt"])[0])

    def _interrupt(self, label: str, value: Any) -> None:
        try:
            while True:  # It returns the answers that the node already has, then it raises.
                interrupt(value)
        except GraphInterrupt as interrupted:
            self._asked_by |= {item.id: label for item in interrupted.args[0]}
            raise

    async def ask(self, item: Interrupt[Any]) -> Any:
        """Ask a person what a node asks."""
        with self.ctx.scope(self._asked_by.get(item.id, "interrupt")):
            return await frameworks.ask_person(self.ctx, item.value)

    async def _call_tool(self, user_wrapper: Any, request: Any, execute: Any) -> Any:
        """Record a tool call. A node that an interrupt repeats does not repeat its other calls."""
        call = request.tool_call
        if call["id"] not in self._tool_calls:
            call_tool = functools.partial(
                user_wrapper or (lambda item, call: call(item)), request, execute
            )
            step = self.step(
                "call-" + call["id"].replace("/", "-"),
                call["name"],
                frameworks.effect_of(self.effects, call["name"]),
                _identity(call["args"]),
                call_tool,
            )
            self._tool_calls[call["id"]] = asyncio.create_task(step)
        try:
            return await asyncio.shield(self._tool_calls[call["id"]])
        except GraphInterrupt:
            del self._tool_calls[call["id"]]
            raise


class _Recorded(Runnable[Any, Any]):
    """A node that is a step of the run."""

    def __init__(self, run: _Run, name: str, bound: Any, effect: str) -> None:
        self.run, self.name, self.bound, self.effect = run, name, bound, effect

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Raise TypeError: the handler uses `ainvoke`."""
        raise TypeError("a graph of runyard.langgraph runs with ainvoke")

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Return the result of the node, from the log if it is there."""
        label = self.run.label(self.name)
        if self.effect == REPLAY:
            with self.run.ctx.scope(label):
                return await self.bound.ainvoke(input, config, **kwargs)
        step = self.run.step(
            label,
            self.name,
            self.effect,
            _identity(input),
            lambda: self.bound.ainvoke(input, config, **kwargs),
        )
        with set_config_context(config) as inner:  # For interrupt(), which reads it.
            return await asyncio.get_running_loop().create_task(step, context=inner)


def _usage(reported: Mapping[str, Any]) -> StepUsage:
    """Return the tokens of all models that a node has called."""
    details = [tokens.get("input_token_details", {}) for tokens in reported.values()]
    return StepUsage(
        input_tokens=sum(tokens["input_tokens"] for tokens in reported.values()),
        output_tokens=sum(tokens["output_tokens"] for tokens in reported.values()),
        cached_input_tokens=sum(each.get("cache_read") or 0 for each in details),
        cache_write_tokens=sum(each.get("cache_creation") or 0 for each in details),
    )


def _dump(value: Any) -> Any:
    """Return the value as JSON: as it is, or as LangGraph's checkpoints have it."""
    try:
        if json.loads(json.dumps(value, allow_nan=False)) == value:
            return {"json": value}
    except (TypeError, ValueError):
        pass
    kind, data = _SERIALIZER.dumps_typed(value)
    return {"type": kind, "base64": base64.b64encode(data).decode()}


def _load(value: Mapping[str, Any]) -> Any:
    if "json" in value:
        return value["json"]
    return _SERIALIZER.loads_typed((value["type"], base64.b64decode(value["base64"])))


def _with_messages(state: Any) -> Any:
    if isinstance(state, Mapping) and "messages" in state:
        return {**state, "messages": convert_to_messages(state["messages"])}
    return state


def _with_ids(value: Any, new_id: Callable[[], str]) -> Any:
    """Set the ids of the messages in `value`: LangGraph sets others in each replay."""
    match value:
        case BaseMessage():
            value.id = value.id or new_id()
        case Mapping():
            [_with_ids(item, new_id) for item in value.values()]
        case list() | tuple():
            [_with_ids(item, new_id) for item in value]
        case Command():
            _with_ids(value.update, new_id)
    return value


def _as_json(value: Any, leaf: Callable[[Any], Any] | None = None) -> Any:
    """Return a state as JSON, with the content of its messages. `leaf` converts other objects."""
    match value:
        case BaseMessage():
            message = {"type": value.type, "content": value.content}
            calls = getattr(value, "tool_calls", None)
            return {**message, "tool_calls": _as_json(calls, leaf)} if calls else message
        case Mapping():
            return {str(name): _as_json(item, leaf) for name, item in value.items()}
        case list() | tuple():
            return [_as_json(item, leaf) for item in value]
    return to_jsonable_python(value, fallback=str) if leaf is None else leaf(value)


def _identity(value: Any) -> Any:
    """Return what identifies the input of a node: values that are the same in each replay."""

    def leaf(item: Any) -> Any:
        return item if item is None or isinstance(item, str | int) else type(item).__name__

    return _as_json(value, leaf)
