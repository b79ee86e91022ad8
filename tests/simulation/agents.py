"""The agents of simulated runs; each waits for people in a different way."""

from typing import Any

from runyard_service.agents.definitions.models import Snapshot

SECONDS_TO_ANSWER = 100
_AMOUNT = {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}
_FORM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def _http(name: str, effect: str, **options: Any) -> dict[str, Any]:
    return {
        "kind": "http",
        "name": name,
        "description": "Takes money.",
        "method": "POST",
        "url": f"${{PAYMENTS_URL}}/{name}",
        "parameters": _AMOUNT,
        "effect": effect,
        **options,
    }


_TOOLS = [
    _http("charge", "unsafe"),
    _http("note", "idempotent"),
    _http("pay", "unsafe", approval={"editable": ["amount"]}),
    _http(
        "pay_soon",
        "unsafe",
        approval={"expires_in": SECONDS_TO_ANSWER, "on_expiry": "deny", "editable": ["amount"]},
    ),
    {"kind": "ask_human"},
    {
        "kind": "ask_human",
        "name": "ask_soon",
        "form": _FORM,
        "expires_in": SECONDS_TO_ANSWER,
        "on_expiry": "use_default",
        "default": {"n": 0},
    },
    {
        "kind": "ask_human",
        "name": "ask_or_fail",
        "expires_in": 2 * SECONDS_TO_ANSWER,
        "on_expiry": "fail",
    },
]


def _call(tool: str) -> dict[str, Any]:
    asks = tool.startswith("ask")
    return {"tool": tool, "input": {"prompt": "?"} if asks else {"amount": 10}}


def _turns(*responses: str) -> list[dict[str, Any]]:
    return [
        *({"say": "So.", "call": [_call(tool) for tool in tools.split()]} for tools in responses),
        {"say": "Done."},
    ]


_DIALOGUES = {
    "two_requests": _turns("ask_human ask_soon"),
    "expiry": _turns("ask_soon ask_or_fail pay_soon"),
    "approvals": _turns("pay note pay_soon"),
    "charge": _turns("charge ask_human", "charge pay"),
    "limit": _turns("note", "note ask_human", "note"),
}
CASES = tuple(_DIALOGUES)


def agent(case: str, **limits: Any) -> Snapshot:
    """Return the agent of a case. The agent of `limit` asks before its second step."""
    if case == "limit":
        limits |= {"steps": 1, "on_limit": "ask"}
    return Snapshot.model_validate(
        {
            "definition": {
                "key": case,
                "version": "1",
                "instructions": "Ask.",
                "route": "simulated",
                "input_schema": {"type": "object"},
                "tools": _TOOLS,
                "limits": limits,
            },
            "route": {"model": "scripted:simulated"},
            "route_id": "simulated",
            "script": {"dialogues": [{"name": case, "turns": _DIALOGUES[case]}]},
        }
    )
