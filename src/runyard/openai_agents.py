"""Run an agent of the OpenAI Agents SDK as a durable agent.

    from runyard.openai_agents import serve
    handler = serve(agent, effects={"search": "none", "pay": "unsafe"})

Each response of a model and each call of a function tool is recorded, also after a handoff. A tool
that needs approval asks a person.
"""

import asyncio
import copy
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from agents import (
    Agent,
    FunctionTool,
    Handoff,
    Model,
    ModelProvider,
    ModelResponse,
    RunConfig,
    Runner,
)
from runyard.durable import frameworks
from runyard.durable.context import Context
from runyard.durable.frameworks import Effects, RunyardModel
from runyard.durable.handler import Agent as Handler
from runyard.durable.protocol import StepUsage
from runyard.service_models.openai_agents import ServiceModel

_RESPONSE: TypeAdapter[Any] = TypeAdapter(ModelResponse)
_as_json = functools.partial(to_jsonable_python, fallback=str)


def serve(
    agent: Agent[Any],
    *,
    effects: Effects | None = None,
    model: RunyardModel = None,
    prompt: Callable[[Any], Any] = frameworks.prompt_of,
    context: Callable[[Any], Any] = lambda _: None,
    run_config: RunConfig | None = None,
    max_turns: int = 1000,
) -> Handler:
    """Return the handler of this agent.

    `effects` has the effect of each tool by name; other tools are `unsafe`, or have the effect of
    `*`. `prompt` and `context` return the input and the context of the run for its input.
    `model="runyard"` requests responses through the service, which streams and budgets them.
    Without a `run_config`, OpenAI's tracing is off: each replay would send a trace.
    """
    effects = effects or {}
    frameworks.check_options(effects, model)
    config = run_config or RunConfig(tracing_disabled=True)

    async def run(ctx: Context, data: Any) -> Any:
        recorded = _Run(ctx, effects, ServiceModel() if model else None)
        own_config = dataclasses.replace(
            config,
            model=recorded.model(config.model) if isinstance(config.model, Model) else config.model,
            model_provider=_Provider(recorded, config.model_provider),
        )
        options = {"run_config": own_config, "max_turns": max_turns}
        own = recorded.agent(agent)
        result = await Runner.run(own, prompt(data), context=context(data), **options)
        while result.interruptions:
            answered = await recorded.approve_all(result)
            result = await Runner.run(own, answered, **options)
        return _as_json(result.final_output)

    return frameworks.handler_of(run)


class _Run:
    """The agents of one run, whose models and tools record their results."""

    def __init__(self, ctx: Context, effects: Effects, service: "ServiceModel | None") -> None:
        self.ctx = ctx
        self.effects = effects
        self.service = service
        self._agents: dict[int, Any] = {}

    def agent(self, agent: Any) -> Any:
        """Return a copy of the agent, and of the agents that it can hand off to."""
        if id(agent) in self._agents:
            return self._agents[id(agent)]
        own = self._agents[id(agent)] = copy.copy(agent)
        if isinstance(agent.model, Model):
            own.model = self.model(agent.model)
        own.tools = [self._tool(t) if isinstance(t, FunctionTool) else t for t in agent.tools]
        own.handoffs = [
            self._handoff(item) if isinstance(item, Handoff) else self.agent(item)
            for item in agent.handoffs
        ]
        return own

    def model(self, model: Any) -> Any:
        """Return a copy of the model that records its responses, or the service's model."""
        if self.service is not None:
            return self.service

        async def get_response(
            system_instructions: Any,
            input: Any,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            received: list[ModelResponse] = []

            async def request() -> Any:
                response = await model.get_response(system_instructions, input, *args, **kwargs)
                received[:] = [response]
                return _RESPONSE.dump_python(response, mode="json", warnings=False)

            ident = input if isinstance(input, str) else [len(input), _as_json(input[-1])]
            with self.ctx.scope("agent"):
                value = await self.ctx.step(
                    "model",
                    request,
                    effect="none",
                    ident=ident,
                    usage=lambda _: _usage(received[0]),
                )
            return _RESPONSE.validate_python(value)

        own = copy.copy(model)
        own.get_response = get_response
        return own

    def _tool(self, tool: FunctionTool) -> FunctionTool:
        async def invoke(tool_context: Any, arguments: str) -> Any:
            async def execute() -> Any:
                return _tool_output(await tool.on_invoke_tool(tool_context, arguments))

            with frameworks.call_scope(self.ctx, tool_context.tool_call_id):
                return await self.ctx.step(
                    tool.name,
                    execute,
                    effect=frameworks.effect_of(self.effects, tool.name),
                    ident=arguments,
                )

        own = copy.copy(tool)
        own.on_invoke_tool = invoke
        return own

    def _handoff(self, handoff: Any) -> Any:
        async def hand_off(*args: Any) -> Any:
            return self.agent(await handoff.on_invoke_handoff(*args))

        return dataclasses.replace(handoff, on_invoke_handoff=hand_off)

    async def approve_all(self, result: Any) -> Any:
        """Ask a person about each interruption, and return the state with the answers."""
        state = result.to_state()
        answers = await asyncio.gather(*(self._approve(item) for item in result.interruptions))
        for item, answer in zip(result.interruptions, answers, strict=True):
            if answer.is_approved:
                state.approve(item)
            else:
                state.reject(item, rejection_message=answer.feedback)
        return state

    async def _approve(self, item: Any) -> Any:
        arguments = json.loads(item.arguments or "{}")
        with frameworks.call_scope(self.ctx, item.call_id or item.name):
            return await self.ctx.approve(f"{item.name}?", arguments)


class _Provider(ModelProvider):
    """The models that agents and the configuration name by a text."""

    def __init__(self, run: _Run, provider: ModelProvider) -> None:
        self.run, self.provider = run, provider

    def get_model(self, model_name: str | None) -> Model:
        """Return the model of this name, which records its responses."""
        if self.run.service is not None:
            return self.run.service
        model: Model = self.run.model(self.provider.get_model(model_name))
        return model


def _usage(response: ModelResponse) -> StepUsage:
    tokens = response.usage
    return StepUsage(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cached_input_tokens=tokens.input_tokens_details.cached_tokens or 0,
    )


def _tool_output(value: Any) -> Any:
    """Return the output of a tool as JSON. The framework shows other values as `str(value)`."""
    if value is None or isinstance(value, str | int | float | list | dict):
        return _as_json(value)
    return _as_json(value) if hasattr(value, "model_dump") else str(value)
