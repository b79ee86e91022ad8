"""Plans of compactions: what is left out, what stays, and the requests that follow."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from runyard_service.agents.compaction import (
    Conversation,
    needs_summary,
    plan_compaction,
    token_limit,
)
from runyard_service.agents.conversation import request_for
from runyard_service.agents.definitions.models import AgentDefinition, ContextPolicy
from runyard_service.agents.models.base import (
    AssistantMessage,
    Attachment,
    ModelRequest,
    Text,
    Thinking,
    ToolCall,
    ToolOutcome,
    UserMessage,
)
from runyard_service.agents.step_messages import MessageHistory, cut_text
from runyard_service.agents.summary_request import old_entries, shortened
from runyard_service.domain.event_payloads.messages import ContextCompacted
from runyard_service.domain.events import NewEvent, assign_sequences
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Message, Role

DEFINITION = AgentDefinition.model_validate(
    {
        "key": "a",
        "version": "1",
        "instructions": "Be careful.",
        "route": "r",
        "input_schema": {"type": "object"},
    }
)
LONG = "x" * 3000  # A thousand tokens, as they are estimated.


def a_run(**fields: Any) -> Run:
    always = {"id": "r", "project_id": "p", "org_id": "o", "app_id": "a", "agent": "a@1"}
    return Run.model_validate(
        {**always, "definition_digest": "d", "started_at": "t", "input": {"task": 1}, **fields}
    )


def step(number: int, result: str = LONG, **fields: Any) -> list[NewEvent]:
    """Return the events of a step with one call and its result."""
    call = {"id": f"c{number}", "name": "look", "input": {"n": number}}
    parts = [{"type": "thinking", "content": "Hm.", "signature": f"s{number}"}]
    message = {
        "object": "agent.message",
        "content": "",
        "iteration": number,
        "usage": {},
        "model": "m",
        "tool_calls": [call],
        "parts": [*parts, {"type": "tool_call"}],
        "route": "r",
    }
    return [
        NewEvent(type="agent.message.completed", data=message | fields),
        NewEvent(type="agent.tool_call.completed", data={"id": f"c{number}", "result": result}),
    ]


def paused(number: int) -> list[NewEvent]:
    """Return the event of a response that the provider paused."""
    data = {"content": LONG, "iteration": number, "usage": {}, "model": "m", "paused": True}
    return [NewEvent(type="agent.message.completed", data=data)]


def after(*steps: list[NewEvent]) -> History:
    return History.of(assign_sequences([event for events in steps for event in events], after=0))


def a_message(role: Role, content: str, sequence: int) -> Message:
    return Message(
        id=str(sequence),
        thread_id="t",
        sequence=sequence,
        role=role,
        content=content,
        created_at="t",
    )


def plan(
    history: History, size: int, *, messages: Sequence[Message] = (), **policy: Any
) -> ContextCompacted | None:
    """Return the plan for a window of 10,000 tokens: compacted at 5,904 tokens."""
    run = a_run(thread_id="t") if messages else a_run()
    conversation = Conversation(DEFINITION, run, history, messages)
    return plan_compaction(
        conversation, ContextPolicy(**policy), size=size, window=10_000, reason="size"
    )


def test_files_of_old_results_count_for_what_is_saved() -> None:
    results = [step(n, "short") for n in range(1, 11)]
    results[0][1] = NewEvent(
        type="agent.tool_call.completed",
        data={"id": "c1", "result": "short", "files": [{"id": "f"}]},
    )
    history = after(*results)
    files = {"f": Attachment("f", "a.txt", "text/plain", 18_000, b"x" * 18_000)}

    def planned(returned: Mapping[str, Attachment]) -> ContextCompacted | None:
        conversation = Conversation(DEFINITION, a_run(), history, returned_files=returned)
        return plan_compaction(
            conversation, ContextPolicy(), size=7_000, window=10_000, reason="size"
        )

    found = planned(files)
    assert found is not None
    assert found["through"] == 10 - ContextPolicy().keep_turns
    assert found != planned({})


def compacted(history: History, found: ContextCompacted, summary: str) -> History:
    """Add the event of the plan, with its summary."""
    event = NewEvent(type="agent.context.compacted", data={**found, "summary": summary})
    [event_with_sequence] = assign_sequences([event], after=history.last)
    history.apply(event_with_sequence)
    return history


def request(history: History, messages: Sequence[Message] = ()) -> ModelRequest:
    run = a_run(thread_id="t") if messages else a_run()
    return request_for(DEFINITION, run, history, messages=messages)


@pytest.mark.parametrize(
    ("window", "max_output_tokens", "limit"),
    [
        (200_000, None, 160_000),
        (200_000, 64_000, 136_000),
        (32_000, None, 25_600),
        (10_000, None, 5_904),
        (4_000, None, 1_000),
    ],
)
def test_a_compaction_leaves_room_for_the_response(
    window: int, max_output_tokens: int | None, limit: int
) -> None:
    assert token_limit(ContextPolicy(), max_output_tokens, window) == limit


def test_the_newest_turns_stay_as_they_are() -> None:
    history = after(*[step(number) for number in range(1, 9)])
    found = plan(history, 8_500, keep_turns=2)
    assert found is not None
    assert (found["through"], found["cut"], found["iteration"]) == (6, None, 9)
    task, summary, *newest = request(compacted(history, found, "All is well.")).messages
    assert task == UserMessage('{\n  "task": 1\n}')
    assert isinstance(summary, UserMessage)
    assert "All is well." in summary.content
    assert newest == [
        AssistantMessage(
            (Thinking("Hm.", f"s{number}"), ToolCall(f"c{number}", "look", {"n": number})),
            route="r",
        )
        if is_response
        else ToolOutcome(f"c{number}", "look", LONG)
        for number in (7, 8)
        for is_response in (True, False)
    ]


def test_fewer_turns_stay_if_they_do_not_fit() -> None:
    found = plan(after(*[step(number) for number in range(1, 9)]), 8_500, keep_turns=6)
    assert found is not None
    assert (found["through"], found["cut"]) == (5, None)


def test_a_paused_response_stays_with_its_continuation() -> None:
    history = after(*[step(number) for number in range(1, 7)], paused(7), step(8))
    found = plan(history, 8_500, keep_turns=1)
    assert found is not None
    assert found["through"] == 6


def test_only_results_are_cut_if_that_is_enough() -> None:
    history = after(*[step(number) for number in range(1, 9)])
    found = plan(history, 6_500, keep_turns=1, tool_result_bytes=300)
    assert found is not None
    assert (found["through"], found["cut"]) == (0, {"through": 7, "bytes": 300})
    assert not needs_summary(Conversation(DEFINITION, a_run(), history), found)
    results = [m for m in request(compacted(history, found, "")).messages if is_result(m)]
    assert [len(result.content) < 400 for result in results] == [True] * 7 + [False]


def is_result(message: object) -> bool:
    return isinstance(message, ToolOutcome)


def test_a_result_that_was_cut_stays_cut() -> None:
    history = after(step(1, "x" * 60_000), step(2, "short"))
    first = plan(history, 21_000, keep_turns=1, tool_result_bytes=3_000)
    assert first is not None
    assert (first["through"], first["cut"]) == (0, {"through": 1, "bytes": 3_000})
    compacted(history, first, "")
    new_steps = step(3, "x" * 9_000) + step(4, "short")
    for event in assign_sequences(new_steps, after=history.last):
        history.apply(event)
    second = plan(history, 4_500, keep_turns=1, tool_result_bytes=6_000)
    assert second is not None
    assert (second["through"], second["cut"]) == (0, {"through": 3, "bytes": 3_000})


def test_nothing_is_planned_where_little_would_be_saved() -> None:
    assert plan(after(step(1, "short")), 9_000) is None
    assert plan(History(), 9_000) is None


def test_old_messages_of_a_thread_are_replaced_but_not_what_the_run_answers() -> None:
    texts: list[tuple[Role, str]] = [("user", LONG), ("assistant", LONG)] * 4
    messages = [
        *(a_message(role, text, n) for n, (role, text) in enumerate(texts, start=1)),
        a_message("user", "And now?", 9),
        a_message("user", "Please.", 10),
    ]
    history = History()
    found = plan(history, 8_500, messages=messages, keep_turns=2)
    assert found is not None
    assert (found["thread_messages"], found["through"]) == (6, 0)
    after_it = request(compacted(history, found, "They talked."), messages)
    assert [type(message) for message in after_it.thread_messages[:3]] == [
        *(UserMessage, UserMessage, AssistantMessage)
    ]
    assert after_it.thread_messages[3:] == [UserMessage("And now?"), UserMessage("Please.")]
    assert after_it.messages == []
    # Later, steps of the run are old too: then the whole thread before that message is.
    for number in range(1, 9):
        for event in assign_sequences(step(number), after=history.last):
            history.apply(event)
    found = plan(history, 9_000, messages=messages, keep_turns=2)
    assert found is not None
    assert (found["thread_messages"], found["through"]) == (8, 6)
    after_it = request(compacted(history, found, "They continued."), messages)
    assert after_it.thread_messages == [UserMessage("And now?"), UserMessage("Please.")]
    assert "They continued." in str(after_it.messages[0])
    assert len(after_it.messages) == 5


def test_a_cache_of_messages_starts_again_at_a_compaction() -> None:
    history, cache = after(*[step(number) for number in range(1, 9)]), MessageHistory()
    run = a_run()

    def cached() -> list[Any]:
        built = request_for(DEFINITION, run, history, message_history=cache).messages
        assert list(built) == list(request(history).messages)
        return list(built)

    before = cached()
    found = plan(history, 8_500, keep_turns=2)
    assert found is not None
    compacted(history, found, "All is well.")
    assert len(cached()) < len(before)
    for event in assign_sequences(step(9), after=history.last):
        history.apply(event)
    assert cached()[-1] == ToolOutcome("c9", "look", LONG)


def test_the_next_record_has_the_summary_so_far_and_only_new_turns() -> None:
    history = after(*[step(number) for number in range(1, 9)])
    first = plan(history, 8_500, keep_turns=2)
    assert first is not None
    compacted(history, first, "All is well.")
    for event in assign_sequences(step(9) + step(10) + step(11), after=history.last):
        history.apply(event)
    conversation = Conversation(DEFINITION, a_run(), history)
    second: ContextCompacted = {**first, "through": 9}
    entries = old_entries(conversation, second)
    assert entries[0] == "[instructions of the agent]\nBe careful."
    assert "[summary of what came before]\nAll is well." in entries
    calls = [entry for entry in entries if entry.startswith("[call of look]")]
    assert calls == [f'[call of look]\n{{"n": {number}}}' for number in (7, 8, 9)]


@pytest.mark.parametrize("limit", [500, 2_000, 20_000])
def test_the_longest_texts_of_a_record_are_shortened_first(limit: int) -> None:
    entries = ["short", "x" * 5_000, "y" * 50_000, *["z" * 40] * 4]
    text = shortened(entries, limit)
    assert len(text) <= limit + 200
    assert "short" in text
    assert ("x" * 5_000 in text) == (limit == 20_000)


@pytest.mark.parametrize("text", ["é" * 1000, "\ud83d" * 1000, "😀" * 1000, "abc" * 1000])
def test_a_text_is_cut_between_characters(text: str) -> None:
    short = cut_text(text, 301)
    head, note, tail = short.split("\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert note.endswith("bytes are left out here]")
    assert len(short.encode("utf-8", "surrogatepass")) < 400
    assert cut_text(text, 100_000) == text
    assert Text(cut_text(text, None)) == Text(text)
