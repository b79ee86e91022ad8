"""What Runyard has recorded of a run: the results of its operations, by key."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.request import urlopen

from runyard.durable.errors import AgentFailure, StepFailed
from runyard.durable.protocol import JournalEntry, Request

READ_SECONDS = 30


def read_journal(request: Request) -> list[JournalEntry]:
    """Return the journal of a request, from its address if the request has no journal."""
    if "journal_url" in request:
        entries: list[JournalEntry] = get_json(request["journal_url"])
        return entries
    return request.get("journal", [])


class Journal:
    """The recorded results by key."""

    def __init__(self, entries: Iterable[JournalEntry] = ()) -> None:
        self._entries = {entry["key"]: entry for entry in entries}

    def update(self, entries: Iterable[JournalEntry]) -> None:
        """Add the entries of a newer request."""
        for entry in entries:
            self._entries.setdefault(entry["key"], entry)

    def add(self, key: str, digest: str) -> None:
        """Add an emitted event, so that it is not emitted twice."""
        self._entries[key] = JournalEntry(key=key, digest=digest)

    def __contains__(self, key: str) -> bool:
        """Return whether the operation has a recorded result."""
        return key in self._entries

    def check(self, key: str, digest: str) -> None:
        """Raise AgentFailure `code_changed` if the key is recorded with another digest."""
        entry = self._entries.get(key)
        if entry is not None and entry["digest"] != digest:
            raise AgentFailure(
                "code_changed",
                f"The code asks for {key} with other arguments than the log has: digest "
                f"{digest[:12]}, recorded {entry['digest'][:12]}. Deploy changed code as a new "
                "version; this run needs the version that it started with.",
            )

    def result(self, key: str, name: str) -> Any:
        """Return the recorded value. Raise StepFailed for a recorded error."""
        entry = self._entries[key]
        if "error" in entry:
            raise StepFailed.from_journal(name, entry["error"])
        return entry.get("value")


def get_json(url: str) -> Any:
    """Return the JSON at an address of a request."""
    with urlopen(url, timeout=READ_SECONDS) as response:
        return json.load(response)
