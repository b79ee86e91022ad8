"""Accept a whole JSON response where a stream was requested.

Some gateways ignore `stream`, and some servers send an error as JSON with status 200. Both become
the events of the stream that the SDK expects.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx2

from runyard_service.agents.models.providers.words import is_html

# Longer bodies are no completion.
_MAX_BYTES = 16 * 1024 * 1024


class HtmlPageError(httpx2.TransportError):
    """A proxy or a firewall answered with an HTML page instead of the provider."""

    def __init__(self, page: str) -> None:
        super().__init__("an HTML page")
        self.page = page


class StreamingTransport(httpx2.AsyncBaseTransport):
    """Wrap a transport; return each successful response as a stream of events."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request. Raise HtmlPageError for a page with status 200."""
        response = await self._transport.handle_async_request(request)
        kind = response.headers.get("content-type", "").lower()
        if response.status_code != 200 or ("json" not in kind and "html" not in kind):
            return response
        content = await _read(response)
        if "html" in kind and is_html(content.decode(errors="replace")):
            raise HtmlPageError(content.decode(errors="replace"))
        events = "".join(_events(content))
        headers = {
            name: value
            for name, value in response.headers.items()
            if name.lower() not in ("content-length", "content-encoding", "transfer-encoding")
        } | {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, content=events.encode(), request=request)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._transport.aclose()


async def _read(response: httpx2.Response) -> bytes:
    content = b""
    try:
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _MAX_BYTES:
                raise httpx2.ReadError("the response is too large")
    finally:
        await response.aclose()
    return content


def _events(content: bytes) -> Iterator[str]:
    try:
        body = json.loads(content)
    except ValueError:
        return
    if isinstance(body, list):
        # Gemini's stream without `alt=sse` is a list.
        yield from (f"data: {json.dumps(item)}\n\n" for item in body)
    if not isinstance(body, dict):
        return
    if body.get("object") == "response":
        yield from map(_named, _as_items(body))
    elif "candidates" in body or "promptFeedback" in body:
        yield f"data: {json.dumps(body)}\n\n"
    elif body.get("object") == "chat.completion" or isinstance(body.get("choices"), list):
        yield f"data: {json.dumps(_as_chunk(body))}\n\n"
        yield "data: [DONE]\n\n"
    elif body.get("type") == "message":
        yield from map(_named, _as_message(body))
    elif body:
        error = body if body.get("error") else {"error": body}
        # Anthropic's SDK reads the name of the event, OpenAI's the field.
        yield f"event: error\ndata: {json.dumps({'type': 'error', **error})}\n\n"


def _named(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _as_items(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of OpenAI's Responses API for a whole response."""
    yield {"type": "response.created", "response": {**body, "status": "in_progress"}}
    for index, item in enumerate(body.get("output") or ()):
        item_id = item.setdefault("id", f"item_{index}")
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        position = {"item_id": item_id, "output_index": index}
        if item.get("type") == "message":
            yield from _content_events(item.get("content") or (), position)
        elif item.get("type") == "reasoning":
            for number, part in enumerate(item.get("summary") or ()):
                kind = "response.reasoning_summary_part.added"
                yield {"type": kind, **position, "summary_index": number, "part": part}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{body.get('status') or 'completed'}", "response": body}


def _content_events(
    contents: Iterable[dict[str, Any]], position: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for number, part in enumerate(contents):
        at_content = {**position, "content_index": number}
        if part.get("type") == "refusal":
            yield {"type": "response.refusal.done", **at_content, "refusal": part.get("refusal")}
        else:
            text = part.get("text") or ""
            yield {"type": "response.output_text.delta", **at_content, "delta": text}


def _as_chunk(body: dict[str, Any]) -> dict[str, Any]:
    choices = []
    for choice in body.get("choices") or ():
        delta = dict(choice.get("message") or {})
        calls = delta.get("tool_calls") or ()
        delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
        choices.append({**choice, "message": None, "delta": delta})
    return {**body, "object": "chat.completion.chunk", "choices": choices}


def _as_message(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    empty: dict[str, Any] = {"stop_reason": None, "stop_sequence": None, "content": []}
    yield {"type": "message_start", "message": {**body, **empty}}
    for index, block in enumerate(body.get("content") or ()):
        start, deltas = _block_events(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {name: body.get(name) for name in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": stop, "usage": body.get("usage") or {}}
    yield {"type": "message_stop"}


def _block_events(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block.get("type"):
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
        case "thinking":
            return {**block, "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block.get("signature", "")},
            ]
        case "tool_use":
            arguments = json.dumps(block.get("input") or {})
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": arguments}]
        case _:
            return block, []
