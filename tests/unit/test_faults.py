"""Faults on purpose: written into a file, met once, by the call that they name."""

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
def test_a_fault_is_read_as_it_was_written(edge: str, effect: str) -> None:
    text = f"dynamodb.PutItem run:{edge}:{effect}:3"
    assert str(Fault.parse(text)) == text


@pytest.mark.parametrize("text", ["", "run:before:kill", "run:beside:kill:1", "run:after:burn:1"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|is not"):
        Fault.parse(text)


def test_a_call_that_is_cut_off_is_lost_at_every_attempt_and_a_cut_one_once() -> None:
    for effect, losses in (("cut", 1), ("cut_off", 3)):
        crossing = Process(Fault.parse(f"call:before:{effect}:1")).begin_call("call")
        raised = 0
        for _ in range(3):
            try:
                crossing.at_point("before", lost)
            except ConnectionError:
                raised += 1
        assert raised == losses


def test_a_dead_process_calls_nobody() -> None:
    process = Process(Fault("call", "before", "kill", 2))
    process.begin_call("call").at_point("before", lost)
    with pytest.raises(ProcessKilledError):
        process.begin_call("call").at_point("before", lost)
    with pytest.raises(ProcessKilledError):
        process.begin_call("another")


def test_a_fault_in_a_file_is_taken_by_the_call_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "fault"
    process = SelfProcess(file)
    process.begin_call("call").at_point("before", lost)
    file.write_text("call:before:cut:1", encoding="utf-8")
    process.begin_call("another").at_point("before", lost)
    assert file.exists()
    with pytest.raises(ConnectionError):
        process.begin_call("call").at_point("before", lost)
    assert not file.exists()
    process.begin_call("call").at_point("before", lost)
