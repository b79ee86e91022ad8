"""Names of MCP tools for models: which names a server's tools get, and how many there may be."""

import hashlib
import re

MAX_NAME_CHARACTERS = 64
"""The longest name of a tool that all providers accept."""
MAX_TOOLS = 128
"""OpenAI accepts at most 128 tools in a request."""
MAX_TOOL_BYTES = 256 * 1024
"""Limit of all tools together as JSON, because they are in the log and in each request."""
_HASH_CHARACTERS = 8
# Providers reject all other characters. MCP also allows `.`.
_INVALID = re.compile(r"[^A-Za-z0-9_-]")


def model_tool_name(prefix: str, remote_name: str) -> str:
    """Return the name of a tool for the model: the prefix and the server's own name.

    `_` replaces each character that providers reject. A name over 64 characters is cut and ends
    with 8 hex digits of its SHA-256.
    """
    name = prefix + remote_name
    valid = _INVALID.sub("_", name)
    if len(valid) <= MAX_NAME_CHARACTERS:
        return valid
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_CHARACTERS]
    return f"{valid[: MAX_NAME_CHARACTERS - _HASH_CHARACTERS - 1]}_{digest}"
