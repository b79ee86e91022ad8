"""Test truncated responses of every provider in its own protocol: none of their calls is made."""

from collections.abc import Callable
from typing import Any

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.agents.conversation import output_of, request_for
from runyard_service.agents.definitions.models import Limits, Snapshot
from runyard_service.application.steps import call_model
from runyard_service.domain.errors import ModelUnavailableError, ResponseTruncatedError
from runyard_service.domain.events import Event
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from tests.support import provider_runs
from tests.support.provider_runs import ToolServer
from tests.support.run_factory import create_run
from tests.support.servers.anthropic_server import AnthropicServer, Message
from tests.support.servers.bedrock_server import (
    BedrockServer,
    ConverseResponse,
    ConverseToolUse,
    ConverseUsage,
)
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import (
    ChatResponse,
    ChatToolCall,
    ChatUsage,
    OpenAIServer,
)

pytestmark = pytest.mark.usefixtures("bedrock_credentials")

MESSAGE = "Your response was cut off at 20 tokens. None of its tool calls was made."
TWENTY = ChatUsage(prompt=100, completion=20)
WHOLE, TORN = ChatToolCall("purge", ["{}"]), ChatToolCall("purge", ['{"what": "al'], id="call_2")
DONE = "All is done."


def chat(*calls: ChatToolCall, text: str = "", reason: str = "length") -> ChatResponse:
    pieces = [text] if text else []
    return ChatResponse(text=pieces, tool_calls=calls, finish_reason=reason, usage=TWENTY)


def message(reason: str, *, text: str = "", whole: bool = True) -> Message:
    uses = [("toolu_1", "purge", "{}"), ("toolu_2", "purge", '{"what": "al')]
    pieces = [text] if text else []
    return Message(
        text=pieces, tool_uses=uses if whole else [], stop_reason=reason, output_tokens=20
    )


def converse(reason: str) -> ConverseResponse:
    uses = [ConverseToolUse("purge"), ConverseToolUse("purge", ['{"what": "al'], "tooluse_2")]
    return ConverseResponse(tool_uses=uses, stop_reason=reason, usage=ConverseUsage(output=20))


# By provider: the truncated response, and the complete response.
OPENAI: dict[str, ChatResponse] = {
    "half a text (o1)": chat(text="The three steps are: 1. Stop the pump. 2. Close val"),
    "a call without arguments (o2)": chat(ChatToolCall("purge", ())),
    "a torn call": chat(TORN),
    "a whole call before a torn one": chat(WHOLE, TORN),
    "nothing but whole calls": chat(WHOLE),
    "vLLM, which says tool_calls": chat(WHOLE, TORN, reason="tool_calls"),
    "a server with another's word": chat(WHOLE, reason="MAX_TOKENS"),
}
ANTHROPIC = {
    reason: message(reason, text="Let me")
    for reason in ("max_tokens", "model_context_window_exceeded", "tool_use")
} | {"half a text": message("max_tokens", text="The three", whole=False)}
BEDROCK = {
    reason: converse(reason)
    for reason in ("max_tokens", "model_context_window_exceeded", "tool_use")
}
SERVERS: list[Any] = [
    *(
        pytest.param(OpenAIServer, cut, ChatResponse(text=[DONE]), id=f"openai: {name}")
        for name, cut in OPENAI.items()
    ),
    *(
        pytest.param(AnthropicServer, cut, Message(text=[DONE]), id=f"anthropic: {name}")
        for name, cut in ANTHROPIC.items()
    ),
    *(
        pytest.param(BedrockServer, cut, ConverseResponse(text=[DONE]), id=f"bedrock: {name}")
        for name, cut in BEDROCK.items()
    ),
]
AdvanceResult = Callable[[Run], list[Event]]


@pytest.fixture
def advance(stores: Stores, tools: ToolServer) -> AdvanceResult:
    """Return a function that continues a run in a new worker and returns the log without deltas."""
    return lambda run: provider_runs.advance(stores, run, tools)


def agent_at(server: Any, *, max_output_tokens: int | None = None, **limits: Any) -> Snapshot:
    """Return an agent with a tool of one optional parameter, and the server as its model."""
    tool = {
        "kind": "http",
        "name": "purge",
        "description": "Purges.",
        "method": "POST",
        "url": "${API}/purge",
        "effect": "unsafe",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
    }
    providers = {OpenAIServer: "openai", AnthropicServer: "anthropic", BedrockServer: "bedrock"}
    fields = {"max_output_tokens": max_output_tokens, "limits": limits}
    return provider_runs.agent_at(server.url, providers[type(server)], [tool], **fields)


def responses_in(events: list[Event]) -> list[Event]:
    return [event for event in events if event.type == "agent.message.completed"]


