"""A thread: a conversation that runs answer in, one at a time.

Messages are numbered from 1 without a gap, in the order in which they were accepted. A run sees
the messages that were there when it was created; its answer becomes the next message in the same
transaction that ends it.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["user", "assistant"]


class Thread(BaseModel):
    """One thread. `messages` counts them; `active_run_id` is the run at work in it, if one is."""

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
    """What a user said, or what a run answered (then `run_id` names it)."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    thread_id: str
    sequence: int
    role: Role
    content: str
    created_at: str
    run_id: str | None = None


def output_as_text(output: Mapping[str, Any]) -> str:
    """A run's output as the text of a message: its `content` alone, any other output as JSON."""
    content = output.get("content")
    if isinstance(content, str) and len(output) == 1:
        return content
    return json.dumps(output, ensure_ascii=False)
