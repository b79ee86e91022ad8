"""An agent's own code requests responses of several routes."""

from typing import Any

from runyard import Context
from runyard_service.agents.definitions.models import FallbackRoute
from runyard_service.agents.definitions.routes import Route
from tests.integration.own_code.conftest import CodeRuns

_CHEAP = FallbackRoute(
    route=Route(model="scripted:cheap"),
    route_id="cheap",
    script={"dialogues": [{"name": "cheap", "turns": [{"say": "Cheap."}]}]},
)


async def asks_both(ctx: Context, data: Any) -> Any:
    first = await ctx.call_model("Hello.", route="cheap")
    second = await ctx.call_model("Hello.")
    third = await ctx.call_model("Hello.", route="scripted")
    return [first.text, second.text, third.text]


def test_the_code_names_a_route_for_each_response(code_runs: CodeRuns) -> None:
    run = code_runs.start(asks_both, other_routes=["cheap"], routes=(_CHEAP,))
    assert code_runs.finish(run).data["output"]["content"] == '["Cheap.", "Hello.", "Hello."]'
    messages = [each for each in code_runs.events(run) if each.type == "agent.message.completed"]
    assert [each.data.get("route") for each in messages] == ["cheap", None, None]


def test_a_route_that_the_agent_does_not_allow_fails_the_run(code_runs: CodeRuns) -> None:
    run = code_runs.start(asks_both)
    error = code_runs.finish(run).data["error"]
    assert error["code"] == "invalid_response"
    assert error["message"] == (
        "model:model#1 names the route 'cheap'; allowed: scripted."
        " Add it to other_routes in the agent's file."
    )
