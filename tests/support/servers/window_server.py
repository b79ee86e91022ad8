"""A loopback server that speaks OpenAI's chat completions and has a small context window."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.support.servers.loopback import Received
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, ChatToolCall, ChatUsage, OpenAIServer

SUMMARY = "The agent has looked up several records. Nothing was changed."
_CALL = re.compile(r'"call_(\d+)"')


class WindowServer(OpenAIServer):
    """Call the tool `lookup` until step `steps`, then answer.

    The request decides what the response is, so a repeated request has an equal response. A request
    counts a token for each `bytes_per_token` bytes of its body. The server rejects requests of more
    than `window` tokens with those that they ask for.
    """

    def __init__(self, steps: int, window: int, bytes_per_token: float = 4) -> None:
        super().__init__(choose=self._respond_to)
        self.steps = steps
        self.window = window
        self.bytes_per_token = bytes_per_token
        self.rejected = 0
        self.summary: ChatResponse | None = None
        """The response to a request for a summary; None for `SUMMARY`."""

    def _respond_to(self, received: Received) -> ChatResponse | ProviderFailure:
        request = received.json
        tokens = self.tokens_of(received)
        if tokens + _max_tokens(request) > self.window:
            self.rejected += 1
            message = f"This model's maximum context length is {self.window} tokens."
            return ProviderFailure(400, "context_length_exceeded", message)
        usage = ChatUsage(prompt=tokens, completion=20)
        if not request.get("tools"):
            return self.summary or ChatResponse(text=[SUMMARY], usage=usage)
        done = max((int(number) for number in _CALL.findall(received.body.decode())), default=0)
        if done == self.steps - 1:
            return ChatResponse(text=["Done."], usage=usage)
        arguments = json.dumps({"id": str(done + 1)})
        call = ChatToolCall("lookup", [arguments], id=f"call_{done + 1}")
        return ChatResponse(tool_calls=[call], usage=usage)

    def tokens_of(self, received: Received) -> int:
        """Return the tokens of a request."""
        return int(len(received.body) / self.bytes_per_token)

    @property
    def requests(self) -> list[Mapping[str, Any]]:
        """Return the requests for responses of the agent, not those for summaries."""
        return [received.json for received in self.received if received.json.get("tools")]


def _max_tokens(request: Mapping[str, Any]) -> int:
    return int(request.get("max_completion_tokens") or request.get("max_tokens") or 0)
