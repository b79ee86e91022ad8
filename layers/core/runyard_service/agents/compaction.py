"""Plan how to shorten a conversation that gets too long for the context window of its model.

A plan is a pure function of the log and the definition. Its event then determines all later
requests, until the next compaction: in between, their start does not change, and prompt caches
stay valid.

The first of these plans that leaves room for further steps is taken, or else the smallest. Cuts
have to leave half of the size that starts a compaction, and summaries a quarter:

1. cut the results of old turns to `tool_result_bytes`;
2. replace old turns by a summary;
3. replace more turns by a summary, down to the newest turn;
4. also cut the results of the newest turn, down to `SHORTEST_RESULT_BYTES`.

A turn is a step, with its calls and their results, or a message of the thread. What comes first is
never replaced: the instructions, the input of the run, and the messages that a thread's run
answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from runyard_service.agents.conversation import first_messages, thread_message, with_summary
from runyard_service.agents.definitions.models import AgentDefinition, ContextPolicy
from runyard_service.agents.models.base import Attachment, ChatMessage
from runyard_service.agents.models.token_bounds import DEFAULT_OUTPUT_TOKENS, likely_tokens
from runyard_service.agents.step_messages import result_limit, step_messages
from runyard_service.domain.event_payloads.messages import ContextCompacted, ResultCut
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import StepRecord
from runyard_service.domain.threads import Message

Reason = Literal["size", "rejected"]

SHORTEST_RESULT_BYTES = 256
# The length of a summary in tokens: a share of the window, within limits.
_SUMMARY_SHARE = 16
_SHORTEST_SUMMARY = 256
_LONGEST_SUMMARY = 4096
# A plan that saves less than this share is not worth its change of all requests.
_LEAST_GAIN = 0.1
# What a plan aims at, as a share of the size that starts a compaction.
_SHARE_WITH_CUTS = 0.5
_SHARE_WITH_SUMMARY = 0.75
# Of a request that the provider rejected: its real size is unknown, and more than was estimated.
_SHARE_AFTER_REJECTION = 0.4


@dataclass(frozen=True)
class Conversation:
    """What the requests of a run are built from.

    `messages` precede the run in its thread. `returned_files` are those of tool results, by id.
    """

    definition: AgentDefinition
    run: Run
    history: History
    messages: Sequence[Message] = ()
    attachments: Sequence[Attachment] = ()
    returned_files: Mapping[str, Attachment] = field(default_factory=dict)

    @property
    def steps(self) -> Sequence[StepRecord]:
        """Return the steps so far."""
        return self.history.steps

    @property
    def earlier_count(self) -> int:
        """Return the number of thread messages before those that the run answers."""
        count = len(self.messages)
        while count and self.messages[count - 1].role == "user":
            count -= 1
        return count

    def messages_after(self, compaction: ContextCompacted | None) -> list[ChatMessage]:
        """Return the messages of the next request after this compaction."""
        thread = list(map(thread_message, self.messages))
        first = first_messages(self.definition, self.run, self.messages, self.attachments)
        earlier, before_steps = with_summary(thread, first, compaction)
        start = compaction["through"] if compaction else 0
        return [
            *earlier,
            *before_steps,
            *(
                message
                for number, step in enumerate(self.steps[start:], start=start + 1)
                for message in step_messages(
                    self.definition, step, result_limit(compaction, number), self.returned_files
                )
            ),
        ]


def token_limit(policy: ContextPolicy, max_output_tokens: int | None, window: int) -> int:
    """Return the most input tokens of a request that starts no compaction."""
    # The response has to fit the window too.
    room = max(window - (max_output_tokens or DEFAULT_OUTPUT_TOKENS), window // 4)
    return min(int(window * policy.compact_at), room)


def summary_tokens(size: int, window: int | None) -> int:
    """Return the length of a summary for a window, or for a request of `size` tokens."""
    return min(max((window or size) // _SUMMARY_SHARE, _SHORTEST_SUMMARY), _LONGEST_SUMMARY)


def plan_compaction(
    conversation: Conversation,
    policy: ContextPolicy,
    *,
    size: int,
    window: int | None,
    reason: Reason,
) -> ContextCompacted | None:
    """Return the event of the compaction, without its summary; None if nothing can be left out.

    `size` is the likely number of input tokens of the next request.
    """
    limit = size
    if window:
        limit = token_limit(policy, conversation.definition.max_output_tokens, window)
    now = likely_tokens(conversation.messages_after(conversation.history.compaction))
    best, best_size = None, int(size * (1 - _LEAST_GAIN))
    for plan in _plans(conversation, policy, reason):
        has_new_summary = needs_summary(conversation, plan)
        left = likely_tokens(conversation.messages_after(plan))
        planned = size - now + left + (summary_tokens(size, window) if has_new_summary else 0)
        aim = limit * (_SHARE_WITH_SUMMARY if has_new_summary else _SHARE_WITH_CUTS)
        if reason == "rejected":
            aim = min(aim, size * _SHARE_AFTER_REJECTION)
        if planned < best_size:
            best, best_size = plan, planned
        if best is plan and planned <= aim:
            break
    return best


def needs_summary(conversation: Conversation, plan: ContextCompacted) -> bool:
    """Return whether the plan leaves out more than the newest summary replaces."""
    return _parts(plan) != _parts(conversation.history.compaction)


def _parts(compaction: ContextCompacted | None) -> tuple[int, int]:
    """Return how many thread messages and steps are left out."""
    return (compaction["thread_messages"], compaction["through"]) if compaction else (0, 0)


def _plans(
    conversation: Conversation, policy: ContextPolicy, reason: Reason
) -> Iterator[ContextCompacted]:
    parts = _parts(conversation.history.compaction)
    count, limit = len(conversation.steps), policy.tool_result_bytes
    old = count - policy.keep_turns
    if old > parts[1]:
        yield _plan(conversation, reason, parts, {"through": old, "bytes": limit})
    for retained in _halvings(policy.keep_turns, 1 if count else 0):
        parts = _parts_without(conversation, retained)
        yield _plan(conversation, reason, parts, None)
    for result_bytes in _halvings(limit, SHORTEST_RESULT_BYTES):
        yield _plan(conversation, reason, parts, {"through": count, "bytes": result_bytes})


def _halvings(highest: int, lowest: int) -> Iterator[int]:
    """Yield `highest`, its half, and so on, and `lowest` at the end."""
    while highest > lowest:
        yield highest
        highest //= 2
    yield lowest


def _parts_without(conversation: Conversation, retained: int) -> tuple[int, int]:
    """Return how many thread messages and steps come before the newest `retained` turns.

    A response that the provider paused stays with the response that continues it.
    """
    left_out, earlier = _parts(conversation.history.compaction), conversation.earlier_count
    old = max(0, earlier + len(conversation.steps) - retained)
    through = max(0, old - earlier)
    while through and conversation.steps[through - 1].message.get("paused"):
        through -= 1
    return max(min(old, earlier), left_out[0]), max(through, left_out[1])


def _plan(
    conversation: Conversation, reason: Reason, parts: tuple[int, int], cut: ResultCut | None
) -> ContextCompacted:
    newest = conversation.history.compaction
    return {
        "object": "agent.context",
        "iteration": len(conversation.steps) + 1,
        "reason": reason,
        "thread_messages": parts[0],
        "through": parts[1],
        "cut": _at_most(newest["cut"] if newest else None, cut, parts[1]),
        "summary": newest["summary"] if newest and parts == _parts(newest) else "",
        "usage": {},
        "model": "",
    }


def _at_most(newest: ResultCut | None, cut: ResultCut | None, through: int) -> ResultCut | None:
    """Return the cut, at least as short as the newest: a result that was cut stays cut."""
    if newest is None or newest["through"] <= through:
        return cut
    if cut is None:
        return newest
    return {
        "through": max(cut["through"], newest["through"]),
        "bytes": min(cut["bytes"], newest["bytes"]),
    }
