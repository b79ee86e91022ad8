"""The model `scripted:…`: plays a written dialogue, without a model account.

It has no state: the conversation alone determines the next turn, so a recovered step plays the
same turn again.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from runyard_service.agents.definitions.conditions import fill, fill_text, holds
from runyard_service.agents.definitions.models import OUTPUT_TOOL
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.script import Script, ScriptedTurn
from runyard_service.agents.models.attachments import text_of
from runyard_service.agents.models.base import (
    AssistantMessage,
    ChatMessage,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    Response,
    ResponseDelta,
    Text,
    TokenUsage,
    ToolCall,
    ToolOutcome,
    UserMessage,
)
from runyard_service.agents.models.pricing import price_by_route
from runyard_service.domain.content_types import is_text
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError
from runyard_service.domain.ids import new_id

# One read from a provider that is in a hurry brings several deltas.
_DELTAS_OF_A_READ = 10

_WORDS = re.compile(r"\S+\s*|\s+")


class ScriptedModel:
    """A model that answers by its script."""

    def __init__(self, route: Route, script: Mapping[str, Any]) -> None:
        self._route = route
        self._script = Script.model_validate(script)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Play the next turn, or write a summary. Raise ModelRejectedError without a turn."""
        if request.purpose == "summary":
            yield self._summary(request)
            return
        turn, scene = self._next_turn(request)
        await asyncio.sleep(turn.delay_ms / 1000)
        if turn.fail and (turn.fail.attempts is None or request.attempt <= turn.fail.attempts):
            if turn.fail.kind == "rejected":
                raise ModelRejectedError("the script says that the model rejects the request")
            raise ModelUnavailableError("the script says that the model is unavailable")
        usage, allowed = _usage(turn, scene), request.max_output_tokens
        is_truncated = allowed is not None and usage.output_tokens > allowed
        content = ""
        for index, delta in enumerate(_deltas(turn, scene)[: allowed if is_truncated else None]):
            yield delta
            content += delta.delta if isinstance(delta, ResponseDelta) else ""
            if turn.pace_ms or index % _DELTAS_OF_A_READ == 0:
                await asyncio.sleep(turn.pace_ms / 1000)
        if is_truncated and allowed is not None:
            usage = replace(usage, output_tokens=allowed)
        text = (Text(content),) if content else ()
        yield Response(
            message=AssistantMessage((*text, *(() if is_truncated else _calls(turn, scene)))),
            usage=usage,
            cost_usd=self.cost_of(usage),
            model="scripted",
            is_truncated=is_truncated,
        )

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """What the next turn uses, exactly, if it is not truncated."""
        if request.purpose == "summary":
            return self._summary(request).usage or TokenUsage()
        return _usage(*self._next_turn(request))

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """By the route's own prices: no table knows a script."""
        return price_by_route(self._route, usage)

    def _summary(self, request: ModelRequest) -> Response:
        texts = [message.content for message in request.messages]
        words = sum(map(_count_words, texts))
        text = f"(A summary of {words} words.)"
        usage = TokenUsage(words, _count_words(text))
        return Response(
            AssistantMessage((Text(text),)), usage, self.cost_of(usage), model="scripted"
        )

    def _next_turn(self, request: ModelRequest) -> tuple[ScriptedTurn, Mapping[str, Any]]:
        scene: dict[str, Any] = {"input": request.input, "results": {}}
        messages = [*request.left_out, *request.messages]
        if files := _files(messages):
            scene["files"] = files
        dialogue = next(
            (dialogue for dialogue in self._script.dialogues if holds(dialogue.when, scene)), None
        )
        if dialogue is None:
            raise ModelRejectedError("the script has no dialogue for this input")
        remaining = deque(dialogue.turns)
        turn: ScriptedTurn | None = None
        # Replay the responses so far: each played the first turn whose condition held.
        for results in _results_before_each_response(messages):
            scene["results"] = results
            while remaining and not holds(remaining[0].when, scene):
                remaining.popleft()
            if not remaining:
                raise ModelRejectedError(f"the dialogue {dialogue.name!r} has no further turn")
            turn = remaining.popleft()
        assert turn is not None, "there is always the present response"
        return turn, scene


def _deltas(turn: ScriptedTurn, scene: Mapping[str, Any]) -> list[ReasoningDelta | ResponseDelta]:
    thoughts = [ReasoningDelta(word) for word in _WORDS.findall(fill_text(turn.think, scene))]
    text = [ResponseDelta(word) for word in _WORDS.findall(fill_text(turn.say, scene))]
    return [*thoughts, *text] * turn.repeat


def _calls(turn: ScriptedTurn, scene: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    calls = [ToolCall(new_id(), call.tool, fill(call.input, scene)) for call in turn.call]
    if turn.output is not None:
        calls.append(ToolCall(new_id(), OUTPUT_TOOL, fill(turn.output, scene)))
    return tuple(calls)


def _usage(turn: ScriptedTurn, scene: Mapping[str, Any]) -> TokenUsage:
    """What the turn states, or its words."""
    if turn.usage is not None:
        return TokenUsage(**turn.usage.model_dump())
    words = _count_words(fill_text(turn.think, scene)) + _count_words(fill_text(turn.say, scene))
    return TokenUsage(_count_words(json.dumps(scene, default=str)), words * turn.repeat)


def _results_before_each_response(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """What each response, the present one last, knew of the tools' results."""
    results: dict[str, Any] = {}
    known: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, AssistantMessage):
            known.append(dict(results))
        elif isinstance(message, ToolOutcome):
            results[message.tool_name] = {
                "failed": message.is_error,
                "content": _data(message.content),
            }
    return [*known, results]


def _files(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    return [
        {
            "name": attachment.name,
            "mime_type": attachment.mime_type,
            "size": attachment.size,
            "text": text_of(attachment) if is_text(attachment.mime_type) else None,
            "shown": len(attachment.data),
        }
        for message in messages
        if isinstance(message, UserMessage)
        for attachment in message.attachments
    ]


@lru_cache(maxsize=4096)  # All results are looked at again at every step.
def _data(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def _count_words(text: str) -> int:
    return len(text.split())
