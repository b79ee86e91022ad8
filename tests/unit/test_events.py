"""Events as lines: the stored line is the line that the API sends."""

import json
from itertools import pairwise
from random import Random

import pytest

from runyard_service.adapters.dynamodb.event_log import write_units
from runyard_service.domain import ids
from runyard_service.domain.events import (
    EVENT_TYPES,
    NewEvent,
    assign_sequences,
    decode_event,
    encode_event,
    event_type_of,
)


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_the_type_is_read_from_its_line(kind: str) -> None:
    event = assign_sequences([NewEvent(type=kind, data={"delta": 'a "quoted" word'})], after=41)[0]  # type: ignore[arg-type]
    line = encode_event(event)
    assert event_type_of(line) == kind
    assert decode_event(line) == event
    assert json.loads(line)["sequence"] == 42


def test_a_line_contains_no_line_break() -> None:
    breaks = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
    for text in (f"a{breaks}b", f"\N{WAVING HAND SIGN}{breaks}", f"\ud800{breaks}"):
        [event] = assign_sequences([NewEvent(type="run.started", data={"x": text})], after=0)
        line = encode_event(event)
        assert len(line.decode().splitlines()) == 1
        assert decode_event(line).data["x"] == text.replace("\ud800", "\ufffd")


def test_half_a_surrogate_pair_is_replaced() -> None:
    event = assign_sequences([NewEvent(type="run.started", data={"x": "a\ud800b é"})], after=0)[0]
    assert decode_event(encode_event(event)).data["x"] == "a\ufffdb é"


def test_sequences_are_consecutive() -> None:
    events = assign_sequences([NewEvent(type="run.started", data={})] * 3, after=7)
    assert [event.sequence for event in events] == [8, 9, 10]


def test_the_ids_of_a_batch_are_random_and_consecutive(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ids.new_ids(200), ids.new_ids(3)
    assert len({*one, *other}) == 203
    assert all(ids.parse_id(id_) == id_ for id_ in one)
    steps = {int(after[-2:], 16) - int(before[-2:], 16) for before, after in pairwise(one)}
    assert steps <= {1, -255}
    last = "0b3e5c1a-9d34-4f3b-8a53-ffffffffffff"
    monkeypatch.setattr(ids, "new_id", lambda: last)
    assert ids.new_ids(2) == [last, last.replace("ffffffffffff", "000000000000")]


def test_the_ids_of_a_full_batch_compress_well() -> None:
    dice = Random(1)
    words = ["refund", "the", "second", "card", "payment", "of", "ticket", "June"]
    new_events = [
        NewEvent(type="agent.response.delta", data={"delta": f"{dice.choice(words)} "})
        for _ in range(100)
    ]
    lines = [encode_event(event) for event in assign_sequences(new_events, after=3)]
    assert sum(map(len, lines)) > 15_000
    assert write_units(lines) == 1
