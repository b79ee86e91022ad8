"""The conversation that is rebuilt from the log, around a reply that a limit cut off."""

from typing import Any

from runyard.agent.conversation import answer_of, reply_draft, request_for
from runyard.agent.definition import AgentDefinition, Limits
from runyard.agent.dialogue import ModelTurn, Reply, Thinking, ToolCall, UserTurn
from runyard.domain.events import placed
from runyard.domain.history import History

TEXT = Reply(ModelTurn("Half of an"))
TORN = Reply(ModelTurn("", (ToolCall("c1", "pay", {}),), (Thinking("Hm"),)))


def agent(**fields: Any) -> AgentDefinition:
    always = {"key": "a", "version": "1", "instructions": "x", "route": "r"}
    return AgentDefinition.model_validate({**always, "input_schema": {"type": "object"}, **fields})


def after(*replies: Reply, cut_by: str = "usd") -> History:
    drafts = [reply_draft(reply, n, cut_by) for n, reply in enumerate(replies, start=1)]
    return History.of(placed(drafts, after=0))


def test_a_text_that_was_cut_off_is_no_answer() -> None:
    assert answer_of(agent(), after(TEXT, cut_by="")) == {"content": "Half of an"}
    assert answer_of(agent(), after(TEXT)) is None


def test_calls_and_reasoning_of_a_reply_that_was_cut_off_are_left_out() -> None:
    history = after(TORN)
    assert history.unfinished == []
    assert "thinking" not in history.exchanges[0].reply


def test_the_model_is_told_that_its_reply_was_cut_off() -> None:
    turns = request_for(agent(), {}, after(TEXT)).turns
    assert turns[1:] == [
        ModelTurn("Half of an"),
        UserTurn("Your reply was cut off. Give it again, as a whole."),
    ]


def test_a_reply_that_was_cut_off_is_no_attempt_at_an_answer() -> None:
    strict = agent(output_schema={"type": "object"}, limits=Limits(output_attempts=1))
    assert answer_of(strict, after(TEXT, TEXT)) is None
