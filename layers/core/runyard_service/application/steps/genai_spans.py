"""Spans of a worker, by the OpenTelemetry conventions for generative AI.

Each run has one trace, with the id of the request that created the run. Each worker invocation is a
span `invoke_agent`, with child spans `chat` for the model and `execute_tool` for each call. The
waits are between these spans. Spans have no content unless the installation enables it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.tools import ExecutableTool
from runyard_service.agents.models.base import ModelRequest, Response
from runyard_service.agents.models.otel_messages import (
    input_messages,
    output_messages,
    system_instructions,
)
from runyard_service.agents.tools.base import ToolInvocation
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError
from runyard_service.observability.spans import Span, Value

# OpenTelemetry's names; other providers have the name in their route.
_PROVIDERS = {"bedrock": "aws.bedrock", "google": "gcp.gemini", "mistral": "mistral_ai"}


@asynccontextmanager
async def agent_span(ctx: RunContext) -> AsyncIterator[None]:
    """Record the span of a worker invocation, then export all its spans."""
    definition = ctx.snapshot.definition
    attributes = {
        **_common(ctx, "invoke_agent"),
        "gen_ai.agent.name": definition.key,
        "gen_ai.agent.version": definition.version,
    }
    try:
        with ctx.spans.span(f"invoke_agent {definition.key}", "internal", attributes) as span:
            yield
            end = ctx.history.terminal
            if end and end.type == "run.failed":
                span.error = end.data["error"]["code"]
    finally:
        if ctx.deps.export_spans:
            await asyncio.to_thread(ctx.deps.export_spans, ctx.spans.ended)


class ChatSpan:
    """The span of a request to a model."""

    def __init__(self, span: Span, *, shows_content: bool) -> None:
        self._span = span
        self._shows_content = shows_content

    def record_response(self, response: Response) -> None:
        """Record the response."""
        usage, reason = response.usage, _finish_reason(response)
        self._span.attributes |= {
            "gen_ai.response.model": response.model,
            "gen_ai.response.finish_reasons": (reason,),
        }
        if usage is not None:
            self._span.attributes |= {
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            }
        if self._shows_content:
            self._span.attributes["gen_ai.output.messages"] = output_messages(
                response.message, reason
            )


@contextmanager
def chat_span(
    ctx: RunContext, request: ModelRequest, route: Route | None = None
) -> Iterator[ChatSpan]:
    """Record the span of one attempt of a model request; `route` is not the run's own."""
    route = route or ctx.snapshot.route
    attributes = _common(ctx, "chat", route)
    if request.max_output_tokens is not None:
        attributes["gen_ai.request.max_tokens"] = request.max_output_tokens
    if route.base_url and (host := urlsplit(route.base_url).hostname):
        attributes["server.address"] = host
    if ctx.deps.shows_content:
        attributes["gen_ai.system_instructions"] = system_instructions(request)
        attributes["gen_ai.input.messages"] = input_messages(request)
    with ctx.spans.span(f"chat {route.model_name}", "client", attributes) as span:
        try:
            yield ChatSpan(span, shows_content=ctx.deps.shows_content)
        except (ModelUnavailableError, ModelRejectedError) as error:
            span.error = error.kind
            raise


class ToolSpan:
    """The span of a tool call."""

    def __init__(self, span: Span, *, shows_content: bool) -> None:
        self._span = span
        self._shows_content = shows_content

    def record_result(self, result: str) -> None:
        """Record the result of the call."""
        if self._shows_content:
            self._span.attributes["gen_ai.tool.call.result"] = result

    def record_error(self, code: str) -> None:
        """Record the error code of the call."""
        self._span.error = code


@contextmanager
def tool_span(
    ctx: RunContext, tool: ExecutableTool, invocation: ToolInvocation
) -> Iterator[ToolSpan]:
    """Record the span of a tool call, with all its attempts."""
    attributes = {
        **_common(ctx, "execute_tool"),
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.type": "function" if tool.kind == "python" else "extension",
        "gen_ai.tool.call.id": invocation.tool_call_id,
    }
    if ctx.deps.shows_content:
        attributes["gen_ai.tool.call.arguments"] = json.dumps(invocation.input)
    with ctx.spans.span(f"execute_tool {tool.name}", "internal", attributes) as span:
        yield ToolSpan(span, shows_content=ctx.deps.shows_content)


def _common(ctx: RunContext, operation: str, route: Route | None = None) -> dict[str, Value]:
    run, route = ctx.journal.run, route or ctx.snapshot.route
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(route.provider, route.provider),
        "gen_ai.request.model": route.model_name,
        "gen_ai.conversation.id": run.thread_id or run.session_id or run.id,
        "runyard.run.id": run.id,
    }


def _finish_reason(response: Response) -> str:
    if response.is_truncated:
        return "length"
    return "tool_calls" if response.message.tool_calls else "stop"
