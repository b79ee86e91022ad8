"""A model of the OpenAI Agents SDK that requests responses through the service."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from agents import FunctionTool, Model, ModelResponse, Usage
from runyard.durable import frameworks


class ServiceModel(Model):
    """The model of the agent's route: `ctx.call_model` makes its requests."""

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,
        model_settings: Any,
        tools: list[Any],
        output_schema: Any,
        handoffs: list[Any],
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        """Request a response from the service."""
        functions = [_function(tool) for tool in tools]
        functions += [
            {
                "name": handoff.tool_name,
                "description": handoff.tool_description,
                "parameters": handoff.input_json_schema or {"type": "object"},
            }
            for handoff in handoffs
        ]
        is_typed = output_schema is not None and not output_schema.is_plain_text()
        ctx = frameworks.current_context()
        with ctx.scope("agent"):
            response = await ctx.call_model(
                input if isinstance(input, str) else list(_service_messages(input)),
                tools=functions,
                output_schema=output_schema.json_schema() if is_typed else None,
                instructions=system_instructions or "",
                max_output_tokens=model_settings.max_tokens,
            )
        text = response.text if response.output is None else json.dumps(dict(response.output))
        usage = response.usage
        tokens = [usage.get("input_tokens", 0), usage.get("output_tokens", 0)]
        return ModelResponse(
            output=[
                *([_message(text)] if text else []),
                *(
                    ResponseFunctionToolCall(
                        type="function_call",
                        call_id=call.id,
                        name=call.name,
                        arguments=json.dumps(dict(call.input)),
                    )
                    for call in response.tool_calls
                ),
            ],
            usage=Usage(
                requests=1,
                input_tokens=tokens[0],
                output_tokens=tokens[1],
                total_tokens=sum(tokens),
            ),
            response_id=None,
        )

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        """Raise TypeError: the stream of the run has the deltas."""
        raise TypeError("the stream of the run has the deltas of the model 'runyard'")


def _function(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, FunctionTool):
        raise TypeError(
            f"the model 'runyard' has no hosted tool {tool.name!r}: use a function tool"
        )
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.params_json_schema,
    }


def _message(text: str) -> ResponseOutputMessage:
    return ResponseOutputMessage(
        id="runyard",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputText(type="output_text", text=text, annotations=[])],
    )


def _service_messages(items: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the items of the Responses format as messages of `ctx.call_model`."""
    response: dict[str, Any] | None = None
    for item in items:
        if item.get("type") == "function_call" or item.get("role") == "assistant":
            response = response or {"role": "assistant", "content": "", "tool_calls": []}
            _add(response, item)
            continue
        if response is not None:
            yield response
            response = None
        if item.get("type") == "function_call_output":
            output = _text(item["output"])
            yield {"role": "tool", "tool_call_id": item["call_id"], "content": output}
        elif "role" in item:
            yield {"role": "user", "content": _text(item["content"])}
    if response is not None:
        yield response


def _add(response: dict[str, Any], item: Mapping[str, Any]) -> None:
    if item.get("type") == "function_call":
        arguments = json.loads(item["arguments"] or "{}")
        call = {"id": item["call_id"], "name": item["name"], "input": arguments}
        response["tool_calls"].append(call)
    else:
        response["content"] += _text(item["content"])


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)
