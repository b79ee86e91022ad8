"""Upper bounds of a request's tokens: the provider's earlier count, and bytes for the rest."""

from dataclasses import replace

import pytest

from runyard_service.agents.models.base import (
    AssistantMessage,
    Attachment,
    ChatMessage,
    ModelRequest,
    Text,
    TokenUsage,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)
from runyard_service.agents.models.token_bounds import (
    DEFAULT_OUTPUT_TOKENS,
    IMAGE_TOKENS,
    PART_FRAME_TOKENS,
    PDF_TOKENS,
    max_usage,
)

FIRST = ModelRequest("Be brief.", [UserMessage("Hello?")])


def grown(request: ModelRequest) -> int:
    return max_usage(request).input_tokens - max_usage(FIRST).input_tokens


def test_each_byte_of_the_first_request_counts_as_a_token() -> None:
    assert grown(replace(FIRST, instructions="Be brief, and kind.")) == 10
    assert grown(replace(FIRST, messages=[UserMessage("Hellö?")])) == 1
    tool = ToolSpec("look", "Looks.", {"type": "object"})
    assert grown(replace(FIRST, tools=[tool])) == PART_FRAME_TOKENS + 10 + len('{"type": "object"}')
    assert grown(replace(FIRST, output_tool=tool)) == grown(replace(FIRST, tools=[tool]))


@pytest.mark.parametrize(
    ("mime_type", "tokens"), [("image/png", IMAGE_TOKENS), ("application/pdf", PDF_TOKENS)]
)
def test_an_attachment_counts_as_the_maximum_of_its_type(mime_type: str, tokens: int) -> None:
    attachment = Attachment("f", "a", mime_type, 3, b"abc")
    assert tokens < grown(replace(FIRST, messages=[UserMessage("", [attachment])])) < tokens + 100


def test_earlier_messages_of_the_thread_count_too() -> None:
    earlier: list[ChatMessage] = [UserMessage("Hi"), AssistantMessage((Text("Hello"),))]
    assert grown(replace(FIRST, thread_messages=earlier)) == 2 * PART_FRAME_TOKENS + len("HiHello")


def test_tokens_counted_by_the_provider_are_not_counted_twice() -> None:
    messages: list[ChatMessage] = [
        UserMessage("x" * 1000),
        AssistantMessage((ToolCall("c", "look", {}),)),
        ToolOutcome("c", "look", "found"),
    ]
    request = replace(FIRST, messages=messages, last_usage=TokenUsage(300, 20, 100))
    assert max_usage(request).input_tokens == 320 + PART_FRAME_TOKENS + len("lookfound")
    assert max_usage(replace(request, last_usage=None)).input_tokens > 1000


def test_the_longest_response_comes_from_the_agent_or_a_default() -> None:
    assert max_usage(FIRST).output_tokens == DEFAULT_OUTPUT_TOKENS
    assert max_usage(replace(FIRST, max_output_tokens=99)).output_tokens == 99
