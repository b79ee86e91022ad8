"""A model of Strands that requests responses through the service."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python
from strands.models import Model

from runyard.durable import frameworks
from runyard.durable.results import ModelResponse


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
    return json.dumps(
        to_jsonable_python(block.get("json", block), fallback=str), ensure_ascii=False
    )
