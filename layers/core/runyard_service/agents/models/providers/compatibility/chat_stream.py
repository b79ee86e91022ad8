"""The stream of a server that claims to speak OpenAI's chat completions, with corrections.

The corrections concern errors in unusual fields, usage in every chunk, several calls under one
index, and `<think>` tags that are cut between two chunks.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from openai import omit
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta, ChoiceDeltaToolCall
from openai.types.completion_usage import CompletionUsage
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.openai import OpenAIStreamedResponse

from runyard_service.agents.definitions.routes import ThinkTags
from runyard_service.agents.models.providers.chat import ChatModel, ChatStream
from runyard_service.agents.models.providers.compatibility.think_tags import TAGS, ThinkTagSplitter

# The fields of a chunk that is an error. OpenAI's own field, `error`, is read by its SDK.
_ERROR_FIELDS = frozenset({"error_message", "error_type", "detail", "message"})


class CompatibleChatModel(ChatModel):
    """A chat completions model whose streams are corrected. The fields are the route's settings."""

    think_tags: ThinkTags = "auto"
    takes_stream_options = True
    adds_usage = False

    @property
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        stream: Any = partial(
            CompatibleStream, think_tags=self.think_tags, adds_usage=self.adds_usage
        )
        return stream  # type: ignore[no-any-return]

    def _get_stream_options(self, model_settings: Any) -> Any:
        return super()._get_stream_options(model_settings) if self.takes_stream_options else omit


@dataclass
class CompatibleStream(ChatStream):
    """A stream whose chunks are corrected before pydantic-ai reads them."""

    think_tags: ThinkTags = "auto"
    adds_usage: bool = False
    _calls: "_CallIndexes" = field(default_factory=lambda: _CallIndexes(), init=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False)

    def _splitter(self) -> ThinkTagSplitter | None:
        if self.think_tags == "off":
            return None
        return ThinkTagSplitter(is_open=self.think_tags == "open")

    async def _validate_response(self) -> AsyncIterator[ChatCompletionChunk]:
        splitter, last = self._splitter(), None
        async for chunk in self._response:
            self._raise_error_of(chunk)
            last = chunk
            if chunk.usage is not None:
                _merge(self._counts, chunk.usage, sum if self.adds_usage else max)
                chunk.usage = None
            delta = chunk.choices[0].delta if chunk.choices else None
            if delta is not None:
                delta.tool_calls = list(map(self._calls.correct, delta.tool_calls or ()))
            for piece in _text_pieces(chunk, delta, splitter):
                yield piece
        if last is None:
            return
        for text in splitter.flush() if splitter else ():
            yield _text_chunk(last, text)
        if self._counts:
            yield last.model_copy(update={"choices": [], "usage": _usage_of(self._counts)})

    def _raise_error_of(self, chunk: ChatCompletionChunk) -> None:
        extra = chunk.model_extra or {}
        if not chunk.choices and any(extra.get(name) for name in _ERROR_FIELDS):
            raise ModelAPIError(self._model_name, "an error in the stream", body=extra)


def _text_pieces(
    chunk: ChatCompletionChunk, delta: ChoiceDelta | None, splitter: ThinkTagSplitter | None
) -> Iterator[ChatCompletionChunk]:
    """Yield a chunk for each piece of the text, then the chunk with everything else."""
    if delta is None:
        yield chunk
        return
    pieces: list[str] = []
    if splitter is None:
        # pydantic-ai would remove a tag that is a whole delta.
        if delta.content in TAGS:
            pieces, delta.content = [delta.content[:1], delta.content[1:]], None
    elif isinstance(delta.content, str):
        pieces += splitter.feed(delta.content)
        delta.content = None
    if splitter is not None and (delta.tool_calls or chunk.choices[0].finish_reason):
        pieces += splitter.flush()
    if _has_reasoning(delta):
        # A chunk's own reasoning precedes its text.
        yield chunk
    for text in pieces:
        yield _text_chunk(chunk, text)
    if not _has_reasoning(delta):
        yield chunk


def _has_reasoning(delta: ChoiceDelta) -> bool:
    extra = delta.model_extra or {}
    return bool(extra.get("reasoning") or extra.get("reasoning_content"))


def _text_chunk(chunk: ChatCompletionChunk, text: str) -> ChatCompletionChunk:
    choice = Choice(index=0, delta=ChoiceDelta(content=text))
    return chunk.model_copy(update={"choices": [choice], "usage": None})


def _merge(
    counts: dict[str, int], usage: CompletionUsage, merge: Callable[[tuple[int, int]], int]
) -> None:
    """Merge the usage of one chunk: servers repeat the count so far, in every chunk or at the end.

    A count that is null is no count. Some servers send increments: `merge` is `sum` then, else
    `max`.
    """
    details: Any = usage.prompt_tokens_details
    found: dict[str, Any] = {
        **(usage.model_extra or {}),
        "cached_tokens": getattr(details, "cached_tokens", None),
        "cache_write_tokens": getattr(details, "cache_write_tokens", None),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    for name, count in found.items():
        if isinstance(count, int) and not isinstance(count, bool):
            counts[name] = merge((count, counts.get(name, 0)))


def _usage_of(counts: dict[str, int]) -> CompletionUsage:
    """Return the usage as OpenAI counts it: prompt tokens include the cached tokens.

    Some gateways count as Anthropic does: cached tokens are not part of the prompt tokens.
    """
    prompt, completion = counts.get("prompt_tokens", 0), counts.get("completion_tokens", 0)
    cached = next((counts[name] for name in _CACHED if counts.get(name)), 0)
    written = next((counts[name] for name in _WRITTEN if counts.get(name)), 0)
    apart = cached + written
    if apart and (apart > prompt or counts.get("total_tokens") == prompt + completion + apart):
        prompt += apart
    return CompletionUsage.model_validate(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        }
    )


# OpenAI's name, Anthropic's, DeepSeek's.
_CACHED = ("cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens")
# OpenAI's name, Anthropic's.
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens")


@dataclass
class _Call:
    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def is_complete(self) -> bool:
        try:
            return isinstance(json.loads(self.arguments), dict)
        except ValueError:
            return False


class _CallIndexes:
    """Assign an index of its own to each tool call. Some servers send all calls under index 0."""

    def __init__(self) -> None:
        self._by_index: dict[int | None, _Call] = {}
        self._count = 0

    def correct(self, delta: ChoiceDeltaToolCall) -> ChoiceDeltaToolCall:
        """Return the delta with the index of its call, and without a repeated name."""
        name = (delta.function and delta.function.name) or ""
        arguments = (delta.function and delta.function.arguments) or ""
        call = self._by_index.get(delta.index)
        if call is None or _starts_another(call, delta.id or "", name, arguments):
            call = self._by_index[delta.index] = _Call(self._count)
            self._count += 1
        call.arguments += arguments
        delta.index, call.id = call.index, delta.id or call.id
        if delta.function is not None and name and name == call.name:
            delta.function.name = None
        else:
            call.name += name
        return delta


def _starts_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    """Return whether a delta under the index of `call` starts another call.

    A new id without a name is no new call: some servers send a random id with each delta. Some
    servers send no ids: then complete arguments end a call.
    """
    if not name:
        return False
    if call_id and call.id:
        return call_id != call.id
    return call.is_complete and arguments.lstrip().startswith("{")