@pytest.mark.parametrize(("kind", "cut", "whole"), SERVERS)
def test_calls_of_a_truncated_response_are_not_made_and_the_model_is_informed(
    stores: Stores, advance: AdvanceResult, tools: ToolServer, kind: Any, cut: Any, whole: Any
) -> None:
    with kind(cut, whole) as server:
        events = advance(create_run(stores, agent_at(server)))
        counts = [received.body.decode().count(MESSAGE) for received in server.received]
    assert tools.paths == []
    assert counts == [0, 1]
    assert events[-1].type == "run.completed"
    assert events[-1].data["output"] == {"content": DONE}
    first, second = responses_in(events)
    assert first.data["truncated"] is True
    assert "tool_calls" not in first.data
    assert "truncated" not in second.data
    assert not any("tool_call" in event.type for event in events)


@pytest.mark.parametrize(("kind", "cut", "whole"), SERVERS)
def test_a_run_whose_responses_are_always_truncated_fails(
    stores: Stores, advance: AdvanceResult, tools: ToolServer, kind: Any, cut: Any, whole: Any
) -> None:
    with kind(cut, cut, cut, whole) as server:
        events = advance(create_run(stores, agent_at(server, max_output_tokens=20)))
        assert len(server.received) == 3
    assert tools.paths == []
    assert events[-1].data["error"] == {
        "code": "reply_truncated",
        "message": "3 responses in a row were cut off, the last at 20 tokens: "
        "the agent's max_output_tokens is 20.",
    }
    assert [response.data["truncated"] for response in responses_in(events)] == [True] * 3


def failure(
    stores: Stores, advance: AdvanceResult, cut: ChatResponse, **fields: Any
) -> dict[str, Any]:
    with OpenAIServer(choose=lambda _: cut) as server:
        events = advance(create_run(stores, agent_at(server, **fields)))
    return dict(events[-1].data["error"])


def test_the_failure_names_the_limit_and_what_set_it(
    stores: Stores, advance: AdvanceResult
) -> None:
    cut = chat(TORN)
    error = failure(stores, advance, cut, truncated_replies=1)
    assert error["message"] == (
        "A response was cut off, the last at 20 tokens: "
        "the provider or the model's context window set this limit."
    )
    error = failure(stores, advance, cut, truncated_replies=2, max_output_tokens=500)
    assert error["message"].startswith("2 responses in a row were cut off")
    assert "context window" in error["message"]
    long = ChatResponse(text=["a"], finish_reason="length", usage=ChatUsage(completion=4096))
    error = failure(stores, advance, long, truncated_replies=1, tokens=100_000)
    assert error["code"] == "reply_truncated"
    assert "4096 tokens are the default of an agent with a budget" in error["message"]
    uncounted = ChatResponse(text=["a"], finish_reason="length", usage=None)
    error = failure(stores, advance, uncounted, max_output_tokens=20)
    assert error["message"].endswith("unknown length: the agent's max_output_tokens is 20.")


def test_a_complete_response_resets_the_count(stores: Stores, advance: AdvanceResult) -> None:
    call = ChatResponse(tool_calls=[WHOLE])
    responses = [chat(TORN), chat(TORN), call, chat(TORN), chat(TORN), ChatResponse(text=[DONE])]
    with OpenAIServer(*responses) as server:
        events = advance(create_run(stores, agent_at(server)))
    assert events[-1].data["output"] == {"content": DONE}


def test_a_response_cut_off_by_a_budget_counts_as_reaching_the_limit(
    stores: Stores, advance: AdvanceResult
) -> None:
    with OpenAIServer(choose=lambda _: chat(TORN)) as server:
        run = create_run(stores, agent_at(server, max_output_tokens=10_000, tokens=4000))
        events = advance(run)
        assert len(server.received) == 1
    assert events[-1].data["error"]["code"] == "limit_exceeded"
    (response,) = responses_in(events)
    assert (response.data["truncated"], response.data["truncated_by"]) == (True, "tokens")


def test_a_recovering_worker_counts_truncated_responses_correctly(
    stores: Stores, advance: AdvanceResult, tools: ToolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_model, "next_delay", lambda *_: None)
    responses = (chat(WHOLE, TORN), chat(WHOLE), ProviderFailure(503), chat(WHOLE, TORN))
    with OpenAIServer(*responses) as server:
        run = create_run(stores, agent_at(server, max_output_tokens=20))
        with pytest.raises(ModelUnavailableError):
            advance(run)
        # The history that a new process reads from the log equals the history of the lost process.
        lost = History.of(stores.log.events(run.id))
        restored = History.from_checkpoint(lost.durable_events)
        agent = agent_at(server, max_output_tokens=20).definition
        assert request_for(agent, run, restored) == request_for(agent, run, lost)
        assert restored.unfinished == []
        events = advance(run)
        sent = [received.json["messages"] for received in server.received]
    assert sent[2] == sent[3]
    assert events[-1].data["error"]["code"] == "reply_truncated"
    ended = History.of(stores.log.events(run.id))
    with pytest.raises(ResponseTruncatedError, match="3 responses in a row"):
        output_of(agent, ended)
    assert tools.paths == []


def test_the_limit_of_truncated_responses_is_validated() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Limits(truncated_replies=0)
