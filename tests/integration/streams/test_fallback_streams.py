"""Test what clients of both APIs see of a switch in the middle of a response."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runyard_dev.dev_stack import DevStack
from tests.support.servers.openai_server import ChatResponse, OpenAIServer
from tests.support.service import Service
from tests.support.threads_service import ThreadsService

CUT = ChatResponse(["Half", " a", " response"], cut_after=3)
AGENT = """\
key: switching
version: "1"
instructions: Answer.
route: switching-first
fallback: [switching-spare]
input_schema: { type: object }
"""


@pytest.fixture
def first(stack: DevStack) -> Iterator[OpenAIServer]:
    """Yield the first route of the agent; its fallback route is a script."""
    folder = Path(stack.environment["AGENTS_DIR"])
    with OpenAIServer(CUT, CUT, CUT) as server:
        routes = {
            "switching-first": {"model": "openai:first", "base_url": server.base_url},
            "switching-spare": {"model": "scripted:spare"},
        }
        script = {"dialogues": [{"name": "spare", "turns": [{"say": "A whole one."}]}]}
        (folder / "scripts/spare.yaml").write_text(json.dumps(script), encoding="utf-8")
        with (folder / "routes.yaml").open("a", encoding="utf-8") as file:
            file.writelines(f"\n{name}: {json.dumps(route)}\n" for name, route in routes.items())
        (folder / "switching.yaml").write_text(AGENT, encoding="utf-8")
        yield server


def test_both_streams_void_the_abandoned_response(
    stack: DevStack, service: Service, first: OpenAIServer
) -> None:
    with ThreadsService(stack.base_url, stack.access_key) as threads:
        run_id = threads.start(threads.thread("Hello"), persona_id="switching")
        frames = threads.events(run_id)
        assert [event["seq"] for event in frames] == list(range(1, len(frames) + 1))
        [listed] = [run for run in threads.get("/runs") if run["run_id"] == run_id]
    assert listed["model"] == "spare"
    text = ""
    for event in frames:
        if event["type"] == "message.delta":
            text += event["data"]["content"]
        elif event["type"] == "run.recovered":
            assert text, "a part of a response precedes each recovery"
            text = ""
    assert text == "A whole one."
    in_runs_api = [json.loads(frame.data) for frame in service.stream(run_id)]
    assert [event["sequence"] for event in in_runs_api] == [event["seq"] for event in frames]
    switches = [
        {name: value for name, value in event["data"].items() if name != "id"}
        for event in in_runs_api
        if event["data"].get("reason") == "model_fallback"
    ]
    assert [(switch["failed_route"], switch["route"]) for switch in switches] == [
        ("switching-first", "switching-spare")
    ]
    assert switches == [
        event["data"] for event in frames if event["data"].get("reason") == "model_fallback"
    ]
    [message] = [event for event in in_runs_api if event["type"] == "agent.message.completed"]
    assert message["data"]["route"] == "switching-spare"
    assert len(first.received) == 3
