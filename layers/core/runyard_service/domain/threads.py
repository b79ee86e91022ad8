"""A thread: a conversation in which one run at a time answers.

Messages are numbered from 1 without a gap, in the order in which the API accepted them. A run reads
the messages that existed when it was created. The transaction that ends the run also writes its
output as the next message.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["user", "assistant"]


class Thread(BaseModel):
    """One thread. `messages` is their number; `active_run_id` is its active run, if any."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    project_id: str
    org_id: str
    title: str | None = None
    created_at: str
    updated_at: str
    active_run_id: str | None = None
    messages: int = 0


class Message(BaseModel):
    """A message of a user, or the output of the run `run_id`."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    thread_id: str
    sequence: int
    role: Role
    content: str
    created_at: str
    run_id: str | None = None


def output_as_text(output: Mapping[str, Any]) -> str:
    """Return the output of a run as text: its `content` if it has nothing else, or JSON."""
    content = output.get("content")
    if isinstance(content, str) and len(output) == 1:
        return content
    return json.dumps(output, ensure_ascii=False)
