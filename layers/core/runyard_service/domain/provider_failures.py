"""What the provider of a model said about a failure, for the owner of the run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

MAX_MESSAGE_CHARACTERS = 500


@dataclass(frozen=True)
class ProviderFailure:
    """The provider's own words: HTTP status, error code, message and request id, if it sent them.

    Keys and tokens in the message are masked.
    """

    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that the provider sent."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def without_message(self) -> "ProviderFailure":
        """Return what another project may read: a message can quote a prompt."""
        return replace(self, message=None, request_id=None)


def encode_cause(message: str, provider: ProviderFailure | None) -> str:
    """Return the text of an error that leaves the worker's function; `decode_cause` reads it."""
    return message if provider is None else json.dumps([message, provider.to_json()])


def decode_cause(text: str) -> tuple[str, Mapping[str, Any] | None]:
    """Return the message and the provider's words of a text by `encode_cause`."""
    if text.startswith("["):
        try:
            message, provider = json.loads(text)
        except ValueError:
            return text, None
        if isinstance(message, str) and isinstance(provider, dict):
            return message, provider
    return text, None
