"""A run that is paused publishes nothing more, whatever its later executions find."""

from runyard_service.adapters.stores import Stores
from tests.support.run_driver import RunDriver
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent

ASK = {"name": "ask", "kind": "ask_human", "description": "Ask a person."}


def test_a_later_execution_publishes_no_further_request(stores: Stores) -> None:
    turn = {"call": [{"tool": "ask", "input": {"prompt": "Which order?"}}]}
    agent = scripted_agent([turn, {"say": "Done."}], [ASK], steps=1, on_limit="ask")
    driver = RunDriver(stores)
    run = create_run(stores, agent)
    met = driver.advance(run)
    assert met.limit == "steps"
    assert driver.ask(run, met=met)
    before = driver.types(run)
    again = driver.advance(run)
    assert (again.outcome, again.limit) == ("needs_input", "")
    assert driver.ask(run, "token of the later execution", again)
    assert driver.types(run) == before
    assert driver.record(run).open_requests == 1
