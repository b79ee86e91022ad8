"""The messages of a run's steps, as requests repeat them."""

from collections.abc import Mapping, Sequence

from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.message_events import message_from
from runyard_service.agents.models.base import Attachment, ChatMessage, ToolOutcome, UserMessage
from runyard_service.agents.no_answer import no_answer_message
from runyard_service.agents.truncation import truncation_message
from runyard_service.domain.event_payloads.messages import ContextCompacted, MessageCompleted
from runyard_service.domain.steps import StepRecord, ToolCallState

NO_FILES: Mapping[str, Attachment] = {}
_ANSWER_BY_TOOL = UserMessage(f"Return your answer by calling the tool {OUTPUT_TOOL}.")
_ANSWER_BY_SCHEMA = UserMessage("Return your answer as one JSON object that matches the schema.")


class MessageHistory:
    """A cache of the messages of a run's steps: each step of a long run only builds the new ones.

    It starts again after each compaction, and only then do earlier messages change.
    """

    def __init__(self) -> None:
        self._messages: list[ChatMessage] = []
        self._step_count = 0
        self._compaction: ContextCompacted | None = None
        self.left_out: Sequence[ChatMessage] = ()
        """The messages that the summary replaces."""

    def messages_for(
        self,
        definition: AgentDefinition,
        steps: Sequence[StepRecord],
        compaction: ContextCompacted | None = None,
        returned_files: Mapping[str, Attachment] = NO_FILES,
    ) -> Sequence[ChatMessage]:
        """Return the messages of steps that only grow and have no unfinished call.

        `returned_files` are the files of tool results, by id.
        """
        if compaction is not self._compaction:
            self._restart(definition, steps, compaction)
        for number, step in enumerate(steps[self._step_count :], start=self._step_count + 1):
            limit = result_limit(compaction, number)
            self._messages.extend(step_messages(definition, step, limit, returned_files))
        self._step_count = len(steps)
        return self._messages

    def _restart(
        self,
        definition: AgentDefinition,
        steps: Sequence[StepRecord],
        compaction: ContextCompacted | None,
    ) -> None:
        self._compaction, self._messages = compaction, []
        self._step_count = compaction["through"] if compaction else 0
        replaced = steps[: self._step_count]
        self.left_out = [out for step in replaced for out in step_messages(definition, step)]


def step_messages(
    definition: AgentDefinition,
    step: StepRecord,
    result_bytes: int | None = None,
    returned_files: Mapping[str, Attachment] = NO_FILES,
) -> list[ChatMessage]:
    """Return the messages of one step; each result is cut to `result_bytes`, if set."""
    messages: list[ChatMessage] = [message_from(step.message)]
    messages.extend(_outcome(call, result_bytes) for call in step.calls)
    if files := _files_of(step, returned_files):
        # Not every provider accepts files in a tool result; all accept them in a message.
        messages.append(UserMessage("The files of the results:", files))
    if not step.calls and not step.message.get("paused"):
        messages.append(_follow_up(definition, step.message))
    return messages


def _files_of(step: StepRecord, returned: Mapping[str, Attachment]) -> Sequence[Attachment]:
    outcomes = [call.outcome for call in step.calls if call.outcome]
    ids = [file["id"] for each in outcomes for file in each.data.get("files", ())]
    return [returned[id_] for id_ in ids if id_ in returned]


def result_limit(compaction: ContextCompacted | None, number: int) -> int | None:
    """Return the bytes that each result of this step is cut to; None if it is whole."""
    cut = compaction["cut"] if compaction else None
    return cut["bytes"] if cut and number <= cut["through"] else None


def _follow_up(definition: AgentDefinition, message: MessageCompleted) -> UserMessage:
    """Return what the model is asked after a text that did not end the run."""
    if message.get("truncated"):
        return truncation_message(message)
    if message.get("no_answer"):
        return no_answer_message(definition, message)
    return _ANSWER_BY_SCHEMA if definition.output_mode == "native" else _ANSWER_BY_TOOL


def _outcome(call: ToolCallState, result_bytes: int | None = None) -> ToolOutcome:
    if call.outcome is None:
        raise ValueError(f"tool call {call.id} has no outcome yet")
    data = call.outcome.data
    error = data.get("error")
    return ToolOutcome(
        tool_call_id=call.id,
        tool_name=call.name,
        content=cut_text(error["message"] if error else data["result"], result_bytes),
        is_error=error is not None,
    )


def cut_text(text: str, limit: int | None) -> str:
    """Return the start and the end of a text that is longer than `limit` bytes of UTF-8."""
    if limit is None or len(text) * 4 <= limit:
        return text
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= limit:
        return text
    half = limit // 2
    head, tail = (part.decode("utf-8", "ignore") for part in (data[:half], data[-half:]))
    return f"{head}\n[{len(data) - 2 * half} bytes are left out here]\n{tail}"
