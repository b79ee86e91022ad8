"""Results of tool calls: the text for the model, the files, and questions to a person."""

import base64
import binascii
import json
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.agents.mcp.base import InputRequired, ListedTool, ReturnedFile, ToolResult
from runyard_service.agents.mcp.connection import Message
from runyard_service.agents.mcp.failures import gone, says_unknown_tool
from runyard_service.agents.tools.base import ToolError

ERROR_CHARACTERS = 2_000
MAX_REQUESTS = 10
_ELICITATION = "elicitation/create"


def tool_result(result: Message, tool: ListedTool) -> ToolResult:
    """Return the result of a finished call.

    Raise ToolError: `tool_error` with the server's text, `tool_gone`, or `result_invalid` if the
    result is not what the protocol or the tool's output schema says.
    """
    blocks = result.get("content", [])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise _invalid("`content` is not a list of objects")
    if result.get("isError") is True:
        raise _tool_error(blocks, tool)
    texts, links, files = _read_blocks(blocks, tool)
    notes = [*links, *(_note(file) for file in files)]
    structured = result.get("structuredContent")
    if structured is None and tool.output_schema is None:
        return ToolResult("\n".join([*texts, *notes]), files)
    if structured is None:
        raise _invalid("`structuredContent` is missing, although the tool has an output schema")
    if tool.output_schema is not None:
        errors = validate(tool.output_schema, structured)
        if errors:
            raise _invalid("; ".join(f"{path} {text}" for path, text in errors.items()))
    # The texts repeat the structured content, for clients that do not know it.
    return ToolResult("\n".join([json.dumps(structured, ensure_ascii=False), *notes]), files)


def input_required(result: Message) -> InputRequired:
    """Return what the server asks a person.

    Raise ToolError `mcp_error` if it asks for anything else than elicitation.
    """
    requests, state = result.get("inputRequests") or {}, result.get("requestState")
    if not isinstance(requests, Mapping) or not (state is None or isinstance(state, str)):
        raise ToolError("mcp_error", "The server asks for input in an unknown format.")
    if not requests and state is None:
        raise ToolError("mcp_error", "The server asks for input, but has no question.")
    if len(requests) > MAX_REQUESTS:
        message = f"The server asks {len(requests)} questions; at most {MAX_REQUESTS} are allowed."
        raise ToolError("mcp_error", message)
    for request in requests.values():
        method = request.get("method") if isinstance(request, Mapping) else None
        if method != _ELICITATION or not isinstance(request.get("params"), Mapping):
            message = f"The server asks for {str(method)[:60]!r}, which Runyard does not support."
            raise ToolError("mcp_error", message)
    return InputRequired({key: item["params"] for key, item in requests.items()}, state)


def url_input_required(data: Mapping[str, Any]) -> InputRequired | None:
    """Return the addresses that a person must open, from an error of version 2025-11-25."""
    elicitations = data.get("elicitations")
    if not isinstance(elicitations, list) or not 0 < len(elicitations) <= MAX_REQUESTS:
        return None
    requests = {
        str(item["elicitationId"]): {**item, "mode": "url"}
        for item in elicitations
        if isinstance(item, dict) and "elicitationId" in item and isinstance(item.get("url"), str)
    }
    return InputRequired(requests) if requests else None


def _read_blocks(
    blocks: Sequence[Mapping[str, Any]], tool: ListedTool
) -> tuple[list[str], list[str], list[ReturnedFile]]:
    """Return the texts, the links and the files of the content."""
    texts: list[str] = []
    links: list[str] = []
    files: list[ReturnedFile] = []
    for block in blocks:
        resource = block.get("resource")
        match block.get("type"):
            case "text":
                texts.append(str(block.get("text", "")))
            case "image" | "audio":
                files.append(_file(block.get("data"), block, "", tool, len(files) + 1))
            case "resource" if isinstance(resource, dict) and "blob" in resource:
                uri = str(resource.get("uri", ""))
                files.append(_file(resource["blob"], resource, uri, tool, len(files) + 1))
            case "resource" if isinstance(resource, dict) and "text" in resource:
                texts.append(f"{resource.get('uri', '')}\n{resource['text']}".strip())
            case "resource_link":
                links.append(_link(block))
            case kind:
                raise _invalid(f"`content` has a block of the unknown type {str(kind)[:40]!r}")
    return texts, links, files


def _note(file: ReturnedFile) -> str:
    return f"[file {file.name}, {file.mime_type}, {len(file.data)} bytes]"


def _link(block: Mapping[str, Any]) -> str:
    label = block.get("title") or block.get("name") or ""
    description = f": {block['description']}" if block.get("description") else ""
    return f"[{label}]({block.get('uri', '')}){description}"


def _file(
    data: object, fields: Mapping[str, Any], uri: str, tool: ListedTool, number: int
) -> ReturnedFile:
    try:
        content = base64.b64decode(str(data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("a file is not valid base64") from error
    mime_type = str(fields.get("mimeType") or "application/octet-stream").split(";")[0].strip()
    last = urlsplit(uri).path.rpartition("/")[2][:100]
    extension = mimetypes.guess_extension(mime_type) or ".bin"
    return ReturnedFile(last or f"{tool.name[:80]}-{number}{extension}", mime_type, content)


def _tool_error(blocks: Sequence[Mapping[str, Any]], tool: ListedTool) -> ToolError:
    text = "\n".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    if says_unknown_tool(text[:ERROR_CHARACTERS], tool.name):
        return gone(tool.name)
    return ToolError("tool_error", text[:ERROR_CHARACTERS] or "The tool failed without a reason.")


def _invalid(reason: str) -> ToolError:
    message = f"The call was made, but its result cannot be used: {reason}."
    return ToolError("result_invalid", message[:ERROR_CHARACTERS])
