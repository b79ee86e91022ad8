"""Injected faults: each is read from a file and occurs once, at the call that it names."""

from pathlib import Path

import pytest

from tests.fault_injection.faults import (
    EDGES,
    EFFECTS,
    Fault,
    Process,
    ProcessKilledError,
    SelfProcess,
)


def lost() -> Exception:
    return ConnectionError("lost")


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("effect", EFFECTS)
def test_an_injected_fault_is_read_as_it_was_written(edge: str, effect: str) -> None:
    text = f"dynamodb.PutItem run:{edge}:{effect}:3"
    assert str(Fault.parse(text)) == text


@pytest.mark.parametrize("text", ["", "run:before:kill", "run:during:kill:1", "run:after:burn:1"])
def test_an_invalid_fault_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|is not"):
        Fault.parse(text)


def test_drop_loses_every_attempt_of_a_call_and_drop_once_loses_one() -> None:
    for effect, losses in (("drop_once", 1), ("drop", 3)):
        call = Process(Fault.parse(f"call:before:{effect}:1")).start_call("call")
        raised = 0
        for _ in range(3):
            try:
                call.apply_fault("before", lost)
            except ConnectionError:
                raised += 1
        assert raised == losses


def test_a_dead_process_makes_no_calls() -> None:
    process = Process(Fault("call", "before", "kill", 2))
    process.start_call("call").apply_fault("before", lost)
    with pytest.raises(ProcessKilledError):
        process.start_call("call").apply_fault("before", lost)
    with pytest.raises(ProcessKilledError):
        process.start_call("another")


def test_an_injected_fault_in_a_file_occurs_at_the_call_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "fault"
    process = SelfProcess(file)
    process.start_call("call").apply_fault("before", lost)
    file.write_text("call:before:drop_once:1", encoding="utf-8")
    process.start_call("another").apply_fault("before", lost)
    assert file.exists()
    with pytest.raises(ConnectionError):
        process.start_call("call").apply_fault("before", lost)
    assert not file.exists()
    process.start_call("call").apply_fault("before", lost)
