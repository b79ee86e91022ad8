"""Events as lines: what is stored is what goes on the wire."""

import json

import pytest

from runyard.domain.events import EVENT_TYPES, Draft, from_line, line_type, placed, to_line


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_a_type_is_cut_out_of_its_line(kind: str) -> None:
    event = placed([Draft(type=kind, data={"delta": 'a "quoted" word'})], after=41)[0]  # type: ignore[arg-type]
    line = to_line(event)
    assert line_type(line) == kind
    assert from_line(line) == event
    assert json.loads(line)["sequence"] == 42


def test_a_line_never_holds_a_line_break() -> None:
    event = placed([Draft(type="run.started", data={"x": "a\nb\r\u2028c"})], after=0)[0]
    assert to_line(event).count("\n") == 0


def test_half_a_surrogate_pair_is_replaced() -> None:
    event = placed([Draft(type="run.started", data={"x": "a\ud800b é"})], after=0)[0]
    assert from_line(to_line(event)).data["x"] == "a\ufffdb é"


def test_sequences_follow_each_other() -> None:
    events = placed([Draft(type="run.started", data={})] * 3, after=7)
    assert [event.sequence for event in events] == [8, 9, 10]
