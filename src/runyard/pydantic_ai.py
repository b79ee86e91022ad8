"""Run an agent of pydantic-ai as a durable agent.

    from runyard.pydantic_ai import serve
    handler = serve(agent, effects={"search": "none", "pay": "unsafe"})

Each response of the model and each tool call is recorded. A tool that needs approval, and a
deferred tool, ask a person.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ToolApproved,
    ToolDenied,
    ToolReturn,
)
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ToolFailedError, ToolRetryError
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryFeedbackPart,
    SystemPromptPart,
    ToolCallPart,
    ToolReturnPart,
    tool_return_ta,
)
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.usage import UsageLimits
from pydantic_core import to_jsonable_python

from runyard.durable import frameworks
from runyard.durable.context import Context
from runyard.durable.frameworks import Effects, RunyardModel
from runyard.durable.handler import Agent as Handler
from runyard.durable.protocol import StepUsage
from runyard.service_models.pydantic_ai import ServiceModel

_RESPONSE = TypeAdapter(ModelResponse)
_PART: TypeAdapter[Any] = TypeAdapter(ToolReturnPart | RetryFeedbackPart)
_RETURN: TypeAdapter[ToolReturn[Any]] = TypeAdapter(ToolReturn)


def serve(
    agent: Agent[Any, Any],
    *,
    effects: Effects | None = None,
    model: RunyardModel = None,
    prompt: Callable[[Any], Any] = frameworks.prompt_of,
    deps: Callable[[Any], Any] = lambda _: None,
    usage_limits: UsageLimits | None = None,
) -> Handler:
    """Return the handler of this agent.

    `effects` has the effect of each tool by name; other tools are `unsafe`, or have the effect of
    `*`. `prompt` and `deps` return the user's prompt and the dependencies for the run's input.
    `model="runyard"` requests responses through the service, which streams and budgets them.
    Without `usage_limits`, only the limits of the run apply.
    """
    effects = effects or {}
    frameworks.check_options(effects, model)

    async def run(ctx: Context, data: Any) -> Any:
        result = await agent.run(
            prompt(data),
            deps=deps(data),
            model=ServiceModel() if model else None,
            capabilities=[_Recorded(ctx, effects)],
            usage_limits=usage_limits or UsageLimits(request_limit=None),
        )
        return to_jsonable_python(result.output)

    return frameworks.handler_of(run)


@dataclass
class _Recorded(AbstractCapability[Any]):
    """Records what the agent does in one run."""

    ctx: Context
    effects: Effects

    async def wrap_model_request(
        self, ctx: Any, *, request_context: ModelRequestContext, handler: Any
    ) -> ModelResponse:
        """Record the response of the framework's own client as a step, which can be repeated."""
        if isinstance(request_context.model, ServiceModel):
            with self.ctx.scope("agent"):
                response: ModelResponse = await handler(request_context)
                return response

        received: list[ModelResponse] = []

        async def request() -> Any:
            received[:] = [await handler(request_context)]
            return _RESPONSE.dump_python(received[0], mode="json")

        with self.ctx.scope("agent"):
            value = await self.ctx.step(
                "model",
                request,
                effect="none",
                ident=_new_parts(request_context.messages),
                usage=lambda _: _usage(received[0]),
            )
        return _RESPONSE.validate_python(value)

    async def wrap_tool_execute(
        self, ctx: Any, *, call: ToolCallPart, tool_def: Any, args: dict[str, Any], handler: Any
    ) -> Any:
        """Record the result of a tool as a step with the tool's effect."""

        async def execute() -> Any:
            return await _outcome(handler, args)

        with frameworks.call_scope(self.ctx, call.tool_call_id):
            value = await self.ctx.step(
                call.tool_name,
                execute,
                effect=frameworks.effect_of(self.effects, call.tool_name),
                ident=to_jsonable_python(args, fallback=lambda item: type(item).__name__),
            )
        return _result(value)

    async def handle_deferred_tool_calls(
        self, ctx: Any, *, requests: DeferredToolRequests
    ) -> DeferredToolResults:
        """Ask a person to approve the calls, and to answer the deferred ones."""
        approvals = await asyncio.gather(*(self._approve(call) for call in requests.approvals))
        answers = await asyncio.gather(*(self._ask(call) for call in requests.calls))
        return DeferredToolResults(
            approvals={
                call.tool_call_id: answer
                for call, answer in zip(requests.approvals, approvals, strict=True)
            },
            calls={
                call.tool_call_id: answer
                for call, answer in zip(requests.calls, answers, strict=True)
            },
        )

    async def _approve(self, call: ToolCallPart) -> ToolApproved | ToolDenied:
        params = call.args_as_dict()
        with frameworks.call_scope(self.ctx, call.tool_call_id):
            answer = await self.ctx.approve(f"{call.tool_name}?", params, editable=list(params))
        if not answer.is_approved:
            return ToolDenied(answer.feedback) if answer.feedback else ToolDenied()
        changed = dict(answer.params) != params
        return ToolApproved(override_args=dict(answer.params) if changed else None)

    async def _ask(self, call: ToolCallPart) -> Any:
        with frameworks.call_scope(self.ctx, call.tool_call_id):
            return await frameworks.ask_person(
                self.ctx, {"tool": call.tool_name, **call.args_as_dict()}
            )


def _usage(response: ModelResponse) -> StepUsage:
    """Return the tokens of the response, and its cost if pydantic-ai knows the price."""
    tokens = response.usage
    usage = StepUsage(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cached_input_tokens=tokens.cache_read_tokens,
        cache_write_tokens=tokens.cache_write_tokens,
    )
    with contextlib.suppress(LookupError, AssertionError):
        usage["cost_usd"] = float(response.cost().total_price)
    return usage


async def _outcome(handler: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a tool as JSON, or what the tool asks pydantic-ai for instead."""
    try:
        result = await handler(args)
    except ToolRetryError as error:
        return {"retry": _PART.dump_python(error.tool_retry, mode="json")}
    except ToolFailedError as error:
        return {"failure": _PART.dump_python(error.tool_failed, mode="json")}
    except ApprovalRequired as error:
        return {"approval": error.metadata}
    except CallDeferred as error:
        return {"deferred": error.metadata}
    if isinstance(result, ToolReturn):
        return {"tool_return": _RETURN.dump_python(result, mode="json")}
    return {"result": tool_return_ta.dump_python(result, mode="json")}


def _result(value: Mapping[str, Any]) -> Any:
    match value:
        case {"retry": part}:
            raise ToolRetryError(_PART.validate_python(part))
        case {"failure": part}:
            raise ToolFailedError(_PART.validate_python(part))
        case {"approval": metadata}:
            raise ApprovalRequired(metadata=metadata)
        case {"deferred": metadata}:
            raise CallDeferred(metadata=metadata)
        case {"tool_return": result}:
            return _RETURN.validate_python(result)
    return tool_return_ta.validate_python(value["result"])


def _new_parts(messages: list[ModelMessage]) -> list[Any]:
    """Return what identifies a request: the newest message, without times and instructions."""
    parts = [part for part in messages[-1].parts if not isinstance(part, SystemPromptPart)]
    return [
        [
            part.part_kind,
            getattr(part, "tool_call_id", None) if hasattr(part, "tool_name") else None,
            to_jsonable_python(
                getattr(part, "content", None), fallback=lambda item: type(item).__name__
            ),
        ]
        for part in parts
    ]
