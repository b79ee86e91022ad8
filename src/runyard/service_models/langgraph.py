"""A chat model of LangChain that requests responses through the service."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

from runyard.durable import frameworks
from runyard.durable.results import ModelResponse


class ChatModel(BaseChatModel):
    """The model of the agent's route: `ctx.call_model` makes its requests, so they stream.

    Use it in nodes with the effect `replay`.
    """

    @property
    def _llm_type(self) -> str:
        return "runyard"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Return the model with these tools. A choice of tools is not supported."""
        return self.bind(tools=[convert_to_openai_tool(tool)["function"] for tool in tools])

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        ctx = frameworks.current_context()
        return _as_result(ctx.sync.call_model(**_request(messages, kwargs)))

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        ctx = frameworks.current_context()
        return _as_result(await ctx.call_model(**_request(messages, kwargs)))


def _request(messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> dict[str, Any]:
    system = [message.text for message in messages if message.type == "system"]
    others = [_service_message(message) for message in messages if message.type != "system"]
    return {
        "messages": others,
        "instructions": "\n\n".join(system),
        "tools": options.get("tools", ()),
    }


def _service_message(message: BaseMessage) -> dict[str, Any]:
    match message.type:
        case "human":
            return {"role": "user", "content": message.text}
        case "tool":
            is_error = message.status == "error"
            call = {"tool_call_id": message.tool_call_id, "is_error": is_error}
            return {"role": "tool", "content": message.text, **call}
    calls = [
        {"id": call["id"], "name": call["name"], "input": call["args"]}
        for call in getattr(message, "tool_calls", ())
    ]
    return {"role": "assistant", "content": message.text, "tool_calls": calls}


def _as_result(response: ModelResponse) -> ChatResult:
    calls = [
        {"id": call.id, "name": call.name, "args": dict(call.input)} for call in response.tool_calls
    ]
    message = AIMessage(response.text, tool_calls=calls)
    return ChatResult(generations=[ChatGeneration(message=message)])
