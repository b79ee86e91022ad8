"""The requests of the invocations of one run: the run with its files and messages, the journal.

All of it can be larger than a request of Lambda, 6 MB. The function then gets an address.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from runyard_service.adapters.stores import Stores
from runyard_service.agents.code.protocol import MAX_JOURNAL_BYTES, MAX_MESSAGES_BYTES, PROTOCOL
from runyard_service.application.own_code.code_journal import CodeJournal
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.events import to_json
from runyard_service.domain.runs import Run

# The function can read from an address later than at its start.
_MORE_SECONDS = 60


class InvocationRequests:
    """Make the requests for one run. Its files and messages are read once."""

    def __init__(self, stores: Stores, run: Run, agent: str) -> None:
        self._stores = stores
        self._run = run
        self._agent = agent

    def make(
        self, journal: CodeJournal, seconds: float, may_run: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the request of an invocation that takes at most `seconds`."""
        request: dict[str, Any] = {
            "protocol": PROTOCOL,
            "run": self._run_info(seconds + _MORE_SECONDS),
            "may_run": list(may_run),
            "not_after": timestamp_in(seconds),
        }
        if journal.size <= MAX_JOURNAL_BYTES:
            request["journal"] = list(journal.entries)
        else:
            payloads = self._stores.payloads
            key = payloads.save(self._run.id, journal.entries)  # It is deleted with the run.
            request["journal_url"] = payloads.download_url(key, seconds + _MORE_SECONDS)
        return request

    def _run_info(self, seconds: float) -> dict[str, Any]:
        run = self._run
        info: dict[str, Any] = {"id": run.id, "agent": self._agent, "input": run.input}
        optional = {"user_id": run.user_id, "session_id": run.session_id}
        info |= {name: value for name, value in optional.items() if value is not None}
        if self._files:
            info["files"] = [
                {
                    **file.model_dump(include={"id", "name", "mime_type", "size"}),
                    "url": self._stores.files.download_url(file, seconds),
                }
                for file in self._files
            ]
        return info | self._messages_for(seconds)

    def _messages_for(self, seconds: float) -> dict[str, Any]:
        if self._run.thread_id is None:
            return {}
        if self._messages_key is None:
            return {"messages": self._messages}
        return {"messages_url": self._stores.payloads.download_url(self._messages_key, seconds)}

    @cached_property
    def _files(self) -> list[Any]:
        run = self._run
        return [self._stores.files.ready(run.project_id, file_id) for file_id in run.file_ids]

    @cached_property
    def _messages(self) -> list[dict[str, str]]:
        thread_id, until = self._run.thread_id, self._run.thread_messages
        assert thread_id is not None, "only the run of a thread has messages"
        messages = self._stores.messages.read(thread_id, 0, until)
        return [{"role": message.role, "content": message.content} for message in messages]

    @cached_property
    def _messages_key(self) -> str | None:
        """The key of the messages in S3, if they are too large for the request."""
        if len(to_json(self._messages)) <= MAX_MESSAGES_BYTES:
            return None
        return self._stores.payloads.save(self._run.id, self._messages)
