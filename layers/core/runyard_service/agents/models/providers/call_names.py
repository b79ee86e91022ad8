"""Ids and names of tool calls that every provider accepts.

OpenAI accepts ids of up to 40 characters and names of 64 characters `[a-zA-Z0-9_-]`; Mistral ids of
exactly nine characters `[a-zA-Z0-9]`; Bedrock ids and names of 64 characters; Anthropic requires
that no id repeats within a request.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from string import ascii_letters, digits

from runyard_service.agents.models.base import ToolCall

_ALPHABET = digits + ascii_letters
_ID_CHARACTERS = 9
_NAME_CHARACTERS = 64
_UNNAMED = "unnamed_tool"


class CallIds:
    """The ids of calls in one request: the provider's own if possible, else derived ones."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._used: set[str] = set()

    def add(self, calls: Iterable[ToolCall], *, is_own: bool) -> None:
        """Choose the ids of these calls. `is_own`: the request goes to the provider of the calls.

        A provider's id is not used twice, because some servers repeat their ids.
        """
        for call in calls:
            is_usable = is_own and call.provider_id and call.provider_id not in self._used
            self._ids[call.id] = call.provider_id if is_usable else derived_id(call.id)
            self._used.add(self._ids[call.id])

    def of(self, call_id: str) -> str:
        """Return the id towards the provider of the call with Runyard's id `call_id`."""
        return self._ids.get(call_id) or derived_id(call_id)


def derived_id(call_id: str) -> str:
    """Return an id that every provider accepts, always the same for the same call."""
    number = int.from_bytes(sha256(call_id.encode()).digest())
    characters = []
    for _ in range(_ID_CHARACTERS):
        number, position = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[position])
    return "".join(characters)


def safe_name(name: str) -> str:
    """Return the name, with `_` for each character that no provider accepts, at most 64 long.

    Only a name that the model made up changes: the name of a tool has this form already.
    """
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:_NAME_CHARACTERS] or _UNNAMED
