"""Commands in a real terminal: input requests, chats, and Ctrl-C."""

import os
import re
from collections.abc import Mapping

import pytest

from tests.support.command_line import service_variables
from tests.support.service import Service
from tests.support.terminal import open_terminal

STYLE = re.compile(r"\x1b\[\d*(;\d+)*m")


@pytest.fixture
def environment(service: Service) -> Mapping[str, str]:
    """Return the environment of a person's terminal."""
    mine = {name: text for name, text in os.environ.items() if name not in ("CI", "NO_COLOR")}
    return {**mine, **service_variables(service), "TERM": "xterm-256color"}


def test_run_asks_and_approves_with_an_edit(
    service: Service, environment: Mapping[str, str]
) -> None:
    words = ("run", "people", "-i", "case=charge")
    with open_terminal(*words, environment=environment) as terminal:
        terminal.expect(r'order_id  "Ä-1"\n  amount  10.5  \(editable\)\n')
        terminal.expect("eave > ")
        terminal.type("e order_id=x")
        terminal.expect("order_id: cannot be changed. You can change: amount")
        terminal.expect("eave > ")
        terminal.type("e amount=much")
        terminal.expect("amount: must be a number")
        terminal.expect("eave > ")
        terminal.type("e amount=4.5")
        terminal.expect("Charged")
        assert terminal.wait() == 0
    assert "amount=4.5" in terminal.screen
    [run_id] = re.findall(r"● (\S+)  people@1", terminal.screen)
    [call] = [e for e in service.events(run_id) if e["type"] == "agent.tool_call.completed"]
    assert call["data"]["input"]["amount"] == 4.5


def test_run_asks_every_kind_of_input_request(environment: Mapping[str, str]) -> None:
    words = ("run", "people", "-i", "case=mixed")
    with open_terminal(*words, environment=environment) as terminal:
        terminal.expect("1  Red\n  2  blue\n")
        terminal.expect("> ")
        terminal.type("green")
        terminal.expect("one of the choices")
        terminal.type("2")
        terminal.expect(r"Where to\?\n")
        terminal.expect("city > ")
        terminal.type("")
        terminal.expect("city: is required")
        terminal.type("Rome")
        terminal.expect(r"zip \(optional\) > ")
        terminal.type("")
        terminal.expect("eave > ")
        terminal.type("r not today")
        terminal.expect("blue to Rome")
        assert terminal.wait() == 0


def test_a_input_request_that_stays_open_is_code_5(environment: Mapping[str, str]) -> None:
    words = ("run", "people", "-i", "case=charge")
    with open_terminal(*words, environment=environment) as terminal:
        terminal.expect("eave > ")
        terminal.type("l")
        terminal.expect(r"runyard follow \S+ --from \d+")
        assert terminal.wait() == 5


def test_inbox_next_answers_the_oldest_input_request(
    project: Service, environment: Mapping[str, str]
) -> None:
    runs = [project.create({"case": "charge"}, agent="people") for _ in range(2)]
    variables = {**environment, **service_variables(project)}
    for left, run in zip((2, 1), runs, strict=True):
        with open_terminal("inbox", "next", environment=variables) as terminal:
            terminal.expect(f"run {run['id']}, {left} open\n")
            terminal.expect("eave > ")
            terminal.type("a")
            assert terminal.wait() == 0
        project.wait(run["id"], "completed")
    with open_terminal("inbox", "next", environment=variables) as terminal:
        terminal.expect("No run waits for a person")
        assert terminal.wait() == 0


def test_ctrl_c_in_a_chat_stops_the_answer_and_then_leaves(
    service: Service, environment: Mapping[str, str]
) -> None:
    words = ("threads", "chat", "--persona", "talker")
    with open_terminal(*words, environment=environment) as terminal:
        terminal.expect("> ")
        terminal.type("slowly")
        terminal.expect("three four")
        terminal.press_ctrl_c()
        terminal.expect("stopped")
        terminal.expect("> ")
        terminal.type("Hello")
        terminal.expect("2: Hello")
        terminal.expect("> ")
        assert terminal.leave() == 130
    found = re.search(r"thread (\S+)", terminal.screen)
    assert found
    runs = service.http.get(f"/threads/v1/threads/{found[1]}/runs").json()
    assert [run["status"] for run in runs] == ["completed", "cancelled"]


def test_nothing_that_a_model_says_moves_the_cursor(environment: Mapping[str, str]) -> None:
    attack = "\x1b[2J\x1b[1;1H\x9b2J\r\x08"
    words = ("run", "talker", "-i", f"content={attack}")
    # Without a spinner, which moves the cursor itself.
    with open_terminal(*words, environment={**environment, "CI": "true"}) as terminal:
        assert terminal.wait() == 0
    assert "\\e[2J\\e[1;1H\\x9b2J\\r\\x08" in terminal.screen
    rest = STYLE.sub("", terminal.screen)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", rest), repr(rest)


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}])
def test_there_is_no_spinner(environment: Mapping[str, str], variables: Mapping[str, str]) -> None:
    words = ("run", "talker", "-i", "content=Hello")
    with open_terminal(*words, environment={**environment, **variables}) as terminal:
        assert terminal.wait() == 0
    assert not re.search(r"\x1b\[(\?25|2K|1A)", terminal.screen)


def test_an_answer_of_another_person_is_reported(
    service: Service, environment: Mapping[str, str]
) -> None:
    with open_terminal("run", "people", "-i", "case=charge", environment=environment) as terminal:
        header = terminal.expect(r"● \S+ ")
        terminal.expect("eave > ")
        run_id = header.split()[1]
        service.answer(service.run(run_id), is_approved=True)
        terminal.type("r too late")
        terminal.expect(r"closed already by \S+")
        terminal.expect("Charged")
        assert terminal.wait() == 0


def test_8_says_by_whom_it_was_answered(service: Service, environment: Mapping[str, str]) -> None:
    run = service.create({"case": "charge"}, agent="people")
    with open_terminal("approve", run["id"], environment=environment) as terminal:
        terminal.expect(r"amount  10.5  \(editable\)")
        terminal.expect(r"Approve\? \[y/N\]: ")
        service.answer(run, is_approved=False)
        terminal.type("y")
        terminal.expect(r"Error: key_\w+ has answered already at 20\d\d-")
        assert terminal.wait() == 8
