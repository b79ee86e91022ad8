"""What the adapters of frameworks share: effects, prompts, input requests, the context."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Literal, get_args

from runyard.durable.context import Context
from runyard.durable.handler import Agent, agent
from runyard.durable.protocol import Effect

Effects = Mapping[str, Effect]
# The key in `effects` for all names that it does not have.
OTHERS = "*"
# `None` is the framework's own client.
RunyardModel = Literal["runyard"] | None

_context: ContextVar[Context] = ContextVar("runyard_context")
_ASK_OPTIONS = ("form", "choices", "expires_in", "default")


def check_options(effects: Mapping[str, str], model: str | None, *more_effects: str) -> None:
    """Raise ValueError for an unknown effect or model, when the function starts."""
    allowed = [*get_args(Effect), *more_effects]
    for name, effect in effects.items():
        if effect not in allowed:
            raise ValueError(f"effects[{name!r}] is {effect!r}; allowed: {', '.join(allowed)}")
    if model not in (None, "runyard"):
        raise ValueError(f"model is {model!r}; allowed: 'runyard', or leave it out")


def effect_of(effects: Mapping[str, Any], name: str) -> Any:
    """Return the effect of a tool or node: `unsafe` unless `effects` has its name or `*`."""
    return effects.get(name, effects.get(OTHERS, "unsafe"))


def handler_of(function: Callable[[Context, Any], Any]) -> Agent:
    """Return the handler whose code is `function`, in which `current_context` works."""

    @agent
    async def handler(ctx: Context, data: Any) -> Any:
        ctx.sync  # noqa: B018 - made on the event loop, because a thread cannot make it
        _context.set(ctx)
        if ctx.messages and not data:  # In a thread.
            data = {"content": ctx.messages[-1]["content"], "messages": ctx.messages}
        return await function(ctx, data)

    return handler


def current_context() -> Context:
    """Return the context of the run. Raise RuntimeError outside of a run."""
    ctx = _context.get(None)
    if ctx is None:
        raise RuntimeError(
            "The model 'runyard' works only inside a run: call the handler that serve() returns, "
            "or test it with runyard.testing.run."
        )
    return ctx


def prompt_of(data: Any) -> str:
    """Return the input of the run as a text: its only text, or all of it as JSON.

    In a thread, it is the newest message.
    """
    if isinstance(data, Mapping) and data.keys() == {"content", "messages"}:
        data = data["content"]
    values = list(data.values()) if isinstance(data, Mapping) else [data]
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return _as_text(data)


def call_scope(ctx: Context, call_id: str) -> AbstractContextManager[None]:
    """Return the scope of one tool call, so that calls made at the same time have stable keys."""
    return ctx.scope("call-" + call_id.replace("/", "-"))


async def ask_person(ctx: Context, value: Any) -> Any:
    """Ask what a framework's interrupt asks, and return the answer.

    A text is the prompt. An object can have arguments of `ctx.ask`; the prompt is its only other
    text, or its JSON.
    """
    if isinstance(value, str):
        return await ctx.ask(value)
    if not isinstance(value, Mapping):
        return await ctx.ask(_as_text(value))
    options = {name: value[name] for name in _ASK_OPTIONS if name in value}
    others = {name: item for name, item in value.items() if name not in options}
    return await ctx.ask(prompt_of(others), **options)


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
